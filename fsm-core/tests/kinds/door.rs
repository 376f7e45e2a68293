//! A small kind that uses each part of the vocabulary once, and a host on which nothing waits.

use std::any::Any;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fsm_core::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kind.
pub(crate) struct Door;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DoorConfig {
    width: u32,
    colour: String,
}

impl Config for DoorConfig {
    fn needs_restart(&self, old: &Self) -> bool {
        self.width != old.width
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DoorSeen {
    pub(crate) open: bool,
    pub(crate) draught: f64,
}

impl Observed<DoorConfig> for DoorSeen {
    fn same_for_decisions(&self, old: &Self) -> bool {
        self.open == old.open
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum DoorState {
    #[default]
    Closed,
    Opening,
    Open,
}

#[derive(Debug, Clone)]
pub(crate) struct Push;

impl Action for Push {
    const NAMES: &'static [&'static str] = &["push"];
    fn name(&self) -> &'static str {
        "push"
    }
    fn from_request(name: &str, _input: Value) -> Result<Self, RequestError> {
        match name {
            "push" => Ok(Self),
            other => Err(RequestError::Unknown { name: other.into(), known: Self::NAMES }),
        }
    }
}

impl State<Door> for DoorState {
    const ALL: &'static [Self] = &[Self::Closed, Self::Opening, Self::Open];

    fn name(self) -> &'static str {
        match self {
            Self::Closed => "Closed",
            Self::Opening => "Opening",
            Self::Open => "Open",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Closed => Phase::Stopped,
            Self::Opening => Phase::Starting,
            Self::Open => Phase::Running,
        }
    }
    fn sort(self) -> Sort {
        match self {
            Self::Opening => Sort::Trying,
            Self::Closed | Self::Open => Sort::Passive,
        }
    }
    fn next(self, s: &Snapshot<'_, Door>) -> Decision<Door> {
        match self {
            Self::Closed if s.starts() > 8 => restart("worn out"),
            Self::Closed => go(Self::Opening, "told to run"),
            Self::Opening if s.observed().open => go(Self::Open, "open"),
            Self::Opening if s.consecutive_failures() > 2 => stay(("stuck after {} pushes", s.attempts())),
            Self::Opening => match s.last_action() {
                Some(last) => act(Push, ("again after {}", last.outcome.as_str())),
                None => act(Push, "closed"),
            },
            Self::Open if !s.is_current() => stay("the observation is old"),
            Self::Open => match s.children().get("bell") {
                Some(bell) => go(Self::Closed, ("the bell is {}", bell.state)),
                None if s.in_state_for(Duration::from_secs(1)) => go(Self::Closed, "long enough"),
                None => stay("open"),
            },
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, Door>) -> Decision<Door> {
        match self {
            Self::Closed => remove("closed for good"),
            Self::Opening | Self::Open => go(Self::Closed, "told to stop"),
        }
    }
}

impl Worker for Door {
    const KIND: &'static str = "door";
    const POLICY: Policy = Policy::DEFAULT;
    type Config = DoorConfig;
    type Observed = DoorSeen;
    type State = DoorState;
    type Action = Push;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<DoorConfig>,
        cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<DoorConfig>, DeriveError> {
        if cx.variables().user.contains_key("locked") {
            return Err(DeriveError::config(format!("{} is locked", cx.internal().path)));
        }
        Ok(DesiredState::running(spec))
    }

    fn metrics() -> &'static [MetricSpec] {
        const METRICS: &[MetricSpec] = &[MetricSpec::counter("pushes", "Pushes.").with_labels(&["side"])];
        METRICS
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<DoorSeen, CollectError> {
        Ok(DoorSeen { open: false, draught: 0.0 })
    }

    async fn execute(&self, _action: Push, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match cx.attempt() {
            1 => Err(ActionError::transient("it sticks")),
            _ => Ok(()),
        }
    }
}

/// A host for jobs that never wait. It keeps what it was given.
#[derive(Default)]
pub(crate) struct QuietHost {
    /// Names of spawned tasks, and `clean-up`.
    pub(crate) started: Mutex<Vec<&'static str>>,
    pub(crate) pushed: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
}

impl Host for QuietHost {
    fn now(&self) -> Moment {
        Moment::from_nanos(7)
    }
    fn wall_ms(&self) -> u64 {
        1_700_000_000_000
    }
    fn sleep(&self, _time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
    fn cancelled(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
    fn is_cancelled(&self) -> bool {
        false
    }
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        ready(task);
        self.started.lock().unwrap().push(name);
    }
    fn on_cancel(&self, cleanup: BoxFuture<'static, ()>) {
        self.spawn("clean-up", cleanup);
    }
    fn push(&self, observed: Arc<dyn Any + Send + Sync>) {
        self.pushed.lock().unwrap().push(observed);
    }
    fn observed(&self, path: &NodePath) -> BoxFuture<'static, Option<SeenAny>> {
        let value = Arc::new(DoorSeen { open: true, draught: 0.5 });
        let seen = (path.name() == "gate").then(|| SeenAny { value, taken: Moment::ZERO });
        Box::pin(std::future::ready(seen))
    }
    fn task_panics(&self) -> Vec<(&'static str, Arc<str>)> {
        vec![("hinge", "broke".into())]
    }
    fn metrics(&self) -> &dyn MetricSink {
        &NoMetrics
    }
}

/// The result of a future that never waits.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the job waits for something"),
    }
}
