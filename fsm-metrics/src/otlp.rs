//! Exports spans to an OTLP collector. Nobody ever waits for it: what doesn't fit into its queue is dropped and counted.

mod export;
mod http;
mod queue;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::sync::oneshot;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::recorders::SubscriberMetrics;
use crate::trace::TARGET;
use queue::{Lost, Queue};

pub use settings::{OtlpConfig, OtlpError, OtlpProtocol};

/// Spans that may wait: a few seconds of a busy tree, and some megabytes at most.
const QUEUE: usize = 4_096;

/// The name of a trace's context among the headers of a request.
const TRACEPARENT: &str = "traceparent";

/// An exporter of spans, with a thread of its own.
///
/// ```no_run
/// use tracing_subscriber::layer::SubscriberExt as _;
/// use fsm_metrics::otlp::{Otlp, OtlpConfig, OtlpProtocol};
///
/// let config = OtlpConfig::new("http://127.0.0.1:4317", OtlpProtocol::Grpc);
/// let otlp = Otlp::start(&config)?;
/// let subscriber = tracing_subscriber::registry().with(otlp.layer());
/// tracing::subscriber::set_global_default(subscriber).ok();
/// // …
/// otlp.finish(std::time::Duration::from_secs(2));
/// # Ok::<(), fsm_metrics::otlp::OtlpError>(())
/// ```
#[derive(Debug)]
pub struct Otlp {
    provider: SdkTracerProvider,
    lost: Arc<Lost>,
    end: oneshot::Sender<()>,
    ended: mpsc::Receiver<()>,
}

impl Otlp {
    /// Starts exporting. The collector need not be there: it is tried again with each batch.
    ///
    /// # Errors
    /// [`OtlpError`] says which setting can't be.
    pub fn start(config: &OtlpConfig) -> Result<Self, OtlpError> {
        config.check()?;
        let mut resource = Resource::builder().with_service_name(config.service_name.clone());
        if let Some(instance) = &config.instance {
            resource = resource
                .with_attribute(opentelemetry::KeyValue::new("service.instance.id", instance.clone()));
        }
        let resource = resource.build();
        let (queue, waiting) = Queue::new(QUEUE);
        let (end, told) = oneshot::channel();
        // One word at most.
        let (done, ended) = mpsc::sync_channel(1);
        let lost = queue.lost();
        let exported =
            export::Export { config: config.clone(), resource: resource.clone(), lost: Arc::clone(&lost) };
        // Before the thread, so that a wrong setting is told now.
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(OtlpError::Thread)?;
        let exporter = {
            let _inside = runtime.enter();
            exported.exporter()?
        };
        let work = move || {
            runtime.block_on(exported.run(exporter, waiting, told));
            // Nobody waits for it any more when this fails.
            let _ = done.send(());
        };
        std::thread::Builder::new().name("otlp".to_owned()).spawn(work).map_err(OtlpError::Thread)?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample))))
            .with_span_processor(queue)
            .build();
        Ok(Self { provider, lost, end, ended })
    }

    /// What hears spans, and nothing else.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("fsm"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        layer.with_filter(Targets::new().with_target(TARGET, tracing::Level::TRACE))
    }

    /// Counts spans that are lost from now on here, too. Once.
    pub fn count_lost(&self, metrics: SubscriberMetrics) {
        self.lost.also_in(metrics);
    }

    /// Exports what waits, for so long at most. Blocks the thread.
    pub fn finish(self, within: Duration) {
        // The thread may have ended by a panic; then there is nobody to tell.
        let _ = self.end.send(());
        if self.ended.recv_timeout(within).is_err() {
            tracing::warn!(?within, "the last spans could not be exported in time");
        }
    }
}

pub(crate) fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut headers);
    headers.remove(TRACEPARENT)
}

pub(crate) fn set_parent(span: &Span, traceparent: &str) {
    let headers = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract(&headers);
    if context.span().span_context().is_valid() {
        // It fails for a span that nobody exports, or that was entered before.
        let _ = span.set_parent(context);
    }
}
