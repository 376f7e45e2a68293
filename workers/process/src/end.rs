//! How a run ended, as it is seen and kept.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ending::{Ending, Exit};
use crate::run::Run;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunEnd {
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

impl RunEnd {
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

    pub(crate) fn of(run: Run) -> Self {
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
