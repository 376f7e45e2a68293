//! What an operator can say about the relay. A value that exists is valid.

mod url;

use std::path::PathBuf;
use std::time::Duration;

use fsm_core::HumanDuration;
use fsm_templating::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use url::{Proxy, RelayUrl};

/// The shortest poll is still longer than a round trip; the longest is below what proxies cut off.
const POLL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Below, every event is a request of its own; above, nobody calls it a report.
const PUSH: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3_600));
/// A batch is one request: a thousand messages are about a megabyte.
const MAX_BATCH: usize = 1_000;
/// Room for the marks of backpressure, 50 and 100 free places, and as much again.
const MIN_BUFFER: usize = 200;
/// Messages are kept in memory and in the store.
const MAX_BUFFER: usize = 100_000;

/// Config of a communicator.
///
/// ```
/// # use fsm_worker_communicator::CommunicatorConfig;
/// let config: CommunicatorConfig = serde_json::from_str(
///     r#"{"url": "https://relay.example.com", "auth_token": {"secret": {"env": "RELAY_TOKEN"}}}"#,
/// )?;
/// assert_eq!(config.poll_timeout.get().as_secs(), 30);
/// assert!(!format!("{config:?}").contains("RELAY_TOKEN"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CommunicatorConfig {
    /// The relay, `https://HOST[:PORT][/PATH]`; `http://` to this machine only, since the token travels with it.
    pub url: RelayUrl,
    /// What this instance proves itself by: `{secret: {env: NAME}}`.
    pub auth_token: Secret,
    /// Which instance this is; by default the relay says so.
    #[serde(default)]
    pub instance: Option<InstanceId>,
    /// `environment` (`HTTPS_PROXY`, `NO_PROXY`), `none`, or the URL of a proxy.
    #[serde(default)]
    pub proxy: Proxy,
    /// Certificates (PEM) that are trusted beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long the relay may keep a pull open, `1s` to `5m`.
    #[serde(default = "poll_timeout", deserialize_with = "poll")]
    pub poll_timeout: HumanDuration,
    /// Time between two pushes, `10ms` to `1h`: what happens meanwhile travels together.
    #[serde(default = "push_interval", deserialize_with = "push")]
    pub push_interval: HumanDuration,
    /// Messages in one request, 1 to 1000.
    #[serde(default = "batch_default", deserialize_with = "batch")]
    #[schemars(range(min = 1, max = 1_000))]
    pub batch: usize,
    /// How many messages are kept each way.
    #[serde(default)]
    #[schemars(extend("x-restart" = true))]
    pub buffer: Buffers,
    /// What commands of the relay may do: `read` (plan), `operate` (retry, stop, start, exec) or `admin` (apply).
    #[serde(default)]
    pub role: Role,
    /// Only these commands, of those that the role allows; by default all of them.
    #[serde(default)]
    pub commands: Option<Vec<CommandName>>,
}

impl CommunicatorConfig {
    /// The defaults with this relay and token.
    #[must_use]
    pub fn new(url: RelayUrl, auth_token: Secret) -> Self {
        Self {
            url,
            auth_token,
            instance: None,
            proxy: Proxy::default(),
            ca_file: None,
            poll_timeout: poll_timeout(),
            push_interval: push_interval(),
            batch: batch_default(),
            buffer: Buffers::default(),
            role: Role::default(),
            commands: None,
        }
    }

    /// Whether the relay may ask for this.
    #[must_use]
    pub fn allows(&self, command: CommandName) -> bool {
        let listed = self.commands.as_ref().is_none_or(|listed| listed.contains(&command));
        listed && self.role >= command.needs()
    }
}

impl fsm_core::Config for CommunicatorConfig {
    fn needs_restart(&self, old: &Self) -> bool {
        self.buffer != old.buffer
    }
}

/// How many messages are kept each way, 200 to 100000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Buffers {
    /// Unsent ones.
    #[serde(deserialize_with = "buffer")]
    #[schemars(range(min = 200, max = 100_000), extend("x-restart" = true))]
    pub up: usize,
    /// Commands that wait for their turn.
    #[serde(deserialize_with = "buffer")]
    #[schemars(range(min = 200, max = 100_000), extend("x-restart" = true))]
    pub down: usize,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { up: 1_000, down: 1_000 }
    }
}

/// What commands of the relay may do; each role may do what those before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look, and plan.
    Read,
    /// Retry, stop, start, exec.
    #[default]
    Operate,
    /// Apply.
    Admin,
}

impl Role {
    /// The word of the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

/// A command of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandName {
    /// What a config would change.
    Plan,
    /// Hand over a config.
    Apply,
    /// Try a node again now.
    Retry,
    /// Stop a node and keep it resident.
    Stop,
    /// End a stop.
    Start,
    /// Run a tool, an agent or a workflow.
    Exec,
}

impl CommandName {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Plan, Self::Apply, Self::Retry, Self::Stop, Self::Start, Self::Exec];

    /// The word of the config, and the kind of its message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Retry => "retry",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Exec => "exec",
        }
    }

    /// The least role that may ask for it.
    #[must_use]
    pub const fn needs(self) -> Role {
        match self {
            Self::Plan => Role::Read,
            Self::Retry | Self::Stop | Self::Start | Self::Exec => Role::Operate,
            Self::Apply => Role::Admin,
        }
    }
}

/// A text of the config that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not the URL of a relay.
    #[error("this is not the URL of a relay: write https://HOST[:PORT][/PATH], without user, `?` and `#`")]
    Url,
    /// The token would be readable on the way.
    #[error(
        "http:// to `{0}` would show the token on the way: write https:// (http:// is for this machine only)"
    )]
    Clear(String),
    /// Not a proxy.
    #[error("this is no proxy: write `environment`, `none`, or http://HOST:PORT without a user")]
    Proxy,
    /// Not the id of an instance.
    #[error("`{0}` is no instance id: use 1 to 128 letters, digits, `-`, `_`, `.` and `:`")]
    Instance(String),
    /// A time or size is out of its range.
    #[error("`{field}` of {value} is out of range: write {range}")]
    Range {
        /// Which.
        field: &'static str,
        /// What was written.
        value: String,
        /// What may be written.
        range: &'static str,
    },
}

/// Which instance the relay knows this one as.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
// tidy: allow(words): the relay's own word, as in its routes; it knows no nodes
pub struct InstanceId(#[schemars(length(min = 1, max = 128))] String);

impl InstanceId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for InstanceId {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        match (1..=128).contains(&text.len()) && text.chars().all(good) {
            true => Ok(Self(text.to_owned())),
            false => Err(ConfigError::Instance(text.chars().take(128).collect())),
        }
    }
}

impl<'de> Deserialize<'de> for InstanceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn poll_timeout() -> HumanDuration {
    HumanDuration::new(Duration::from_secs(30))
}

fn push_interval() -> HumanDuration {
    HumanDuration::new(Duration::from_secs(1))
}

const fn batch_default() -> usize {
    50
}

fn time<'de, D: Deserializer<'de>>(
    deserializer: D,
    (least, most): (Duration, Duration),
    field: &'static str,
    range: &'static str,
) -> Result<HumanDuration, D::Error> {
    let time = HumanDuration::deserialize(deserializer)?;
    match (least..=most).contains(&time.get()) {
        true => Ok(time),
        false => Err(serde::de::Error::custom(ConfigError::Range { field, value: time.to_string(), range })),
    }
}

fn size<'de, D: Deserializer<'de>>(
    deserializer: D,
    (least, most): (usize, usize),
    field: &'static str,
    range: &'static str,
) -> Result<usize, D::Error> {
    let size = usize::deserialize(deserializer)?;
    match (least..=most).contains(&size) {
        true => Ok(size),
        false => Err(serde::de::Error::custom(ConfigError::Range { field, value: size.to_string(), range })),
    }
}

fn poll<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    time(deserializer, POLL, "poll_timeout", "1s to 5m")
}

fn push<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    time(deserializer, PUSH, "push_interval", "10ms to 1h")
}

fn batch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    size(deserializer, (1, MAX_BATCH), "batch", "1 to 1000")
}

fn buffer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    size(deserializer, (MIN_BUFFER, MAX_BUFFER), "buffer", "200 to 100000")
}

#[cfg(test)]
mod tests;
