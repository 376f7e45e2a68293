//! A gauge that is told and that notes what it is told, and a plant of gauges.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, ChildSpec, ChildrenSpecs, CollectContext, CollectError,
    Config, Decision, DeriveContext, DeriveError, DesiredState, NoAction, Observed, Phase, Policy, Pusher,
    Snapshot, Sort, State, StopSnapshot, UserSpec, Worker, act, go, stay,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How often `next` was asked of any gauge.
pub(crate) static ASKED: AtomicU64 = AtomicU64::new(0);

/// What the bench knows of all gauges.
pub(crate) struct Board {
    pushers: Vec<Mutex<Option<Pusher<Gauge>>>>,
    acted: Vec<Mutex<Instant>>,
    pub(crate) collected: AtomicU64,
}

impl Board {
    pub(crate) fn new(gauges: usize) -> Self {
        let acted = Instant::now();
        Self {
            pushers: (0..gauges).map(|_| Mutex::default()).collect(),
            acted: (0..gauges).map(|_| Mutex::new(acted)).collect(),
            collected: AtomicU64::new(0),
        }
    }

    /// What happens outside.
    pub(crate) fn push(&self, gauge: usize, seen: Seen) {
        let pusher = self.pushers[gauge].lock().expect("nobody panics").clone();
        pusher.expect("it collected once").push(seen);
    }

    /// When the last action of this gauge ended.
    pub(crate) fn acted(&self, gauge: usize) -> Instant {
        *self.acted[gauge].lock().expect("nobody panics")
    }
}

/// Collects each second what it was told last.
pub(crate) struct Gauge(pub(crate) Arc<Board>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct GaugeConfig {
    number: usize,
}

impl Config for GaugeConfig {}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) level: u32,
    pub(crate) noted: u32,
}

impl Observed<GaugeConfig> for Seen {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note(u32);

impl Action for Note {
    const NAMES: &'static [&'static str] = &["note"];
    fn name(&self) -> &'static str {
        "note"
    }
}

#[derive(Debug, Default)]
pub(crate) struct GaugeHandle {
    noted: AtomicU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum GaugeState {
    #[default]
    Stopped,
    Running,
    Noting,
}

impl GaugeState {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
            Self::Noting => "Noting",
        }
    }
}

impl Worker for Gauge {
    const KIND: &'static str = "gauge";
    const POLICY: Policy =
        Policy::DEFAULT.with_actions(&[ActionPolicy::new("note", Duration::from_secs(10))]);
    type Config = GaugeConfig;
    type Observed = Seen;
    type State = GaugeState;
    type Action = Note;
    type Handle = GaugeHandle;

    fn derive_desired_state(
        spec: &UserSpec<GaugeConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<GaugeConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(&self, cx: CollectContext<'_, Self>) -> Result<Seen, CollectError> {
        self.0.collected.fetch_add(1, Ordering::Relaxed);
        let noted = cx.handle().noted.load(Ordering::Acquire);
        match cx.last() {
            Some(last) => Ok(Seen { noted, ..**last }),
            None => {
                *self.0.pushers[cx.config().number].lock().expect("nobody panics") = Some(cx.pusher());
                Ok(Seen { level: 0, noted })
            }
        }
    }

    async fn execute(&self, Note(level): Note, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        cx.handle().noted.store(level, Ordering::Release);
        *self.0.acted[cx.config().number].lock().expect("nobody panics") = Instant::now();
        Ok(())
    }
}

impl State<Gauge> for GaugeState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::Running, Self::Noting];
    fn name(self) -> &'static str {
        self.text()
    }
    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Running | Self::Noting => Phase::Running,
        }
    }
    fn sort(self) -> Sort {
        match self {
            Self::Stopped | Self::Running => Sort::Passive,
            Self::Noting => Sort::Working,
        }
    }
    fn next(self, s: &Snapshot<'_, Gauge>) -> Decision<Gauge> {
        ASKED.fetch_add(1, Ordering::Relaxed);
        let Seen { level, noted } = *s.observed();
        match self {
            Self::Stopped => go(Self::Running, "it answers"),
            Self::Running if level > noted => go(Self::Noting, ("the level is {}", level)),
            Self::Running => stay(("the level is {}", level)),
            Self::Noting if level > noted => act(Note(level), "it is not noted"),
            Self::Noting => go(Self::Running, "it is noted"),
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, Gauge>) -> Decision<Gauge> {
        match self {
            Self::Stopped => stay("it rests"),
            Self::Running | Self::Noting => go(Self::Stopped, "it was told to stop"),
        }
    }
}

/// Has gauges.
pub(crate) struct Plant;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PlantConfig {
    pub(crate) workers: usize,
}

impl Config for PlantConfig {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum PlantState {
    #[default]
    Stopped,
    Running,
}

impl Worker for Plant {
    const KIND: &'static str = "plant";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = PlantConfig;
    type Observed = ();
    type State = PlantState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<PlantConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<PlantConfig>, DeriveError> {
        let mut children = ChildrenSpecs::with_capacity(spec.config.workers);
        for number in 0..spec.config.workers {
            let child = ChildSpec::try_new(format!("g{number}"), "gauge")
                .map_err(|error| DeriveError::config(error.to_string()))?;
            children
                .try_add(child.with_typed_config(GaugeConfig { number }))
                .map_err(|error| DeriveError::config(error.to_string()))?;
        }
        Ok(DesiredState::running(spec).with_children(children))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        Ok(())
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

impl State<Plant> for PlantState {
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
    fn next(self, s: &Snapshot<'_, Plant>) -> Decision<Plant> {
        match self {
            Self::Stopped => go(Self::Running, "it is wanted"),
            Self::Running => stay(("{} of {} run", s.children().healthy(), s.children().len())),
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, Plant>) -> Decision<Plant> {
        match self {
            Self::Stopped => stay("it rests"),
            Self::Running => go(Self::Stopped, "it was told to stop"),
        }
    }
}
