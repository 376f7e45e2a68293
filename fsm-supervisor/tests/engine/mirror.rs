//! `mirror`: a worker without a body: it follows its goal at once. For chains of cause and effect at one moment.

use fsm_core::{
    ActionContext, ActionError, CollectContext, CollectError, Decision, DeriveContext, DeriveError,
    DesiredState, NoAction, Phase, Policy, Snapshot, Sort, State, StopSnapshot, UserSpec, Worker, go, stay,
};

use crate::group::GroupConfig;

/// Follows its goal.
pub(crate) struct Mirror;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum MirrorState {
    #[default]
    Stopped,
    Running,
}

impl Worker for Mirror {
    const KIND: &'static str = "mirror";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = GroupConfig;
    type Observed = ();
    type State = MirrorState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<GroupConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<GroupConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        unreachable!("a mirror observes nothing")
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

impl State<Mirror> for MirrorState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::Running];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Running => Phase::Running,
        }
    }

    fn sort(self) -> Sort {
        Sort::Passive
    }

    fn next(self, _s: &Snapshot<'_, Mirror>) -> Decision<Mirror> {
        match self {
            Self::Stopped => go(Self::Running, "it should run"),
            Self::Running => stay("it runs"),
        }
    }

    fn stop(self, _s: &StopSnapshot<'_, Mirror>) -> Decision<Mirror> {
        match self {
            Self::Stopped => stay("it rests"),
            Self::Running => go(Self::Stopped, "it should stop"),
        }
    }
}
