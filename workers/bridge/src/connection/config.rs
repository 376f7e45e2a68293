//! What to probe and how: a config that exists names exactly one target.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{Config, HumanDuration};
use fsm_templating::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::url::{HTTP, MQTT, Url, UrlError};

/// A probe that takes longer is a device that is not there; shorter than the usual interval of 1 s, with room to spare.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
/// The kind's collection timeout is a second more, so that a probe ends with an answer and not with a cut-off collection.
pub(super) const MAX_TIMEOUT: Duration = Duration::from_secs(5);
/// Four changes are two losses: one may be a device that was restarted.
const DEFAULT_CHANGES: u32 = 4;
/// Long enough that four changes at the usual interval of 1 s fit in, short enough to forget yesterday.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);
/// Bounds the memory of a node's history.
pub(super) const MAX_CHANGES: u32 = 64;

/// What a `connection` probes.
///
/// ```
/// use fsm_worker_bridge::connection::ConnectionConfig;
/// let config: ConnectionConfig = serde_json::from_str(r#"{"tcp": {"host": "10.0.0.7", "port": 502}}"#)?;
/// assert_eq!(&**config.label(), "tcp://10.0.0.7:502");
///
/// let error = serde_json::from_str::<ConnectionConfig>(r#"{"timeout": "1s"}"#).unwrap_err();
/// assert!(error.to_string().contains("one of `tcp`, `tls`, `http` and `mqtt`"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// What is probed.
    pub target: Target,
    /// Time for one probe, 1 ms to 5 s; 1 s by default.
    pub timeout: Duration,
    /// When it counts as flapping.
    pub flapping: Flapping,
    label: Arc<str>,
}

impl Config for ConnectionConfig {}

/// What is probed, and over which protocol.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// A TCP connection can be made.
    Tcp(TcpTarget),
    /// A TLS session can be made, and the certificate holds.
    Tls(TlsTarget),
    /// An HTTP request is answered with an expected status.
    Http(HttpTarget, Url),
    /// An MQTT broker answers a CONNECT.
    Mqtt(MqttTarget, Url),
}

/// A TCP port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpTarget {
    /// Name or address.
    pub host: String,
    /// Port.
    #[schemars(range(min = 1))]
    pub port: u16,
}

/// A TLS port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsTarget {
    /// Name or address.
    pub host: String,
    /// Port.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The name that the certificate must hold; `host` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// A PEM file with the authorities to trust, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Takes any certificate: says that somebody is there, not who.
    #[serde(default)]
    pub insecure: bool,
}

/// An HTTP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpTarget {
    /// `http://` or `https://` with host, port and path.
    pub url: String,
    /// The method of the request.
    #[serde(default)]
    pub method: Method,
    /// The status that counts as up; any of 200 to 399 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A PEM file with the authorities to trust, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Takes any certificate.
    #[serde(default)]
    pub insecure: bool,
}

/// How an HTTP server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// For the head of the answer only.
    #[default]
    Head,
    /// For servers that don't know HEAD; the body is not read.
    Get,
}

/// An MQTT broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MqttTarget {
    /// `mqtt://` or `mqtts://` with host and port.
    pub url: String,
    /// User name. Without one, a broker that asks for one counts as up: it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A PEM file with the authorities to trust, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Takes any certificate.
    #[serde(default)]
    pub insecure: bool,
}

/// When a connection counts as flapping: so many changes between up and down within a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Flapping {
    /// Changes, 2 to 64; 4 by default. It ends when no more than half as many are left within the time.
    #[schemars(range(min = 2, max = MAX_CHANGES))]
    pub changes: u32,
    /// The time; 60 s by default.
    pub within: HumanDuration,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { changes: DEFAULT_CHANGES, within: DEFAULT_WINDOW.into() }
    }
}

/// As it is written: one key says which target.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ConnectionConfig")]
struct Raw {
    /// A TCP connection can be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<TcpTarget>,
    /// A TLS session can be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsTarget>,
    /// An HTTP request is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<HttpTarget>,
    /// An MQTT broker answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    mqtt: Option<MqttTarget>,
    /// Time for one probe, 1 ms to 5 s; 1 s by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<HumanDuration>,
    /// When it counts as flapping.
    flapping: Flapping,
}

/// A connection's config contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionConfigError {
    /// None or several targets.
    #[error("a connection needs exactly one of `tcp`, `tls`, `http` and `mqtt`, found {found}")]
    Targets {
        /// How many there are.
        found: usize,
    },
    /// An empty host.
    #[error("{target}.host is empty: name the device")]
    NoHost {
        /// The target's key.
        target: &'static str,
    },
    /// Port 0.
    #[error("{target}.port may not be 0")]
    NoPort {
        /// The target's key.
        target: &'static str,
    },
    /// A bad address.
    #[error("{target}.url: {why}")]
    Url {
        /// The target's key.
        target: &'static str,
        /// What is wrong with it.
        why: UrlError,
    },
    /// A password for nobody.
    #[error("mqtt.password needs `mqtt.username`")]
    NoUser,
    /// A user or a password that MQTT has no room for.
    #[error("mqtt.username has more than 65535 bytes")]
    UserTooLong,
    /// A time out of bounds.
    #[error("timeout is {found:?}: use 1ms to 5s")]
    Timeout {
        /// What it is.
        found: HumanDuration,
    },
    /// A count out of bounds.
    #[error("flapping.changes is {found}: use 2 to {MAX_CHANGES}")]
    Changes {
        /// What it is.
        found: u32,
    },
    /// No time at all.
    #[error("flapping.within may not be 0")]
    Window,
}

impl ConnectionConfig {
    /// Probes a TCP port.
    ///
    /// # Errors
    /// [`ConnectionConfigError`] for an empty host or port 0.
    pub fn try_tcp(host: impl Into<String>, port: u16) -> Result<Self, ConnectionConfigError> {
        Raw { tcp: Some(TcpTarget { host: host.into(), port }), ..Raw::default() }.try_into()
    }

    /// What is probed, as an address: `tcp://10.0.0.7:502`. Holds no secret.
    #[must_use]
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }
}

impl TryFrom<Raw> for ConnectionConfig {
    type Error = ConnectionConfigError;

    fn try_from(raw: Raw) -> Result<Self, ConnectionConfigError> {
        let timeout = raw.timeout.map_or(DEFAULT_TIMEOUT, HumanDuration::get);
        if !(Duration::from_millis(1)..=MAX_TIMEOUT).contains(&timeout) {
            return Err(ConnectionConfigError::Timeout { found: timeout.into() });
        }
        if !(2..=MAX_CHANGES).contains(&raw.flapping.changes) {
            return Err(ConnectionConfigError::Changes { found: raw.flapping.changes });
        }
        if raw.flapping.within.get().is_zero() {
            return Err(ConnectionConfigError::Window);
        }
        let target = match (raw.tcp, raw.tls, raw.http, raw.mqtt) {
            (Some(tcp), None, None, None) => Target::Tcp(tcp),
            (None, Some(tls), None, None) => Target::Tls(tls),
            (None, None, Some(http), None) => {
                let url = Url::try_new(&http.url, HTTP).map_err(in_url("http"))?;
                Target::Http(http, url)
            }
            (None, None, None, Some(mqtt)) => {
                let url = Url::try_new(&mqtt.url, MQTT).map_err(in_url("mqtt"))?;
                Target::Mqtt(mqtt, url)
            }
            (tcp, tls, http, mqtt) => {
                let found = [tcp.is_some(), tls.is_some(), http.is_some(), mqtt.is_some()];
                return Err(ConnectionConfigError::Targets {
                    found: found.into_iter().filter(|is| *is).count(),
                });
            }
        };
        check(&target)?;
        let label = label(&target);
        Ok(Self { target, timeout, flapping: raw.flapping, label })
    }
}

fn in_url(target: &'static str) -> impl Fn(UrlError) -> ConnectionConfigError {
    move |why| ConnectionConfigError::Url { target, why }
}

fn check(target: &Target) -> Result<(), ConnectionConfigError> {
    let host_and_port = |target, host: &str, port| match (host.trim(), port) {
        ("", _) => Err(ConnectionConfigError::NoHost { target }),
        (_, 0) => Err(ConnectionConfigError::NoPort { target }),
        _ => Ok(()),
    };
    match target {
        Target::Tcp(tcp) => host_and_port("tcp", &tcp.host, tcp.port),
        Target::Tls(tls) => host_and_port("tls", &tls.host, tls.port),
        Target::Http(..) => Ok(()),
        Target::Mqtt(mqtt, _) => match (&mqtt.username, &mqtt.password) {
            (None, Some(_)) => Err(ConnectionConfigError::NoUser),
            (Some(user), _) if user.len() > usize::from(u16::MAX) => Err(ConnectionConfigError::UserTooLong),
            (Some(_) | None, _) => Ok(()),
        },
    }
}

fn label(target: &Target) -> Arc<str> {
    let address = |scheme, host: &str, port| match host.contains(':') {
        true => format!("{scheme}://[{host}]:{port}").into(),
        false => format!("{scheme}://{host}:{port}").into(),
    };
    match target {
        Target::Tcp(tcp) => address("tcp", &tcp.host, tcp.port),
        Target::Tls(tls) => address("tls", &tls.host, tls.port),
        Target::Http(_, url) | Target::Mqtt(_, url) => Arc::clone(&url.text),
    }
}

impl From<ConnectionConfig> for Raw {
    fn from(config: ConnectionConfig) -> Self {
        let mut raw =
            Self { timeout: Some(config.timeout.into()), flapping: config.flapping, ..Self::default() };
        match config.target {
            Target::Tcp(tcp) => raw.tcp = Some(tcp),
            Target::Tls(tls) => raw.tls = Some(tls),
            Target::Http(http, _) => raw.http = Some(http),
            Target::Mqtt(mqtt, _) => raw.mqtt = Some(mqtt),
        }
        raw
    }
}

impl JsonSchema for ConnectionConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Raw::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Raw::json_schema(generator)
    }
}
