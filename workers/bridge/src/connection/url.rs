//! Addresses as people write them: `http://10.0.0.7:8080/health`, `mqtts://broker`.

use std::sync::Arc;

/// A scheme: its name, its port, and whether it speaks TLS.
type Scheme = (&'static str, u16, bool);

pub(super) const HTTP: &[Scheme] = &[("http", 80, false), ("https", 443, true)];
pub(super) const MQTT: &[Scheme] = &[("mqtt", 1883, false), ("mqtts", 8883, true)];

/// An address in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    pub(super) text: Arc<str>,
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    /// What an HTTP request names: path and query.
    pub(super) path: Arc<str>,
    /// What the header `Host` says.
    pub(super) authority: Arc<str>,
    pub(super) is_tls: bool,
}

/// A text is not an address. The text is not part of the error: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not `scheme://host`.
    #[error("the url is not of the form {scheme}://host:port")]
    Malformed {
        /// A scheme that would be right.
        scheme: &'static str,
    },
    /// Another scheme.
    #[error("the url begins with `{found}://`: use {first}:// or {second}://")]
    Scheme {
        /// What it begins with.
        found: String,
        /// A scheme that would be right.
        first: &'static str,
        /// The same with TLS.
        second: &'static str,
    },
    /// A user or password in the address.
    #[error(
        "the url holds a user name or password, which would be shown in logs: put them in `username` and `password`"
    )]
    UserInfo,
    /// A path that nobody would look at.
    #[error("the url has a path, which means nothing here: remove it")]
    Path,
}

impl Url {
    pub(super) fn try_new(text: &str, schemes: &'static [Scheme]) -> Result<Self, UrlError> {
        let malformed = || UrlError::Malformed { scheme: schemes[0].0 };
        let uri: http::Uri = text.parse().map_err(|_| malformed())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(malformed());
        };
        let Some((_, port, is_tls)) = schemes.iter().find(|(name, ..)| *name == scheme) else {
            return Err(UrlError::Scheme { found: scheme.into(), first: schemes[0].0, second: schemes[1].0 });
        };
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        if schemes == MQTT && !matches!(path, "" | "/") {
            return Err(UrlError::Path);
        }
        // `host:` with an empty or impossible port parses, and has no port.
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if has_port => return Err(malformed()),
            None => *port,
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || port == 0 {
            return Err(malformed());
        }
        Ok(Self {
            text: text.into(),
            host: host.into(),
            port,
            path: path.into(),
            authority: authority.as_str().into(),
            is_tls: *is_tls,
        })
    }

    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}
