//! `connection`: is the other side there? Probes over TCP, TLS, HTTP or MQTT; probing is its observation.
//!
//! Each collection makes one connection and closes it, so a device with few places should be probed less often
//! (`policy: {interval: 10s}`). The kind never acts by itself; `probe` can be asked for by hand.

mod config;
mod history;
mod observed;
mod probe;
mod state;
mod url;
mod worker;

pub use config::{
    ConnectionConfig, ConnectionConfigError, Flapping, HttpTarget, Method, MqttTarget, Target, TcpTarget,
    TlsTarget,
};
pub use history::ConnectionHandle;
pub use observed::{ConnectionObserved, Failure, FailureClass};
pub use state::ConnectionState;
pub use url::{Url, UrlError};
pub use worker::{Connection, ConnectionAction};
