//! Worker kind dataflow: input, pipeline, output, at least once.
//!
//! A [`Flow`] moves messages from one input through steps to one output, in order, and acknowledges each to its source
//! only after the output took it. What is not acknowledged when a flow ends, or the process is killed, comes again.
//!
//! Reading order: [`config`] is what a flow is told; [`Message`] is what it moves; [`Flow`] runs; [`stats`] is what it
//! counts. [`SessionPool`] holds the connections that flows share. [`Dataflow`] is the worker kind.

pub mod config;
pub mod stats;

mod flow;
mod input;
mod message;
mod mqtt;
mod output;
mod pipeline;
mod worker;

pub use flow::{BuildError, Flow, FlowError, FlowWatch, OpenFlow, check};
pub use input::SourceError;
pub use message::Message;
pub use mqtt::SessionPool;
pub use pipeline::{CompileError, JqError, Pipeline, StepError};
pub use tokio_util::sync::CancellationToken;
pub use worker::{Dataflow, DataflowState, FlowAction, FlowLife, FlowObserved, Health, Trouble, register};
