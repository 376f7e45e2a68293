//! The table of `failing`, and how often it fails.

use std::time::Duration;

use fsm_core::table::Case;
use fsm_core::{Goal, Observed, Outcome, Signal};
use fsm_testkit::Workbench;
use fsm_worker_examples::failing::*;

use crate::node::Node;

fn config() -> FailingConfig {
    FailingConfig::default().with_restart_after(5)
}

fn case(up: bool) -> Case<Failing> {
    Case::new(config()).observed(FailingObserved::new(up))
}

// spec: S-25
#[test]
fn each_state_answers_each_situation() {
    use FailingState::*;
    for up in [false, true] {
        case(up).next(Stopped).moves_to(TryingToStart);
        case(up).next(TryingToStop).moves_to(TryingToStart);
        case(up).stop(Stopped).stays();
        for state in [TryingToStart, Running, Degraded] {
            case(up).stop(state).moves_to(TryingToStop);
        }
    }
    for state in [TryingToStart, Degraded] {
        case(false).next(state).acts("start");
        case(true).next(state).moves_to(Running);
    }
    case(true).next(Running).stays();
    case(false).next(Running).moves_to(Degraded).because("broke down");
    case(true).stop(TryingToStop).acts("stop");
    case(false).stop(TryingToStop).moves_to(Stopped);
}

// Capability 6: the signal that it can't go on.
#[test]
fn it_asks_for_a_restart_after_its_last_failure() {
    for state in [FailingState::TryingToStart, FailingState::Degraded] {
        case(false).failures(4).next(state).acts("start");
        case(false).failures(5).next(state).restarts().because("5 starts in a row failed");
        case(true).failures(5).next(state).moves_to(FailingState::Running);
        let patient = Case::<Failing>::new(FailingConfig::default()).observed(FailingObserved::new(false));
        patient.failures(500).next(state).acts("start");
    }
}

// spec: S-24 — what can't be observed never prevents stopping.
#[test]
fn it_stops_though_it_cannot_be_observed() {
    let blind = || Case::<Failing>::new(config());
    blind().stop(FailingState::TryingToStop).acts("stop");
    let stopped = blind().after("stop", Outcome::Success).stop(FailingState::TryingToStop);
    stopped.moves_to(FailingState::Stopped);
}

#[test]
fn a_config_that_could_never_work_is_refused_with_the_field() {
    let field = |config| Case::<Failing>::new(config).derive().unwrap_err().field().map(str::to_owned);
    assert_eq!(field(FailingConfig::default().with_restart_after(0)).as_deref(), Some("restart_after"));
    let hectic = FailingConfig::default().with_breakdowns(1, Duration::ZERO);
    assert_eq!(field(hectic).as_deref(), Some("up_for"));
}

#[test]
fn configs_read_as_people_write_them() {
    let read = |value| serde_json::from_value::<FailingConfig>(value).unwrap();
    assert_eq!(read(serde_json::json!({})), FailingConfig::default());
    assert_eq!(read(serde_json::json!({"fails": "always"})).fails, Fails::Always);
    assert_eq!(read(serde_json::json!({"fails": {"times": 7}})).fails, Fails::Times(7));
}

#[tokio::test]
async fn it_recovers_after_three_failures() {
    let mut node = Node::new(Failing, FailingConfig::default());
    let _ = node.settle(Goal::Run).await;
    assert_eq!(node.state, FailingState::Running);
    assert_eq!(node.ran, ["start"; 4], "three fail, the fourth succeeds");
    let _ = node.settle(Goal::Stop).await;
    assert_eq!(node.state, FailingState::Stopped);
    let decision = node.settle(Goal::Run).await;
    assert_eq!((node.state, decision.signal()), (FailingState::Running, Signal::None));
    assert_eq!(node.ran.len(), 4 + 1 + 4, "a new start fails as often");
}

#[tokio::test]
async fn an_error_says_which_failure_it_is() {
    let bench = Workbench::new(Failing, FailingConfig::default().with_fails(Fails::Always));
    for failure in 1..5 {
        let error = bench.execute(FailingAction::Start).await.unwrap_err();
        assert!(error.to_string().contains(&format!("the {failure}. time")), "{error}");
        assert!(!error.is_permanent());
    }
}

#[tokio::test(start_paused = true)]
async fn it_breaks_down_as_often_as_told() {
    let up_for = Duration::from_secs(5);
    let config = FailingConfig::default().with_fails(Fails::Times(0)).with_breakdowns(2, up_for);
    let bench = Workbench::new(Failing, config);
    for breakdown in 1..=2 {
        bench.execute(FailingAction::Start).await.unwrap();
        assert!(bench.collect().await.unwrap().up);
        tokio::time::advance(up_for).await;
        let seen = bench.collect().await.unwrap();
        assert_eq!((seen.up, seen.breakdowns), (false, breakdown));
    }
    bench.execute(FailingAction::Start).await.unwrap();
    tokio::time::advance(up_for * 10).await;
    let seen = bench.collect().await.unwrap();
    assert_eq!((seen.up, seen.breakdowns), (true, 2), "it has broken down often enough");
}

#[test]
fn breakdowns_alone_decide_nothing() {
    let (mut broken, new) = (FailingObserved::new(true), FailingObserved::new(true));
    broken.breakdowns = 3;
    assert!(broken.same_for_decisions(&new));
    assert!(!FailingObserved::new(false).same_for_decisions(&new));
}
