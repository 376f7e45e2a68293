//! What an operator can say about a stream engine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fsm_core::{Config, DeriveError, HumanDuration};
use fsm_templating::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::settings;

/// An engine loads its plugins within a second or two.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Engines finish what is under way for 20 s before they leave.
const GRACE: Duration = Duration::from_secs(21);
/// Enough to see why an engine left.
const LOG_LINES: usize = 200;

/// A stream that an external engine runs.
///
/// ```
/// use fsm_worker_process::StreamConfig;
///
/// let text = r#"{"stream": {
///     "input": {"mqtt": {"urls": ["tcp://127.0.0.1:1883"], "topics": ["a/#"]}},
///     "output": {"stdout": {}}
/// }}"#;
/// let config: StreamConfig = serde_json::from_str(text)?;
/// assert_eq!(config.run, ["run"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StreamConfig {
    /// The engine's own config, as it would stand in its file: `input`, `pipeline`, `output` and so on. It is written to a file,
    /// so it holds no secrets: write `${NAME}` there, and the value into `env`.
    pub stream: Map<String, Value>,
    /// The engine; by default the first of `redpanda-connect` and `benthos` on the daemon's PATH.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engine: Vec<String>,
    /// What makes it run the file that follows; `[-c]` for old engines.
    #[serde(default = "run")]
    pub run: Vec<String>,
    /// What makes it check the file that follows before it is used; nothing to use it unchecked.
    #[serde(default = "lint")]
    pub lint: Vec<String>,
    /// Variables of its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Secret>,
    /// Names of the daemon's variables that it sees too: PATH, HOME, LANG, TZ and TMPDIR by default.
    #[serde(default = "settings::allowed")]
    pub allow_env: Vec<String>,
    /// Where its file is written; by default the daemon's folder for what lives as long as the machine does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// How long it may take until it answers after its start, before it is killed and started anew.
    #[serde(default = "ready_within")]
    pub ready_within: HumanDuration,
    /// Most memory in bytes, held where there is a cgroup for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Time between the polite signal, on which it finishes what is under way, and the deadly one.
    #[serde(default = "grace")]
    pub grace: HumanDuration,
}

fn run() -> Vec<String> {
    vec!["run".into()]
}

fn lint() -> Vec<String> {
    vec!["lint".into()]
}

const fn ready_within() -> HumanDuration {
    HumanDuration::new(READY_WITHIN)
}

const fn grace() -> HumanDuration {
    HumanDuration::new(GRACE)
}

impl Config for StreamConfig {}

impl StreamConfig {
    /// Runs this stream, with defaults.
    pub fn new(stream: Map<String, Value>) -> Self {
        Self {
            stream,
            engine: Vec::new(),
            run: run(),
            lint: lint(),
            env: BTreeMap::new(),
            allow_env: settings::allowed(),
            folder: None,
            ready_within: ready_within(),
            memory: None,
            grace: grace(),
        }
    }

    /// How many of its last lines are shown.
    pub(super) const fn log_lines() -> usize {
        LOG_LINES
    }

    /// Where it is to answer, when its own config says so.
    ///
    /// # Errors
    /// What can't be asked for its health, in words.
    pub(super) fn address(&self) -> Result<Option<SocketAddr>, String> {
        let Some(http) = self.stream.get("http") else { return Ok(None) };
        if http.get("enabled") == Some(&Value::Bool(false)) {
            return Err("its health is asked over HTTP: leave `enabled` out".into());
        }
        match http.get("address") {
            None => Ok(None),
            Some(Value::String(text)) => match text.parse::<SocketAddr>() {
                Ok(address) if address.port() != 0 => Ok(Some(address)),
                Ok(_) | Err(_) => Err(format!("`{text}` is no address with a port, such as 127.0.0.1:4195")),
            },
            Some(other) => Err(format!("`{other}` is no address with a port, such as 127.0.0.1:4195")),
        }
    }

    /// What serde can't see.
    pub(super) fn check(&self) -> Result<(), DeriveError> {
        for part in ["input", "output"] {
            if !self.stream.contains_key(part) {
                let what = format!("a stream needs an `{part}`");
                return Err(DeriveError::config(what).at("stream"));
            }
        }
        if let Err(what) = self.address() {
            return Err(DeriveError::config(what).at("stream.http"));
        }
        if !self.engine.is_empty() {
            settings::check_command(&self.engine).map_err(|error| error.at("engine"))?;
        }
        settings::check_env(&self.allow_env, &self.env)
    }
}
