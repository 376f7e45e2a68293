//! Worker kinds that make bridges of templates: `application`, `bridge`, `connection`, and `group`.

mod fault;
mod flow;
mod hashed;

mod entry;

pub mod bridge;
pub mod connection;

mod rollup;

pub mod group;

pub mod application;

mod register;

pub use entry::{BridgeEntry, DataflowEntry, DependsOn, FlowSection, ForEach, WorkerEntry};
pub use hashed::Hashed;
pub use register::register;
pub use rollup::RollupState;
