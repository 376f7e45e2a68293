//! What spans have in common: one target, one way to fail, and the context that passes from program to program.
//!
//! Spans are made with `tracing` at level `TRACE` and with [`TARGET`], so that a filter finds all of them and none of anybody
//! else's. Nobody listens to that target unless traces are exported: then a span costs a comparison.

use tracing::Span;

/// The target of every span.
pub const TARGET: &str = "fsm::trace";

/// The field that says what a span failed with.
pub const ERROR_TYPE: &str = "error_type";

/// A span whose status is an error. It has to have the fields `error_type` and `otel.status_code`.
///
/// ```
/// let span = tracing::trace_span!(
///     target: fsm_metrics::trace::TARGET,
///     "task.execute_sync",
///     error_type = tracing::field::Empty,
///     otel.status_code = tracing::field::Empty,
/// );
/// fsm_metrics::trace::fail(&span, "timeout");
/// ```
pub fn fail(span: &Span, error_type: &str) {
    fail_as(span, ERROR_TYPE, error_type);
}

/// The same with another name for the field that says what it failed with.
pub fn fail_as(span: &Span, field: &str, what: &str) {
    if !span.is_disabled() {
        span.record(field, what);
        span.record("otel.status_code", "ERROR");
    }
}

/// A span that fails with `dropped` unless it is told how it ended: futures are dropped on timeouts and cancels.
#[derive(Debug)]
pub struct UntilEnd {
    span: Span,
    open: bool,
    field: &'static str,
    dropped: &'static str,
}

impl UntilEnd {
    /// Watches over a span.
    #[must_use]
    pub fn new(span: Span) -> Self {
        Self { open: true, span, field: ERROR_TYPE, dropped: "dropped" }
    }

    /// With another name for the field that says what it failed with, and another word for being dropped.
    #[must_use]
    pub fn naming(mut self, field: &'static str, dropped: &'static str) -> Self {
        (self.field, self.dropped) = (field, dropped);
        self
    }

    /// The span.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// It ended, well or with this.
    pub fn end(mut self, failed_with: Option<&str>) {
        self.open = false;
        if let Some(what) = failed_with {
            fail_as(&self.span, self.field, what);
        }
    }
}

impl Drop for UntilEnd {
    fn drop(&mut self) {
        if self.open {
            let what = if std::thread::panicking() { "panic" } else { self.dropped };
            fail_as(&self.span, self.field, what);
        }
    }
}

/// The present span as W3C `traceparent`, for a child process or another server (X-8). None when no trace is active.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    #[cfg(feature = "otlp")]
    return crate::otlp::traceparent(&Span::current());
    #[cfg(not(feature = "otlp"))]
    None
}

/// Makes a span the child of one in another program, by the W3C `traceparent` that came with a request. What can't be read is
/// ignored, as the standard asks; so is everything when no traces are exported. Before the span is entered.
pub fn continue_trace(span: &Span, traceparent: &str) {
    #[cfg(feature = "otlp")]
    crate::otlp::set_parent(span, traceparent);
    #[cfg(not(feature = "otlp"))]
    let _ = (span, traceparent);
}
