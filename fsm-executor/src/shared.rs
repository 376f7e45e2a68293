//! What the handle, the runners and blocking threads share, and how they tell the owner what happened.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use fsm_core::{ActionError, ActionReport, Moment, Outcome};
use fsm_metrics::{ErrorCategory, NodeMetricsCollector};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::caught::{drop_quietly, logged};
use crate::slots::{Ending, Job, Slots};
use crate::{
    ActionRef, Clock, Ended, EventSink, ExecutorConfig, ExecutorEvent, ExecutorObserver, InFlight, SlotKey,
};

/// Further away than any deadline, and near enough that no clock overflows: about 30 years.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// The instant this long after `start`, for any length.
pub(crate) fn later(start: Instant, by: Duration) -> Instant {
    start + by.min(FAR)
}

pub(crate) struct Shared<K> {
    pub(crate) config: ExecutorConfig,
    pub(crate) runtime: Handle,
    /// Parent of the token of every running attempt.
    pub(crate) root: CancellationToken,
    /// Wakes the runner of this number: work for an idle one, a cancel for a busy one.
    pub(crate) runners: Box<[Notify]>,
    /// Wakes the task that waits for the next retry.
    pub(crate) retries: Notify,
    pub(crate) node_metrics: OnceLock<Arc<NodeMetricsCollector>>,
    clock: Clock,
    sink: EventSink<K>,
    observer: Arc<dyn ExecutorObserver<K>>,
    slots: Mutex<Slots<K>>,
}

impl<K: SlotKey> Shared<K> {
    pub(crate) fn new(
        config: ExecutorConfig,
        runtime: Handle,
        clock: Clock,
        sink: EventSink<K>,
        observer: Arc<dyn ExecutorObserver<K>>,
    ) -> Self {
        let places = config.concurrency + config.reserved_for_stop;
        Self {
            config,
            runtime,
            root: CancellationToken::new(),
            runners: (0..places).map(|_| Notify::new()).collect(),
            retries: Notify::new(),
            node_metrics: OnceLock::new(),
            clock,
            sink,
            observer,
            slots: Mutex::new(Slots::new(config)),
        }
    }

    /// The bookkeeping. No foreign code runs under this lock, so it is held for less than a microsecond and never poisoned.
    pub(crate) fn slots(&self) -> MutexGuard<'_, Slots<K>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Moment {
        (self.clock)()
    }

    pub(crate) fn ending(&self, job: &Job<K>) -> Option<Ending> {
        self.slots().ending(job.action.key, job.run)
    }

    pub(crate) fn wake(&self, runner: Option<usize>) {
        if let Some(runner) = runner {
            self.runners[runner].notify_one();
        }
    }

    pub(crate) fn observe(&self, told: impl FnOnce(&dyn ExecutorObserver<K>)) {
        logged("observer", || told(&*self.observer));
    }

    pub(crate) fn tell(&self, event: ExecutorEvent<K>) {
        logged("event sink", || (self.sink)(event));
    }

    /// Records in the statistics of its node that an action that had a place ended.
    pub(crate) fn record_end(
        &self,
        job: &Job<K>,
        outcome: Outcome,
        error: Option<&ActionError>,
        took: Duration,
    ) {
        let (Some(collector), Some(node)) = (self.node_metrics.get(), &job.node) else { return };
        let node = node.as_str();
        match outcome {
            Outcome::Success => collector.record_success(node, took),
            Outcome::Failure => collector.record_failure(node, took, error.map(|error| error as _), None),
            Outcome::Timeout => collector.record_failure(node, took, None, Some(ErrorCategory::Timeout)),
            Outcome::Panic | Outcome::Cancelled => {
                collector.record_failure(node, took, None, Some(ErrorCategory::Other));
            }
        }
    }

    /// Records in the statistics of its node that an action is tried again.
    pub(crate) fn record_attempt(&self, job: &Job<K>) {
        if job.attempts > 1
            && let (Some(collector), Some(node)) = (self.node_metrics.get(), &job.node)
        {
            collector.record_retry(node.as_str(), job.attempts);
        }
    }

    /// Tells the end of an action.
    pub(crate) fn tell_end(&self, action: ActionRef<K>, report: ActionReport, leaked: bool) {
        self.observe(|observer| observer.ended(&action, &report));
        self.tell(ExecutorEvent::Ended(Ended { action, report, leaked }));
    }

    /// Tells the end of an action that was cancelled while nothing of it ran.
    pub(crate) fn tell_cancelled(&self, job: Box<Job<K>>, was_waiting: bool) {
        let (action, accepted, started, attempts) = (job.action, job.accepted, job.started, job.attempts);
        let failed = job.failed.clone();
        let now = self.now();
        // One that never ran has no time of its own: it starts and ends with its cancel.
        let started = if attempts == 0 { now } else { started.unwrap_or(accepted) };
        if attempts > 0 {
            self.record_end(&job, Outcome::Cancelled, None, now.since(started));
        }
        drop_quietly(job);
        if was_waiting {
            self.observe(|observer| observer.waiting(&action, -1));
        }
        let mut report =
            ActionReport::new(action.id, action.name, Outcome::Cancelled, started, now.since(started));
        report.attempts = attempts;
        report.error = failed;
        self.tell_end(action, report, false);
    }

    /// Tells the end of an action whose runner had to be aborted.
    pub(crate) fn tell_aborted(&self, slot: InFlight<K>) {
        let action = slot.action;
        let mut report = ActionReport::new(
            action.id,
            action.name,
            Outcome::Cancelled,
            slot.since,
            self.now().since(slot.since),
        );
        report.attempts = slot.attempts;
        report.error =
            Some(Arc::from("it holds its thread without awaiting, so its future could not be dropped"));
        self.tell_end(action, report, true);
    }
}
