//! How a flow names its MQTT peer: the URL, the credentials, and what is asked of the session.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use fsm_core::HumanDuration;
use fsm_templating::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{TopicFilters, TopicName};

/// Subscribes at a broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MqttInput {
    /// The broker.
    pub url: MqttUrl,
    /// One filter or several.
    pub topic: TopicFilters,
    /// The highest quality of service at which messages are asked for.
    #[serde(default)]
    pub qos: Qos,
    /// User name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A connection of its own instead of the one shared with other flows to this broker.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dedicated: bool,
    /// The client identifier; implies a connection of its own. By default one that stays the same over restarts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The protocol version.
    #[serde(default)]
    pub version: Version,
    /// Time after which a silent connection is probed.
    #[serde(default = "keep_alive")]
    pub keep_alive: HumanDuration,
    /// How long the broker keeps subscription and unacknowledged messages while nobody is connected (MQTT 5).
    #[serde(default = "session_expiry")]
    pub session_expiry: HumanDuration,
    /// For `mqtts://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
}

/// Publishes at a broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MqttOutput {
    /// The broker.
    pub url: MqttUrl,
    /// The topic; by default the message's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
    /// The quality of service of each publish.
    #[serde(default)]
    pub qos: Qos,
    /// Whether the broker keeps the last message per topic.
    #[serde(default, skip_serializing_if = "is_false")]
    pub retain: bool,
    /// User name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A connection of its own instead of the one shared with other flows to this broker.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dedicated: bool,
    /// The client identifier; implies a connection of its own. By default one that stays the same over restarts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The protocol version.
    #[serde(default)]
    pub version: Version,
    /// Time after which a silent connection is probed.
    #[serde(default = "keep_alive")]
    pub keep_alive: HumanDuration,
    /// How long the broker keeps the session while nobody is connected (MQTT 5).
    #[serde(default = "session_expiry")]
    pub session_expiry: HumanDuration,
    /// For `mqtts://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
}

/// How the broker proves who it is, and how we do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// PEM file with the authorities to trust; by default those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// PEM file with our certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// PEM file with our key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

fn keep_alive() -> HumanDuration {
    Duration::from_secs(30).into()
}

fn session_expiry() -> HumanDuration {
    // A day: an outage over a night loses nothing, and a removed flow's session doesn't stay for ever.
    Duration::from_secs(86_400).into()
}

impl MqttInput {
    /// With all options at their defaults.
    #[must_use]
    pub fn new(url: MqttUrl, topic: impl Into<TopicFilters>) -> Self {
        Self {
            url,
            topic: topic.into(),
            qos: Qos::default(),
            username: None,
            password: None,
            dedicated: false,
            client_id: None,
            version: Version::default(),
            keep_alive: keep_alive(),
            session_expiry: session_expiry(),
            tls: None,
        }
    }
}

impl MqttOutput {
    /// With all options at their defaults.
    #[must_use]
    pub fn new(url: MqttUrl) -> Self {
        Self {
            url,
            topic: None,
            qos: Qos::default(),
            retain: false,
            username: None,
            password: None,
            dedicated: false,
            client_id: None,
            version: Version::default(),
            keep_alive: keep_alive(),
            session_expiry: session_expiry(),
            tls: None,
        }
    }
}

/// Quality of service, written 0, 1 or 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Qos {
    /// At most once: what is under way in an outage is lost.
    AtMostOnce,
    /// At least once.
    #[default]
    AtLeastOnce,
    /// Exactly once between client and broker; end to end a flow still promises at least once.
    ExactlyOnce,
}

impl Qos {
    /// 0, 1 or 2.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }
    /// From 0, 1 or 2.
    #[must_use]
    pub const fn from_level(level: u8) -> Option<Self> {
        match level {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

impl Serialize for Qos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.level())
    }
}

impl<'de> Deserialize<'de> for Qos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let level = u8::deserialize(deserializer)?;
        Self::from_level(level).ok_or_else(|| de::Error::custom(format!("qos is 0, 1 or 2, not {level}")))
    }
}

impl JsonSchema for Qos {
    fn schema_name() -> Cow<'static, str> {
        "Qos".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "enum": [0, 1, 2], "description": "Quality of service."})
    }
}

/// The protocol version.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
pub enum Version {
    /// 5, and 3.1.1 with a broker that refuses it.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// MQTT 3.1.1.
    #[serde(rename = "3.1.1")]
    V311,
    /// MQTT 5.
    #[serde(rename = "5")]
    V5,
}

/// The address of a broker: `mqtt://[USER@]HOST[:PORT]`, or `mqtts://…` with TLS.
///
/// ```
/// use fsm_worker_dataflow::config::MqttUrl;
/// let url: MqttUrl = "mqtt://broker.local".parse().unwrap();
/// assert_eq!((url.host(), url.port(), url.tls()), ("broker.local", 1883, false));
/// assert!("http://broker".parse::<MqttUrl>().unwrap_err().to_string().contains("mqtt://"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MqttUrl {
    tls: bool,
    user: Option<String>,
    host: String,
    port: u16,
}

/// Why a text is not the URL of a broker. The text itself is not shown: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MqttUrlError {
    /// Neither `mqtt` nor `mqtts`.
    #[error("the scheme of a broker's URL is `mqtt://` or `mqtts://`, as in `mqtt://broker:1883`; this one has {}", .0.as_ref().map_or_else(|| "none".to_owned(), |s| format!("`{s}`")))]
    Scheme(Option<String>),
    /// No host.
    #[error("the broker's URL names no host; write `mqtt://HOST:PORT`")]
    Host,
    /// No port number.
    #[error("`{0}` is not a port (1 to 65535)")]
    Port(String),
    /// A password in the URL would be printed with it.
    #[error(
        "the broker's URL holds a password, which would be printed with it: use `username` and `password`"
    )]
    Password,
    /// Something after the port.
    #[error("a broker's URL ends after the port; `{0}` has no meaning there")]
    Trailing(String),
}

impl MqttUrl {
    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn tls(&self) -> bool {
        self.tls
    }
    /// The user named in the URL.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
    /// Host name or address, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
    /// The port; by default 1883, with TLS 8883.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
    /// `host:port`, an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
    /// The broker, whoever asks: `mqtt://host:port`.
    #[must_use]
    pub fn broker(&self) -> String {
        format!("{}{}", self.scheme(), self.address())
    }

    const fn scheme(&self) -> &'static str {
        if self.tls { "mqtts://" } else { "mqtt://" }
    }
}

impl FromStr for MqttUrl {
    type Err = MqttUrlError;

    fn from_str(text: &str) -> Result<Self, MqttUrlError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(MqttUrlError::Scheme(None))?;
        let tls = match scheme {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" => true,
            other => return Err(MqttUrlError::Scheme(Some(other.into()))),
        };
        let (rest, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        if !matches!(path, "" | "/") {
            return Err(MqttUrlError::Trailing(path.into()));
        }
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(MqttUrlError::Password),
            Some((user, address)) => (Some(user.to_owned()), address),
            None => (None, rest),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or(MqttUrlError::Host)?;
                (host, port.strip_prefix(':').or((!port.is_empty()).then_some(port)))
            }
            None => address.rsplit_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(MqttUrlError::Host);
        }
        let port = match port {
            Some(port) => {
                port.parse().ok().filter(|p| *p != 0).ok_or_else(|| MqttUrlError::Port(port.into()))?
            }
            None if tls => 8883,
            None => 1883,
        };
        Ok(Self { tls, user, host: host.into(), port })
    }
}

impl fmt::Display for MqttUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.address())
    }
}

impl Serialize for MqttUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MqttUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for MqttUrl {
    fn schema_name() -> Cow<'static, str> {
        "MqttUrl".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(mqtts?|tcp|ssl)://", "description": "mqtt://[USER@]HOST[:PORT], or mqtts:// with TLS."})
    }
}
