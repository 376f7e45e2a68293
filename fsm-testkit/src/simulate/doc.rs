//! The worker of the examples: a lamp that is switched on, in a street where bulbs burn out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fsm_core::{
    Action, ActionContext, ActionError, CollectContext, CollectError, Config, Decision, DeriveContext,
    DeriveError, DesiredState, Observed, Phase, Policy, Snapshot, Sort, State, StopSnapshot, UserSpec,
    Worker, act, go, stay,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The world: it survives incarnations and processes.
#[derive(Debug, Clone, Default)]
pub struct Street(Arc<AtomicBool>);

impl Street {
    /// The lamp goes dark.
    pub fn burn_out(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Keeps the lamp lit.
#[derive(Debug)]
pub struct Lamp(pub Street);

/// How the lamp should be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LampConfig {
    /// It hangs here; another place is another lamp.
    pub place: String,
}

impl Config for LampConfig {
    fn needs_restart(&self, old: &Self) -> bool {
        self.place != old.place
    }
}

/// What is seen of a lamp.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Light {
    /// It shines.
    pub lit: bool,
}

impl Observed<LampConfig> for Light {}

/// What can be done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Light it.
    On,
    /// Put it out.
    Off,
}

impl Action for Switch {
    const NAMES: &'static [&'static str] = &["on", "off"];
    fn name(&self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// Its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LampState {
    /// It is dark and should be.
    #[default]
    Dark,
    /// It is switched on.
    Lighting,
    /// It shines.
    Lit,
    /// It is switched off.
    Dimming,
}

impl Worker for Lamp {
    const KIND: &'static str = "lamp";
    const POLICY: Policy = Policy::DEFAULT;
    type Config = LampConfig;
    type Observed = Light;
    type State = LampState;
    type Action = Switch;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<LampConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<LampConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<Light, CollectError> {
        Ok(Light { lit: self.0.0.load(Ordering::SeqCst) })
    }

    async fn execute(&self, action: Switch, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        self.0.0.store(action == Switch::On, Ordering::SeqCst);
        Ok(())
    }
}

impl State<Lamp> for LampState {
    const ALL: &'static [Self] = &[Self::Dark, Self::Lighting, Self::Lit, Self::Dimming];

    fn name(self) -> &'static str {
        match self {
            Self::Dark => "Dark",
            Self::Lighting => "Lighting",
            Self::Lit => "Lit",
            Self::Dimming => "Dimming",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Dark => Phase::Stopped,
            Self::Lighting => Phase::Starting,
            Self::Lit => Phase::Running,
            Self::Dimming => Phase::Stopping,
        }
    }
    fn sort(self) -> Sort {
        match self {
            Self::Lighting | Self::Dimming => Sort::Trying,
            Self::Dark | Self::Lit => Sort::Passive,
        }
    }
    fn next(self, s: &Snapshot<'_, Lamp>) -> Decision<Lamp> {
        match self {
            Self::Dark | Self::Dimming => go(Self::Lighting, "it should shine"),
            Self::Lighting if s.observed().lit => go(Self::Lit, "it shines"),
            Self::Lighting => act(Switch::On, "it is dark"),
            Self::Lit if s.observed().lit => stay("it shines"),
            Self::Lit => go(Self::Lighting, "it went dark"),
        }
    }
    fn stop(self, s: &StopSnapshot<'_, Lamp>) -> Decision<Lamp> {
        match self {
            Self::Dark => stay("it is dark"),
            Self::Lighting | Self::Lit => go(Self::Dimming, "it should be dark"),
            Self::Dimming if s.observed().is_some_and(|light| !light.lit) => go(Self::Dark, "it is dark"),
            Self::Dimming => act(Switch::Off, "it shines"),
        }
    }
}
