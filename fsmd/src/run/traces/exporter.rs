//! What is exported where: the config goes before the environment.

use std::time::Duration;

use fsm_metrics::otlp::{Otlp, OtlpConfig, OtlpProtocol as Spoken};
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::{ENDPOINT, Failure, Telemetry};
use crate::config::{self, OtlpProtocol};

/// How long the last spans have at the end: a collector that is there takes them in milliseconds.
const FINISH: Duration = Duration::from_secs(2);
/// How it is spoken to, by the standard: `grpc` or `http/protobuf`.
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
/// Headers, by the standard: `name=value,other=value`.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// The exporter, if spans are exported.
pub(in super::super) struct Traces(Option<Otlp>);

impl Traces {
    /// # Errors
    /// Settings that can't be, each named.
    pub(in super::super) fn start(telemetry: &Telemetry, agent: &str) -> Result<Self, Failure> {
        let wanted = settings(telemetry.otlp.as_ref(), agent, |name| {
            std::env::var(name).ok().filter(|value| !value.is_empty())
        })?;
        let started = wanted.map(|config| Otlp::start(&config)).transpose();
        started.map(Self).map_err(|error| {
            Failure::of(&error).help("mend `telemetry.otlp` or the variables OTEL_EXPORTER_OTLP_*")
        })
    }

    pub(in super::super) fn layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        self.0.as_ref().map(Otlp::layer)
    }

    /// What is lost is counted from now on.
    pub(in super::super) fn report(&self, metrics: &fsm_metrics::Metrics) {
        if let Some(otlp) = &self.0 {
            otlp.count_lost(fsm_metrics::SubscriberMetrics::new(metrics.subscriber("otlp")));
        }
    }

    pub(in super::super) fn finish(self) {
        if let Some(otlp) = self.0 {
            otlp.finish(FINISH);
        }
    }
}

fn settings(
    section: Option<&config::Otlp>,
    agent: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<OtlpConfig>, Failure> {
    let Some(endpoint) = section.and_then(|section| section.endpoint.clone()).or_else(|| variable(ENDPOINT))
    else {
        return Ok(None);
    };
    let protocol = match section.and_then(|section| section.protocol) {
        Some(OtlpProtocol::Grpc) => Spoken::Grpc,
        Some(OtlpProtocol::Http) => Spoken::Http,
        None => match variable(PROTOCOL).as_deref() {
            None | Some("grpc") => Spoken::Grpc,
            Some("http/protobuf" | "http") => Spoken::Http,
            Some(other) => {
                let what = format!("`{other}` of {PROTOCOL} is no protocol that spans can be exported with");
                return Err(Failure::new(what).help("write grpc or http/protobuf"));
            }
        },
    };
    let mut config = OtlpConfig::new(endpoint, protocol);
    config.instance = Some(agent.to_owned());
    for pair in variable(HEADERS).iter().flat_map(|all| all.split(',')).filter(|pair| !pair.trim().is_empty())
    {
        let Some((name, value)) = pair.split_once('=') else {
            let what = format!("{HEADERS} holds something that is no `name=value`");
            return Err(Failure::new(what).help("separate headers by commas: `authorization=token,tenant=a`"));
        };
        config.headers.push((name.trim().to_owned(), unescaped(value.trim())));
    }
    if let Some(section) = section {
        config.timeout = section.timeout.get();
        config.sample = section.sample;
        for (name, value) in &section.headers {
            let value = value.resolve().map_err(|error| {
                Failure::of(&error).help(format!("look at `telemetry.otlp.headers.{name}`"))
            })?;
            config.headers.push((name.clone(), value.into_exposed()));
        }
    }
    Ok(Some(config))
}

/// Values of the variable are escaped as in URLs.
fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = escaped
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = if byte.is_some() { &tail[2..] } else { tail };
        bytes.push(byte.unwrap_or(*first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(
        variables: &'static [(&str, &str)],
        section: Option<&config::Otlp>,
    ) -> Result<Option<OtlpConfig>, Failure> {
        settings(section, "edge-01", |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_an_address_nothing_is_exported() {
        assert_eq!(with(&[], None).expect("fine"), None);
        assert_eq!(with(&[(PROTOCOL, "nonsense")], Some(&config::Otlp::default())).expect("fine"), None);
    }

    #[test]
    fn the_config_goes_before_the_environment() {
        let variables =
            &[(ENDPOINT, "http://other:4318"), (PROTOCOL, "http/protobuf"), (HEADERS, "a=1, b=x%20y")];
        let of_variables = with(variables, None).expect("fine").expect("on");
        assert_eq!(
            (of_variables.endpoint.as_str(), of_variables.protocol),
            ("http://other:4318", Spoken::Http)
        );
        assert_eq!(
            of_variables.headers,
            [("a", "1"), ("b", "x y")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        let section = serde_json::json!({"endpoint": "http://mine:4317", "protocol": "grpc", "sample": 0.5, "timeout": "3s",
            "headers": {"c": "2"}});
        let section: config::Otlp = serde_json::from_value(section).expect("a section");
        let config = with(variables, Some(&section)).expect("fine").expect("on");
        assert_eq!((config.endpoint.as_str(), config.protocol), ("http://mine:4317", Spoken::Grpc));
        assert_eq!((config.timeout, config.sample), (Duration::from_secs(3), 0.5));
        assert_eq!(config.headers.len(), 3);
    }

    #[test]
    fn variables_that_cant_be_are_named() {
        let refused =
            |variables: &'static [(&str, &str)]| with(variables, None).expect_err("refused").to_string();
        assert!(refused(&[(ENDPOINT, "http://a"), (PROTOCOL, "http/json")]).contains(PROTOCOL));
        assert!(refused(&[(ENDPOINT, "http://a"), (HEADERS, "token")]).contains(HEADERS));
    }
}
