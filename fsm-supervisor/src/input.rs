//! Everything that can reach the engine, in one closed enum.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::erase::{Collected, DynAction};
use fsm_core::{
    ActionId, ActionReport, ChildName, ChildSpec, CollectError, Generation, Moment, NodeId, NodePath,
    RequestError, Vars,
};

/// Something that reached the engine.
#[non_exhaustive]
pub enum Input {
    /// A collection ended.
    Observed {
        /// Of this node.
        node: NodeId,
        /// When it started; tells a late one from the present one.
        started: Moment,
        /// When it was complete.
        taken: Moment,
        /// Under which desired state it was started.
        generation: Generation,
        /// What it gave.
        result: Result<Collected, CollectFailure>,
    },
    /// A task pushed an observation.
    Pushed {
        /// Of this node.
        node: NodeId,
        /// When.
        taken: Moment,
        /// The typed value.
        value: Arc<dyn Any + Send + Sync>,
    },
    /// An action got its place in the pool.
    ActionStarted {
        /// Of this node.
        node: NodeId,
        /// Which request.
        id: ActionId,
    },
    /// An action ended.
    ActionEnded {
        /// Of this node.
        node: NodeId,
        /// How.
        report: ActionReport,
    },
    /// The executor did not take an action.
    ActionRefused {
        /// Of this node.
        node: NodeId,
        /// Which request.
        id: ActionId,
        /// Why.
        why: Refusal,
    },
    /// A probe of what nodes need ended (S-41).
    Probed {
        /// What they need.
        key: Arc<str>,
        /// Which probe.
        number: u64,
        /// Whether it was reached, and why not.
        result: Result<(), Arc<str>>,
    },
    /// The root's spec and the global variables, as the config says now.
    Root {
        /// The root.
        spec: Arc<ChildSpec>,
        /// What every template sees as `global.*`.
        global: Arc<Vars>,
    },
    /// An operator's command.
    Command(Command),
}

impl Input {
    /// The node that it is about, if it is about one.
    #[must_use]
    pub const fn node(&self) -> Option<NodeId> {
        match self {
            Self::Observed { node, .. }
            | Self::Pushed { node, .. }
            | Self::ActionStarted { node, .. }
            | Self::ActionEnded { node, .. }
            | Self::ActionRefused { node, .. } => Some(*node),
            Self::Probed { .. } | Self::Root { .. } | Self::Command(_) => None,
        }
    }
}

/// Why a collection gave nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CollectFailure {
    /// It returned an error.
    Error(CollectError),
    /// It took too long and was dropped.
    Timeout(Duration),
    /// It panicked.
    Panic(Arc<str>),
}

/// Why the executor did not take an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The node's slot is taken, by an abandoned action perhaps.
    Busy,
    /// Too many are waiting.
    QueueFull,
    /// No new work is taken.
    ShuttingDown,
}

impl Refusal {
    /// As a reason.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "an abandoned action of this path still runs",
            Self::QueueFull => "action pool full",
            Self::ShuttingDown => "the action pool is shutting down",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an operator can ask for.
#[non_exhaustive]
pub enum Command {
    /// Stop this node and keep it resident, until `Start` (S-26).
    Stop {
        /// Which node.
        path: NodePath,
        /// Who asks.
        who: Arc<str>,
    },
    /// End a `Stop`.
    Start {
        /// Which node.
        path: NodePath,
        /// Who asks.
        who: Arc<str>,
    },
    /// Start a new incarnation.
    Restart {
        /// Which node.
        path: NodePath,
        /// Who asks.
        who: Arc<str>,
    },
    /// Try again now: forget back-offs, close the panic circuit, derive and collect.
    Retry {
        /// Which node.
        path: NodePath,
        /// Who asks.
        who: Arc<str>,
    },
    /// Collect now.
    Collect {
        /// Which node.
        path: NodePath,
    },
    /// Run an action that a request asked for, when the node's slot is free.
    Act {
        /// Which node.
        path: NodePath,
        /// What.
        action: Box<dyn DynAction>,
        /// Who asks.
        who: Arc<str>,
    },
    /// Cancel this action, if it is still in flight.
    CancelAction {
        /// Of this node.
        path: NodePath,
        /// Which request.
        action: ActionId,
        /// Who asks.
        who: Arc<str>,
    },
    /// Add or change a child at run time (S-19).
    Upsert {
        /// The parent.
        parent: NodePath,
        /// The child.
        spec: Box<ChildSpec>,
        /// Who asks.
        who: Arc<str>,
    },
    /// Remove a child that was added at run time.
    Delete {
        /// The parent.
        parent: NodePath,
        /// The child.
        name: ChildName,
        /// Who asks.
        who: Arc<str>,
    },
    /// Stop the whole tree, children before parents, within this time (S-24).
    Shutdown {
        /// One deadline for all.
        within: Duration,
    },
    /// Stop waiting for anybody.
    Force,
}

/// A command can't be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Nobody is there.
    #[error("there is no node {path}: `fsmd tree` lists those that there are")]
    NoSuchNode {
        /// The asked path.
        path: NodePath,
    },
    /// The child is declared in the config.
    #[error("{path} is declared in the config: change it there")]
    Declared {
        /// Its path.
        path: NodePath,
    },
    /// The spec of a child can't be used.
    #[error("the spec of {path} can't be used: {why}")]
    BadSpec {
        /// Its path.
        path: NodePath,
        /// Why not.
        why: Arc<str>,
    },
    /// The node acts already.
    #[error("{path} is busy with action `{action}`: try again when it ended")]
    Busy {
        /// Its path.
        path: NodePath,
        /// What it is doing.
        action: &'static str,
    },
    /// The node can't take this now.
    #[error("{path} can't do this now: {why}")]
    NotNow {
        /// Its path.
        path: NodePath,
        /// Why.
        why: &'static str,
    },
}

/// No action can be made of a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActionRequestError {
    /// The node can't act.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The kind doesn't know it or the input doesn't fit.
    #[error("{path} can't be asked for this")]
    Request {
        /// The node.
        path: NodePath,
        /// Why not.
        source: RequestError,
    },
}
