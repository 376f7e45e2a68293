//! The engine that runs trees of FSM workers, sans I/O, and the tokio driver that carries out what it decides.
//!
//! [`Engine`] takes [`Input`]s and gives [`Effects`]; it never awaits, spawns, reads a clock or touches a file. A driver feeds
//! it. Reading order: the engine, what reaches it, what it wants done, what it plans, what it tells.

mod cycles;
mod driver;
mod effect;
mod engine;
mod event;
mod fold;
mod history;
mod input;
mod meter;
mod plan;

#[cfg(feature = "planted-bugs")]
pub mod planted;
#[cfg(not(feature = "planted-bugs"))]
mod planted;

pub use cycles::cycle_among;
pub use driver::{
    ActError, AgentRun, ApplyReceipt, AskError, DriverConfig, EventReader, Gone, Handle, StartError, start,
};
pub use effect::{Change, Effect, Effects, What};
pub use engine::{
    ActionView, Engine, EngineConfig, IncidentView, LongestStop, NodeView, Remembered, ShutdownReport,
    StopOf, Stopwatch, TickReport, TreeEntry,
};
pub use event::{Event, EventKind};
pub use history::{HISTORY_LENGTH, HistoryEntry};
pub use input::{ActionRequestError, CollectFailure, Command, CommandError, Input, Refusal};
pub use plan::{CurrentChild, NeedsRestart, PlanEntry, PlanStep, ReconcilePlan, plan};
