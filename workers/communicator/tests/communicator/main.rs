//! The communicator in a real tree, against a relay over real HTTP: what travels, what goes wrong, what is kept.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod buffers;
mod cancel;
mod commands;
mod faults;
mod idempotent;
mod pace;
mod refusals;
mod secrets;
mod support;
mod syncing;
mod ways;
