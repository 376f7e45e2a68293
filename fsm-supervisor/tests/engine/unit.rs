//! `unit`: a worker with every kind of state, driven by the scripted thing at its path.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, CollectContext, CollectError, Config, Decision, DeriveContext,
    DeriveError, DesiredState, Infrastructure, Observed, Phase, Policy, RequestError, Snapshot, Sort, State,
    StopSnapshot, UserSpec, Worker, act, go, remove, restart, stay,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::world::{self, Act, Collect, Tell};

/// The scripted worker.
pub(crate) struct Unit;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UnitConfig {
    pub(crate) value: u32,
    /// A change of it needs a new incarnation.
    #[schemars(extend("x-restart" = true))]
    pub(crate) socket: u32,
    pub(crate) stopped: bool,
    /// Begins in Running.
    pub(crate) running_at_first: bool,
    /// Reaches Running only after this long in TryingToStart.
    pub(crate) linger_ms: u64,
    /// Runs only on an observation of the present desired state.
    pub(crate) strict: bool,
    /// What it needs of the outside world.
    pub(crate) needs: Option<String>,
    /// Means nothing.
    pub(crate) label: String,
}

impl Config for UnitConfig {
    fn needs_restart(&self, old: &Self) -> bool {
        self.socket != old.socket
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnitObserved {
    pub(crate) running: bool,
    pub(crate) healthy: bool,
    pub(crate) done: bool,
    pub(crate) value: u32,
    pub(crate) noise: u64,
    pub(crate) tell: Tell,
}

impl Observed<UnitConfig> for UnitObserved {
    fn same_for_decisions(&self, old: &Self) -> bool {
        Self { noise: old.noise, ..self.clone() } == *old
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitAction {
    Start,
    Stop,
}

impl Action for UnitAction {
    const NAMES: &'static [&'static str] = &["start", "stop"];
    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
    fn from_request(name: &str, _input: serde_json::Value) -> Result<Self, RequestError> {
        match name {
            "start" => Ok(Self::Start),
            "stop" => Ok(Self::Stop),
            other => Err(RequestError::Unknown { name: other.into(), known: Self::NAMES }),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum UnitState {
    #[default]
    Stopped,
    TryingToStart,
    Running,
    Degraded,
    TryingToStop,
    Completed,
    Ping,
    Pong,
}

impl Worker for Unit {
    const KIND: &'static str = "unit";
    const POLICY: Policy = Policy::DEFAULT;
    type Config = UnitConfig;
    type Observed = UnitObserved;
    type State = UnitState;
    type Action = UnitAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<UnitConfig>,
        cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<UnitConfig>, DeriveError> {
        let path = &cx.internal().path;
        world::saw_variables(path, cx.variables());
        world::asked(path, "derive");
        if let Some(what) = world::thing(path, |thing| thing.derive_fails) {
            return Err(DeriveError::config(what).at("template"));
        }
        Ok(if spec.config.stopped { DesiredState::stopped(spec) } else { DesiredState::running(spec) })
    }

    fn initial_state(spec: &UserSpec<UnitConfig>) -> UnitState {
        if spec.config.running_at_first { UnitState::Running } else { UnitState::Stopped }
    }

    fn infrastructure(config: &UnitConfig) -> Option<Infrastructure> {
        config.needs.as_deref().map(|needs| Infrastructure::tcp(needs, needs))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<UnitObserved, CollectError> {
        world::thing(cx.identity().path.as_str(), |thing| match thing.collect {
            Collect::Works => Ok(UnitObserved {
                running: thing.running,
                healthy: thing.healthy,
                done: thing.done,
                value: thing.value,
                noise: thing.noise,
                tell: thing.tell,
            }),
            Collect::Fails => Err(CollectError::new("connection refused")),
            Collect::Panics => panic!("scripted panic in collect"),
            Collect::Hangs | Collect::Lost => unreachable!("the rig never runs these"),
        })
    }

    async fn execute(&self, action: UnitAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        let path = cx.identity().path.as_str();
        let value = cx.config().value;
        let result = world::thing(path, |thing| match thing.act {
            Act::Works => {
                match action {
                    UnitAction::Start => {
                        thing.running = true;
                        thing.value = value;
                        thing.starts += 1;
                    }
                    UnitAction::Stop => {
                        thing.running = thing.unstoppable;
                        thing.stops += 1;
                    }
                }
                Ok(())
            }
            Act::Pretends => Ok(()),
            Act::Fails => Err(ActionError::transient("refused")),
            Act::FailsWithRetryAfter(wait) => Err(ActionError::transient("later").with_retry_after(wait)),
            Act::Panics => panic!("scripted panic in execute"),
            Act::Hangs | Act::Refused => unreachable!("the rig never runs these"),
        });
        if result.is_ok() {
            world::did(path, action.name());
        }
        result
    }
}

impl State<Unit> for UnitState {
    const ALL: &'static [Self] = &[
        Self::Stopped,
        Self::TryingToStart,
        Self::Running,
        Self::Degraded,
        Self::TryingToStop,
        Self::Completed,
        Self::Ping,
        Self::Pong,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToStart => "TryingToStart",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
            Self::TryingToStop => "TryingToStop",
            Self::Completed => "Completed",
            Self::Ping => "Ping",
            Self::Pong => "Pong",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToStart => Phase::Starting,
            Self::Running | Self::Ping | Self::Pong => Phase::Running,
            Self::Degraded => Phase::Degraded,
            Self::TryingToStop => Phase::Stopping,
            Self::Completed => Phase::Completed,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::TryingToStart | Self::TryingToStop => Sort::Trying,
            Self::Stopped | Self::Running | Self::Degraded | Self::Completed | Self::Ping | Self::Pong => {
                Sort::Passive
            }
        }
    }

    fn next(self, s: &Snapshot<'_, Unit>) -> Decision<Unit> {
        world::asked(s.whoami().path().as_str(), "next");
        if world::lies(s.whoami().path().as_str()) {
            return stay("a lie");
        }
        world::tried(s.whoami().path().as_str(), s.attempts(), s.consecutive_failures(), s.retry_after());
        let (seen, config) = (s.observed(), s.config());
        let deployed = seen.running && seen.value == config.value;
        match self {
            Self::Stopped => go(Self::TryingToStart, "it should run"),
            Self::TryingToStart if !deployed => act(UnitAction::Start, "it does not run yet"),
            Self::TryingToStart if config.linger_ms > 0 => {
                if s.in_state_for(Duration::from_millis(config.linger_ms)) {
                    go(Self::Running, "it runs long enough")
                } else {
                    stay("it runs, for a moment yet")
                }
            }
            Self::TryingToStart => go(Self::Running, "it runs"),
            Self::Running => match seen.tell {
                Tell::Remove => remove("it was told to go"),
                Tell::Restart => restart("it was told to start over"),
                Tell::Flip => go(Self::Ping, "it was told to flip"),
                Tell::Nothing if seen.done => go(Self::Completed, "it is done"),
                Tell::Nothing if !deployed => go(Self::TryingToStart, "it runs no more"),
                Tell::Nothing if config.strict && !s.is_current() => {
                    go(Self::Degraded, "not seen under the present desired state")
                }
                Tell::Nothing if !seen.healthy => go(Self::Degraded, "it is not well"),
                Tell::Nothing => stay("it is well"),
            },
            Self::Degraded if seen.healthy && (s.is_current() || !config.strict) => {
                go(Self::Running, "it is well again")
            }
            Self::Degraded => stay("it is not well yet"),
            Self::TryingToStop if seen.running => go(Self::Running, "it should run again"),
            Self::TryingToStop => go(Self::Stopped, "it runs no more"),
            Self::Completed => stay("it is done"),
            Self::Ping if seen.tell == Tell::Flip => go(Self::Pong, "ping"),
            Self::Pong if seen.tell == Tell::Flip => go(Self::Ping, "pong"),
            Self::Ping | Self::Pong => go(Self::Running, "no more flipping"),
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Unit>) -> Decision<Unit> {
        let path = s.whoami().path();
        world::asked(path.as_str(), "stop");
        world::stop_saw(path.as_str(), s.observed().is_some());
        match self {
            Self::Stopped | Self::Completed => stay("it rests"),
            Self::TryingToStart | Self::Running | Self::Degraded | Self::Ping | Self::Pong => {
                go(Self::TryingToStop, "it was told to stop")
            }
            Self::TryingToStop => match s.observed() {
                Some(seen) if !seen.running => {
                    world::did(path.as_str(), "stopped");
                    go(Self::Stopped, "it runs no more")
                }
                Some(_) | None => act(UnitAction::Stop, "it runs still"),
            },
        }
    }
}

/// The typed value of an observation that a test pushes.
pub(crate) fn observation(running: bool, value: u32) -> Arc<dyn std::any::Any + Send + Sync> {
    Arc::new(UnitObserved { running, healthy: true, done: false, value, noise: 0, tell: Tell::Nothing })
}
