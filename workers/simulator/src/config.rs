//! What an operator can say about the simulator. A value that exists is valid.

mod mqtt;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fsm_core::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use mqtt::{MqttTarget, MqttUrl, Password, Payload, Qos, TopicTemplate};

use crate::plant::MachineType;

/// Shortest interval: what a fast controller samples at, and well above a timer's own grain.
const MIN_INTERVAL: Duration = Duration::from_millis(10);
/// Longest interval: beyond it nobody would see a signal move.
const MAX_INTERVAL: Duration = Duration::from_secs(3_600);
/// Most machines of one simulator: more are more simulators.
const MAX_MACHINES: usize = 1_000;

/// Config of one simulated plant.
///
/// ```
/// # use fsm_worker_simulator::SimulatorConfig;
/// let config: SimulatorConfig = serde_json::from_str(
///     r#"{"interval": "100ms", "machines": [{"name": "press-1", "type": "press"}]}"#,
/// )?;
/// assert_eq!(config.mqtt.topic.of("press-1", "press", "temperature"), "plant/press-1/temperature");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SimulatorConfig {
    /// The same seed tells the same story.
    pub seed: u64,
    /// Time between two values of a signal, `10ms` to `1h`.
    #[serde(deserialize_with = "interval")]
    pub interval: HumanDuration,
    /// The machines, 1 to 1000, each with a name of its own.
    #[serde(deserialize_with = "machines")]
    #[schemars(length(min = 1, max = 1_000))]
    pub machines: Vec<Machine>,
    /// Where the values are published.
    pub mqtt: MqttTarget,
}

impl Default for SimulatorConfig {
    /// A small line: two presses, a mill, a furnace and a pump.
    fn default() -> Self {
        let machine = |name: &str, kind| Machine { name: MachineName(name.to_owned()), kind };
        Self {
            seed: 1,
            interval: HumanDuration::new(Duration::from_secs(1)),
            machines: vec![
                machine("press-1", MachineType::Press),
                machine("press-2", MachineType::Press),
                machine("mill-1", MachineType::Mill),
                machine("furnace-1", MachineType::Furnace),
                machine("pump-1", MachineType::Pump),
            ],
            mqtt: MqttTarget::default(),
        }
    }
}

impl fsm_core::Config for SimulatorConfig {}

/// One simulated machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Machine {
    /// Its name, a level of its topics.
    pub name: MachineName,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: MachineType,
}

impl Machine {
    /// A machine.
    #[must_use]
    pub fn new(name: MachineName, kind: MachineType) -> Self {
        Self { name, kind }
    }
}

/// A text of the config that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A machine's name would not be one level of a topic.
    #[error(
        "`{0}` can't name a machine: use 1 to 64 characters without `/`, `+`, `#`, spaces and control characters"
    )]
    Name(String),
    /// Two machines have one name.
    #[error("two machines are called `{0}`, and their topics would be the same: rename one")]
    Twice(String),
    /// The list of machines is empty or too long.
    #[error("{0} machines are listed; a plant has 1 to {MAX_MACHINES}")]
    Count(usize),
    /// The interval is out of its range.
    #[error("an interval of {0} is out of range: write 10ms to 1h")]
    Interval(HumanDuration),
    /// A topic template would not give each signal a topic of its own.
    #[error(
        "the topic `{0}` does not fit: it needs {{machine}} and {{signal}}, may have {{type}}, and no `+`, `#` or other braces"
    )]
    Topic(String),
    /// Not a URL of an MQTT broker.
    #[error("`{0}` is not the URL of a broker: write mqtt://HOST:PORT, as in mqtt://127.0.0.1:1883")]
    Url(String),
}

/// A machine's name: one level of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct MachineName(#[schemars(length(min = 1, max = 64))] String);

impl MachineName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MachineName {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let bad = |c: char| matches!(c, '/' | '+' | '#') || c.is_whitespace() || c.is_control();
        let count = text.chars().count();
        if (1..=64).contains(&count) && !text.contains(bad) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ConfigError::Name(text.to_owned()))
        }
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MachineName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// Reads a text and parses it.
fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err = ConfigError>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    let interval = HumanDuration::deserialize(deserializer)?;
    if (MIN_INTERVAL..=MAX_INTERVAL).contains(&interval.get()) {
        Ok(interval)
    } else {
        Err(serde::de::Error::custom(ConfigError::Interval(interval)))
    }
}

fn machines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Machine>, D::Error> {
    let machines = Vec::<Machine>::deserialize(deserializer)?;
    if !(1..=MAX_MACHINES).contains(&machines.len()) {
        return Err(serde::de::Error::custom(ConfigError::Count(machines.len())));
    }
    let mut names = std::collections::BTreeSet::new();
    match machines.iter().find(|machine| !names.insert(machine.name.as_str())) {
        Some(twice) => Err(serde::de::Error::custom(ConfigError::Twice(twice.name.to_string()))),
        None => Ok(machines),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(json: &str, expected: &str) {
        let error =
            serde_json::from_str::<SimulatorConfig>(json).expect_err("a bad config was taken").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn bad_values_are_refused_with_a_way_out() {
        check_refused(r#"{"interval": "9ms"}"#, "an interval of 9ms is out of range: write 10ms to 1h");
        check_refused(r#"{"machines": []}"#, "0 machines are listed; a plant has 1 to 1000");
        check_refused(r#"{"machines": [{"name": "a/b", "type": "press"}]}"#, "`a/b` can't name a machine");
        check_refused(
            r#"{"machines": [{"name": "a", "type": "robot"}]}"#,
            "unknown variant `robot`, expected one of `press`",
        );
        check_refused(
            r#"{"machines": [{"name": "a", "type": "press"}, {"name": "a", "type": "mill"}]}"#,
            "two machines are called `a`",
        );
        check_refused(r#"{"mqtt": {"url": "tcp://x"}}"#, "write mqtt://HOST:PORT");
        check_refused(r#"{"mqtt": {"topic": "plant/{machine}"}}"#, "needs {machine} and {signal}");
        check_refused(r#"{"mqtt": {"topic": "{machine}/{signal}/#"}}"#, "no `+`, `#` or other braces");
        check_refused(r#"{"mqtt": {"topic": "{machine}/{signal}/{line}"}}"#, "other braces");
        check_refused(r#"{"mqtt": {"qos": 3}}"#, "a QoS of 3");
        check_refused(r#"{"machine": []}"#, "unknown field `machine`");
    }

    #[test]
    fn a_config_is_written_as_it_is_read() {
        let config = SimulatorConfig::default();
        let json = serde_json::to_string(&config).expect("plain data");
        assert_eq!(serde_json::from_str::<SimulatorConfig>(&json).expect("its own output"), config);
    }

    #[test]
    fn a_password_is_never_shown() {
        let json = r#"{"mqtt": {"username": "u", "password": "hunter2"}}"#;
        let config: SimulatorConfig = serde_json::from_str(json).expect("valid");
        let shown = format!("{config:?} {}", serde_json::to_string(&config).expect("plain data"));
        assert!(!shown.contains("hunter2") && shown.contains("[secret]"), "{shown}");
    }
}
