//! The spans of a call: what was asked for, how it went on, and the trace that it is part of.

use std::time::Duration;

use axum::http::HeaderMap;
use fsm_metrics::trace::{TARGET, UntilEnd, continue_trace, current_traceparent};
use tracing::field::Empty;
use tracing::{Span, trace_span};

use crate::exec::{ExecId, Kind, Target};

/// The header with the trace that a call is part of, by the W3C.
const TRACEPARENT: &str = "traceparent";

/// Around everything that a request makes happen until its answer.
pub(super) fn request(kind: Kind, headers: &HeaderMap) -> Span {
    let span = trace_span!(
        target: TARGET,
        parent: None,
        "exec.request",
        kind = kind.counted().as_str(),
        status = Empty,
        error_type = Empty,
        otel.status_code = Empty,
    );
    if let Some(context) = said(headers) {
        continue_trace(&span, context);
    }
    span
}

/// It is answered with this status.
pub(super) fn answered(span: &Span, status: u16) {
    span.record("status", status);
    if status >= 400 {
        fsm_metrics::trace::fail(span, "answered with an error");
    }
}

fn said(headers: &HeaderMap) -> Option<&str> {
    headers.get(TRACEPARENT)?.to_str().ok()
}

/// A call that somebody waits for, from its beginning until it is taken.
pub(super) fn begin(target: &Target, within: Duration) -> UntilEnd {
    let timeout_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    UntilEnd::new(match target {
        Target::Task { tool } => trace_span!(
            target: TARGET,
            "task.execute_sync",
            task_id = tool.as_str(),
            component = "tool",
            exec_id = Empty,
            timeout_ms,
            error_type = Empty,
            otel.status_code = Empty,
        ),
        Target::Agent { path, action } => trace_span!(
            target: TARGET,
            "agent.prepare",
            agent_id = path.as_str(),
            action = action.as_str(),
            error_type = Empty,
            otel.status_code = Empty,
        ),
        Target::Workflow { workflow } => trace_span!(
            target: TARGET,
            "workflow.execute_sync",
            workflow_id = workflow.as_str(),
            exec_id = Empty,
            timeout_ms,
            error_type = Empty,
            otel.status_code = Empty,
        ),
    })
}

/// It was taken, and is waited for. An agent was prepared by then, and executes from now on.
pub(super) fn taken(open: UntilEnd, target: &Target, id: &ExecId, within: Duration) -> UntilEnd {
    let Target::Agent { path, action } = target else {
        open.span().record("exec_id", id.as_str());
        return open;
    };
    open.end(None);
    UntilEnd::new(trace_span!(
        target: TARGET,
        "agent.execute_sync",
        agent_id = path.as_str(),
        action = action.as_str(),
        exec_id = id.as_str(),
        timeout_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
        error_type = Empty,
        otel.status_code = Empty,
    ))
}

/// What is passed on to what runs: the span of this call, else what came with it.
pub(super) fn passed_on(open: Option<&UntilEnd>, headers: &HeaderMap) -> Option<String> {
    let own = match open {
        Some(open) => open.span().in_scope(current_traceparent),
        None => current_traceparent(),
    };
    own.or_else(|| said(headers).map(str::to_owned))
}
