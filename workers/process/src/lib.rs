//! Runs external programs so that nothing of them is left: the runner of tools, and the kinds `process`, `benthos_dataflow`, `tool` and
//! `workflow`.
//!
//! A **tool** is a registered program that runs once per call: it gets a request on its stdin and answers on its stdout.
//! [`Runner::run`] runs one, and tells in a [`Run`] how it ended, what it said and what it used.
//!
//! A **process** is a program that is to run all the time: the kind [`Process`] starts it, waits until it is ready, looks
//! after it and stops it. It is restarted through the engine, with its back-off and budget. A [`Stream`] is such a process: an
//! external stream engine that gets the config of its node.
//!
//! The kind [`ToolWorker`] makes a node of a tool: it runs once, to its end. The kind [`Workflow`] runs several as its
//! children, and actions of live workers among them, each when those that it waits for have succeeded.
//!
//! # What can be relied on
//!
//! - A run has exactly one [`Ending`], within its timeout, its grace and one second.
//! - When [`Runner::run`] returns, no process of the run lives: not the program, not what it forked, not what left its
//!   process group or session. When its future is dropped the same holds once the grace is over.
//! - When this process dies, even by SIGKILL, everything that it ran is killed at once.
//! - Reading and writing go on side by side, so that no program can block on a pipe; memory is bounded by the limits.
//! - A program sees the environment variables that are allowed or its own, and no others.
//! - No pid is signalled that may have become another process.
//!
//! # How
//!
//! Each program is started by a small process of its own, the *keeper*: this very executable in another mode
//! ([`keeper_main`]). The keeper adopts what its program leaves behind, and the kernel tells it when nobody is left; it
//! ends everything when the socket to its owner closes. `docs/adr/0005-keeper-process.md` says why. Linux only.

// Kinds.
mod agents;
mod once;
mod process;
mod register;
mod settings;
mod step;
mod stream;
mod tool_kind;
mod workflow;

// What is run, and how it ended.
mod end;
mod ending;
mod env;
mod protocol;
mod tool;

// Running it.
mod capture;
mod run;

// The process and who keeps it.
mod cgroup;
mod identity;
mod keeper;
mod launch;
mod ledger;

pub use agents::{AgentCall, Agents, NoAgents};
pub use capture::Captured;
pub use cgroup::{CgroupError, Cgroups};
pub use end::RunEnd;
pub use ending::{Ending, Exit, Resources};
pub use env::{DEFAULT_ALLOWED, EnvError, Environment};
pub use keeper::{KEEPER_ARG, keeper_main};
pub use launch::{Keeper, StartError};
pub use ledger::{Ledger, LedgerError, Survivors};
pub use once::RunLife;
pub use process::{
    Live, Process, ProcessAction, ProcessConfig, ProcessLife, ProcessObserved, ProcessState, Ready, Usage,
};
pub use protocol::{Protocol, ToolError};
pub use register::register;
pub use run::{Call, MemoryLimit, Run, Runner};
pub use step::{Step, StepAction, StepAgent, StepConfig, StepObserved, StepState};
pub use stream::{Stream, StreamAction, StreamConfig, StreamLife, StreamObserved, StreamState};
pub use tool::{Limits, Tool, ToolBuildError, ToolId, ToolIdError};
pub use tool_kind::{ToolAction, ToolConfig, ToolLife, ToolLimits, ToolObserved, ToolState, ToolWorker};
pub use workflow::{
    OnFailure, Workflow, WorkflowAction, WorkflowConfig, WorkflowEnd, WorkflowLife, WorkflowObserved,
    WorkflowState, WorkflowStep,
};
