//! The kind `persistence`: its schedule, its states, its work on real stores, and its place in a tree.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails should fail where it is")]

mod config;
mod faulty;
mod idempotent;
mod schedule;
mod states;
mod tree;
mod work;
