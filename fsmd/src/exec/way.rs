//! The seam between an execution and what carries it out: a tool, a worker's action, a workflow.

use std::time::Duration;

use fsm_core::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::archive::ArchiveError;
use super::id::ExecId;
use super::record::{End, Target};

/// Why a call is not taken. Nothing was run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// What is to be run is not there.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// `tool`, `node`, `action` or `workflow`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What to do.
        help: String,
    },
    /// The input is not what it takes.
    #[error("the input can't be taken: {0}")]
    Input(String),
    /// It does something else, and can do one thing at a time.
    #[error("{0}")]
    Busy(String),
    /// All places, and those for waiting, are taken.
    #[error("{waiting} runs are under way or wait already, which is all that may")]
    Full {
        /// So many.
        waiting: usize,
    },
    /// The key was used for another call.
    #[error("this Idempotency-Key was used for another call, whose execution is {0}")]
    Key(ExecId),
    /// The daemon is on its way out.
    #[error("the daemon was told to stop")]
    Stopping,
    /// Its record can't be kept, so it is not begun.
    #[error("nothing is run of which no record can be kept")]
    Archive(#[from] ArchiveError),
}

/// One sort of thing that can be run.
pub(crate) trait Way: Send + Sync {
    /// Looks whether it is there and takes this input. Nothing is begun; what it is then is what will be run.
    fn prepare<'a>(
        &'a self,
        target: &'a Target,
        input: &'a Value,
    ) -> BoxFuture<'a, Result<Box<dyn Prepared>, Refusal>>;
}

/// Something that can be begun.
pub(crate) trait Prepared: Send {
    /// Begins it. Dropping what runs ends it.
    fn begin(self: Box<Self>, job: Job) -> BoxFuture<'static, Result<Running, Refusal>>;
}

/// A run under way: its end.
pub(crate) type Running = BoxFuture<'static, End>;

/// What a run is told.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(super) id: ExecId,
    pub(super) input: Value,
    /// It is to end early. It ends as cancelled then, or as it would have anyway.
    pub(super) cancel: CancellationToken,
    /// It may take this long, and no longer than it may anyway.
    pub(super) within: Option<Duration>,
    /// The trace that it is part of.
    pub(super) traceparent: Option<String>,
}
