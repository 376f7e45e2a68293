//! A lamp that is turned on and off, and a fault to plant in it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fsm_core::*;
use fsm_testkit::{Model, listed, model_check};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) const NONE: u8 = 0;
pub(crate) const PANICS: u8 = 1;
pub(crate) const COUNTS: u8 = 2;
pub(crate) const SAYS_NOTHING: u8 = 3;
pub(crate) const LACKS_A_VALUE: u8 = 4;
pub(crate) const ACTS_WHILE_PASSIVE: u8 = 5;
pub(crate) const WAITS_FOR_EVER: u8 = 6;
pub(crate) const FLAPS: u8 = 7;
pub(crate) const TURNS_ON_WHILE_STOPPING: u8 = 8;
pub(crate) const MOVES_ON_WHILE_STOPPING: u8 = 9;
pub(crate) const NEVER_ENDS: u8 = 10;
pub(crate) const ENDS_ONLY_WHEN_SEEN: u8 = 11;
pub(crate) const STAYS_BROKEN: u8 = 12;
pub(crate) const WORKS_AND_DOES_NOTHING: u8 = 13;
pub(crate) const RESTARTS_WHILE_STOPPING: u8 = 14;
pub(crate) const FLAPS_SLOWLY: u8 = 15;
pub(crate) const NEVER_BREAKS: u8 = 16;
pub(crate) const STOPS_BY_WAITING: u8 = 17;

pub(crate) struct Lamp<const FAULT: u8>;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LampConfig {
    pub(crate) bright: bool,
}

impl Config for LampConfig {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) shines: bool,
    pub(crate) broken: bool,
}

impl Observed<LampConfig> for Seen {}

pub(crate) fn dark() -> Seen {
    Seen { shines: false, broken: false }
}

pub(crate) fn shining() -> Seen {
    Seen { shines: true, broken: false }
}

pub(crate) fn broken() -> Seen {
    Seen { shines: true, broken: true }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LampAction {
    On,
    Off,
}

impl Action for LampAction {
    const NAMES: &'static [&'static str] = &["on", "off"];
    fn name(&self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum LampState {
    #[default]
    Dark,
    TryingToShine,
    Shining,
    Broken,
    TryingToEnd,
}

static ASKED: AtomicU32 = AtomicU32::new(0);

impl<const FAULT: u8> State<Lamp<FAULT>> for LampState {
    const ALL: &'static [Self] =
        &[Self::Dark, Self::TryingToShine, Self::Shining, Self::Broken, Self::TryingToEnd];

    fn name(self) -> &'static str {
        match self {
            Self::Dark => "Dark",
            Self::TryingToShine => "TryingToShine",
            Self::Shining => "Shining",
            Self::Broken => "Broken",
            Self::TryingToEnd => "TryingToEnd",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Dark => Phase::Stopped,
            Self::TryingToShine => Phase::Starting,
            Self::Shining => Phase::Running,
            Self::Broken => Phase::Degraded,
            Self::TryingToEnd => Phase::Stopping,
        }
    }
    fn sort(self) -> Sort {
        match self {
            Self::TryingToShine | Self::TryingToEnd => Sort::Trying,
            Self::Shining if FAULT == WORKS_AND_DOES_NOTHING => Sort::Working,
            Self::Dark | Self::Shining | Self::Broken => Sort::Passive,
        }
    }
    fn next(self, s: &Snapshot<'_, Lamp<FAULT>>) -> Decision<Lamp<FAULT>> {
        let Seen { shines, broken } = *s.observed();
        match self {
            Self::Dark | Self::TryingToEnd => go(Self::TryingToShine, "told to shine"),
            Self::TryingToShine if !shines => match FAULT {
                WAITS_FOR_EVER if s.consecutive_failures() > 0 => stay("it will not do"),
                LACKS_A_VALUE => act(LampAction::On, Reason::new("dark for {}")),
                _ => act(LampAction::On, "it is dark"),
            },
            Self::TryingToShine if broken && FAULT != NEVER_BREAKS => go(Self::Broken, "it is broken"),
            Self::TryingToShine => go(Self::Shining, "it shines"),
            Self::Shining if FAULT == ACTS_WHILE_PASSIVE && broken => act(LampAction::On, "once more"),
            Self::Shining if FAULT == FLAPS && shines && s.config().bright => {
                go(Self::TryingToShine, "not bright enough")
            }
            Self::Shining if FAULT == FLAPS_SLOWLY && s.in_state_for(Duration::from_secs(60)) => {
                go(Self::TryingToShine, "let us see")
            }
            Self::Shining if broken && FAULT != NEVER_BREAKS => go(Self::Broken, "it is broken"),
            Self::Shining if shines => match FAULT {
                SAYS_NOTHING => stay(" "),
                COUNTS => stay(("asked {} times", ASKED.fetch_add(1, Ordering::Relaxed))),
                _ => stay("it shines"),
            },
            Self::Broken if broken || FAULT == STAYS_BROKEN => stay("it is broken"),
            Self::Shining | Self::Broken => go(Self::TryingToShine, "it is dark"),
        }
    }
    fn stop(self, s: &StopSnapshot<'_, Lamp<FAULT>>) -> Decision<Lamp<FAULT>> {
        let off = s.last_action().is_some_and(|last| last.name == "off" && last.outcome == Outcome::Success);
        let shines = s.observed().map(|seen| seen.shines);
        match (self, FAULT) {
            (Self::Shining, PANICS) if shines.is_none() => panic!("not seen"),
            (Self::TryingToEnd, TURNS_ON_WHILE_STOPPING) if shines == Some(true) && s.attempts() == 0 => {
                act(LampAction::On, "to find the switch")
            }
            (Self::Broken, MOVES_ON_WHILE_STOPPING) => go(Self::Shining, "it is broken"),
            (Self::Broken, RESTARTS_WHILE_STOPPING) => restart("it is broken"),
            (Self::TryingToEnd, STOPS_BY_WAITING) if shines == Some(true) => {
                match s.in_state_for(Duration::from_secs(10)) {
                    true => go(Self::Dark, "it is left on"),
                    false => stay("it goes out by itself"),
                }
            }
            (Self::Dark, _) => stay("stopped"),
            (Self::TryingToShine | Self::Shining | Self::Broken, _) => go(Self::TryingToEnd, "told to stop"),
            (Self::TryingToEnd, NEVER_ENDS) => act(LampAction::Off, "for good measure"),
            (Self::TryingToEnd, _) if shines == Some(false) => go(Self::Dark, "it is dark"),
            (Self::TryingToEnd, fault) if shines.is_none() && off && fault != ENDS_ONLY_WHEN_SEEN => {
                go(Self::Dark, "it was turned off")
            }
            (Self::TryingToEnd, _) => act(LampAction::Off, "it shines"),
        }
    }
}

impl<const FAULT: u8> Worker for Lamp<FAULT> {
    const KIND: &'static str = "lamp";
    const POLICY: Policy = Policy::DEFAULT;
    type Config = LampConfig;
    type Observed = Seen;
    type State = LampState;
    type Action = LampAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<LampConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<LampConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }
    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<Seen, CollectError> {
        Ok(dark())
    }
    async fn execute(&self, _action: LampAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        Ok(())
    }
}

pub(crate) fn model<const FAULT: u8>() -> Model<Lamp<FAULT>> {
    model_check::<Lamp<FAULT>>()
        .configs(listed![LampConfig::default(), LampConfig { bright: true }])
        .observations(listed![dark(), shining(), broken()])
        .after("on", |_, seen| seen.shines && !seen.broken)
        .after("off", |_, seen| !seen.shines)
}
