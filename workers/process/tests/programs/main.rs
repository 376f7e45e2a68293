//! The runner and the kinds against programs, some of which mean them harm; every one is real.

// The runner.
mod conversation;
mod endings;
mod left;
mod owner;

// The kind `process`.
mod idempotent;
mod process;
mod tree;

// The kind `tool`.
mod tool;

// All of them.
mod metrics;

mod counted;
mod support;
