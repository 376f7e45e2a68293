//! The kind `benthos_dataflow`: an external stream engine that runs the config it is given, looked after as a process is.

mod config;
mod document;
mod observed;
mod state;
mod worker;

pub use config::StreamConfig;
pub use observed::StreamObserved;
pub use state::StreamState;
pub use worker::{Stream, StreamAction, StreamLife};
