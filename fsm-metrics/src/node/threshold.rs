//! When a node is worse than it may be: told when that begins and when it is over, not at each record.

use std::sync::Arc;

use super::shown::ms;
use super::table::Entry;

/// Learns what passes a threshold.
pub(super) type Callback = Arc<dyn Fn(&ThresholdEvent) + Send + Sync>;

/// What has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Threshold {
    /// The share of failures over the collector's life.
    FailureRate,
    /// The share of failures in the window.
    WindowedFailureRate,
    /// The 99th percentile in milliseconds.
    Latency,
}

/// On which side of its limit a node is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThresholdState {
    /// Above it.
    Exceeded,
    /// At or below it again.
    Recovered,
}

/// A node passed a threshold. Events of one node from two threads may arrive in another order than they happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ThresholdEvent {
    /// The node.
    pub node: Arc<str>,
    /// Which threshold.
    pub threshold: Threshold,
    /// In which direction.
    pub state: ThresholdState,
    /// What is now.
    pub value: f64,
    /// What may be.
    pub limit: f64,
    /// Executions of the node so far.
    pub executions: u64,
}

/// What may be.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) failure_rate: Option<f64>,
    pub(super) windowed_failure_rate: Option<f64>,
    pub(super) latency_ms: Option<f64>,
    pub(super) min_samples: u64,
    pub(super) every: bool,
}

/// What one record can bring about.
pub(super) type Events = [Option<ThresholdEvent>; 3];

impl Limits {
    /// Looks at a node after a record.
    pub(super) fn judge(&self, node: &mut Entry, room: &mut Vec<u64>) -> Events {
        let mut events = [None, None, None];
        if node.executions() < self.min_samples {
            return events;
        }
        let looks = [
            (Threshold::FailureRate, self.failure_rate),
            (Threshold::WindowedFailureRate, self.windowed_failure_rate),
            (Threshold::Latency, self.latency_ms),
        ];
        for (at, (threshold, limit)) in looks.into_iter().enumerate() {
            let Some(limit) = limit else { continue };
            let value = match threshold {
                Threshold::FailureRate => node.failure_rate(),
                Threshold::WindowedFailureRate => node.window.failure_rate(),
                Threshold::Latency => node.window.percentile(99, room).map_or(0.0, ms),
            };
            let (above, was_above) = (value > limit, node.above[at]);
            node.above[at] = above;
            let state = match (was_above, above) {
                (false, true) => ThresholdState::Exceeded,
                (true, true) if self.every => ThresholdState::Exceeded,
                (true, false) => ThresholdState::Recovered,
                (true, true) | (false, false) => continue,
            };
            let (node, executions) = (Arc::clone(&node.name), node.executions());
            events[at] = Some(ThresholdEvent { node, threshold, state, value, limit, executions });
        }
        events
    }
}
