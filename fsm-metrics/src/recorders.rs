//! Handles by topic for what is recorded outside of the tick, from any thread: actions, pools, the store, subscribers, flows,
//! tools, executions.

mod exec;
mod tools;

use std::sync::Arc;
use std::time::Duration;

use fsm_core::Outcome;

use crate::block::Block;
use crate::catalogue::{FlowMetric, NodeMetric, PoolMetric, StoreMetric, SubscriberMetric};
use crate::def::Metric;
use crate::handle::{Counter, Gauge, GaugeShare, Histogram};
use crate::scope::Scope;
use crate::words::{DropReason, FlowErrorKind, FlowStage, StoreRole};

pub use exec::{ExecMetrics, ExecRun, WorkflowWait};
pub use tools::{ProcessMetrics, RunMetrics, ToolCall, ToolMetrics};

/// What the executor records of the actions of one scope. Cloning is cheap; any thread may record.
///
/// Actions are positions in `Action::NAMES`; an unknown one counts as `_other`.
#[derive(Debug, Clone)]
pub struct ActionMetrics {
    block: Arc<Block>,
}

impl Scope<NodeMetric> {
    /// What the executor records of this scope's actions.
    #[must_use]
    pub fn actions(&self) -> ActionMetrics {
        ActionMetrics { block: Arc::clone(self.block()) }
    }
}

impl ActionMetrics {
    #[inline]
    fn cell(&self, metric: NodeMetric, labels: &[usize]) -> usize {
        self.block.layout.find(metric.index(), labels).1
    }

    #[inline]
    fn observe(&self, metric: NodeMetric, labels: &[usize], took: Duration) {
        self.block.observe(self.cell(metric, labels), metric.def().spec.buckets, took.as_secs_f64());
    }

    /// The executor accepted an action; it waits for a place.
    pub fn queued(&self, action: usize) {
        self.block.count(self.cell(NodeMetric::ActionQueuedTotal, &[action]), 1);
        self.block.add_gauge(self.cell(NodeMetric::ActionQueueSize, &[]), 1.0);
    }

    /// An action left the queue without starting, because it was cancelled.
    pub fn withdrawn(&self) {
        self.block.add_gauge(self.cell(NodeMetric::ActionQueueSize, &[]), -1.0);
    }

    /// An action left the queue and starts, after this wait.
    pub fn started(&self, waited: Duration) {
        self.withdrawn();
        self.block.add_gauge(self.cell(NodeMetric::ActionInFlight, &[]), 1.0);
        self.observe(NodeMetric::ActionWait, &[], waited);
    }

    /// One attempt ended. An attempt that timed out counts as such, too.
    pub fn attempt_ended(&self, action: usize, outcome: Outcome, took: Duration) {
        self.observe(NodeMetric::ActionExecutionDuration, &[action, outcome as usize], took);
        if outcome == Outcome::Timeout {
            self.block.count(self.cell(NodeMetric::ActionTimeoutTotal, &[action]), 1);
        }
    }

    /// A failed attempt is followed by another.
    pub fn retried(&self, action: usize) {
        self.block.count(self.cell(NodeMetric::ActionRetryTotal, &[action]), 1);
    }

    /// An action ended for good, or was abandoned.
    pub fn ended(&self) {
        self.block.add_gauge(self.cell(NodeMetric::ActionInFlight, &[]), -1.0);
    }

    /// An action that can't be dropped reached twice its timeout.
    pub fn stuck(&self, action: usize) {
        self.block.count(self.cell(NodeMetric::ActionStuckTotal, &[action]), 1);
    }

    /// An action that can't be dropped was abandoned.
    pub fn leaked(&self, action: usize) {
        self.block.add_gauge(self.cell(NodeMetric::ActionLeaked, &[action]), 1.0);
    }

    /// An abandoned action ended after all.
    pub fn leak_ended(&self, action: usize) {
        self.block.add_gauge(self.cell(NodeMetric::ActionLeaked, &[action]), -1.0);
    }
}

/// What a pool of the executor records.
#[derive(Debug, Clone)]
pub struct PoolMetrics {
    utilization: Gauge,
    queue_size: Gauge,
    _scope: Scope<PoolMetric>,
}

impl PoolMetrics {
    /// The recorder of the pool with this scope.
    #[must_use]
    pub fn new(scope: Scope<PoolMetric>) -> Self {
        let gauge = |metric| scope.gauge(metric, &[]);
        Self {
            utilization: gauge(PoolMetric::WorkerPoolUtilization),
            queue_size: gauge(PoolMetric::WorkerPoolQueueSize),
            _scope: scope,
        }
    }

    /// So many of the pool's places are taken.
    pub fn in_use(&self, taken: usize, places: usize) {
        self.utilization.set(if places == 0 { 0.0 } else { taken as f64 / places as f64 });
    }

    /// So many jobs wait for a place.
    pub fn waiting(&self, jobs: usize) {
        self.queue_size.set(jobs as f64);
    }
}

/// What the driver of a store records.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    scope: Scope<StoreMetric>,
}

impl StoreMetrics {
    /// The recorder of the store with this scope.
    #[must_use]
    pub const fn new(scope: Scope<StoreMetric>) -> Self {
        Self { scope }
    }

    /// So many changes of a role became durable after so long.
    pub fn written(&self, role: StoreRole, changes: u64, took: Duration) {
        self.scope.counter(StoreMetric::StoreChangesTotal, &[role as usize]).add(changes);
        self.scope.histogram(StoreMetric::StoreWriteDuration, &[role as usize]).observe_duration(took);
    }

    /// So many bytes of a role are kept.
    pub fn size(&self, role: StoreRole, bytes: u64) {
        self.scope.gauge(StoreMetric::StoreSizeBytes, &[role as usize]).set(bytes as f64);
    }
}

/// What is recorded of a subscriber of events.
#[derive(Debug, Clone)]
pub struct SubscriberMetrics {
    dropped: Counter,
    _scope: Scope<SubscriberMetric>,
}

impl SubscriberMetrics {
    /// The recorder of the subscriber with this scope.
    #[must_use]
    pub fn new(scope: Scope<SubscriberMetric>) -> Self {
        Self { dropped: scope.counter(SubscriberMetric::EventsDroppedTotal, &[]), _scope: scope }
    }

    /// The subscriber lost so many events.
    pub fn dropped(&self, events: u64) {
        self.dropped.add(events);
    }
}

/// What one dataflow records. Each flow has one of its own, because flows over the cap share their series: counts and sizes are
/// then sums, ages maxima.
#[derive(Debug)]
pub struct FlowMetrics {
    /// Messages taken from the source.
    pub messages_in: Counter,
    /// Messages that every output took.
    pub messages_out: Counter,
    /// Payload bytes taken from the source.
    pub bytes_in: Counter,
    /// Payload bytes that every output took.
    pub bytes_out: Counter,
    /// Messages sent again.
    pub retries: Counter,
    /// Connections made again.
    pub reconnects: Counter,
    /// Messages taken and not yet acknowledged.
    pub in_flight: GaugeShare,
    /// Messages that wait at the source or in the buffer.
    pub lag_messages: GaugeShare,
    /// Seconds since the last message passed end to end.
    pub last_message_age: GaugeShare,
    /// Bytes of the messages taken and not yet acknowledged.
    pub buffer_bytes: GaugeShare,
    /// From taking a message to its last acknowledgement.
    pub latency: Histogram,
    scope: Scope<FlowMetric>,
}

impl FlowMetrics {
    /// The recorder of the flow with this scope.
    #[must_use]
    pub fn new(scope: Scope<FlowMetric>) -> Self {
        let counter = |metric| scope.counter(metric, &[]);
        let share = |metric| scope.share(metric, &[]);
        Self {
            messages_in: counter(FlowMetric::MessagesInTotal),
            messages_out: counter(FlowMetric::MessagesOutTotal),
            bytes_in: counter(FlowMetric::BytesInTotal),
            bytes_out: counter(FlowMetric::BytesOutTotal),
            retries: counter(FlowMetric::RetriesTotal),
            reconnects: counter(FlowMetric::ReconnectsTotal),
            in_flight: share(FlowMetric::InFlight),
            lag_messages: share(FlowMetric::LagMessages),
            last_message_age: share(FlowMetric::LastMessageAge),
            buffer_bytes: share(FlowMetric::BufferBytes),
            latency: scope.histogram(FlowMetric::EndToEndLatency, &[]),
            scope,
        }
    }

    /// So many messages were dropped.
    pub fn dropped(&self, reason: DropReason, messages: u64) {
        self.scope.counter(FlowMetric::DroppedTotal, &[reason as usize]).add(messages);
    }

    /// An error was met.
    pub fn error(&self, stage: FlowStage, kind: FlowErrorKind) {
        self.scope.counter(FlowMetric::ErrorsTotal, &[stage as usize, kind as usize]).inc();
    }
}
