//! Worker kind `mqtt_broker`: an embedded MQTT broker for a stand-alone edge and for the quick start.
//!
//! MQTT 3.1.1 and 5 on one loopback port: QoS 0 to 2, retained messages, wildcards, shared subscriptions,
//! wills with delay, sessions that outlive their connection, message and session expiry, keep-alive, accounts.
//! Not there: TLS, WebSocket, topic aliases, enhanced authentication, a `$SYS` tree. Sessions and retained
//! messages live in memory: they survive a reconnect, not a restart of the broker.
//!
//! # What clients can rely on
//!
//! - A message of QoS 1 or 2 is acknowledged once it lies in the queue of every matching session.
//! - A subscriber that reads too slowly holds its publishers up, for one second at most; then its messages are
//!   dropped, and counted, until it has caught up. Nobody else waits.
//! - Everything that clients can fill has a bound: packets, queues (messages and bytes), sessions, retained
//!   messages, connections.
//! - Bytes that are not MQTT end their own connection and nothing else.
//!
//! # Why a broker of our own
//!
//! It has to stop: free its port, end its tasks, and start again in the same process. It has to be small: the
//! whole daemon is built in ten CPU minutes and idles in 20 MiB. Of the libraries there are,
//!
//! - rumqttd 0.20 can't be stopped (bytebeamio/rumqtt#771, open since 2023): its router thread and one thread
//!   per listener run until the process ends, a listener speaks one version only, and it costs 202 CPU
//!   seconds to build;
//! - mqtt5 0.49 can, and is complete, but brings 130 crates (a TLS stack, an HTTP client, IDNA tables) and
//!   337 CPU seconds, more than half of the daemon's whole budget;
//! - rmqtt 0.24 is a server with plugins that needs a newer compiler than this workspace does;
//! - the codecs that come with clients (rumqttc, rumqttc-next) and mqtt-protocol-core have one unrelated
//!   set of packet types per version, so that every forwarded message would be converted.
//!
//! So the rules are here, without sockets or clock (`hub`, `session`, `tree`, `retained`, `wire`), and below
//! them a task per connection. Real clients, mosquitto's and rumqttc, test both. Between two rumqttc clients
//! (128 B, 500 in flight) it passed on 2.5 to 5 times the messages of mosquitto 2.0 in the same run; it starts
//! in 0.3 ms, idles without a wake-up, and held 5 MiB after a million messages.

// The worker.
mod config;
mod state;
mod worker;

// The broker.
mod broker;
mod connection;
mod stats;

// Its rules.
mod hub;
mod retained;
mod session;
mod topic;
mod tree;
mod wire;

pub use broker::{Broker, BrokerHandle, RunningBroker, StartError};
pub use config::{Auth, BrokerConfig, Listen, ListenError, Password};
pub use state::BrokerState;
pub use stats::BrokerStats;
pub use worker::{BrokerAction, BrokerLife, BrokerObserved, MqttBroker, register};
