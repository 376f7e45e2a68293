//! What is asked of the executor: one action, as a closure that makes a future per attempt.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use fsm_core::{ActionError, ActionId, ActionPolicy, BoxFuture, NodePath};
use tokio_util::sync::CancellationToken;

/// What a slot belongs to: one action at a time runs, waits or is awaited under one key. `fsm_core::NodeId`, a number, a path.
pub trait SlotKey: Copy + Eq + Hash + fmt::Debug + Send + Sync + 'static {}

impl<K: Copy + Eq + Hash + fmt::Debug + Send + Sync + 'static> SlotKey for K {}

/// Which places an action may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Priority {
    /// The places of the pool.
    #[default]
    Normal,
    /// Those, and the ones reserved for stopping.
    Stop,
}

/// Makes the future of one attempt. It is called on a runtime thread and must not block itself, even for a blocking action:
/// only the future it returns is polled on the blocking pool.
pub type Run = Box<dyn Fn(Attempt) -> BoxFuture<'static, Result<(), ActionError>> + Send + Sync>;

/// One action to run.
pub struct Request {
    /// The caller's id of this request: it comes back in every event.
    pub id: ActionId,
    /// The action's name, a label.
    pub name: &'static str,
    /// Timeout, retries, and whether it blocks its thread.
    pub policy: ActionPolicy,
    /// Which places it may take.
    pub priority: Priority,
    /// Anything the observer wants to find its series by (the number of a kind); the executor only hands it on.
    pub tag: u32,
    /// The node whose statistics this action belongs to, where there is a collector for them.
    pub node: Option<NodePath>,
    /// Makes the future of one attempt.
    pub run: Run,
}

impl Request {
    /// A request of normal priority and tag 0 out of a plain closure; its name is the policy's.
    pub fn new<F, A>(id: ActionId, policy: ActionPolicy, run: F) -> Self
    where
        F: Fn(Attempt) -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), ActionError>> + Send + 'static,
    {
        Self {
            id,
            name: policy.name,
            policy,
            priority: Priority::Normal,
            tag: 0,
            node: None,
            run: Box::new(move |attempt| Box::pin(run(attempt))),
        }
    }
    /// With this priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }
    /// With this tag.
    #[must_use]
    pub fn with_tag(mut self, tag: u32) -> Self {
        self.tag = tag;
        self
    }
    /// Counted in the statistics of this node.
    #[must_use]
    pub fn with_node(mut self, node: NodePath) -> Self {
        self.node = Some(node);
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

/// What one attempt of an action is given.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// Which attempt this is, from 1.
    pub number: u32,
    /// Cancelled when this attempt is to end: on [`cancel`](crate::Executor::cancel), on shutdown, and when its future was
    /// dropped after a timeout.
    pub cancel: CancellationToken,
    /// Takes clean-up that must await.
    pub cleanups: Cleanups,
}

/// Clean-up of one attempt that must await: run when the attempt is cancelled, after its future ended or was dropped.
///
/// Clean-ups run one after the other, the last registered first, together for as long as the grace of the cancel; what is left
/// then is still begun, but not waited for. They don't run
/// after a timeout, a panic or an error, nor while an abandoned blocking action may still be at work.
#[derive(Clone)]
pub struct Cleanups {
    list: Arc<Mutex<Option<Vec<BoxFuture<'static, ()>>>>>,
}

impl Cleanups {
    pub(crate) fn new() -> Self {
        Self { list: Arc::new(Mutex::new(Some(Vec::new()))) }
    }

    /// Registers a clean-up; the answer is false when the attempt is over, and the clean-up then never runs.
    pub fn register(&self, cleanup: impl Future<Output = ()> + Send + 'static) -> bool {
        self.register_boxed(Box::pin(cleanup))
    }

    /// The same for a future that is boxed already.
    pub fn register_boxed(&self, cleanup: BoxFuture<'static, ()>) -> bool {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        match list.as_mut() {
            Some(list) => list.push(cleanup),
            None => return false,
        }
        true
    }

    /// Takes what was registered and refuses what comes later.
    pub(crate) fn close(&self) -> Vec<BoxFuture<'static, ()>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}

impl fmt::Debug for Cleanups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cleanups")
    }
}

/// No place in the executor for a new action. Ask again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// The key's slot is taken: its last action waits, runs, waits for a retry, or was abandoned and has not ended.
    #[error("another action holds this slot: wait for its end, or release it if it was abandoned")]
    Busy,
    /// As many actions wait for a place as may.
    #[error("action pool full: ask again when actions have ended")]
    QueueFull,
    /// Nothing new is taken any more.
    #[error("the executor is shutting down")]
    ShuttingDown,
}
