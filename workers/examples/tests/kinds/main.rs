//! The example kinds: tables of their states, and their I/O against real files and sockets.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails should fail where it is")]

mod child;
mod failing;
mod hello;
mod idempotent;
mod node;
mod panicking;
mod parent;
mod slow;
mod template_demo;

#[test]
fn every_kind_registers_once() {
    let mut registry = fsm_core::Registry::new();
    fsm_worker_examples::register(&mut registry).unwrap();
    let kinds = ["hello", "parent", "child", "template_demo", "failing", "slow", "panicking"];
    assert_eq!(registry.names().collect::<Vec<_>>(), kinds);
    assert!(fsm_worker_examples::register(&mut registry).is_err(), "a second time the names are taken");
}
