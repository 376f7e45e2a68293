//! Deadlines: time is followed from one booked wake-up to the next.

use std::time::Duration;

use fsm_core::*;
use fsm_testkit::{listed, model_check};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Waits for a door: knocks after 10 s, gives up after 60 s, comes again after 5 s.
struct Visitor;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct VisitorConfig {}

impl Config for VisitorConfig {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Door {
    open: bool,
}

impl Observed<VisitorConfig> for Door {}

#[derive(Debug, Clone)]
struct Knock;

impl Action for Knock {
    const NAMES: &'static [&'static str] = &["knock"];
    fn name(&self) -> &'static str {
        "knock"
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum VisitorState {
    #[default]
    Home,
    TryingToEnter,
    Knocked,
    GaveUp,
    Inside,
}

impl State<Visitor> for VisitorState {
    const ALL: &'static [Self] =
        &[Self::Home, Self::TryingToEnter, Self::Knocked, Self::GaveUp, Self::Inside];
    fn name(self) -> &'static str {
        match self {
            Self::Home => "Home",
            Self::TryingToEnter => "TryingToEnter",
            Self::Knocked => "Knocked",
            Self::GaveUp => "GaveUp",
            Self::Inside => "Inside",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Home => Phase::Stopped,
            Self::TryingToEnter | Self::Knocked => Phase::Starting,
            Self::GaveUp => Phase::Degraded,
            Self::Inside => Phase::Running,
        }
    }
    fn sort(self) -> Sort {
        match self {
            Self::TryingToEnter => Sort::Trying,
            Self::Home | Self::Knocked | Self::GaveUp | Self::Inside => Sort::Passive,
        }
    }
    fn next(self, s: &Snapshot<'_, Visitor>) -> Decision<Visitor> {
        match self {
            Self::Home => go(Self::TryingToEnter, "invited"),
            Self::TryingToEnter | Self::Knocked | Self::GaveUp if s.observed().open => {
                go(Self::Inside, "open")
            }
            // Only what is between both deadlines knocks: time must stop there.
            Self::TryingToEnter if s.in_state_for(Duration::from_secs(60)) => go(Self::GaveUp, "no answer"),
            Self::TryingToEnter if s.in_state_for(Duration::from_secs(10)) && s.attempts() == 0 => {
                act(Knock, "nobody comes")
            }
            Self::TryingToEnter if s.attempts() > 0 => go(Self::Knocked, "they must have heard"),
            Self::TryingToEnter => stay("waiting"),
            Self::Knocked => stay("listening"),
            Self::GaveUp => stay("sulking"),
            Self::Inside if s.observed().open => stay("inside"),
            Self::Inside => go(Self::TryingToEnter, "thrown out"),
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, Visitor>) -> Decision<Visitor> {
        go(Self::Home, "good night")
    }
}

impl Worker for Visitor {
    const KIND: &'static str = "visitor";
    const POLICY: Policy = Policy::DEFAULT;
    type Config = VisitorConfig;
    type Observed = Door;
    type State = VisitorState;
    type Action = Knock;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<VisitorConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<VisitorConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }
    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<Door, CollectError> {
        Ok(Door { open: false })
    }
    async fn execute(&self, _action: Knock, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        Ok(())
    }
}

// spec: K-6
#[test]
fn what_happens_between_two_deadlines_is_reached() {
    let report = model_check::<Visitor>()
        .configs(listed![VisitorConfig {}])
        .observations(listed![Door { open: false }, Door { open: true }])
        .after("knock", |_, door| door.open)
        .assert();
    assert_eq!(report.states, 5);
}
