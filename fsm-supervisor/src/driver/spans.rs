//! The spans of the driver. One that nobody listens to costs a comparison; one in which nothing happened says so and is left out.

use fsm_core::erase::Collected;
use fsm_core::{ActionError, BoxFuture, NodePath};
use fsm_metrics::trace::{TARGET, UntilEnd};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, trace_span};

use crate::engine::TickReport;
use crate::input::CollectFailure;

/// Of one tick; reconciles are inside of it.
pub(super) fn tick() -> Span {
    trace_span!(
        target: TARGET,
        parent: None,
        "supervisor.tick",
        hierarchy_path = "/",
        visited = Empty,
        evaluated = Empty,
        effects = Empty,
        idle = Empty,
    )
}

/// What came of a tick.
pub(super) fn ticked(span: &Span, report: &TickReport, effects: usize) {
    if span.is_disabled() {
        return;
    }
    span.record("visited", report.visited);
    span.record("evaluated", report.evaluated);
    span.record("effects", effects);
    if report.evaluated == 0 && effects == 0 {
        span.record("idle", true);
    }
}

/// Of one collection, which fails when it is dropped.
pub(super) fn collect(path: &NodePath, kind: &'static str) -> UntilEnd {
    UntilEnd::new(trace_span!(
        target: TARGET,
        parent: None,
        "worker.collect",
        hierarchy_path = path.as_str(),
        worker_type = kind,
        idle = Empty,
        error_type = Empty,
        otel.status_code = Empty,
    ))
}

/// What came of a collection.
pub(super) fn collected(span: UntilEnd, result: &Result<Collected, CollectFailure>) {
    match result {
        Ok(Collected::Same | Collected::Similar(_)) => {
            span.span().record("idle", true);
            span.end(None);
        }
        Ok(Collected::Changed(_)) => span.end(None),
        Err(CollectFailure::Error(_)) => span.end(Some("error")),
        Err(CollectFailure::Panic(_)) => span.end(Some("panic")),
        Err(CollectFailure::Timeout(_)) => span.end(Some("timeout")),
    }
}

/// One attempt of an action, in a span of its own.
pub(super) fn attempt(
    path: &NodePath,
    kind: &'static str,
    action: &'static str,
    number: u32,
    future: BoxFuture<'static, Result<(), ActionError>>,
) -> BoxFuture<'static, Result<(), ActionError>> {
    let span = trace_span!(
        target: TARGET,
        parent: None,
        "action.execute",
        hierarchy_path = path.as_str(),
        worker_type = kind,
        action,
        attempt = number,
        error_type = Empty,
        otel.status_code = Empty,
    );
    if span.is_disabled() {
        return future;
    }
    let open = UntilEnd::new(span.clone());
    let traced = async move {
        let result = future.await;
        open.end(result.is_err().then_some("failure"));
        result
    };
    Box::pin(traced.instrument(span))
}
