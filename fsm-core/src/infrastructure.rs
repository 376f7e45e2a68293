//! What workers need of the outside world and share with others: equal keys are one incident (S-41).

use std::sync::Arc;

/// A shared need, such as a broker's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Infrastructure {
    /// Equal keys are the same infrastructure, across the tree (`mqtt://127.0.0.1:1883`).
    pub key: Arc<str>,
    /// How to see whether it is there.
    pub probe: Probe,
}

/// How to see whether an infrastructure is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Probe {
    /// A TCP connection to `host:port` succeeds.
    Tcp {
        /// `host:port`.
        address: Arc<str>,
    },
}

impl Infrastructure {
    /// A need that a TCP connection to `address` (`host:port`) proves.
    pub fn tcp(key: impl Into<Arc<str>>, address: impl Into<Arc<str>>) -> Self {
        Self { key: key.into(), probe: Probe::Tcp { address: address.into() } }
    }
}
