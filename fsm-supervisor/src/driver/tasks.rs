//! The only place of the driver that spawns: every task belongs to the loop, to a collection, or to an incarnation.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use fsm_core::{BoxFuture, NodeId};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

/// Spawns on the runtime.
#[expect(clippy::disallowed_methods, reason = "the driver is one of the two places that may spawn")]
pub(crate) fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

/// Runs a future that blocks its thread on the blocking pool.
#[expect(clippy::disallowed_methods, reason = "the driver is one of the two places that may spawn")]
pub(crate) fn spawn_blocking<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(future))
}

/// A future whose panics are values.
pub(crate) struct Caught<F>(pub(crate) Pin<Box<F>>);

impl<F: Future> Caught<F> {
    pub(crate) fn new(future: F) -> Self {
        Self(Box::pin(future))
    }
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.0.as_mut();
        match std::panic::catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

/// Panics by task name.
type Panics = Vec<(&'static str, Arc<str>)>;

/// What one incarnation started with `cx.spawn`, and the panics of it that nobody has asked about yet.
#[derive(Default)]
struct Incarnation {
    tasks: JoinSet<()>,
    panics: Arc<Mutex<Panics>>,
}

/// The spawned tasks of all incarnations.
#[derive(Default)]
pub(crate) struct Incarnations {
    living: Mutex<HashMap<NodeId, Incarnation>>,
    /// The newest ended incarnation of each place in the arena: a job that outlives its node starts nothing any more.
    ended: Mutex<HashMap<usize, u32>>,
}

/// A crash loop may not eat memory: so many panics are kept between two questions.
const PANICS: usize = 16;

impl Incarnations {
    /// Starts a task that ends with its incarnation.
    pub(crate) fn spawn(&self, node: NodeId, name: &'static str, task: BoxFuture<'static, ()>) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.get(&node.index()).is_some_and(|ended| node.incarnation().get() <= *ended) {
            return;
        }
        let mut living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
        let incarnation = living.entry(node).or_default();
        while incarnation.tasks.try_join_next().is_some() {}
        let panics = Arc::clone(&incarnation.panics);
        let spawned = async move {
            if let Err(panic) = Caught::new(task).await {
                let text = crate::engine::panic_text(&*panic);
                tracing::error!(task = name, %text, "a task of a worker panicked");
                let mut panics = panics.lock().unwrap_or_else(PoisonError::into_inner);
                if panics.len() < PANICS {
                    panics.push((name, text));
                }
            }
        };
        incarnation.tasks.spawn(spawned);
    }

    /// Panics since the last question.
    pub(crate) fn panics(&self, node: NodeId) -> Panics {
        let living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(incarnation) = living.get(&node) else { return Vec::new() };
        std::mem::take(&mut *incarnation.panics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the tasks of an incarnation.
    pub(crate) fn end(&self, node: NodeId) {
        self.ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node.index(), node.incarnation().get());
        let ended = self.living.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
        // Dropped outside the lock: dropping aborts the tasks and may run their destructors.
        drop(ended);
    }

    /// Ends all, and waits until they are gone.
    pub(crate) async fn end_all(&self) {
        let all: Vec<Incarnation> = {
            let mut living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
            living.drain().map(|(_, incarnation)| incarnation).collect()
        };
        for mut incarnation in all {
            incarnation.tasks.shutdown().await;
        }
    }
}

/// Aborts its task when dropped.
pub(crate) struct AbortOnDrop(pub(crate) AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
