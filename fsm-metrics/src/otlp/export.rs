//! The thread that exports: batches by number and by time, one warning a minute while the collector can't be reached.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tonic::metadata::{MetadataKey, MetadataMap};
use tonic::transport::ClientTlsConfig;

use super::http::Client;
use super::queue::Lost;
use super::settings::{OtlpConfig, OtlpError, OtlpProtocol};

/// What the standard proposes; far below the size that collectors refuse.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others: who looks at a trace does so seconds later.
const LINGER: Duration = Duration::from_secs(1);
/// A collector that is away for a night makes hundreds of lines this way, not millions.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// The path of spans, which the address of a collector doesn't have.
const PATH: &str = "/v1/traces";

/// What the thread needs.
pub(super) struct Export {
    pub(super) config: OtlpConfig,
    pub(super) resource: Resource,
    pub(super) lost: Arc<Lost>,
}

impl Export {
    /// Connects when the first batch is there. Inside of the runtime that it will run on.
    pub(super) fn exporter(&self) -> Result<SpanExporter, OtlpError> {
        let config = &self.config;
        let mut exporter = match config.protocol {
            OtlpProtocol::Grpc => {
                let mut builder = SpanExporter::builder()
                    .with_tonic()
                    .with_endpoint(&config.endpoint)
                    .with_timeout(config.timeout)
                    .with_metadata(metadata(&config.headers)?);
                if config.endpoint.starts_with("https") {
                    builder = builder.with_tls_config(ClientTlsConfig::new().with_native_roots());
                }
                builder.build().map_err(OtlpError::Exporter)?
            }
            OtlpProtocol::Http => {
                let endpoint = config.endpoint.trim_end_matches('/');
                let endpoint = match endpoint.ends_with(PATH) {
                    true => endpoint.to_owned(),
                    false => format!("{endpoint}{PATH}"),
                };
                // The same checks as for gRPC: the builder leaves out what it can't send.
                metadata(&config.headers)?;
                SpanExporter::builder()
                    .with_http()
                    .with_http_client(Client { timeout: config.timeout })
                    .with_endpoint(endpoint)
                    .with_timeout(config.timeout)
                    .with_headers(config.headers.iter().cloned().collect::<HashMap<_, _>>())
                    .build()
                    .map_err(OtlpError::Exporter)?
            }
        };
        exporter.set_resource(&self.resource);
        Ok(exporter)
    }

    /// Exports until it is told to end and nothing waits any more.
    pub(super) async fn run(
        self,
        exporter: SpanExporter,
        mut waiting: mpsc::Receiver<SpanData>,
        mut end: oneshot::Receiver<()>,
    ) {
        let mut warnings = Warnings::default();
        let mut ending = false;
        loop {
            let mut batch = Vec::new();
            // Cancel-safe: `recv_many` takes nothing when it is dropped, and the word to end is heard once.
            let taken = tokio::select! {
                taken = waiting.recv_many(&mut batch, BATCH) => taken,
                _ = &mut end, if !ending => {
                    ending = true;
                    waiting.close();
                    continue;
                }
            };
            if taken == 0 {
                return;
            }
            let full = Instant::now() + LINGER;
            while !ending && batch.len() < BATCH {
                let room = BATCH - batch.len();
                // Cancel-safe, as above.
                tokio::select! {
                    more = timeout_at(full, waiting.recv_many(&mut batch, room)) => match more {
                        Ok(1..) => {}
                        Ok(0) | Err(_) => break,
                    },
                    _ = &mut end => {
                        ending = true;
                        waiting.close();
                    }
                }
            }
            let spans = batch.len() as u64;
            let exported = timeout_at(Instant::now() + self.config.timeout, exporter.export(batch)).await;
            let error = match exported {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("it did not answer in time".to_owned()),
            };
            if let Some(error) = error {
                self.lost.count(spans);
                warnings.warn(&self.config.endpoint, &error, &self.lost);
            }
        }
    }
}

/// When the last warning was.
#[derive(Default)]
struct Warnings {
    last: Option<Instant>,
}

impl Warnings {
    fn warn(&mut self, endpoint: &str, error: &str, lost: &Lost) {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < WARN_EVERY) {
            return;
        }
        self.last = Some(now);
        let lost = lost.take();
        tracing::warn!(%endpoint, %error, lost, "spans can't be exported; everything else goes on");
    }
}

fn metadata(headers: &[(String, String)]) -> Result<MetadataMap, OtlpError> {
    let mut map = MetadataMap::with_capacity(headers.len());
    for (name, value) in headers {
        let wrong = || OtlpError::Header { name: name.clone() };
        let key = MetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes()).map_err(|_| wrong())?;
        map.insert(key, value.parse().map_err(|_| wrong())?);
    }
    Ok(map)
}
