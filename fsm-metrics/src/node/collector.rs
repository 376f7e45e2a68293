//! The collector itself: one table behind one lock, which is held for a few instructions; callbacks run outside of it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::category::ErrorCategory;
use super::config::{Clock, NodeMetricsConfig, NodeMetricsError};
use super::shown::{NodeMetrics, from_ms};
use super::table::{Entry, Table};
use super::threshold::{Callback, Limits};
use super::window::nanos;

/// A worker that passes nonsense does so at each record: once a minute is enough to know.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// Collects statistics of nodes. Shared in an `Arc`; any thread may record and read.
///
/// Recording finds the node in a hash table under a lock and adds to a few numbers: it allocates nothing after the node's first
/// record, and takes the time of a few such look-ups. Of more nodes than the bound the least recently used are forgotten.
pub struct NodeMetricsCollector {
    table: Mutex<Table>,
    /// None when nobody would hear of them.
    limits: Option<Limits>,
    callbacks: Vec<Callback>,
    clock: Clock,
}

impl NodeMetricsCollector {
    /// A collector.
    ///
    /// # Errors
    /// [`NodeMetricsError`] names the setting that can't be.
    pub fn try_new(config: NodeMetricsConfig) -> Result<Self, NodeMetricsError> {
        config.check()?;
        let limits = config.limits();
        let any = [limits.failure_rate, limits.windowed_failure_rate, limits.latency_ms];
        let heard = any.iter().any(Option::is_some) && !config.callbacks.is_empty();
        Ok(Self {
            table: Mutex::new(Table::new(config.window, config.max_nodes)),
            limits: heard.then_some(limits),
            callbacks: config.callbacks,
            clock: config.clock.unwrap_or_else(since_now),
        })
    }

    /// An execution of a node succeeded after so long, all its attempts and the waits between them included.
    pub fn record_success(&self, node: &str, took: Duration) {
        self.record(node, took, None);
    }

    /// An execution of a node did not succeed. What sort of failure it was says `category`, else the innermost cause of `error`,
    /// else it is [`ErrorCategory::Other`].
    pub fn record_failure(
        &self,
        node: &str,
        took: Duration,
        error: Option<&(dyn Error + 'static)>,
        category: Option<ErrorCategory>,
    ) {
        // Outside of the lock: what an error says is foreign code.
        let category = category.or_else(|| error.map(ErrorCategory::of)).unwrap_or(ErrorCategory::Other);
        self.record(node, took, Some(category));
    }

    /// Attempt number `attempt`, from 2, of an execution of a node begins. It counts as a retry only.
    pub fn record_retry(&self, node: &str, attempt: u32) {
        tracing::trace!(node, attempt, "tried again");
        self.table().used(node).0.retried();
    }

    /// Like [`record_success`](Self::record_success), in milliseconds. What is negative, infinite or not a number counts as 0 and
    /// is logged, once per node and minute.
    pub fn record_success_ms(&self, node: &str, ms: f64) {
        self.record_success(node, self.duration(node, ms));
    }

    /// Like [`record_failure`](Self::record_failure), in milliseconds. What is negative, infinite or not a number counts as 0 and
    /// is logged, once per node and minute.
    pub fn record_failure_ms(
        &self,
        node: &str,
        ms: f64,
        error: Option<&(dyn Error + 'static)>,
        category: Option<ErrorCategory>,
    ) {
        self.record_failure(node, self.duration(node, ms), error, category);
    }

    /// The statistics of a node; of an unknown one they are empty.
    #[must_use]
    pub fn get(&self, node: &str) -> NodeMetrics {
        let entry = self.table().get(node).cloned();
        entry.map_or_else(NodeMetrics::default, |entry| entry.show(&mut Vec::new()))
    }

    /// The statistics of all nodes, by name.
    #[must_use]
    pub fn get_all(&self) -> BTreeMap<Arc<str>, NodeMetrics> {
        // Sorting thousands of windows takes milliseconds: not while others want to record.
        let entries: Vec<Entry> = self.table().entries().to_vec();
        let mut room = Vec::new();
        entries.iter().map(|entry| (Arc::clone(&entry.name), entry.show(&mut room))).collect()
    }

    /// Forgets one node, or all.
    pub fn reset(&self, node: Option<&str>) {
        let mut table = self.table();
        match node {
            Some(node) => table.remove(node),
            None => table.clear(),
        }
    }

    /// The statistics of all nodes as one JSON object, by name.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Names are texts and all numbers are finite: that always has a JSON form.
        serde_json::to_string(&self.get_all()).unwrap_or_default()
    }

    fn record(&self, node: &str, took: Duration, failed: Option<ErrorCategory>) {
        let mut table = self.table();
        let (entry, room) = table.used(node);
        entry.record(nanos(took), failed);
        let Some(limits) = &self.limits else { return };
        let events = limits.judge(entry, room);
        drop(table);
        for event in events.iter().flatten() {
            for callback in &self.callbacks {
                if catch_unwind(AssertUnwindSafe(|| callback(event))).is_err() {
                    tracing::error!(node = %event.node, threshold = ?event.threshold, "a callback of node statistics panicked");
                }
            }
        }
    }

    fn duration(&self, node: &str, ms: f64) -> Duration {
        from_ms(ms).unwrap_or_else(|clamped| {
            if self.may_warn(node) {
                tracing::warn!(node, value = ms, "a duration in milliseconds is none: it counts as 0");
            }
            clamped
        })
    }

    fn may_warn(&self, node: &str) -> bool {
        let now = (self.clock)();
        let mut table = self.table();
        let warned = &mut table.used(node).0.warned;
        let due = warned.is_none_or(|last| now.saturating_sub(last) >= WARN_AGAIN);
        if due {
            *warned = Some(now);
        }
        due
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // No foreign code runs under this lock; what a panic of ours left is plain numbers.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clock of the machine.
#[expect(clippy::disallowed_methods, reason = "it times a warning, and this crate is free of tokio")]
fn since_now() -> Clock {
    let start = std::time::Instant::now();
    Arc::new(move || start.elapsed())
}

impl fmt::Debug for NodeMetricsCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.table().entries().len();
        f.debug_struct("NodeMetricsCollector")
            .field("nodes", &nodes)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
