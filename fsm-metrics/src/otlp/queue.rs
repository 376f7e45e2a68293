//! Where ended spans wait: bounded, and what doesn't fit is counted. Whoever ends a span never waits.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::{Context, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::mpsc;

use crate::recorders::SubscriberMetrics;

/// Spans that nobody will see.
#[derive(Debug, Default)]
pub(super) struct Lost {
    spans: AtomicU64,
    metrics: OnceLock<SubscriberMetrics>,
}

impl Lost {
    pub(super) fn also_in(&self, metrics: SubscriberMetrics) {
        // A second one has nothing to add.
        let _ = self.metrics.set(metrics);
    }

    pub(super) fn count(&self, spans: u64) {
        self.spans.fetch_add(spans, Relaxed);
        if let Some(metrics) = self.metrics.get() {
            metrics.dropped(spans);
        }
    }

    /// How many since this was asked last.
    pub(super) fn take(&self) -> u64 {
        self.spans.swap(0, Relaxed)
    }
}

/// Takes ended spans.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<SpanData>,
    lost: Arc<Lost>,
}

impl Queue {
    pub(super) fn new(size: usize) -> (Self, mpsc::Receiver<SpanData>) {
        let (sender, receiver) = mpsc::channel(size);
        (Self { sender, lost: Arc::default() }, receiver)
    }

    pub(super) fn lost(&self) -> Arc<Lost> {
        Arc::clone(&self.lost)
    }
}

/// Whether it says of itself that nothing happened in it. That is known at its end only, so it can't be left to the sampler.
fn is_idle(span: &SpanData) -> bool {
    span.attributes
        .iter()
        .any(|attribute| attribute.key.as_str() == "idle" && attribute.value == Value::Bool(true))
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && !is_idle(&span) && self.sender.try_send(span).is_err() {
            self.lost.count(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
