//! Everything the engine wants done, collected over a tick and carried out by a driver.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::erase::{ActionRun, CollectRun, ErasedConfig, ErasedObserved};
use fsm_core::{
    ActionId, ActionPolicy, CauseId, ChildSpec, Generation, Identity, Incarnation, Infrastructure, Moment,
    NodeId, NodePath, Phase, Reason,
};

use crate::event::Event;

/// One thing to do.
#[non_exhaustive]
pub enum Effect {
    /// Run a collection and report it as `Input::Observed` with this start and generation.
    Collect {
        /// Of this node.
        node: NodeId,
        /// When it counts as started.
        started: Moment,
        /// Under which desired state.
        generation: Generation,
        /// It is dropped after this long.
        timeout: Duration,
        /// Whether it blocks its thread.
        blocking: bool,
        /// The node.
        identity: Arc<Identity>,
        /// The collection.
        run: CollectRun,
    },
    /// Drop the running collection of this node.
    CancelCollect {
        /// Of this node.
        node: NodeId,
    },
    /// Hand an action to the executor.
    Execute {
        /// Of this node.
        node: NodeId,
        /// Which request.
        id: ActionId,
        /// Its name, timeout and retries.
        policy: ActionPolicy,
        /// Whether `stop` asked for it: then a reserved place may be used.
        stopping: bool,
        /// The node.
        identity: Arc<Identity>,
        /// The action.
        run: ActionRun,
    },
    /// Cancel the action of this node; its future is dropped after `grace`.
    Cancel {
        /// Of this node.
        node: NodeId,
        /// How long it may clean up.
        grace: Duration,
    },
    /// See whether this can be reached, and report it as `Input::Probed` with this number.
    Probe {
        /// What nodes need.
        infrastructure: Infrastructure,
        /// Tells a late answer from the present one.
        number: u64,
        /// It counts as out of reach after this long.
        timeout: Duration,
    },
    /// The incarnation is over: end its tasks, forget its slot.
    End {
        /// Which node.
        node: NodeId,
    },
    /// Remember a change.
    Persist(Change),
    /// Tell who listens.
    Emit(Event),
}

/// A change of a node's triple, for the store. Values are shared and typed: whoever stores them makes JSON of them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Change {
    /// Which node.
    pub path: NodePath,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// When.
    pub at: Moment,
    /// What led to it.
    pub cause: CauseId,
    /// What changed.
    pub what: What,
}

/// What changed.
#[derive(Clone)]
#[non_exhaustive]
pub enum What {
    /// A new incarnation.
    Identity {
        /// Its kind.
        kind: Arc<str>,
        /// When the path was first known, in milliseconds since 1970 UTC.
        created_at: u64,
    },
    /// Another desired state.
    Desired {
        /// Its generation.
        generation: Generation,
        /// The config to reach.
        config: Arc<dyn ErasedConfig>,
    },
    /// Another observation.
    Observed {
        /// The value.
        value: Arc<dyn ErasedObserved>,
    },
    /// Another state, or the same for another reason.
    State {
        /// The state.
        state: &'static str,
        /// Its effective phase.
        phase: Phase,
        /// Why.
        reason: Reason,
    },
    /// An operator's stop was set or cleared.
    Override {
        /// Who set it; none when cleared.
        stopped_by: Option<Arc<str>>,
    },
    /// A child was added, changed or removed at run time: those that there are now (S-19).
    Dynamic {
        /// As they were given.
        children: Vec<Arc<ChildSpec>>,
    },
    /// The node left the tree.
    Removed,
}

/// What a tick wants done, in order.
#[derive(Default)]
pub struct Effects {
    list: Vec<Effect>,
}

impl Effects {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds one.
    pub fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }
    /// Takes all, in order; the buffer stays.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> + '_ {
        self.list.drain(..)
    }
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
