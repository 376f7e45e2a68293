//! What the execution API and its queue record.

use std::time::Duration;

use crate::catalogue::ExecMetric;
use crate::scope::Scope;
use crate::words::{ExecErrorCode, ExecKind, ExecOutcome, ExecStatus, PollOutcome};

/// What is recorded of executions. Cloning is cheap; any thread may record.
///
/// ```
/// use std::time::Duration;
/// use fsm_metrics::{ExecKind, ExecMetrics, ExecStatus, Metrics, MetricsConfig};
///
/// let metrics = Metrics::try_new(MetricsConfig::default(), &prometheus::Registry::new())?;
/// let executions = ExecMetrics::new(metrics.executions());
/// let run = executions.started(ExecKind::Task, Duration::from_millis(2));
/// assert!(metrics.encode().contains("exec_in_flight{kind=\"task\"} 1"));
/// run.finished(ExecStatus::Success);
/// assert!(metrics.encode().contains("exec_in_flight{kind=\"task\"} 0"));
/// # Ok::<(), fsm_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExecMetrics {
    scope: Scope<ExecMetric>,
}

impl ExecMetrics {
    /// The recorder with this scope.
    #[must_use]
    pub const fn new(scope: Scope<ExecMetric>) -> Self {
        Self { scope }
    }

    /// An asynchronous start was taken by the executor; its answer is not yet written. A refused one is not counted.
    pub fn accepted(&self, kind: ExecKind) {
        self.scope.counter(ExecMetric::StartedTotal, &[kind as usize]).inc();
    }

    /// An execution starts after this wait in the queue. What is returned counts its end, once.
    pub fn started(&self, kind: ExecKind, waited: Duration) -> ExecRun {
        self.scope.histogram(ExecMetric::QueueWait, &[kind as usize]).observe_duration(waited);
        self.scope.gauge(ExecMetric::InFlight, &[kind as usize]).add(1.0);
        ExecRun { metrics: self.clone(), kind, ended: false }
    }

    /// An execution ended before it started, because it was cancelled or refused in the queue.
    pub fn finished_in_queue(&self, kind: ExecKind, status: ExecStatus) {
        self.scope.counter(ExecMetric::FinishedTotal, &[kind as usize, status as usize]).inc();
    }

    /// A synchronous request ended after so long. A timeout counts as such, too.
    pub fn answered(&self, kind: ExecKind, outcome: ExecOutcome, took: Duration) {
        self.scope
            .histogram(ExecMetric::SyncLatency, &[kind as usize, outcome as usize])
            .observe_duration(took);
        if outcome == ExecOutcome::Timeout {
            self.scope.counter(ExecMetric::TimeoutsTotal, &[kind as usize]).inc();
        }
    }

    /// A request was answered with this HTTP status. One below 400 is no error and not counted.
    pub fn responded(&self, kind: ExecKind, status: u16) {
        if let Some(code) = ExecErrorCode::of(status) {
            self.scope.counter(ExecMetric::ErrorsTotal, &[kind as usize, code as usize]).inc();
        }
    }

    /// Somebody begins to wait for a workflow. `elapsed` says how long the wait has been going on.
    pub fn wait<F: Fn() -> Duration>(&self, elapsed: F) -> WorkflowWait<F> {
        WorkflowWait { metrics: self.clone(), elapsed, polls: 0, outcome: PollOutcome::Cancelled }
    }
}

/// An execution that runs. Dropped without an end, it counts as cancelled.
#[derive(Debug)]
#[must_use = "an execution that is dropped counts as cancelled"]
pub struct ExecRun {
    metrics: ExecMetrics,
    kind: ExecKind,
    ended: bool,
}

impl ExecRun {
    /// It ended like this.
    pub fn finished(mut self, status: ExecStatus) {
        self.end(status);
    }

    fn end(&mut self, status: ExecStatus) {
        self.ended = true;
        self.metrics.finished_in_queue(self.kind, status);
        self.metrics.scope.gauge(ExecMetric::InFlight, &[self.kind as usize]).add(-1.0);
    }
}

impl Drop for ExecRun {
    fn drop(&mut self) {
        if !self.ended {
            self.end(ExecStatus::Cancelled);
        }
    }
}

/// A wait for a workflow: on every way out its looks and its duration are recorded. Dropped without an end, the client went
/// away, and that counts as cancelled.
#[derive(Debug)]
#[must_use = "a wait that is dropped counts as cancelled"]
pub struct WorkflowWait<F: Fn() -> Duration> {
    metrics: ExecMetrics,
    elapsed: F,
    polls: u64,
    outcome: PollOutcome,
}

impl<F: Fn() -> Duration> WorkflowWait<F> {
    /// The record was looked at. Gives how often that was, this time included.
    pub const fn polled(&mut self) -> u64 {
        self.polls += 1;
        self.polls
    }

    /// The wait ended like this.
    pub fn end(mut self, outcome: PollOutcome) {
        self.outcome = outcome;
    }
}

impl<F: Fn() -> Duration> Drop for WorkflowWait<F> {
    fn drop(&mut self) {
        let scope = &self.metrics.scope;
        scope.counter(ExecMetric::SyncPollsTotal, &[self.outcome as usize]).add(self.polls);
        scope.histogram(ExecMetric::SyncPollDuration, &[]).observe_duration((self.elapsed)());
    }
}
