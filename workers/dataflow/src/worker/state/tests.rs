//! Tables of `next` and `stop`.

use std::sync::Arc;

use fsm_core::table::Case;
use fsm_core::{HumanDuration, Observed, Registry};
use serde_json::json;

use super::DataflowState::{Active, Degraded, Idle, Stopped, TryingToStart, TryingToStop};
use super::*;

fn config() -> FlowConfig {
    serde_json::from_value(json!({"input": {"generate": {}}, "output": {"drop": {}}})).unwrap()
}

fn seen(health: Health) -> FlowObserved {
    let running = !matches!(health, Health::Absent | Health::Failed(_));
    let deployed = (health != Health::Absent).then(|| Arc::new(config()));
    FlowObserved { running, health, deployed, ..FlowObserved::absent() }
}

fn trouble(trouble: Trouble) -> FlowObserved {
    seen(Health::Degraded(trouble))
}

fn case(observed: FlowObserved) -> Case<Dataflow> {
    Case::new(config()).observed(observed)
}

#[test]
fn a_wanted_flow_is_started_until_it_runs() {
    case(seen(Health::Absent)).next(Stopped).moves_to(TryingToStart);
    case(seen(Health::Absent)).next(TryingToStart).acts("start").because("does not run yet");
    case(seen(Health::Absent))
        .after("start", Outcome::Failure)
        .next(TryingToStart)
        .acts("start")
        .because("as the case says");
    case(seen(Health::Idle)).next(TryingToStart).moves_to(Idle);
    case(seen(Health::Active)).next(TryingToStart).moves_to(Active);
    case(seen(Health::Idle)).next(TryingToStop).moves_to(TryingToStart);
}

#[test]
fn a_new_flow_may_take_a_while_to_connect() {
    let observed = trouble(Trouble::NoSource("refused".into()));
    case(observed.clone()).next(TryingToStart).stays().because("refused").wakes();
    case(observed.clone()).in_state_for(CONNECT_PATIENCE).next(TryingToStart).moves_to(Degraded);
    case(observed).next(Active).moves_to(Degraded).because("no connection to the source: refused");
}

// spec: D-6
#[test]
fn a_running_flow_is_what_its_figures_say() {
    for from in [Idle, Active, Degraded] {
        for (observed, to) in [
            (seen(Health::Idle), Idle),
            (seen(Health::Finished), Idle),
            (seen(Health::Active), Active),
            (trouble(Trouble::Stalled(3, HumanDuration::new(Duration::from_secs(31)))), Degraded),
            (trouble(Trouble::Refused("bad".into())), Degraded),
        ] {
            let answer = case(observed).next(from);
            if from == to {
                answer.stays()
            } else {
                answer.moves_to(to)
            };
        }
    }
}

#[test]
fn a_flow_that_ended_or_has_another_config_is_started_again() {
    let mut other = config();
    other.max_in_flight = std::num::NonZeroU32::MIN;
    let elsewhere = FlowObserved { deployed: Some(Arc::new(other)), ..seen(Health::Active) };
    for from in [Idle, Active, Degraded] {
        case(seen(Health::Failed("gone".into()))).next(from).moves_to(TryingToStart).because("gone");
        case(elsewhere.clone()).next(from).moves_to(TryingToStart).because("config changed");
    }
    case(elsewhere).next(TryingToStart).acts("start");
    let mut judged = config();
    judged.fresh_within = Duration::from_secs(1).into();
    let judged = FlowObserved { deployed: Some(Arc::new(judged)), ..seen(Health::Active) };
    case(judged).next(Active).stays();
}

// spec: D-7
#[test]
fn a_flow_that_stopped_at_a_message_is_not_started_against_it_again() {
    let observed = FlowObserved { running: false, ..trouble(Trouble::Refused("bad".into())) };
    case(observed.clone()).next(Active).moves_to(Degraded).because("bad");
    case(observed.clone()).next(Degraded).stays();
    case(observed).next(TryingToStart).moves_to(Degraded);
}

#[test]
fn an_unwanted_flow_is_stopped_until_it_is_gone() {
    for from in [TryingToStart, Idle, Active, Degraded] {
        case(seen(Health::Active)).stop(from).moves_to(TryingToStop);
        Case::<Dataflow>::new(config()).stop(from).moves_to(TryingToStop);
    }
    case(seen(Health::Active)).stop(TryingToStop).acts("stop");
    case(seen(Health::Failed("x".into()))).stop(TryingToStop).acts("stop");
    Case::<Dataflow>::new(config()).stop(TryingToStop).acts("stop");
    // spec: S-24 — what can't be observed is stopped all the same.
    let blind = |outcome| Case::<Dataflow>::new(config()).after("stop", outcome).stop(TryingToStop);
    blind(Outcome::Success).moves_to(Stopped).because("can't be observed");
    blind(Outcome::Failure).acts("stop");
    case(seen(Health::Absent)).stop(TryingToStop).moves_to(Stopped);
    case(seen(Health::Absent)).stop(Stopped).stays();
    case(seen(Health::Active)).stop(Stopped).moves_to(TryingToStop);
}

#[test]
fn figures_alone_are_no_reason_to_decide_again() {
    let mut counted = seen(Health::Active);
    counted.counters.messages_in = 7;
    assert!(counted.same_for_decisions(&seen(Health::Active)));
    assert_ne!(counted, seen(Health::Active));
    let stalled = |n| trouble(Trouble::Stalled(n, HumanDuration::default()));
    assert!(stalled(1).same_for_decisions(&stalled(2)));
    assert!(!stalled(1).same_for_decisions(&seen(Health::Active)));
    assert!(!seen(Health::Idle).same_for_decisions(&seen(Health::Active)));
}

#[test]
fn the_kind_can_be_registered() {
    super::super::register(&mut Registry::new(), Dataflow::new("test")).unwrap();
}

// spec: T-3, S-14
#[test]
fn a_bad_program_is_a_derive_error_with_its_place() {
    let mut bad = config();
    bad.pipeline = serde_json::from_value(json!([{"topic": "t"}, {"map": ".a |\n  nope"}])).unwrap();
    let error = Case::<Dataflow>::new(bad).derive().unwrap_err();
    assert_eq!(error.field(), Some("pipeline[1].map"));
    let text = error.to_string();
    assert!(text.contains("line 2, column 3") && text.contains("nope"), "{text}");
}

#[test]
fn a_flow_that_could_name_no_topic_is_refused() {
    let config = json!({"input": {"generate": {}}, "output": {"mqtt": {"url": "mqtt://h"}}});
    let error = Case::<Dataflow>::new(serde_json::from_value(config).unwrap()).derive().unwrap_err();
    assert_eq!(error.field(), Some("output.mqtt.topic"));
}

// spec: D-4, T-4
#[test]
fn a_tag_knows_who_bridged_it() {
    let config = json!({
        "input": {"generate": {}}, "output": {"drop": {}},
        "pipeline": [{"tag": {"tag": "t", "location": "l"}}]
    });
    let desired = Case::<Dataflow>::new(serde_json::from_value(config).unwrap()).derive().unwrap();
    assert_eq!(desired.config.vars["bridged_by"], "/test/case");
}
