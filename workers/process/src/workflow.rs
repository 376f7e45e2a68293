//! The kind `workflow`: steps that run once each, when those that they wait for have succeeded.

mod config;
mod progress;
mod state;
mod worker;

pub use config::{OnFailure, WorkflowConfig, WorkflowStep};
pub use state::WorkflowState;
pub use worker::{Workflow, WorkflowAction, WorkflowEnd, WorkflowLife, WorkflowObserved};
