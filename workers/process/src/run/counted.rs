//! A call as metrics and statistics count it: exactly once, whatever becomes of it.

use std::time::Duration;

use fsm_metrics::{ErrorCategory, NodeMetricsCollector, RunMetrics, ToolCall};

use super::Run;
use crate::ending::{Ending, Resources};
use crate::tool::Tool;

/// A call that goes on. Dropped, it counts as cancelled.
pub(super) struct Counted<'a, F: Fn() -> Duration> {
    call: Option<ToolCall<F>>,
    /// Where its statistics go, and under which name. Taken when that is done.
    node: Option<(&'a NodeMetricsCollector, &'a str)>,
    elapsed: F,
}

impl<'a, F: Fn() -> Duration + Copy> Counted<'a, F> {
    pub(super) fn begin(
        metrics: Option<&RunMetrics>,
        statistics: Option<&'a NodeMetricsCollector>,
        tool: &'a Tool,
        elapsed: F,
    ) -> Self {
        let call = metrics.map(|metrics| metrics.tool(tool.counted_as()).begin(elapsed));
        Self { call, node: statistics.map(|collector| (collector, tool.id.as_str())), elapsed }
    }

    pub(super) fn end(mut self, run: &Run) {
        if let Some((collector, node)) = self.node.take() {
            match category(&run.ending) {
                None => collector.record_success(node, run.duration),
                category => collector.record_failure(node, run.duration, None, category),
            }
        }
        let Some(call) = self.call.take() else { return };
        let metrics = call.metrics();
        if let Some(bytes) = run.stdout_bytes {
            metrics.output(bytes);
        }
        let Resources { cpu, peak_rss, first_byte } = run.resources;
        if let (Some(cpu), Some(peak_rss)) = (cpu, peak_rss) {
            metrics.used(cpu, peak_rss);
        }
        if let Some(after) = first_byte {
            metrics.first_byte(after);
        }
        call.end(run.ending.error());
    }
}

impl<F: Fn() -> Duration> Drop for Counted<'_, F> {
    fn drop(&mut self) {
        // The call counts itself when it is dropped.
        if let Some((collector, node)) = self.node.take() {
            collector.record_failure(node, (self.elapsed)(), None, Some(ErrorCategory::Other));
        }
    }
}

/// What sort of failure an ending is; none for a success.
fn category(ending: &Ending) -> Option<ErrorCategory> {
    Some(match ending {
        Ending::Success => return None,
        Ending::Timeout { .. } => ErrorCategory::Timeout,
        // What it was given, or what it gave back, is wrong.
        Ending::InvalidInput(_) | Ending::OutputLimit { .. } | Ending::Parse(_) => ErrorCategory::Validation,
        Ending::ToolError(_)
        | Ending::SpawnFailed(_)
        | Ending::Stdin(_)
        | Ending::Stdout(_)
        | Ending::Stderr(_)
        | Ending::ExitNonzero(_)
        | Ending::Signaled(_)
        | Ending::Oom
        | Ending::KeeperLost
        | Ending::Cancelled => ErrorCategory::Other,
    })
}
