//! What an operator can say about the broker. A value that exists is valid: bad input ends at the door.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Largest `max_payload`: the format itself ends at 256 MiB, and a queue of such messages helps nobody.
const MAX_PAYLOAD: u32 = 64 * 1024 * 1024;
/// Largest `max_connections`: beyond it file descriptors end first.
const MAX_CONNECTIONS: u32 = 100_000;

/// Config of one embedded broker.
///
/// ```
/// # use fsm_worker_broker::BrokerConfig;
/// let config: BrokerConfig = serde_json::from_str(r#"{"listen": "127.0.0.1:1884", "max_connections": 50}"#)?;
/// assert_eq!(config.listen.addr().port(), 1884);
///
/// let error = serde_json::from_str::<BrokerConfig>(r#"{"listen": "0.0.0.0:1883"}"#).unwrap_err();
/// assert!(error.to_string().contains("only loopback addresses"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct BrokerConfig {
    /// Loopback address and port to listen on. Port 0 takes a free one.
    #[schemars(extend("x-restart" = true))]
    pub listen: Listen,
    /// Clients that may be connected at once (1 to 100 000).
    #[schemars(range(min = 1, max = MAX_CONNECTIONS), extend("x-restart" = true))]
    #[serde(deserialize_with = "max_connections")]
    pub max_connections: u32,
    /// Longest payload of a message, in bytes (1 to 64 MiB).
    #[schemars(range(min = 1, max = MAX_PAYLOAD), extend("x-restart" = true))]
    #[serde(deserialize_with = "max_payload")]
    pub max_payload: u32,
    /// Messages that wait for one client before further ones are dropped (2 to 1 000 000).
    #[schemars(range(min = 2, max = 1_000_000), extend("x-restart" = true))]
    #[serde(deserialize_with = "max_queued")]
    pub max_queued: u32,
    /// Who may connect; without it everybody who reaches the address may.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-restart" = true))]
    pub auth: Option<Auth>,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            // A stand-alone edge has tens of devices; the bound is against a client in a connect loop.
            max_connections: 1_000,
            max_payload: 1024 * 1024,
            // At 20 000 messages a second half a second of a subscriber that does not read.
            max_queued: 10_000,
            auth: None,
        }
    }
}

impl BrokerConfig {
    /// A config with defaults that listens on `listen`.
    pub fn listening_on(listen: Listen) -> Self {
        Self { listen, ..Self::default() }
    }
}

impl fsm_core::Config for BrokerConfig {
    /// Clients were let in, and messages were taken, under the old values.
    fn needs_restart(&self, old: &Self) -> bool {
        self != old
    }
}

/// Accounts that may connect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Auth {
    /// Password of each user name.
    #[serde(deserialize_with = "users")]
    #[schemars(extend("minProperties" = 1))]
    pub users: BTreeMap<String, Password>,
}

impl Auth {
    /// Is this the password of that user? Takes the same time for a wrong password wherever it differs.
    pub(crate) fn admits(&self, user: &str, password: &[u8]) -> bool {
        self.users.get(user).is_some_and(|known| known.is(password))
    }
}

/// A password: readable for nobody but the comparison.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    fn is(&self, given: &[u8]) -> bool {
        let known = self.0.as_bytes();
        let differences = known.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b));
        known.len() == given.len() && differences == 0
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

/// A loopback address with a port, such as `127.0.0.1:1883`, `[::1]:1883` or `localhost:1883`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Listen(SocketAddr);

/// Why an address can't be listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Not an address with a port.
    #[error("`{0}` is not an address with a port; write for example 127.0.0.1:1883 or [::1]:1883")]
    NotAnAddress(String),
    /// An address that other machines can reach.
    #[error(
        "the embedded broker listens on loopback only for now, and {0} is reachable from other machines; \
         only loopback addresses such as 127.0.0.1:{port} are taken. Run a broker of its own for remote clients \
         and connect to that", port = .0.port()
    )]
    NotLoopback(SocketAddr),
}

impl Listen {
    /// Checks an address.
    ///
    /// # Errors
    ///
    /// [`ListenError::NotLoopback`] for every address that another machine could reach.
    pub fn try_new(addr: SocketAddr) -> Result<Self, ListenError> {
        if addr.ip().to_canonical().is_loopback() {
            Ok(Self(addr))
        } else {
            Err(ListenError::NotLoopback(addr))
        }
    }

    /// Reads an address.
    ///
    /// # Errors
    ///
    /// When the text is no address with a port, or not a loopback one.
    pub fn parse(text: &str) -> Result<Self, ListenError> {
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        let addr = numeric.parse().map_err(|_| ListenError::NotAnAddress(text.to_owned()))?;
        Self::try_new(addr)
    }

    /// A port of 127.0.0.1.
    pub fn loopback(port: u16) -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// The address.
    pub fn addr(self) -> SocketAddr {
        self.0
    }
}

impl Default for Listen {
    /// The port that is registered for MQTT.
    fn default() -> Self {
        Self::loopback(1883)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn bounded<'de, D: Deserializer<'de>>(
    deserializer: D,
    name: &str,
    min: u32,
    max: u32,
) -> Result<u32, D::Error> {
    let value = u32::deserialize(deserializer)?;
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(serde::de::Error::custom(format!("`{name}` is {value}; it must be between {min} and {max}")))
    }
}

fn max_connections<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bounded(deserializer, "max_connections", 1, MAX_CONNECTIONS)
}

fn max_payload<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bounded(deserializer, "max_payload", 1, MAX_PAYLOAD)
}

fn max_queued<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bounded(deserializer, "max_queued", 2, 1_000_000)
}

fn users<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Password>, D::Error> {
    let users = BTreeMap::<String, Password>::deserialize(deserializer)?;
    if users.is_empty() {
        return Err(serde::de::Error::custom(
            "`auth.users` is empty, so nobody could connect; name a user or leave `auth` out",
        ));
    }
    if let Some((name, _)) = users.iter().find(|(_, password)| password.0.is_empty()) {
        return Err(serde::de::Error::custom(format!("user `{name}` has an empty password")));
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(json: &str, expected: &str) {
        let error =
            serde_json::from_str::<BrokerConfig>(json).expect_err("a bad config was taken").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn bad_values_are_refused_with_a_way_out() {
        check_refused(r#"{"listen": "1883"}"#, "write for example 127.0.0.1:1883");
        check_refused(r#"{"listen": "192.168.0.7:1883"}"#, "only loopback addresses such as 127.0.0.1:1883");
        check_refused(r#"{"listen": "[::]:1883"}"#, "loopback only for now");
        check_refused(r#"{"max_connections": 0}"#, "`max_connections` is 0; it must be between 1 and 100000");
        check_refused(r#"{"max_payload": 99999999}"#, "between 1 and 67108864");
        check_refused(r#"{"port": 1883}"#, "unknown field `port`");
        check_refused(r#"{"auth": {"users": {}}}"#, "name a user or leave `auth` out");
        check_refused(r#"{"auth": {"users": {"a": ""}}}"#, "user `a` has an empty password");
    }

    #[test]
    fn every_loopback_form_is_taken() {
        for text in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:1883", "[::ffff:127.0.0.1]:1883", "localhost:1883"]
        {
            assert!(Listen::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let json = r#"{"auth": {"users": {"line-1": "hunter2"}}}"#;
        let config: BrokerConfig = serde_json::from_str(json).expect("valid");
        let shown = format!("{config:?} {}", serde_json::to_string(&config).expect("serialises"));
        assert!(!shown.contains("hunter2") && shown.contains("[secret]"), "{shown}");
        let auth = config.auth.expect("given");
        assert!(auth.admits("line-1", b"hunter2"));
        for wrong in ["hunter", "hunter22", "hunter3", ""] {
            assert!(!auth.admits("line-1", wrong.as_bytes()), "{wrong}");
        }
        assert!(!auth.admits("line-2", b"hunter2"));
    }
}
