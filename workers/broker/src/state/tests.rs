//! Each state against each thing it can see.

use std::sync::Arc;

use fsm_core::table::Case;
use fsm_core::{Observed, Registry};

use super::BrokerState::{Degraded, Running, Stopped, TryingToStart, TryingToStop};
use super::*;
use crate::config::{BrokerConfig, Listen};
use crate::stats::BrokerStats;
use crate::worker::BrokerObserved;

fn config() -> BrokerConfig {
    BrokerConfig::listening_on(Listen::loopback(1883))
}

fn off() -> BrokerObserved {
    BrokerObserved {
        listening: false,
        alive: false,
        address: "".into(),
        losing: false,
        panicking: false,
        stats: BrokerStats::default(),
        deployed: None,
    }
}

fn on() -> BrokerObserved {
    BrokerObserved {
        listening: true,
        alive: true,
        address: "127.0.0.1:1883".into(),
        deployed: Some(Arc::new(config())),
        ..off()
    }
}

fn losing() -> BrokerObserved {
    let stats = BrokerStats { dropped: 7, ..BrokerStats::default() };
    BrokerObserved { losing: true, stats, ..on() }
}

fn case(observed: BrokerObserved) -> Case<MqttBroker> {
    Case::new(config()).observed(observed)
}

#[test]
fn a_wanted_broker_is_started_until_it_listens() {
    case(off()).next(Stopped).moves_to(TryingToStart);
    case(off()).next(TryingToStart).acts("start").because("does not listen yet");
    case(off())
        .after("start", Outcome::Failure)
        .next(TryingToStart)
        .acts("start")
        .because("as the case says");
    case(on()).next(TryingToStart).moves_to(Running).because("127.0.0.1:1883");
    case(losing()).next(TryingToStart).moves_to(Degraded);
    case(on()).next(Running).stays();
    case(on()).next(TryingToStop).moves_to(TryingToStart);
}

#[test]
fn a_broker_that_vanished_or_runs_another_config_is_started_again() {
    let other = BrokerConfig::listening_on(Listen::loopback(1884));
    let elsewhere = BrokerObserved { deployed: Some(Arc::new(other)), ..on() };
    for observed in [off(), elsewhere] {
        case(observed.clone()).next(Running).moves_to(TryingToStart);
        case(observed.clone()).next(Degraded).moves_to(TryingToStart);
        case(observed).next(TryingToStart).acts("start");
    }
}

#[test]
fn lost_messages_and_panics_are_trouble() {
    case(losing()).next(Running).moves_to(Degraded).because("7 so far");
    case(losing()).next(Degraded).stays().because("7 so far");
    case(BrokerObserved { panicking: true, ..on() }).next(Running).moves_to(Degraded).because("panicked");
    case(on()).next(Degraded).moves_to(Running);
}

#[test]
fn an_unwanted_broker_is_stopped_until_all_of_it_is_gone() {
    for state in [TryingToStart, Running, Degraded] {
        for observed in [on(), off(), losing()] {
            case(observed).stop(state).moves_to(TryingToStop);
        }
        Case::<MqttBroker>::new(config()).stop(state).moves_to(TryingToStop);
    }
    case(on()).stop(TryingToStop).acts("stop");
    case(BrokerObserved { listening: false, ..on() }).stop(TryingToStop).acts("stop");
    Case::<MqttBroker>::new(config()).stop(TryingToStop).acts("stop");
    // spec: S-24 — what can't be observed is stopped all the same.
    let blind = |outcome| Case::<MqttBroker>::new(config()).after("stop", outcome).stop(TryingToStop);
    blind(Outcome::Success).moves_to(Stopped).because("can't be observed");
    blind(Outcome::Failure).acts("stop");
    case(off()).stop(TryingToStop).moves_to(Stopped);
    case(off()).stop(Stopped).stays();
    Case::<MqttBroker>::new(config()).stop(Stopped).stays();
    case(on()).stop(Stopped).moves_to(TryingToStop);
}

#[test]
fn figures_are_no_reason_to_decide_again() {
    let busy = BrokerObserved { stats: BrokerStats { sent: 9, ..BrokerStats::default() }, ..on() };
    assert!(busy.same_for_decisions(&on()));
    for other in [
        off(),
        losing(),
        BrokerObserved { panicking: true, ..on() },
        BrokerObserved { deployed: None, ..on() },
    ] {
        assert!(!other.same_for_decisions(&on()), "{other:?}");
    }
}

// spec: S-11
#[test]
fn every_field_of_the_config_restarts_and_its_schema_says_so() {
    let mut registry = Registry::new();
    crate::register(&mut registry).expect("a good kind");
    assert!(crate::register(&mut registry).is_err(), "twice");
    let schema = serde_json::to_value(schemars::schema_for!(BrokerConfig)).expect("plain data");
    for (name, field) in schema["properties"].as_object().expect("an object") {
        assert_eq!(field["x-restart"], true, "{name}");
    }
    assert!(
        fsm_core::Config::needs_restart(&config(), &BrokerConfig::default())
            == (config() != BrokerConfig::default())
    );
}
