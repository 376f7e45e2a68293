//! A worker with two states fits on a page, and its states can be asked without an engine.

use fsm_core::table::Case;
use fsm_core::*;
use serde::{Deserialize, Serialize};

/// Watches a mood.
struct Mood;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct MoodConfig {
    who: String,
}

impl Config for MoodConfig {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    happy: bool,
    looks: u64,
}

impl Observed<MoodConfig> for Seen {
    fn same_for_decisions(&self, old: &Self) -> bool {
        self.happy == old.happy
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum MoodState {
    #[default]
    Stopped,
    Happy,
    Sad,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Cheer;

impl Action for Cheer {
    const NAMES: &'static [&'static str] = &["cheer"];
    fn name(&self) -> &'static str {
        "cheer"
    }
}

impl Worker for Mood {
    const KIND: &'static str = "mood";
    const POLICY: Policy = Policy::DEFAULT;
    type Config = MoodConfig;
    type Observed = Seen;
    type State = MoodState;
    type Action = Cheer;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<MoodConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<MoodConfig>, DeriveError> {
        if spec.config.who.is_empty() {
            return Err(DeriveError::config("nobody is nobody's mood").at("who"));
        }
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<Seen, CollectError> {
        Ok(Seen { happy: true, looks: 1 })
    }

    async fn execute(&self, _action: Cheer, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        Ok(())
    }
}

impl State<Mood> for MoodState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::Happy, Self::Sad];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Happy => "Happy",
            Self::Sad => "Sad",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Happy => Phase::Running,
            Self::Sad => Phase::Degraded,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::Stopped | Self::Happy => Sort::Passive,
            Self::Sad => Sort::Working,
        }
    }

    fn next(self, s: &Snapshot<'_, Mood>) -> Decision<Mood> {
        match self {
            Self::Stopped | Self::Sad if s.observed().happy => go(Self::Happy, "happy"),
            Self::Stopped => go(Self::Sad, "sad"),
            Self::Sad if s.in_state_for(std::time::Duration::from_secs(5)) => act(Cheer, "sad for long"),
            Self::Sad => stay("sad"),
            Self::Happy if s.observed().happy => stay("happy"),
            Self::Happy => go(Self::Sad, "sad"),
        }
    }

    fn stop(self, _s: &StopSnapshot<'_, Mood>) -> Decision<Mood> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::Happy | Self::Sad => go(Self::Stopped, "told to stop"),
        }
    }
}

fn case(happy: bool) -> Case<Mood> {
    Case::new(MoodConfig { who: "ann".into() }).observed(Seen { happy, looks: 3 })
}

#[test]
fn a_state_answers_what_its_table_says() {
    case(true).next(MoodState::Stopped).moves_to(MoodState::Happy).because("happy");
    case(false).next(MoodState::Happy).moves_to(MoodState::Sad);
    case(false).next(MoodState::Sad).stays().wakes();
    case(false).in_state_for(std::time::Duration::from_secs(6)).next(MoodState::Sad).acts("cheer");
    case(false).stop(MoodState::Sad).moves_to(MoodState::Stopped);
}

#[test]
fn a_bad_config_names_the_field() {
    let error = Case::<Mood>::new(MoodConfig { who: String::new() }).derive().unwrap_err();
    assert_eq!(error.to_string(), "who: nobody is nobody's mood");
}

#[test]
fn a_kind_reads_its_config_strictly() {
    let mut registry = Registry::new();
    registry.register(Mood).unwrap();
    let kind = registry.get("mood").unwrap();
    assert!(kind.read_config(&serde_json::json!({"who": "ann"})).is_ok());
    let error = kind.read_config(&serde_json::json!({"who": 3})).unwrap_err();
    assert_eq!(error.field, "who");
    let error = kind.read_config(&serde_json::json!({"who": "ann", "whom": 1})).unwrap_err();
    assert!(error.to_string().contains("whom"), "{error}");
}
