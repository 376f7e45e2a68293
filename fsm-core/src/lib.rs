//! The pure vocabulary of hierarchical FSM workers: what a worker is, what it wants, what it sees, what it decides.
//!
//! Nothing here runs: no async runtime, no I/O, no clock, no randomness. Workers are written against this crate; an engine
//! such as `fsm-supervisor` runs them.
//!
//! Reading order: [`Worker`] and [`State`] are what an author writes; [`Snapshot`] is what a state sees and [`Decision`] what
//! it answers; [`ChildSpec`] is how a parent asks for children; [`Registry`] is where kinds are named.

// What an author writes.
mod children;
mod context;
mod decision;
mod io;
mod monitor;
mod snapshot;
mod worker;

// What a worker is told.
mod infrastructure;
mod policy;
mod spec;
mod variables;

// The words.
mod error;
mod id;
mod identity;
mod metric;
mod name;
mod phase;
mod reason;
mod time;

// Where kinds meet engines, and tests.
pub mod erase;
mod registry;
pub mod table;

pub use children::{ChildView, ChildrenCounts, ChildrenSource, ChildrenView};
pub use context::{
    ActionContext, BoxFuture, CollectContext, DeriveContext, Host, Job, Pusher, RenderObserver, Seen, SeenAny,
};
pub use decision::{Decision, Step, act, go, remove, restart, stay};
pub use error::{ActionError, CollectError, DeriveError, DeriveErrorKind, chain};
pub use id::{ActionId, CauseId, Generation, Incarnation, NodeId};
pub use identity::{Identity, PathOf, Whoami};
pub use infrastructure::{Infrastructure, Probe};
pub use io::IoHalf;
pub use metric::{MetricSink, MetricSpec, MetricType, NoMetrics};
pub use monitor::{Monitor, Verdict, monitor};
pub use name::{ChildName, MAX_NAME_BYTES, NameError, NodePath, PathError};
pub use phase::{Condition, Goal, Outcome, Phase, Signal, Sort, Target};
pub use policy::{
    ActionPolicy, CollectMode, OnChange, Policy, PolicyError, PolicyOverride, RestartPolicy, RetryPolicy,
    Strategy,
};
pub use reason::{Arg, Reason};
pub use registry::{RegisterError, Registry};
pub use snapshot::{ActionReport, Observation, Snapshot, SnapshotCore, StopSnapshot};
pub use spec::{
    ChildConfig, ChildExtras, ChildSpec, ChildrenSpecs, Dependency, DesiredState, DuplicateChild, KindName,
    NameHasher, StartWhen, UserSpec,
};
pub use time::{DurationError, HumanDuration, Moment};
pub use variables::{Internal, RESERVED_NAMES, ReservedName, VariableBundle, Vars, check_names, merge};
pub use worker::{Action, Config, NoAction, Observed, RequestError, State, Worker};
