//! Addresses of the config: the relay's, and that of a proxy. Neither may hold a user or password, so both may be shown.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use reqwest::Url;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ConfigError;

/// The relay's base URL.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RelayUrl(Url);

impl RelayUrl {
    /// The URL of a route below it.
    pub(crate) fn route(&self, route: &str) -> String {
        format!("{}{route}", self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for RelayUrl {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let url = bare(text).ok_or(ConfigError::Url)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigError::Url);
        }
        if url.scheme() == "http" && !is_local(&url) {
            return Err(ConfigError::Clear(url.host_str().unwrap_or_default().to_owned()));
        }
        Ok(Self(url))
    }
}

/// An http or https URL with a host and without user and password.
fn bare(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none();
    fits.then_some(url)
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The way out.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub enum Proxy {
    /// As `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// Straight.
    Direct,
    /// Through this one.
    Url(Url),
}

impl FromStr for Proxy {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "environment" => Ok(Self::Environment),
            "none" => Ok(Self::Direct),
            text => bare(text).map(Self::Url).ok_or(ConfigError::Proxy),
        }
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::Direct => f.write_str("none"),
            Self::Url(url) => f.write_str(url.as_str().trim_end_matches('/')),
        }
    }
}

macro_rules! as_text {
    ($type:ident, $name:literal, $description:literal) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "description": $description})
            }
        }
    };
}

as_text!(RelayUrl, "RelayUrl", "A relay: https://HOST[:PORT][/PATH], or http:// to this machine.");
as_text!(Proxy, "Proxy", "`environment`, `none`, or the URL of a proxy.");
