//! What of a kind the labels of its metrics are made of.

use fsm_core::erase::DynWorker;
use fsm_core::{Action, MetricSpec, Phase, State, Worker};

/// A kind as its metrics see it: names of its states and actions, and the metrics it declares itself (M-7).
#[derive(Debug, Clone, PartialEq)]
pub struct KindShape {
    pub(crate) kind: &'static str,
    pub(crate) states: Vec<(&'static str, Phase)>,
    pub(crate) actions: Vec<&'static str>,
    pub(crate) own: &'static [MetricSpec],
}

impl KindShape {
    /// A kind without states, actions and metrics of its own.
    #[must_use]
    pub const fn new(kind: &'static str) -> Self {
        Self { kind, states: Vec::new(), actions: Vec::new(), own: &[] }
    }

    /// The shape of a worker type.
    #[must_use]
    pub fn of<W: Worker>() -> Self {
        Self::new(W::KIND)
            .with_states(W::State::ALL.iter().map(|state| (state.name(), state.phase())))
            .with_actions(<W::Action as Action>::NAMES)
            .with_metrics(W::metrics())
    }

    /// The shape of a registered kind.
    #[must_use]
    pub fn of_registered(worker: &dyn DynWorker) -> Self {
        Self::new(worker.kind())
            .with_states(worker.states().iter().map(|state| (state.name, state.phase)))
            .with_actions(worker.action_names())
            .with_metrics(worker.metrics())
    }

    /// With these states, in the order of `State::ALL`.
    #[must_use]
    pub fn with_states(mut self, states: impl IntoIterator<Item = (&'static str, Phase)>) -> Self {
        self.states = states.into_iter().collect();
        self
    }

    /// With these actions, in the order of `Action::NAMES`.
    #[must_use]
    pub fn with_actions(mut self, actions: &[&'static str]) -> Self {
        self.actions = actions.to_vec();
        self
    }

    /// With metrics of its own.
    #[must_use]
    pub const fn with_metrics(mut self, own: &'static [MetricSpec]) -> Self {
        self.own = own;
        self
    }
}
