//! What a worker author writes: one type per kind, its states, and its side effects.

use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    ActionContext, ActionError, CollectContext, CollectError, Decision, DeriveContext, DeriveError,
    DesiredState, Infrastructure, MetricSpec, Phase, Policy, Snapshot, Sort, StopSnapshot, UserSpec,
};

/// A kind of worker. The value is one per kind and holds what the kind shares (a connection pool); each incarnation of a
/// node owns a [`Handle`](Worker::Handle): its socket, pid, session, token.
///
/// The pure half (`derive_desired_state` and the [`State`]) sees borrowed data only: no clock, no handle, no worker. The
/// other half (`collect_observed_state` reads, `execute` writes) runs off the tick.
pub trait Worker: Send + Sync + Sized + 'static {
    /// The kind's name, unique in a [`Registry`](crate::Registry).
    const KIND: &'static str;
    /// Collect mode and interval, timeouts, retries: defaults that nodes may override.
    const POLICY: Policy;
    /// What a node is told.
    type Config: Config;
    /// What is seen of the outside world.
    type Observed: Observed<Self::Config>;
    /// The closed set of states.
    type State: State<Self>;
    /// The closed set of actions; [`NoAction`] for a kind that never acts.
    type Action: Action;
    /// Live resources of one incarnation; `()` when there are none.
    type Handle: Default + Send + Sync + 'static;

    /// Target and children out of config and variables. Pure: same input, same output. Called when an input changed.
    ///
    /// # Errors
    /// [`DeriveError`] keeps the last good desired state and shows the node as invalid.
    fn derive_desired_state(
        spec: &UserSpec<Self::Config>,
        cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<Self::Config>, DeriveError>;

    /// The state of a new incarnation.
    fn initial_state(_spec: &UserSpec<Self::Config>) -> Self::State {
        Self::State::default()
    }

    /// What of the outside world this config needs, shared with others that need the same (S-41).
    fn infrastructure(_config: &Self::Config) -> Option<Infrastructure> {
        None
    }

    /// Metrics of its own (M-7).
    fn metrics() -> &'static [MetricSpec] {
        &[]
    }

    /// Looks at the outside world; never changes it. Bounded by a timeout.
    ///
    /// # Errors
    /// [`CollectError`] keeps the last observation, which ages.
    ///
    /// # Cancel safety
    /// Dropped at any await point on cancel or timeout.
    fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> impl Future<Output = Result<Self::Observed, CollectError>> + Send;

    /// Changes the outside world; the only method that does. Idempotent: it may run again after success.
    ///
    /// # Errors
    /// [`ActionError`] says whether trying again makes sense.
    ///
    /// # Cancel safety
    /// Dropped at any await point on cancel or timeout; clean-up that must await goes to [`ActionContext::on_cancel`].
    fn execute(
        &self,
        action: Self::Action,
        cx: ActionContext<'_, Self>,
    ) -> impl Future<Output = Result<(), ActionError>> + Send;
}

/// The states of a worker: a closed set, `Copy`, so that it can hide no memory. `Default` is the initial state.
///
/// ```compile_fail
/// #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
/// enum Bad { #[default] Stopped, Running(std::sync::Arc<String>) } // not Copy
/// ```
pub trait State<W: Worker>: Copy + Eq + Hash + Debug + Default + Send + Sync + 'static {
    /// All states, each once; at most 256.
    const ALL: &'static [Self];
    /// The state's name, in CamelCase (`TryingToConnect`).
    fn name(self) -> &'static str;
    /// Its coarse health.
    fn phase(self) -> Phase;
    /// How it acts.
    fn sort(self) -> Sort;
    /// The next step while the goal is to run. The observation is there and fresh. Match `self` first, without `_`.
    fn next(self, s: &Snapshot<'_, W>) -> Decision<W>;
    /// The next step while the goal is to stop or to leave. The observation may be missing.
    fn stop(self, s: &StopSnapshot<'_, W>) -> Decision<W>;
}

/// What a node is told: plain data with a schema.
pub trait Config:
    Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// Whether the change from `old` can't be taken in place: the node is stopped, removed and created again (S-11). The
    /// fields it compares are those that the schema marks with `x-restart: true`.
    fn needs_restart(&self, _old: &Self) -> bool {
        false
    }
}

impl Config for () {}

/// What is seen of the outside world.
pub trait Observed<C>: Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Whether no decision can differ between `old` and this. Leave out what only measures: latencies, counters, floats.
    fn same_for_decisions(&self, old: &Self) -> bool {
        self == old
    }
    /// The config that the outside world runs with.
    fn deployed(&self) -> Option<&C> {
        None
    }
}

/// A kind that observes nothing itself.
impl<C> Observed<C> for () {}

/// What a worker can do to the outside world: a closed set.
pub trait Action: Clone + Debug + Send + Sync + 'static {
    /// All names.
    const NAMES: &'static [&'static str];
    /// This action's name, one of [`NAMES`](Action::NAMES): a label, so never made of data.
    fn name(&self) -> &'static str;
    /// The action that a request from outside asks for.
    ///
    /// # Errors
    /// [`RequestError`] for an unknown name or an input that doesn't fit. By default nothing can be asked for.
    fn from_request(name: &str, _input: Value) -> Result<Self, RequestError> {
        Err(RequestError::Unknown { name: name.into(), known: &[] })
    }
}

/// The action of a kind that never acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAction {}

impl Action for NoAction {
    const NAMES: &'static [&'static str] = &[];
    fn name(&self) -> &'static str {
        match *self {}
    }
}

/// A request for an action can't be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No action of this name can be asked for.
    #[error("no action `{name}` can be asked for here; known: {known:?}")]
    Unknown {
        /// The asked name.
        name: String,
        /// The names that can be asked for.
        known: &'static [&'static str],
    },
    /// The input doesn't fit the action.
    #[error("the input of action `{name}` does not fit")]
    Input {
        /// The asked name.
        name: String,
        /// What doesn't fit.
        source: serde_json::Error,
    },
}
