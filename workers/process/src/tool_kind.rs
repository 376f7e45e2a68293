//! The kind `tool`: a program that is to run once, to its end.

mod config;
mod observed;
mod state;
mod worker;

pub use config::{ToolConfig, ToolLimits};
pub use observed::ToolObserved;
pub use state::ToolState;
pub use worker::{ToolAction, ToolLife, ToolWorker};
pub(crate) use worker::{tool, tool_of};
