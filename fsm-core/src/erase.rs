//! The side of the vocabulary that engines use: a kind without its type parameter. Authors of workers never need it.
//!
//! A sealed adapter over [`Worker`](crate::Worker) keeps a slab of typed cells, one per node of the kind; the engine holds
//! slots. Nothing is serialised on the way from an observation to a decision.

use std::any::Any;
use std::sync::Arc;

use serde_json::Value;

use crate::{
    Action, ActionError, BoxFuture, CollectError, Config, DeriveContext, DeriveError, DesiredState,
    Generation, Host, Identity, Infrastructure, MetricSpec, Phase, Policy, Reason, RequestError,
    SnapshotCore, Sort, VariableBundle,
};

mod cells;
mod config;

pub(crate) use cells::Cells;
pub use config::{ConfigError, ErasedConfig};

/// A node's place in the slab of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u32);

impl Slot {
    /// No place: a node that was never created because its spec can't be used.
    pub const NONE: Self = Self(u32::MAX);
}

/// An observation without its type: what the store and the API make JSON of, off the tick.
pub trait ErasedObserved: Send + Sync {
    /// The shared value itself.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    /// As JSON. A value that can't be serialised gives its error as a text.
    fn to_value(&self) -> Value;
}

impl<O: serde::Serialize + Send + Sync + 'static> ErasedObserved for O {
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
    fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|error| Value::String(error.to_string()))
    }
}

/// A state as its position in `State::ALL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StateIndex(u8);

impl StateIndex {
    /// The position in `State::ALL`.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// What is known of a state without its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateInfo {
    /// Its name.
    pub name: &'static str,
    /// Its coarse health.
    pub phase: Phase,
    /// How it acts.
    pub sort: Sort,
}

/// A step without its type.
pub enum DynStep {
    /// Stay.
    Stay,
    /// Move to this state.
    Move(StateIndex),
    /// Run this action.
    Act(Box<dyn DynAction>),
    /// Leave the tree.
    Remove,
    /// Start over.
    Restart,
}

/// A decision without its type.
#[must_use]
pub struct DynDecision {
    /// The step.
    pub step: DynStep,
    /// Why.
    pub reason: Reason,
}

/// An action without its type.
pub trait DynAction: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// As text, for people.
    fn describe(&self) -> String;
    /// The typed action.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<A: Action> DynAction for A {
    fn name(&self) -> &'static str {
        Action::name(self)
    }
    fn describe(&self) -> String {
        format!("{self:?}")
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// A collection result, compared with the last value where it was collected.
#[derive(Debug, Clone)]
pub enum Collected {
    /// Identical to the last value (`==`): the old one is kept.
    Same,
    /// Another value that can't change a decision.
    Similar(Arc<dyn Any + Send + Sync>),
    /// Another value.
    Changed(Arc<dyn Any + Send + Sync>),
}

/// One collection, ready to run.
pub type CollectRun =
    Box<dyn FnOnce(Arc<dyn Host>) -> BoxFuture<'static, Result<Collected, CollectError>> + Send>;

/// One action, ready to run as often as the retry policy says. The number is the attempt, from 1.
pub type ActionRun =
    Box<dyn Fn(u32, Arc<dyn Host>) -> BoxFuture<'static, Result<(), ActionError>> + Send + Sync>;

/// What a job needs to know of its node.
pub struct JobSpec {
    /// Path, kind, incarnation.
    pub identity: Arc<Identity>,
    /// The generation of the desired state it runs under.
    pub generation: Generation,
}

/// A desired state with an erased config.
pub type DynDesired = DesiredState<dyn ErasedConfig>;

/// A kind: its constants, and the cells of its nodes. Sealed: made by [`Registry::register`](crate::Registry::register).
pub trait DynWorker: Send + Sync + sealed::Sealed {
    /// The kind's name.
    fn kind(&self) -> &'static str;
    /// Its policy.
    fn policy(&self) -> &Policy;
    /// Its states, in the order of `State::ALL`.
    fn states(&self) -> &[StateInfo];
    /// The names of its actions.
    fn action_names(&self) -> &'static [&'static str];
    /// Its own metrics.
    fn metrics(&self) -> &'static [MetricSpec];
    /// The JSON schema of its config.
    fn config_schema(&self) -> Value;

    /// Reads a config as rendered. `null` reads as an empty map, so that a kind without required fields needs none.
    ///
    /// # Errors
    /// [`ConfigError`] names the field.
    fn read_config(&self, raw: &Value) -> Result<Arc<dyn ErasedConfig>, ConfigError>;
    /// Whether a typed config is this kind's.
    fn accepts(&self, config: &dyn ErasedConfig) -> bool;
    /// Whether the change needs a new incarnation.
    fn needs_restart(&self, new: &dyn ErasedConfig, old: &dyn ErasedConfig) -> bool;
    /// Derives the desired state. Pure.
    ///
    /// # Errors
    /// Those of the worker.
    fn derive(
        &self,
        config: &Arc<dyn ErasedConfig>,
        variables: &VariableBundle,
        cx: &DeriveContext<'_>,
    ) -> Result<DynDesired, DeriveError>;

    /// What a node with this config needs of the outside world and shares with others (S-41).
    fn infrastructure(&self, config: &dyn ErasedConfig) -> Option<Infrastructure>;

    /// Makes a cell for a node that should reach this config.
    fn insert(&mut self, config: &Arc<dyn ErasedConfig>, variables: &VariableBundle) -> (Slot, StateIndex);
    /// Frees a cell; its handle lives until the last job of the node ends.
    fn remove(&mut self, slot: Slot);
    /// Replaces the config to reach.
    fn set_config(&mut self, slot: Slot, config: &Arc<dyn ErasedConfig>);
    /// The config to reach.
    fn config(&self, slot: Slot) -> Arc<dyn ErasedConfig>;
    /// Asks the state for its next step. The cell must hold an observation. None when it stays and its reason is `before`, as
    /// most do: moving a decision from hand to hand costs more than making one.
    fn next(
        &self,
        slot: Slot,
        state: StateIndex,
        core: &SnapshotCore<'_>,
        before: Option<&Reason>,
    ) -> Option<DynDecision>;
    /// Asks the state how to stop, with or without the observation.
    fn stop(
        &self,
        slot: Slot,
        state: StateIndex,
        core: &SnapshotCore<'_>,
        with_observation: bool,
    ) -> DynDecision;

    /// Takes a new observation; says whether a decision can differ. A value of another type is refused and changes nothing:
    /// then the answer is none (I16).
    fn accept(&mut self, slot: Slot, observed: Arc<dyn Any + Send + Sync>) -> Option<bool>;
    /// Reads a little of each line that `next` will read, so that it need not wait for memory.
    fn touch(&self, slot: Slot) -> usize;
    /// The last observation.
    fn observed(&self, slot: Slot) -> Option<Arc<dyn ErasedObserved>>;
    /// A collection ready to run.
    fn collect_run(&mut self, slot: Slot, job: JobSpec) -> CollectRun;
    /// An action ready to run. An action of another kind gives an error when run.
    fn action_run(&mut self, slot: Slot, action: Box<dyn DynAction>, job: JobSpec) -> ActionRun;
    /// The action that a request from outside asks for.
    ///
    /// # Errors
    /// Those of the worker.
    fn request(&self, name: &str, input: Value) -> Result<Box<dyn DynAction>, RequestError>;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

impl<C: Config> DesiredState<C> {
    /// The same with an erased config.
    pub fn erase(self) -> DynDesired {
        DesiredState { state: self.state, config: self.config, children_specs: self.children_specs }
    }
}
