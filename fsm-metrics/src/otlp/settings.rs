//! Where spans go and how: checked before anything is started.

use std::fmt;
use std::time::Duration;

/// How the collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC, usually on port 4317.
    Grpc,
    /// Protobuf over HTTP/1.1, usually on port 4318.
    Http,
}

/// Where spans are exported to, and which.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct OtlpConfig {
    /// The address of the collector, such as `http://127.0.0.1:4317`.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// Headers of each request; their values are secrets.
    pub headers: Vec<(String, String)>,
    /// How long one export may take.
    pub timeout: Duration,
    /// Share of the traces that are exported, 0 to 1. A trace that began elsewhere is exported when it is there.
    pub sample: f64,
    /// `service.name`.
    pub service_name: String,
    /// `service.instance.id`.
    pub instance: Option<String>,
}

/// What the standard proposes.
const TIMEOUT: Duration = Duration::from_secs(10);

impl OtlpConfig {
    /// Everything to this collector, as the service `fsmd`.
    #[must_use]
    pub fn new(endpoint: impl Into<String>, protocol: OtlpProtocol) -> Self {
        Self {
            endpoint: endpoint.into(),
            protocol,
            headers: Vec::new(),
            timeout: TIMEOUT,
            sample: 1.0,
            service_name: "fsmd".to_owned(),
            instance: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), OtlpError> {
        let endpoint = || self.endpoint.clone();
        let uri: http::Uri =
            self.endpoint.parse().map_err(|_| OtlpError::Endpoint { endpoint: endpoint() })?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(_)) => {}
            (Some("https"), Some(_)) if self.protocol == OtlpProtocol::Grpc => {}
            (Some("https"), Some(_)) => return Err(OtlpError::Tls { endpoint: endpoint() }),
            (_, _) => return Err(OtlpError::Endpoint { endpoint: endpoint() }),
        }
        if !(0.0..=1.0).contains(&self.sample) {
            return Err(OtlpError::Sample { sample: self.sample });
        }
        Ok(())
    }
}

impl fmt::Debug for OtlpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("OtlpConfig")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .field("headers", &names)
            .field("timeout", &self.timeout)
            .field("sample", &self.sample)
            .field("service_name", &self.service_name)
            .field("instance", &self.instance)
            .finish()
    }
}

/// Spans can't be exported with these settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// The address is none.
    #[error("`{endpoint}` is no address of a collector: write it as in `http://127.0.0.1:4317`")]
    Endpoint {
        /// The address.
        endpoint: String,
    },
    /// There is no TLS for this protocol.
    #[error(
        "`{endpoint}`: spans go over TLS with the protocol grpc only; use that, or a collector on this machine"
    )]
    Tls {
        /// The address.
        endpoint: String,
    },
    /// The share is none.
    #[error("`sample` is a share of the traces, from 0 to 1, and not {sample}")]
    Sample {
        /// The share.
        sample: f64,
    },
    /// A header can't be sent.
    #[error(
        "the header `{name}` can't be sent: its name or its value has characters that a header may not have"
    )]
    Header {
        /// Its name.
        name: String,
    },
    /// The exporter refuses its settings.
    #[error("the exporter of spans can't be made")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// Its thread can't be started.
    #[error("the thread that exports spans can't be started")]
    Thread(#[source] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(config: &OtlpConfig, why: &str) {
        let error = config.check().expect_err("it is refused").to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn what_cant_be_is_refused_before_anything_starts() {
        for endpoint in ["", "collector:4317", "127.0.0.1", "ftp://collector", "http://"] {
            refused(&OtlpConfig::new(endpoint, OtlpProtocol::Grpc), "is no address of a collector");
        }
        refused(&OtlpConfig::new("https://collector:4318", OtlpProtocol::Http), "protocol grpc only");
        let all = OtlpConfig::new("http://collector:4317", OtlpProtocol::Grpc);
        for sample in [-0.1, 1.1, f64::NAN] {
            refused(&OtlpConfig { sample, ..all.clone() }, "from 0 to 1");
        }
        all.check().expect("good");
        OtlpConfig::new("https://collector:4317", OtlpProtocol::Grpc).check().expect("good");
    }

    #[test]
    fn header_values_are_never_shown() {
        let mut config = OtlpConfig::new("http://collector:4317", OtlpProtocol::Grpc);
        config.headers = vec![("authorization".to_owned(), "Bearer geheim".to_owned())];
        let shown = format!("{config:?}");
        assert!(shown.contains("authorization") && !shown.contains("geheim"), "{shown}");
    }
}
