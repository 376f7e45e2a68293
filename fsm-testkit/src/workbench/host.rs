//! What stands behind the contexts of a workbench: tokio's clock, a set of tasks, and a token per run.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::{BoxFuture, Host, MetricSink, Moment, NoMetrics, NodePath, SeenAny};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Panics by task name.
type Panics = Mutex<Vec<(&'static str, Arc<str>)>>;

/// The host of one node.
pub(super) struct BenchHost {
    start: Instant,
    tasks: Mutex<JoinSet<()>>,
    /// Panics of tasks that nobody has asked about yet.
    panics: Arc<Panics>,
    cancel: Mutex<CancellationToken>,
    cleanups: Mutex<Vec<BoxFuture<'static, ()>>>,
}

/// What is behind these locks is plain data, good as it is after a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells of its task's panic when the task is unwound.
struct Watched {
    name: &'static str,
    panics: Arc<Panics>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.panics).push((self.name, "it panicked".into()));
        }
    }
}

impl BenchHost {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            tasks: Mutex::default(),
            panics: Arc::default(),
            cancel: Mutex::default(),
            cleanups: Mutex::default(),
        }
    }

    pub(super) fn tasks(&self) -> usize {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.len()
    }

    /// Ends all tasks, also those that hold a way back to this host.
    pub(super) fn end(&self) {
        lock(&self.tasks).abort_all();
    }

    pub(super) fn forget_cleanups(&self) {
        lock(&self.cleanups).clear();
    }

    /// Tells the run to end and runs its clean-ups; the next run has a token of its own.
    pub(super) async fn cancel(&self) {
        std::mem::take(&mut *lock(&self.cancel)).cancel();
        let cleanups = std::mem::take(&mut *lock(&self.cleanups));
        for cleanup in cleanups {
            cleanup.await;
        }
    }
}

impl Host for BenchHost {
    fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }
    fn wall_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
    fn cancelled(&self) -> BoxFuture<'static, ()> {
        Box::pin(lock(&self.cancel).clone().cancelled_owned())
    }
    fn is_cancelled(&self) -> bool {
        lock(&self.cancel).is_cancelled()
    }
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        let watched = Watched { name, panics: Arc::clone(&self.panics) };
        lock(&self.tasks).spawn(async move {
            let _watched = watched;
            task.await;
        });
    }
    fn on_cancel(&self, cleanup: BoxFuture<'static, ()>) {
        lock(&self.cleanups).push(cleanup);
    }
    fn push(&self, _observed: Arc<dyn Any + Send + Sync>) {}
    fn observed(&self, _path: &NodePath) -> BoxFuture<'static, Option<SeenAny>> {
        Box::pin(async { None })
    }
    fn task_panics(&self) -> Vec<(&'static str, Arc<str>)> {
        std::mem::take(&mut *lock(&self.panics))
    }
    fn metrics(&self) -> &dyn MetricSink {
        &NoMetrics
    }
}
