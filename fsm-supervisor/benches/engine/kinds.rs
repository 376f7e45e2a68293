//! Two kinds as real ones are: a sensor with a config of four fields, and a line that has sensors.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{
    ActionContext, ActionError, ChildConfig, ChildName, ChildSpec, ChildrenSpecs, CollectContext,
    CollectError, Config, Decision, DeriveContext, DeriveError, DesiredState, NoAction, Observed, Phase,
    Policy, Snapshot, Sort, State, StopSnapshot, UserSpec, Worker, go, stay,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Observes a level. As `heartbeat` it is told instead of looking each second.
pub(crate) struct Sensor;

/// A heartbeat of nine seconds, so that ten are stale.
pub(crate) const HEARTBEAT: Policy = Policy::DEFAULT
    .push(Duration::from_secs(9))
    .with_stale_after(Duration::from_secs(10))
    .with_collector_timeout(Duration::from_secs(20));

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SensorConfig {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) topic: String,
    pub(crate) version: u32,
}

impl Config for SensorConfig {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) level: u32,
}

impl Observed<SensorConfig> for Seen {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum SimpleState {
    #[default]
    Stopped,
    Running,
}

impl SimpleState {
    const BOTH: &'static [Self] = &[Self::Stopped, Self::Running];

    const fn text(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
        }
    }

    const fn health(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Running => Phase::Running,
        }
    }
}

impl Worker for Sensor {
    const KIND: &'static str = "sensor";
    const POLICY: Policy = Policy::DEFAULT;
    type Config = SensorConfig;
    type Observed = Seen;
    type State = SimpleState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<SensorConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<SensorConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<Seen, CollectError> {
        Ok(Seen { level: 0 })
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

impl State<Sensor> for SimpleState {
    const ALL: &'static [Self] = Self::BOTH;
    fn name(self) -> &'static str {
        self.text()
    }
    fn phase(self) -> Phase {
        self.health()
    }
    fn sort(self) -> Sort {
        Sort::Passive
    }
    fn next(self, s: &Snapshot<'_, Sensor>) -> Decision<Sensor> {
        match self {
            Self::Stopped => go(Self::Running, "it answers"),
            Self::Running => stay(("the level is {}", s.observed().level)),
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, Sensor>) -> Decision<Sensor> {
        match self {
            Self::Stopped => stay("it rests"),
            Self::Running => go(Self::Stopped, "it was told to stop"),
        }
    }
}

/// Has sensors and lines.
pub(crate) struct Line;

/// One child, with the hash of what it is made from, as a parser makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Entry {
    pub(crate) name: ChildName,
    pub(crate) kind: String,
    pub(crate) config: Value,
    pub(crate) fingerprint: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LineConfig {
    /// Sensors of one shape, made here: their configs are typed.
    pub(crate) sensors: Vec<(ChildName, u32)>,
    /// So many sensors that are numbered, not listed.
    pub(crate) numbered: u32,
    /// Children as rendered.
    pub(crate) children: Vec<Entry>,
    /// Lines below, each of this many sensors.
    pub(crate) lines: Vec<(ChildName, LineConfig)>,
}

impl LineConfig {
    /// Gives one sensor another config.
    pub(crate) fn change(&mut self, index: usize, version: u32) {
        self.sensors[index].1 = version;
    }
}

impl Config for LineConfig {}

pub(crate) fn sensor(name: &ChildName, version: u32) -> SensorConfig {
    SensorConfig { host: "10.0.0.7".into(), port: 502, topic: format!("plant/{name}"), version }
}

/// Sensors of this version are told.
pub(crate) const TOLD: u32 = u32::MAX;

fn fingerprint(version: u32) -> u64 {
    u64::from(version) + 1
}

fn made(name: &ChildName, version: u32) -> Arc<ChildSpec> {
    let config = ChildConfig::typed(sensor(name, version));
    let kind = if version == TOLD { "heartbeat" } else { "sensor" };
    ChildSpec { config, ..ChildSpec::new(name.clone(), kind) }.with_fingerprint(fingerprint(version)).into()
}

/// The specs from before with those changed that another version asks for; none when names or order changed.
fn edited(previous: &ChildrenSpecs, config: &LineConfig) -> Option<ChildrenSpecs> {
    if previous.len() != config.sensors.len() || config.numbered > 0 {
        return None;
    }
    let mut specs = previous.clone();
    for (place, (spec, (name, version))) in previous.iter().zip(&config.sensors).enumerate() {
        if spec.name != *name {
            return None;
        }
        if spec.fingerprint != fingerprint(*version) {
            specs.replace_at(place, made(name, *version)).ok()?;
        }
    }
    Some(specs)
}

impl Worker for Line {
    const KIND: &'static str = "line";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = LineConfig;
    type Observed = ();
    type State = SimpleState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<LineConfig>,
        cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<LineConfig>, DeriveError> {
        let LineConfig { sensors, numbered, children, lines } = &*spec.config;
        if let Some(specs) = cx.previous().and_then(|previous| edited(previous, &spec.config)) {
            return Ok(DesiredState::running(spec).with_children(specs));
        }
        let mut specs = ChildrenSpecs::with_capacity(sensors.len() + children.len() + lines.len());
        let mut add =
            |spec: Arc<ChildSpec>| specs.try_add(spec).map_err(|e| DeriveError::config(e.to_string()));
        for (name, version) in sensors {
            let before = cx.previous().and_then(|previous| previous.get(name.as_str()));
            add(match before.filter(|spec| spec.fingerprint == fingerprint(*version)) {
                Some(before) => Arc::clone(before),
                None => made(name, *version),
            })?;
        }
        for number in 0..*numbered {
            let name =
                ChildName::try_new(format!("s{number}")).map_err(|e| DeriveError::config(e.to_string()))?;
            add(made(&name, 1))?;
        }
        for entry in children {
            let spec =
                ChildSpec::new(entry.name.clone(), entry.kind.clone()).with_config(entry.config.clone());
            add(spec.with_fingerprint(entry.fingerprint).into())?;
        }
        for (name, config) in lines {
            let typed = ChildConfig::typed(config.clone());
            add(ChildSpec { config: typed, ..ChildSpec::new(name.clone(), "line") }.into())?;
        }
        Ok(DesiredState::running(spec).with_children(specs))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        Ok(())
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

impl State<Line> for SimpleState {
    const ALL: &'static [Self] = Self::BOTH;
    fn name(self) -> &'static str {
        self.text()
    }
    fn phase(self) -> Phase {
        self.health()
    }
    fn sort(self) -> Sort {
        Sort::Passive
    }
    fn next(self, s: &Snapshot<'_, Line>) -> Decision<Line> {
        match self {
            Self::Stopped => go(Self::Running, "it is wanted"),
            Self::Running => stay(("{} of {} run", s.children().healthy(), s.children().len())),
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, Line>) -> Decision<Line> {
        match self {
            Self::Stopped => stay("it rests"),
            Self::Running => go(Self::Stopped, "it was told to stop"),
        }
    }
}
