//! The bridge kinds: tables of their states, what they derive, and probes against real listeners and brokers.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails should fail where it is")]

mod application;
mod bridge;
mod connection;
mod idempotent;
mod mosquitto;
mod node;
mod probe;

#[test]
fn every_kind_registers_once() {
    let mut registry = fsm_core::Registry::new();
    fsm_worker_bridge::register(&mut registry).unwrap();
    let names: Vec<_> = registry.names().collect();
    assert_eq!(names, ["application", "group", "bridge", "connection", "protocol_converter"]);
    assert!(fsm_worker_bridge::register(&mut registry).is_err(), "a second time the names are taken");
}
