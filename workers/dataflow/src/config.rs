//! What a flow is told: plain data that is valid once it exists, so that the runtime never checks it again.

mod mqtt;
mod steps;
mod topic;
mod units;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use fsm_core::HumanDuration;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use fsm_templating::Secret;
pub use mqtt::{MqttInput, MqttOutput, MqttUrl, MqttUrlError, Qos, TlsConfig, Version};
pub use steps::{Expr, Step, TagStep, TextOrExpr};
pub(crate) use topic::check_name as check_topic;
pub use topic::{TopicError, TopicFilter, TopicFilters, TopicName};
pub use units::{ByteSize, ByteSizeError};

/// A flow: one input, steps in order, one output, and the limits between them.
///
/// ```
/// use fsm_worker_dataflow::config::FlowConfig;
/// let flow: FlowConfig = serde_json::from_value(serde_json::json!({
///     "input": {"mqtt": {"url": "mqtt://127.0.0.1:1883", "topic": "press/+/raw"}},
///     "pipeline": [{"topic": {"expr": "\"plant/\\($meta.topic)\""}}],
///     "output": {"stdout": {}}
/// })).unwrap();
/// assert_eq!(flow.max_in_flight.get(), 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FlowConfig {
    /// Where messages come from.
    pub input: Input,
    /// What happens to each message, in order.
    #[serde(default)]
    pub pipeline: Vec<Step>,
    /// Where messages go.
    pub output: Output,
    /// What jq programs see as `$vars`, and as `$location_topic`, `$location_path` and `$name` where it holds those.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub vars: IndexMap<String, Value>,
    /// What becomes of a message that the pipeline or the output refuses.
    #[serde(default)]
    pub on_error: OnError,
    /// The flow is active while the last message that passed end to end is younger than this.
    #[serde(default = "defaults::fresh_within")]
    pub fresh_within: HumanDuration,
    /// A message that is unacknowledged for longer degrades the flow.
    #[serde(default = "defaults::ack_timeout")]
    pub ack_timeout: HumanDuration,
    /// How often the source is known to send; a longer silence degrades the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_every: Option<HumanDuration>,
    /// How many messages may be on their way at once; then the source waits.
    #[serde(default = "defaults::max_in_flight")]
    pub max_in_flight: NonZeroU32,
    /// How many bytes of payload may be on their way at once; then the source waits.
    #[serde(default = "defaults::max_bytes")]
    pub max_bytes: ByteSize,
}

/// Where messages come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Input {
    /// Subscribes at an MQTT broker.
    Mqtt(Box<MqttInput>),
    /// Makes messages by itself.
    Generate(GenerateInput),
    /// Takes what is posted to it over HTTP.
    HttpServer(HttpServerInput),
}

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Output {
    /// Publishes at an MQTT broker.
    Mqtt(Box<MqttOutput>),
    /// Appends lines to a file that is rotated by size.
    File(FileOutput),
    /// Writes lines to the standard output.
    Stdout(StdoutOutput),
    /// Takes every message and forgets it.
    Drop(DropOutput),
}

/// Makes messages: the same ones on each start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GenerateInput {
    /// Time between two messages; `0s` makes them as fast as they are taken.
    #[serde(default = "defaults::interval")]
    pub interval: HumanDuration,
    /// How many messages; without it there is no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<NonZeroU64>,
    /// The payload: a JSON value, or a jq program that gets `{"n": 0}`, `{"n": 1}` and so on.
    #[serde(default)]
    pub payload: Payload,
    /// The topic of each message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
}

/// What a generated message carries.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// `{"n": 0}`, `{"n": 1}` and so on.
    #[default]
    Counter,
    /// This value, as JSON.
    Json(Value),
    /// These bytes, as they are.
    Text(String),
    /// The result of a jq program on `{"n": 0}`, `{"n": 1}` and so on.
    Expr(Expr),
}

/// Takes requests over HTTP and answers 200 once the output took the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpServerInput {
    /// Address and port to listen on.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The only path that takes messages.
    #[serde(default = "defaults::path")]
    pub path: String,
    /// The longest body that is taken; a longer one is answered with 413.
    #[serde(default = "defaults::max_body")]
    pub max_body: ByteSize,
    /// The topic of each message; by default the path without its first slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
}

/// Appends one line per message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FileOutput {
    /// The file; older parts are beside it as `.1` (the youngest), `.2` and so on.
    pub path: PathBuf,
    /// Size at which the file is rotated.
    #[serde(default = "defaults::max_size")]
    pub max_size: ByteSize,
    /// How many older parts are kept.
    #[serde(default = "defaults::keep")]
    pub keep: u32,
    /// When written lines are forced to the disk. A line counts as taken after that.
    #[serde(default)]
    pub fsync: Fsync,
    /// What a line holds.
    #[serde(default)]
    pub line: Line,
}

/// When written lines are forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// After each batch, before its messages are acknowledged: survives a power cut.
    #[default]
    Batch,
    /// When the operating system likes: survives a kill of the process.
    Never,
}

/// What a line holds. A line break inside the payload is written as a space, so that one message is one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The payload.
    #[default]
    Payload,
    /// Topic, space, payload.
    TopicPayload,
}

/// Writes `topic payload` per message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StdoutOutput {}

/// Takes every message and forgets it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DropOutput {}

/// What becomes of a message that the pipeline or the output refuses. It is counted in each case.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It is acknowledged and forgotten.
    #[default]
    Drop,
    /// The flow stops; the message stays unacknowledged.
    Stop,
    /// It goes, as it came, to another output.
    DeadLetter(Box<Output>),
}

mod defaults {
    use super::{ByteSize, Duration, HumanDuration, NonZeroU32};

    pub(super) fn fresh_within() -> HumanDuration {
        Duration::from_secs(30).into()
    }
    pub(super) fn ack_timeout() -> HumanDuration {
        Duration::from_secs(30).into()
    }
    pub(super) fn max_in_flight() -> NonZeroU32 {
        NonZeroU32::new(1024).unwrap_or(NonZeroU32::MIN)
    }
    pub(super) fn max_bytes() -> ByteSize {
        ByteSize::mib(8)
    }
    pub(super) fn interval() -> HumanDuration {
        Duration::from_secs(1).into()
    }
    pub(super) fn path() -> String {
        "/".into()
    }
    pub(super) fn max_body() -> ByteSize {
        ByteSize::mib(1)
    }
    pub(super) fn max_size() -> ByteSize {
        ByteSize::mib(64)
    }
    pub(super) fn keep() -> u32 {
        5
    }
}

impl FlowConfig {
    /// A flow with all limits at their defaults.
    #[must_use]
    pub fn new(input: Input, output: Output) -> Self {
        Self {
            input,
            pipeline: Vec::new(),
            output,
            vars: IndexMap::new(),
            on_error: OnError::default(),
            fresh_within: defaults::fresh_within(),
            ack_timeout: defaults::ack_timeout(),
            expect_every: None,
            max_in_flight: defaults::max_in_flight(),
            max_bytes: defaults::max_bytes(),
        }
    }

    /// Whether the running flow has to be replaced to go from `old` to this; else only its judgement changes.
    #[must_use]
    pub fn needs_new_flow(&self, old: &Self) -> bool {
        let judgement = |c: &Self| (c.fresh_within, c.ack_timeout, c.expect_every);
        let mut same = self.clone();
        (same.fresh_within, same.ack_timeout, same.expect_every) = judgement(old);
        same != *old
    }
}

/// Everything can be changed in place: what needs it gets a new flow under the same node, which finds its subscription.
impl fsm_core::Config for FlowConfig {}

#[cfg(test)]
mod tests;
