//! Where measurements go: a seam, so that the executor knows no series.

use std::time::Duration;

use fsm_core::{ActionReport, Outcome};

use crate::ActionRef;

/// Learns what the executor does, for metrics. Every method does nothing by default.
///
/// The methods are called without any lock held, on whichever thread it happens, and must be quick. Gauges are told as
/// differences, which may arrive in any order and still add up.
pub trait ExecutorObserver<K>: Send + Sync {
    /// An action was accepted.
    fn queued(&self, _action: &ActionRef<K>) {}
    /// The number of actions that wait for a place changed by `difference`: accepted, back from a back-off, started, cancelled.
    fn waiting(&self, _action: &ActionRef<K>, _difference: i64) {}
    /// An action got its first place after waiting this long.
    fn started(&self, _action: &ActionRef<K>, _waited: Duration) {}
    /// An attempt took a place: one more of the pool is in use.
    fn attempt_started(&self, _action: &ActionRef<K>, _attempt: u32) {}
    /// An attempt gave its place back. `duration` is that of the attempt, its clean-up included.
    fn attempt_ended(&self, _action: &ActionRef<K>, _attempt: u32, _outcome: Outcome, _duration: Duration) {}
    /// Attempt number `next` will follow after `wait`.
    fn retried(&self, _action: &ActionRef<K>, _next: u32, _wait: Duration) {}
    /// An attempt took longer than its timeout.
    fn timed_out(&self, _action: &ActionRef<K>) {}
    /// A blocking attempt is at work for twice its timeout.
    fn stuck(&self, _action: &ActionRef<K>) {}
    /// The number of abandoned actions that are still at work changed by `difference`.
    fn leaked(&self, _action: &ActionRef<K>, _difference: i64) {}
    /// An action ended, after all its attempts.
    fn ended(&self, _action: &ActionRef<K>, _report: &ActionReport) {}
}

/// Observes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl<K> ExecutorObserver<K> for NoObserver {}
