//! The example kinds: tables of their states, and their I/O against real files and sockets.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails should fail where it is")]

mod child;
mod hello;
mod idempotent;
mod node;
mod parent;
mod template_demo;

#[test]
fn every_kind_registers_once() {
    let mut registry = fsm_core::Registry::new();
    fsm_worker_examples::register(&mut registry).unwrap();
    assert_eq!(registry.names().collect::<Vec<_>>(), ["hello", "parent", "child", "template_demo"]);
    assert!(fsm_worker_examples::register(&mut registry).is_err(), "a second time the names are taken");
}
