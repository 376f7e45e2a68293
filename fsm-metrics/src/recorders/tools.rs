//! What a runner of tools records: one sample per call whatever its ending, and each process that left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::catalogue::{ProcessMetric, ToolMetric};
use crate::metrics::Metrics;
use crate::scope::Scope;
use crate::words::{ProcessExit, ToolErrorKind, ToolOutcome};

/// What is recorded of the calls of one tool. Cloning is cheap; any thread may record.
#[derive(Debug, Clone)]
pub struct ToolMetrics {
    scope: Scope<ToolMetric>,
}

impl ToolMetrics {
    /// The recorder of the tool with this scope.
    #[must_use]
    pub const fn new(scope: Scope<ToolMetric>) -> Self {
        Self { scope }
    }

    /// A call begins. `elapsed` says how long it has been going on; with
    /// [`ToolCall::end`] or, dropped without, as cancelled the call is counted once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use fsm_metrics::{Metrics, MetricsConfig, RunMetrics, ToolErrorKind};
    ///
    /// let metrics = Metrics::try_new(MetricsConfig::default(), &prometheus::Registry::new())?;
    /// let print = RunMetrics::new(&metrics).tool("label-printer/print");
    /// print.begin(|| Duration::from_millis(3)).end(None);
    /// print.begin(|| Duration::from_secs(60)).end(Some(ToolErrorKind::Timeout));
    /// drop(print.begin(|| Duration::from_millis(1)));
    ///
    /// let text = metrics.encode();
    /// for outcome in ["success", "timeout", "cancelled"] {
    ///     let series = "runtime_tool_execute_seconds_count{tool_id=\"label-printer/print\"";
    ///     assert!(text.contains(&format!("{series},outcome=\"{outcome}\"}} 1")), "{text}");
    /// }
    /// # Ok::<(), fsm_metrics::MetricsError>(())
    /// ```
    pub fn begin<F: Fn() -> Duration>(&self, elapsed: F) -> ToolCall<F> {
        ToolCall { metrics: self.clone(), elapsed, ended: false }
    }

    /// A call read all of a stdout, of so many bytes.
    pub fn output(&self, bytes: u64) {
        self.scope.histogram(ToolMetric::OutputBytes, &[]).observe(bytes as f64);
    }

    /// The processes of a call used so much processor time, and one of them so much memory at most.
    pub fn used(&self, cpu: Duration, peak_rss: u64) {
        self.scope.histogram(ToolMetric::CpuSeconds, &[]).observe_duration(cpu);
        self.scope.histogram(ToolMetric::PeakRssBytes, &[]).observe(peak_rss as f64);
    }

    /// The first byte of a call's stdout came after so long.
    pub fn first_byte(&self, after: Duration) {
        self.scope.histogram(ToolMetric::FirstByteSeconds, &[]).observe_duration(after);
    }

    fn ended(&self, error: Option<ToolErrorKind>, took: Duration) {
        let outcome = error.map_or(ToolOutcome::Success, ToolErrorKind::outcome);
        self.scope.histogram(ToolMetric::ExecuteSeconds, &[outcome as usize]).observe_duration(took);
        if let Some(kind) = error {
            self.scope.counter(ToolMetric::ErrorsTotal, &[kind as usize]).inc();
        }
        if outcome == ToolOutcome::Timeout {
            self.scope.counter(ToolMetric::TimeoutsTotal, &[]).inc();
        }
    }
}

/// A call of a tool that goes on. Dropped, it counts as cancelled.
#[derive(Debug)]
#[must_use = "a call that is dropped counts as cancelled"]
pub struct ToolCall<F: Fn() -> Duration> {
    metrics: ToolMetrics,
    elapsed: F,
    ended: bool,
}

impl<F: Fn() -> Duration> ToolCall<F> {
    /// The recorder of the tool.
    #[must_use]
    pub const fn metrics(&self) -> &ToolMetrics {
        &self.metrics
    }

    /// It ended: well, or with this error.
    pub fn end(mut self, error: Option<ToolErrorKind>) {
        self.ended = true;
        self.metrics.ended(error, (self.elapsed)());
    }
}

impl<F: Fn() -> Duration> Drop for ToolCall<F> {
    fn drop(&mut self) {
        if !self.ended {
            self.metrics.ended(Some(ToolErrorKind::Cancelled), (self.elapsed)());
        }
    }
}

/// What is recorded of the processes that this program started. Cloning is cheap; any thread may record.
#[derive(Debug, Clone)]
pub struct ProcessMetrics {
    scope: Scope<ProcessMetric>,
}

impl ProcessMetrics {
    /// The recorder with this scope.
    #[must_use]
    pub const fn new(scope: Scope<ProcessMetric>) -> Self {
        Self { scope }
    }

    /// A process was reaped.
    pub fn exited(&self, exit: ProcessExit) {
        self.scope.counter(ProcessMetric::ExitsTotal, &[exit.row()]).inc();
    }
}

/// What a runner of tools records, over all tools. Cloning is cheap; all clones are the same.
///
/// It keeps the series of each tool that it was asked for, until [`retain`](Self::retain) says that the tool is no more.
#[derive(Debug, Clone)]
pub struct RunMetrics {
    metrics: Metrics,
    tools: Arc<Mutex<BTreeMap<Box<str>, ToolMetrics>>>,
    unknown: ToolMetrics,
    processes: ProcessMetrics,
}

impl RunMetrics {
    /// The recorder of these metrics.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.clone(),
            tools: Arc::default(),
            unknown: ToolMetrics::new(metrics.unknown_tools()),
            processes: ProcessMetrics::new(metrics.processes()),
        }
    }

    /// The recorder of a registered tool. Its series with known labels are there, with 0, from the first time on.
    #[must_use]
    pub fn tool(&self, id: &str) -> ToolMetrics {
        // A panic while it is locked leaves the table whole: each change is one insert or one retain.
        let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tools.get(id) {
            return known.clone();
        }
        let new = ToolMetrics::new(self.metrics.tool(id));
        tools.insert(id.into(), new.clone());
        new
    }

    /// The recorder of calls for ids that are not registered. They share one series: callers can't make any.
    #[must_use]
    pub const fn unknown_tool(&self) -> &ToolMetrics {
        &self.unknown
    }

    /// The recorder of processes.
    #[must_use]
    pub const fn processes(&self) -> &ProcessMetrics {
        &self.processes
    }

    /// Removes the series of the tools that are no more (M-3). One that still runs keeps its series until it ends.
    pub fn retain(&self, mut registered: impl FnMut(&str) -> bool) {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| registered(id));
    }
}
