//! A parent and its children: what the parent's state lets them do is part of the model.

use std::time::Duration;

use fsm_core::*;
use fsm_testkit::{Check, ModelError, listed, model_check};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lamp::{Lamp, NONE};

/// A house with two lamps. `DEADLOCK` waits for them in a state in which they may not start.
struct House<const DEADLOCK: bool>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct HouseConfig {
    porch: bool,
}

impl Config for HouseConfig {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum HouseState {
    #[default]
    Empty,
    Waking,
    Awake,
    Dim,
}

impl<const DEADLOCK: bool> State<House<DEADLOCK>> for HouseState {
    const ALL: &'static [Self] = &[Self::Empty, Self::Waking, Self::Awake, Self::Dim];
    fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Waking => "Waking",
            Self::Awake => "Awake",
            Self::Dim => "Dim",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Empty => Phase::Stopped,
            Self::Waking => Phase::Starting,
            Self::Awake => Phase::Running,
            Self::Dim => Phase::Degraded,
        }
    }
    fn sort(self) -> Sort {
        Sort::Passive
    }
    fn next(self, s: &Snapshot<'_, House<DEADLOCK>>) -> Decision<House<DEADLOCK>> {
        let shines =
            |name: &str| s.children().get(name).is_some_and(|lamp| lamp.state == "Shining" && !lamp.stale);
        let bright = shines("hall") && (shines("porch") || !s.config().porch);
        match self {
            Self::Empty => go(Self::Waking, "somebody comes"),
            Self::Waking if s.in_state_for(Duration::from_secs(60)) && !bright && !DEADLOCK => {
                go(Self::Dim, "a lamp doesn't shine")
            }
            Self::Waking | Self::Dim if bright => go(Self::Awake, "all lamps shine"),
            Self::Awake if !bright => go(Self::Dim, "a lamp went out"),
            Self::Waking | Self::Awake | Self::Dim => stay("as before"),
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, House<DEADLOCK>>) -> Decision<House<DEADLOCK>> {
        go(Self::Empty, "nobody is there")
    }
}

impl<const DEADLOCK: bool> Worker for House<DEADLOCK> {
    const KIND: &'static str = "house";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = HouseConfig;
    type Observed = ();
    type State = HouseState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<HouseConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<HouseConfig>, DeriveError> {
        let run = if DEADLOCK { vec!["Awake"] } else { vec!["Waking", "Awake", "Dim"] };
        let start_when = StartWhen::States(run.into_iter().map(String::from).collect());
        let lamp = |name: &str| {
            ChildSpec::try_new(name, "lamp").expect("a good name").with_start_when(start_when.clone())
        };
        let hall = ChildName::try_new("hall").expect("a good name");
        let lamps = [
            lamp("hall"),
            lamp("porch").with_enabled(spec.config.porch).with_dependency(Dependency::on(hall)),
        ];
        Ok(DesiredState::running(spec).with_children(ChildrenSpecs::try_from_iter(lamps).expect("two names")))
    }
    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        Ok(())
    }
    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

fn model<const DEADLOCK: bool>() -> fsm_testkit::Model<House<DEADLOCK>> {
    model_check::<House<DEADLOCK>>()
        .configs(listed![HouseConfig { porch: true }, HouseConfig { porch: false }])
        .child::<Lamp<NONE>>("hall")
        .child::<Lamp<NONE>>("porch")
}

// spec: K-6 — a parent and its children.
#[test]
fn a_sound_family_passes() {
    let report = model::<false>().assert();
    // 4 states × goals × 7 cases of each lamp, and time.
    assert!(report.situations > 300, "{report}");
}

// spec: K-6, S-16
#[test]
fn a_parent_that_waits_for_children_it_does_not_let_start_is_a_trap() {
    let Err(ModelError::Found { findings, .. }) = model::<true>().check() else { panic!("not found") };
    let traps: Vec<_> = findings.iter().filter(|finding| finding.check == Check::Trap).collect();
    assert!(traps[0].what.contains("in Waking, it never comes to a state of phase Running"), "{}", traps[0]);
    assert!(
        traps[0].test.as_ref().unwrap().contains(".child(\"hall\", Phase::Stopped, \"Dark\")"),
        "{}",
        traps[0]
    );
    assert!(findings.iter().any(|finding| finding.check == Check::Reached), "{findings:?}");
}

#[test]
fn a_child_that_nobody_has_is_named() {
    let error = model::<false>().child::<Lamp<NONE>>("attic").check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "no config of `house` has a child `attic`; there are [\"hall\", \"porch\"]"
    );
}

#[test]
fn a_model_that_is_too_large_gives_up() {
    let error = model::<false>().limit(50).check().unwrap_err();
    assert!(matches!(error, ModelError::TooLarge { limit: 50, .. }), "{error}");
}
