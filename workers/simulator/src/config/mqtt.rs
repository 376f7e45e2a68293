//! Where and how values are published over MQTT.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ConfigError, parsed};

/// The port that is registered for MQTT.
const DEFAULT_PORT: u16 = 1883;

/// A broker, and what is sent to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MqttTarget {
    /// The broker.
    pub url: MqttUrl,
    /// The topic of a signal, made of `{machine}`, `{signal}` and `{type}`.
    pub topic: TopicTemplate,
    /// What a message holds.
    pub payload: Payload,
    /// The quality of service of each publish, 0 or 1.
    pub qos: Qos,
    /// The client identifier; by default one made of the node's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// User name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
}

impl Default for MqttTarget {
    fn default() -> Self {
        Self {
            url: MqttUrl { host: "127.0.0.1".to_owned(), port: DEFAULT_PORT },
            topic: TopicTemplate("plant/{machine}/{signal}".to_owned()),
            payload: Payload::Json,
            qos: Qos::AtMostOnce,
            client_id: None,
            username: None,
            password: None,
        }
    }
}

/// What a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Payload {
    /// `{"timestamp_ms":1700000000000,"value":42.5}`.
    Json,
    /// The value alone, as in `42.5` or `running`.
    Value,
}

/// Quality of service of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "u8", extend("enum" = [0, 1]))]
#[non_exhaustive]
pub enum Qos {
    /// 0: sent, and forgotten.
    AtMostOnce,
    /// 1: sent again until it is acknowledged.
    AtLeastOnce,
}

impl Serialize for Qos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

impl<'de> Deserialize<'de> for Qos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            other => Err(serde::de::Error::custom(format!("a QoS of {other} is not offered: write 0 or 1"))),
        }
    }
}

/// A password: readable for the broker only.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[secret]")
    }
}

/// A broker's URL, `mqtt://HOST:PORT`; the port may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct MqttUrl {
    host: String,
    port: u16,
}

impl MqttUrl {
    /// Name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for MqttUrl {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse = || ConfigError::Url(text.to_owned());
        let rest = text.strip_prefix("mqtt://").ok_or_else(refuse)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(refuse)?)),
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| refuse()))?;
        if host.is_empty()
            || port == 0
            || host.contains(|c: char| matches!(c, '/' | '@') || c.is_whitespace())
        {
            return Err(refuse());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for MqttUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "mqtt://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "mqtt://{}:{}", self.host, self.port)
        }
    }
}

impl Serialize for MqttUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MqttUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// The pattern of the topics, as in `plant/{machine}/{signal}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct TopicTemplate(String);

impl TopicTemplate {
    /// The topic of one signal.
    #[must_use]
    pub fn of(&self, machine: &str, kind: &str, signal: &str) -> String {
        // The name comes last: it alone could hold braces of its own.
        self.0.replace("{type}", kind).replace("{signal}", signal).replace("{machine}", machine)
    }
}

impl FromStr for TopicTemplate {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let rest = text.replace("{machine}", "").replace("{signal}", "").replace("{type}", "");
        let complete = text.contains("{machine}") && text.contains("{signal}");
        if complete && text.len() <= 1_024 && !rest.contains(['{', '}', '+', '#', '\0']) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ConfigError::Topic(text.to_owned()))
        }
    }
}

impl<'de> Deserialize<'de> for TopicTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written() {
        for (text, host, port) in [
            ("mqtt://127.0.0.1:1884", "127.0.0.1", 1884),
            ("mqtt://broker", "broker", 1883),
            ("mqtt://[::1]:1885", "::1", 1885),
            ("mqtt://[::1]", "::1", 1883),
        ] {
            let url: MqttUrl = text.parse().expect(text);
            assert_eq!((url.host(), url.port()), (host, port));
            assert_eq!(url.to_string().parse::<MqttUrl>(), Ok(url));
        }
        for bad in [
            "",
            "mqtt://",
            "mqtt://:1883",
            "mqtts://x",
            "mqtt://x:0",
            "mqtt://x:70000",
            "mqtt://u@x",
            "mqtt://[::1",
            "127.0.0.1:1883",
        ] {
            assert!(bad.parse::<MqttUrl>().is_err(), "{bad}");
        }
    }
}
