//! `bridge`: a connection and up to two flows rendered from a template; its truth is its children.
//!
//! The flows start when the connection is up, and go on when it is lost: they reconnect by themselves, and a probe may be
//! wrong where data passes. `DegradedConnection` says so meanwhile.

mod config;
mod sections;
mod state;
mod worker;

pub use config::BridgeConfig;
pub use sections::render;
pub use state::BridgeState;
pub use worker::Bridge;

/// The names of a bridge's children.
pub(crate) mod names {
    pub(crate) const CONNECTION: &str = "connection";
    pub(crate) const READ: &str = "read";
    pub(crate) const WRITE: &str = "write";
}
