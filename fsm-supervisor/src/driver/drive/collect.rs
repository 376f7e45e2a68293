//! Collections: one per node, dropped when nobody waits for them any more. One that blocks its thread can't be dropped: it is
//! waited for by the next one of its path, and counted as leaked meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::erase::CollectRun;
use fsm_core::{Generation, Identity, Moment, NodeId, NodePath};
use fsm_metrics::{ScopeId, TickBatch};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::Drive;
use crate::driver::spans;
use crate::driver::tasks::{AbortOnDrop, Caught, spawn, spawn_blocking};
use crate::engine::panic_text;
use crate::input::{CollectFailure, Input};

/// A collection under way.
pub(super) struct Collecting {
    pub(super) started: Moment,
    /// Drops it when the entry goes.
    _task: AbortOnDrop,
    cancel: CancellationToken,
    /// Of a blocking one: its path and where it is counted.
    blocks: Option<(NodePath, ScopeId)>,
}

/// Who holds a thread for a path: whoever locks this.
type Thread = Arc<Mutex<()>>;

/// The paths of blocking collectors. By path, since a new incarnation has to wait for the thread of the one before (I8).
#[derive(Default)]
pub(super) struct Threads {
    of: HashMap<NodePath, Thread>,
    /// Those that are held by a collection that nobody waits for any more, and where they are counted.
    leaked: HashMap<NodePath, ScopeId>,
}

impl Threads {
    fn of(&mut self, path: &NodePath) -> Thread {
        Arc::clone(self.of.entry(path.clone()).or_default())
    }

    /// Nobody waits for the collection of this path any more.
    fn let_go(&mut self, path: NodePath, scope: ScopeId, samples: &mut TickBatch) {
        if !self.forget(&path) && !self.leaked.contains_key(&path) {
            samples.collectors_leaked(scope, 1);
            self.leaked.insert(path, scope);
        }
    }

    /// Whether nobody holds this path's thread. One that is about to take it still has its share of the lock, which then stays.
    fn forget(&mut self, path: &NodePath) -> bool {
        let Some(thread) = self.of.get(path) else { return true };
        let free = thread.try_lock().is_ok();
        if free && Arc::strong_count(thread) == 1 {
            self.of.remove(path);
        }
        free
    }

    /// Forgets collections that let go of their threads after all.
    pub(super) fn count(&mut self, samples: &mut TickBatch) {
        let mut leaked = std::mem::take(&mut self.leaked);
        leaked.retain(|path, scope| {
            let free = self.forget(path);
            if free {
                samples.collectors_leaked(*scope, -1);
            }
            !free
        });
        self.leaked = leaked;
    }
}

impl Drive {
    #[expect(clippy::too_many_arguments, reason = "the fields of one effect")]
    pub(super) fn collect(
        &mut self,
        node: NodeId,
        started: Moment,
        generation: Generation,
        timeout: Duration,
        blocking: bool,
        identity: &Identity,
        run: CollectRun,
    ) {
        let cancel = CancellationToken::new();
        let host = Arc::new(self.host(node, cancel.clone()));
        let shared = Arc::clone(&self.shared);
        let scope = self.engine.scope(node).filter(|_| blocking);
        let blocks = scope.map(|(scope, _)| (identity.path.clone(), scope));
        let thread = blocking.then(|| self.threads.of(&identity.path));
        tracing::trace!(path = %identity.path, "collecting");
        let token = cancel.clone();
        let open = spans::collect(&identity.path, identity.kind);
        let span = open.span().clone();
        let work = async move {
            let job = Caught::new(run(host));
            let job = async move {
                let Some(thread) = thread else { return job.await };
                // Held until the thread is done, whoever still waits for it.
                let hold = thread.lock_owned().await;
                let on_thread = async move {
                    let result = job.await;
                    drop(hold);
                    result
                };
                spawn_blocking(on_thread).await.unwrap_or_else(|_| Err(Box::new("the collector was aborted")))
            };
            let result = tokio::time::timeout(timeout, job).await;
            token.cancel();
            let result = match result {
                Ok(Ok(Ok(collected))) => Ok(collected),
                Ok(Ok(Err(error))) => Err(CollectFailure::Error(error)),
                Ok(Err(panic)) => Err(CollectFailure::Panic(panic_text(&*panic))),
                Err(_elapsed) => Err(CollectFailure::Timeout(timeout)),
            };
            spans::collected(open, &result);
            let taken = shared.clock.now();
            shared.inbox.put(Input::Observed { node, started, taken, generation, result });
        };
        let task = spawn(work.instrument(span));
        let task = AbortOnDrop(task.abort_handle());
        self.collecting.insert(node, Collecting { started, _task: task, cancel, blocks });
    }

    /// Ends a collection, or forgets one that ended. A blocking one can't be ended: it is remembered until it lets go.
    pub(super) fn let_go(&mut self, node: NodeId) {
        let Some(collecting) = self.collecting.remove(&node) else { return };
        collecting.cancel.cancel();
        if let Some((path, scope)) = collecting.blocks {
            self.threads.let_go(path, scope, self.engine.samples());
        }
    }
}
