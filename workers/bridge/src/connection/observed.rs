//! What a probe saw.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::Observed;
use serde::{Deserialize, Serialize};

use super::ConnectionConfig;

/// What the last probe saw, and how often the answer changed of late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionObserved {
    /// What was probed, as an address.
    pub target: Arc<str>,
    /// Why it is not up; none when it is.
    pub failure: Option<Failure>,
    /// The HTTP status or the MQTT return code, when there was one.
    pub status: Option<u16>,
    /// From the first packet to the answer, or to the failure.
    pub latency: Duration,
    /// Changes between up and down within the time of the config.
    pub changes_recently: u32,
}

impl ConnectionObserved {
    /// A probe of `target` that was answered.
    #[must_use]
    pub const fn up(target: Arc<str>) -> Self {
        Self { target, failure: None, status: None, latency: Duration::ZERO, changes_recently: 0 }
    }

    /// A probe of `target` that failed.
    #[must_use]
    pub fn down(target: Arc<str>, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::up(target) }
    }

    /// With so many changes of late.
    #[must_use]
    pub fn with_changes(mut self, changes: u32) -> Self {
        self.changes_recently = changes;
        self
    }

    /// Whether the other side is there.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.failure.is_none()
    }
}

impl Observed<ConnectionConfig> for ConnectionObserved {
    /// Latency and wording only measure.
    fn same_for_decisions(&self, old: &Self) -> bool {
        let class = |seen: &Self| seen.failure.as_ref().map(|failure| failure.class);
        self.target == old.target
            && class(self) == class(old)
            && self.changes_recently == old.changes_recently
    }
}

/// Why a probe failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// Which sort of failure.
    pub class: FailureClass,
    /// In one line; holds no secret.
    pub what: Arc<str>,
}

impl Failure {
    /// A failure of this sort.
    #[must_use]
    pub fn new(class: FailureClass, what: impl Into<Arc<str>>) -> Self {
        Self { class, what: what.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// The sorts of failures of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureClass {
    /// The probe itself can't be made: a file or a secret is missing.
    Local,
    /// The name has no address.
    Name,
    /// Nobody listens there.
    Refused,
    /// There is no way there.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The other side closed the connection.
    Closed,
    /// The TLS session was not made.
    Tls,
    /// It answered something else than its protocol says.
    Protocol,
    /// It answered with a status that doesn't count as up.
    Status,
    /// It doesn't take the user or password.
    Credentials,
}
