//! The kind `process`: a program that is to run all the time, as the config says.

mod check;
mod config;
mod log;
mod observed;
mod state;
mod tend;
mod usage;
mod worker;

pub use config::{Live, ProcessConfig, Ready};
pub use observed::{ProcessObserved, Usage};
pub use state::ProcessState;
pub use worker::{Process, ProcessAction, ProcessLife};
