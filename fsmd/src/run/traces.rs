//! Spans to a collector (`telemetry.otlp`), where this program was built with that.

use crate::cli::Failure;
use crate::config::Telemetry;

#[cfg(feature = "otlp")]
mod exporter;
#[cfg(feature = "otlp")]
pub(super) use exporter::Traces;

/// The variable that names a collector, by the standard.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Nothing is exported.
#[cfg(not(feature = "otlp"))]
pub(super) struct Traces;

#[cfg(not(feature = "otlp"))]
impl Traces {
    /// A config that asks for it was refused before.
    pub(super) fn start(_telemetry: &Telemetry, _agent: &str) -> Result<Self, Failure> {
        Ok(Self)
    }

    pub(super) fn layer(&self) -> Option<tracing_subscriber::layer::Identity> {
        None
    }

    /// A variable may be meant for other programs, too: that it has no effect here is worth a line.
    pub(super) fn report(&self, _metrics: &fsm_metrics::Metrics) {
        if std::env::var_os(ENDPOINT).is_some_and(|endpoint| !endpoint.is_empty()) {
            tracing::warn!("{ENDPOINT} has no effect: this fsmd was built without the feature `otlp`");
        }
    }

    pub(super) fn finish(self) {}
}
