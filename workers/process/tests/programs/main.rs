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

// The kind `benthos_dataflow`.
mod stream;

// The kinds `tool` and `workflow`.
mod idempotent_jobs;
mod tool;
mod workflow;

// All of them.
mod metrics;

mod counted;
mod support;
