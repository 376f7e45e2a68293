//! The span of a call, and how it says what became of it.

use fsm_metrics::trace::{TARGET, UntilEnd, continue_trace};
use tracing::field::Empty;
use tracing::trace_span;

use super::{Call, Run};
use crate::ending::Exit;
use crate::tool::Tool;

/// A span that counts as cancelled when the call is dropped.
pub(super) fn begin(tool: &Tool, call: &Call) -> UntilEnd {
    let span = trace_span!(
        target: TARGET,
        "runtime.execute_tool",
        tool_id = tool.id.as_str(),
        exec_id = call.exec_id.as_str(),
        timeout_ms = u64::try_from(tool.limits.timeout.as_millis()).unwrap_or(u64::MAX),
        runtime = call.runtime.as_deref().unwrap_or_else(|| program(tool)),
        permissions = Empty,
        exit_code = Empty,
        output_bytes = Empty,
        error_kind = Empty,
        otel.status_code = Empty,
    );
    if !span.is_disabled() {
        // What it may see of the daemon's environment is all that it is given.
        span.record("permissions", tool.env.allowed().collect::<Vec<_>>().join(" "));
        if let Some(context) = &call.traceparent {
            continue_trace(&span, context);
        }
    }
    UntilEnd::new(span).naming("error_kind", "cancelled")
}

fn program(tool: &Tool) -> &str {
    tool.command.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default()
}

/// What became of it.
pub(super) fn end(open: UntilEnd, run: &Run) {
    if let Some(Exit::Code(code)) = run.exit {
        open.span().record("exit_code", code);
    }
    if let Some(bytes) = run.stdout_bytes {
        open.span().record("output_bytes", bytes);
    }
    open.end(run.ending.error_kind());
}
