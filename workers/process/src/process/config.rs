//! What an operator can say about a process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use fsm_core::{Config, DeriveError, HumanDuration};
use fsm_templating::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Target;
use crate::settings;

/// Most servers are ready within a second or two; one that has to repair a database first says so in its config.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// A server that has to write its state down; longer than a tool's, whose caller waits.
const GRACE: Duration = Duration::from_secs(5);
/// Enough to see why something crashed, small enough for hundreds of processes.
const LOG_LINES: usize = 200;
/// Bounds memory: with 4 KiB a line it is 40 MiB.
const MAX_LOG_LINES: usize = 10_000;

/// A program that is to run all the time.
///
/// ```
/// use fsm_worker_process::{ProcessConfig, Ready};
///
/// let text = r#"{"command": ["mosquitto", "-p", "1884"], "ready": {"tcp": "127.0.0.1:1884"}}"#;
/// let config: ProcessConfig = serde_json::from_str(text)?;
/// assert_eq!(config.ready, Ready::Tcp("127.0.0.1:1884".into()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ProcessConfig {
    /// The program and its arguments; no shell sees them.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// Variables of its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Secret>,
    /// Names of the daemon's variables that it sees too: PATH, HOME, LANG, TZ and TMPDIR by default.
    #[serde(default = "settings::allowed")]
    pub allow_env: Vec<String>,
    /// The folder that it runs in, by default the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// How it is known that it does its work.
    #[serde(default)]
    pub ready: Ready,
    /// How long that may take after its start, before it is killed and started anew.
    #[serde(default = "ready_within")]
    pub ready_within: HumanDuration,
    /// What is asked again and again while it runs; after three failures in a row it is degraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
    /// Most memory in bytes, held where there is a cgroup for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Time between the polite signal and the deadly one.
    #[serde(default = "grace")]
    pub grace: HumanDuration,
    /// Lines of its output that are kept (0 to 10 000). All of them go to the log of the daemon.
    #[serde(default = "log_lines")]
    #[schemars(range(max = MAX_LOG_LINES))]
    pub log_lines: usize,
}

fn ready_within() -> HumanDuration {
    HumanDuration::new(READY_WITHIN)
}

fn grace() -> HumanDuration {
    HumanDuration::new(GRACE)
}

fn log_lines() -> usize {
    LOG_LINES
}

/// When a process counts as running.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// As soon as it is started.
    #[default]
    None,
    /// When a TCP connection to this `host:port` can be made.
    Tcp(String),
    /// When a GET of this `http://` address is answered with a status below 400.
    Http(String),
    /// When one of its lines holds this text.
    Log(String),
    /// When it has left with code 0: it sets something up and is done, until it is stopped.
    Exit,
}

/// What is asked of a process while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Live {
    /// A TCP connection to this `host:port` can be made.
    Tcp(String),
    /// A GET of this `http://` address is answered with a status below 400.
    Http(String),
}

impl Config for ProcessConfig {}

impl ProcessConfig {
    /// Runs this command, with defaults.
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            allow_env: settings::allowed(),
            cwd: None,
            ready: Ready::None,
            ready_within: ready_within(),
            live: None,
            memory: None,
            grace: grace(),
            log_lines: LOG_LINES,
        }
    }

    /// What serde can't see.
    pub(super) fn check(&self) -> Result<(), DeriveError> {
        let wrong = |what: String, at: &str| Err(DeriveError::config(what).at(at));
        settings::check_command(&self.command)?;
        settings::check_env(&self.allow_env, &self.env)?;
        if self.log_lines > MAX_LOG_LINES {
            return wrong(
                format!("{} lines are too many, {MAX_LOG_LINES} may be kept", self.log_lines),
                "log_lines",
            );
        }
        if let Some(Err(error)) = Target::of_ready(&self.ready) {
            return wrong(error, "ready");
        }
        match self.live.as_ref().map(Target::of_live) {
            Some(Err(error)) => wrong(error, "live"),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}
