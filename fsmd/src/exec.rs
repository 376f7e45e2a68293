//! Runs things by a call: tools, actions of live workers, workflows; and keeps a record of each run (X-20 … X-25).
//!
//! Reading order: what is asked for and what became of it, pure; where that is kept; who carries it out; how a run lives; how
//! one waits for it.

// What is known of a run.
mod id;
mod record;
mod secrets;

// What of the past is kept, and where.
mod archive;
mod index;

// Who carries runs out.
mod agents;
mod tasks;
mod way;
mod workflows;

// How they live, and how one waits for them.
mod lane;
mod life;
mod service;
mod wait;

pub(crate) use agents::Agents;
pub(crate) use archive::ArchiveError;
pub(crate) use id::ExecId;
pub(crate) use index::Filter;
pub(crate) use record::{Kind, Record, Status, Target, rfc3339, url};
pub(crate) use service::{Accepted, Executions, Order};
pub(crate) use tasks::Tasks;
pub(crate) use wait::{Call, Waited, wait, wait_for_workflow};
pub(crate) use way::{Refusal, Way};
pub(crate) use workflows::WorkflowRuns;
