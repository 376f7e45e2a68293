//! What is seen of a tool.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{Observed, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::ToolConfig;
use crate::ending::{Ending, Exit};
use crate::run::Run;

/// What is seen of a tool.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolObserved {
    /// It runs.
    pub running: bool,
    /// How its last run ended; none while one runs, and before the first.
    pub end: Option<ToolEnd>,
    /// The config of its last run.
    #[serde(skip)]
    pub deployed: Option<Arc<ToolConfig>>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolEnd {
    /// Success, failure, timeout or cancelled.
    pub outcome: Outcome,
    /// Its ending by name, such as `exit_nonzero`.
    pub ending: Arc<str>,
    /// The same for people.
    pub why: Arc<str>,
    /// What it answered.
    pub output: Option<Value>,
    /// What it wrote to stderr, as far as it is kept.
    pub stderr: Arc<str>,
    /// How the program left.
    pub exit: Option<Exit>,
    /// How long the run took.
    pub duration: Duration,
}

impl ToolEnd {
    /// An end without an answer and without the name of an ending.
    pub fn new(outcome: Outcome, why: &str) -> Self {
        Self {
            outcome,
            ending: "".into(),
            why: why.into(),
            output: None,
            stderr: "".into(),
            exit: None,
            duration: Duration::ZERO,
        }
    }

    pub(super) fn of(run: Run) -> Self {
        let outcome = match &run.ending {
            Ending::Success => Outcome::Success,
            Ending::Timeout { .. } => Outcome::Timeout,
            Ending::Cancelled => Outcome::Cancelled,
            Ending::ToolError(_)
            | Ending::InvalidInput(_)
            | Ending::SpawnFailed(_)
            | Ending::Stdin(_)
            | Ending::Stdout(_)
            | Ending::Stderr(_)
            | Ending::OutputLimit { .. }
            | Ending::ExitNonzero(_)
            | Ending::Signaled(_)
            | Ending::Oom
            | Ending::KeeperLost
            | Ending::Parse(_) => Outcome::Failure,
        };
        Self {
            outcome,
            ending: run.ending.name().into(),
            why: run.ending.to_string().into(),
            output: run.output,
            stderr: run.stderr.text().into(),
            exit: run.exit,
            duration: run.duration,
        }
    }
}

impl ToolObserved {
    fn is_of(&self, config: &ToolConfig) -> bool {
        self.deployed.as_deref() == Some(config)
    }

    /// Runs, with this config.
    pub fn runs(&self, config: &ToolConfig) -> bool {
        self.running && self.is_of(config)
    }

    /// How the run with this config ended.
    pub fn ended(&self, config: &ToolConfig) -> Option<&ToolEnd> {
        self.end.as_ref().filter(|_| self.is_of(config))
    }

    /// Nothing runs, and nothing has.
    pub fn is_nothing(&self) -> bool {
        !self.running && self.end.is_none()
    }
}

impl Observed<ToolConfig> for ToolObserved {
    fn deployed(&self) -> Option<&ToolConfig> {
        self.deployed.as_deref()
    }
}
