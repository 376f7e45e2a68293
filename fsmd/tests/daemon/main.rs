//! The daemon as its users meet it: a process, its signals, its files, its API and its verbs.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![expect(clippy::disallowed_methods, reason = "what a test spawns ends with it")]

mod ending;
mod exec;
mod moved;
mod observed;
mod proof;
mod quickstart;
mod ready;
mod relay;
mod reload;
mod rig;
mod statistics;
#[cfg(feature = "otlp")]
mod traces;
mod verbs;
mod workflow;
