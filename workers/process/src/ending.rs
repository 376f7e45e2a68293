//! How a run ended, and what it used: one typed answer, with the words that metrics and records use.

use std::fmt;
use std::time::Duration;

use fsm_metrics::{ProcessExit, ToolErrorKind, ToolOutcome};
use serde::{Deserialize, Serialize};

use crate::protocol::ToolError;

/// How a program left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It left by itself, with this code.
    Code(i32),
    /// A signal ended it, with this number.
    Signal(i32),
}

impl From<Exit> for ProcessExit {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(code) => Self::Code(code),
            Exit::Signal(signal) => Self::Signal(signal),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// How one run ended. Exactly one of them per run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// It answered with a result.
    Success,
    /// It answered with an error of its own.
    ToolError(ToolError),
    /// The call was refused before anything was started.
    InvalidInput(String),
    /// The program was not started.
    SpawnFailed(String),
    /// The request could not be written, for another reason than that the program did not read it.
    Stdin(String),
    /// Its stdout could not be read.
    Stdout(String),
    /// Its stderr could not be read.
    Stderr(String),
    /// It wrote more to stdout than it may.
    OutputLimit {
        /// Bytes that it may write.
        limit: u64,
    },
    /// It left with another code than 0. A result that it gave all the same is kept in the run.
    ExitNonzero(i32),
    /// A signal ended it that its runner had not sent.
    Signaled(i32),
    /// The kernel ended it because its cgroup had no memory left.
    Oom,
    /// Its keeper was killed by somebody, so that nobody knows how it left.
    KeeperLost,
    /// Its answer is not what the protocol asks for.
    Parse(String),
    /// It was still running at its deadline.
    Timeout {
        /// The time it had.
        after: Duration,
    },
    /// The caller, a dropped future or a shutdown ended it.
    Cancelled,
}

impl Ending {
    /// `success`, `error`, `timeout` or `cancelled`.
    pub const fn outcome(&self) -> &'static str {
        match self.error() {
            None => ToolOutcome::Success.as_str(),
            Some(error) => error.outcome().as_str(),
        }
    }

    /// What sort of error it is, for counting; none for a success.
    pub const fn error_kind(&self) -> Option<&'static str> {
        match self.error() {
            None => None,
            Some(error) => Some(error.as_str()),
        }
    }

    /// The same as a word of the catalogue of metrics.
    pub const fn error(&self) -> Option<ToolErrorKind> {
        Some(match self {
            Self::Success => return None,
            Self::ToolError(_) => ToolErrorKind::Tool,
            Self::InvalidInput(_) | Self::SpawnFailed(_) => ToolErrorKind::Start,
            Self::Stdin(_) => ToolErrorKind::Stdin,
            Self::Stdout(_) => ToolErrorKind::Stdout,
            Self::Stderr(_) => ToolErrorKind::Stderr,
            Self::OutputLimit { .. } => ToolErrorKind::OutputLimit,
            Self::ExitNonzero(_) | Self::Signaled(_) | Self::Oom | Self::KeeperLost => ToolErrorKind::Wait,
            Self::Parse(_) => ToolErrorKind::Parse,
            Self::Timeout { .. } => ToolErrorKind::Timeout,
            Self::Cancelled => ToolErrorKind::Cancelled,
        })
    }

    /// Its own name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ToolError(_) => "tool_error",
            Self::InvalidInput(_) => "invalid_input",
            Self::SpawnFailed(_) => "spawn_failed",
            Self::Stdin(_) => "stdin",
            Self::Stdout(_) => "stdout",
            Self::Stderr(_) => "stderr",
            Self::OutputLimit { .. } => "output_limit",
            Self::ExitNonzero(_) => "exit_nonzero",
            Self::Signaled(_) => "signaled",
            Self::Oom => "oom",
            Self::KeeperLost => "keeper_lost",
            Self::Parse(_) => "parse",
            Self::Timeout { .. } => "timeout",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("it succeeded"),
            Self::ToolError(error) => write!(f, "the tool says: {error}"),
            Self::InvalidInput(why) => write!(f, "it was not started, the call can't be taken: {why}"),
            Self::SpawnFailed(why) => write!(f, "it could not be started: {why}"),
            Self::Stdin(why) => write!(f, "its request could not be written: {why}"),
            Self::Stdout(why) => write!(f, "its stdout could not be read: {why}"),
            Self::Stderr(why) => write!(f, "its stderr could not be read: {why}"),
            Self::OutputLimit { limit } => {
                write!(
                    f,
                    "it wrote more than {limit} bytes to stdout; raise `limits.stdout` or write to a file"
                )
            }
            Self::ExitNonzero(code) => write!(f, "it left with exit code {code}"),
            Self::Signaled(signal) => write!(f, "signal {signal} ended it"),
            Self::Oom => f.write_str("it needed more memory than `limits.memory` and was killed"),
            Self::KeeperLost => f.write_str("its keeper was killed from outside, so it was killed too"),
            Self::Parse(why) => write!(f, "its answer can't be read: {why}"),
            Self::Timeout { after } => write!(f, "it was not done after {after:?}; raise `limits.timeout`"),
            Self::Cancelled => f.write_str("it was cancelled"),
        }
    }
}

/// What a run used, all processes of it together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct Resources {
    /// User and system time of all its processes. None when nothing was started, or nobody saw them end.
    pub cpu: Option<Duration>,
    /// Most memory that one of its processes held at a time, in bytes; the keeper's few MiB at least, which each begins as.
    pub peak_rss: Option<u64>,
    /// From the start of the run to the first byte on stdout.
    pub first_byte: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: X-7
    #[test]
    fn each_ending_has_the_words_of_the_table() {
        let error = ToolError::new("no paper", "Printer");
        let text = String::new;
        let table: [(Ending, &str, Option<&str>); 15] = [
            (Ending::Success, "success", None),
            (Ending::ToolError(error), "error", Some("tool")),
            (Ending::InvalidInput(text()), "error", Some("start")),
            (Ending::SpawnFailed(text()), "error", Some("start")),
            (Ending::Stdin(text()), "error", Some("stdin")),
            (Ending::Stdout(text()), "error", Some("stdout")),
            (Ending::Stderr(text()), "error", Some("stderr")),
            (Ending::OutputLimit { limit: 1 }, "error", Some("output_limit")),
            (Ending::ExitNonzero(3), "error", Some("wait")),
            (Ending::Signaled(9), "error", Some("wait")),
            (Ending::Oom, "error", Some("wait")),
            (Ending::KeeperLost, "error", Some("wait")),
            (Ending::Parse(text()), "error", Some("parse")),
            (Ending::Timeout { after: Duration::ZERO }, "timeout", Some("timeout")),
            (Ending::Cancelled, "cancelled", Some("cancelled")),
        ];
        for (ending, outcome, kind) in table {
            assert_eq!((ending.outcome(), ending.error_kind()), (outcome, kind), "{}", ending.name());
        }
    }
}
