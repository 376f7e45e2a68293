//! The kind `workflow_step`: one step of a workflow, which runs once in its life.

mod config;
mod state;
mod worker;

pub use config::{StepAgent, StepConfig};
pub use state::StepState;
pub use worker::{Step, StepAction, StepObserved};
