//! Flows against real peers: mosquitto and its clients, HTTP over TCP, files, and the worker's two halves.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod http;
mod idempotent;
mod local;
mod mqtt;
mod sharing;
mod support;
mod worker;
