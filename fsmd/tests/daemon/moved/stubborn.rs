//! A kind that holds its threads: what it moves, no well-behaved kind does.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, Decision, DeriveContext,
    DeriveError, DesiredState, Phase, Policy, RequestError, RetryPolicy, Snapshot, Sort, State, StopSnapshot,
    UserSpec, Worker, act, go, stay,
};

/// A door that is shut until somebody opens it.
#[derive(Default)]
pub(crate) struct Door {
    open: Mutex<bool>,
    moved: Condvar,
}

impl Door {
    fn pass(&self) {
        drop(self.moved.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
    }

    pub(crate) fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.moved.notify_all();
    }
}

/// Its first look passes, its action and all later looks wait at the door, on a thread each.
pub(crate) struct Stubborn(pub(crate) Arc<Door>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum StubbornState {
    #[default]
    Stopped,
    Running,
}

#[derive(Debug, Clone)]
pub(crate) struct Hold;

impl Action for Hold {
    const NAMES: &'static [&'static str] = &["hold"];

    fn name(&self) -> &'static str {
        "hold"
    }

    fn from_request(name: &str, _input: serde_json::Value) -> Result<Self, RequestError> {
        Err(RequestError::Unknown { name: name.into(), known: Self::NAMES })
    }
}

impl Worker for Stubborn {
    const KIND: &'static str = "stubborn";
    const POLICY: Policy = Policy::DEFAULT.blocking_collect().with_actions(&[ActionPolicy::new(
        "hold",
        Duration::from_millis(50),
    )
    .with_retry(RetryPolicy::NEVER)
    .blocking()]);
    type Config = ();
    type Observed = ();
    type State = StubbornState;
    type Action = Hold;
    type Handle = Mutex<bool>;

    fn derive_desired_state(
        spec: &UserSpec<()>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<()>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(&self, cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        if std::mem::replace(&mut *cx.handle().lock().unwrap(), true) {
            self.0.pass();
        }
        Ok(())
    }

    async fn execute(&self, _action: Hold, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        self.0.pass();
        Ok(())
    }
}

impl State<Stubborn> for StubbornState {
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
        match self {
            Self::Stopped => Sort::Passive,
            Self::Running => Sort::Working,
        }
    }
    fn next(self, s: &Snapshot<'_, Stubborn>) -> Decision<Stubborn> {
        match self {
            Self::Stopped => go(Self::Running, "asked to run"),
            Self::Running if s.last_action().is_none() => act(Hold, "nobody held the door yet"),
            Self::Running => stay("running"),
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, Stubborn>) -> Decision<Stubborn> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::Running => go(Self::Stopped, "told to stop"),
        }
    }
}
