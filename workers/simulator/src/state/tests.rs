//! Each state against each thing it can see.

use std::sync::Arc;

use fsm_core::table::Case;
use fsm_core::{Observed, Registry};

use super::SimulatorState::{Degraded, Running, Stopped, TryingToStart, TryingToStop};
use super::*;
use crate::config::SimulatorConfig;

fn off() -> SimulatorObserved {
    SimulatorObserved {
        alive: false,
        connected: false,
        error: None,
        skipping: false,
        published: 0,
        skipped: 0,
        deployed: None,
    }
}

fn connecting() -> SimulatorObserved {
    SimulatorObserved { alive: true, deployed: Some(Arc::new(SimulatorConfig::default())), ..off() }
}

fn refused() -> SimulatorObserved {
    SimulatorObserved { error: Some("connection refused".into()), ..connecting() }
}

fn on() -> SimulatorObserved {
    SimulatorObserved { connected: true, published: 7, ..connecting() }
}

fn skipping() -> SimulatorObserved {
    SimulatorObserved { skipping: true, ..on() }
}

fn other_config() -> SimulatorObserved {
    let other = SimulatorConfig { seed: 2, ..SimulatorConfig::default() };
    SimulatorObserved { deployed: Some(Arc::new(other)), ..on() }
}

fn case(observed: SimulatorObserved) -> Case<DeviceSimulator> {
    Case::new(SimulatorConfig::default()).observed(observed)
}

#[test]
fn a_wanted_simulator_is_started_until_its_broker_lets_it_in() {
    case(off()).next(Stopped).moves_to(TryingToStart);
    case(off()).next(TryingToStart).acts("start");
    case(connecting()).next(TryingToStart).stays().because("connecting").wakes();
    case(connecting()).in_state_for(CONNECT_PATIENCE).next(TryingToStart).moves_to(Degraded);
    case(on()).next(TryingToStart).moves_to(Running);
    case(refused()).next(TryingToStart).moves_to(Degraded).because("connection refused");
    case(on()).next(Running).stays().because("publishing");
    case(on()).next(TryingToStop).moves_to(TryingToStart);
}

#[test]
fn trouble_with_the_broker_degrades_and_passes() {
    for state in [Running, Degraded] {
        for (observed, because) in
            [(refused(), "connection refused"), (connecting(), "no connection"), (skipping(), "as fast as")]
        {
            let answer = case(observed).next(state);
            let answer = if state == Running { answer.moves_to(Degraded) } else { answer.stays() };
            answer.because(because);
        }
    }
    case(on()).next(Degraded).moves_to(Running);
}

#[test]
fn a_changed_config_or_an_ended_task_starts_it_again() {
    for state in [Running, Degraded] {
        case(other_config()).next(state).moves_to(TryingToStart).because("config");
        case(off()).next(state).moves_to(TryingToStart).because("ended");
    }
    case(other_config()).next(TryingToStart).acts("start");
}

#[test]
fn an_unwanted_simulator_is_stopped_until_it_is_gone() {
    for state in [TryingToStart, Running, Degraded] {
        for observed in [on(), off(), refused()] {
            case(observed).stop(state).moves_to(TryingToStop);
        }
        Case::<DeviceSimulator>::new(SimulatorConfig::default()).stop(state).moves_to(TryingToStop);
    }
    case(on()).stop(TryingToStop).acts("stop");
    let unseen = || Case::<DeviceSimulator>::new(SimulatorConfig::default());
    unseen().stop(TryingToStop).acts("stop");
    // spec: S-24 — what can't be observed is stopped all the same.
    unseen()
        .after("stop", Outcome::Success)
        .stop(TryingToStop)
        .moves_to(Stopped)
        .because("can't be observed");
    unseen().after("stop", Outcome::Failure).stop(TryingToStop).acts("stop");
    case(off()).stop(TryingToStop).moves_to(Stopped);
    case(off()).stop(Stopped).stays();
    case(on()).stop(Stopped).moves_to(TryingToStop);
}

#[test]
fn figures_are_no_reason_to_decide_again() {
    assert!(SimulatorObserved { published: 9, skipped: 2, ..on() }.same_for_decisions(&on()));
    for other in [off(), connecting(), refused(), skipping(), other_config()] {
        assert!(!other.same_for_decisions(&on()), "{other:?}");
    }
}

#[test]
fn the_kind_registers_once() {
    let mut registry = Registry::new();
    crate::register(&mut registry).expect("a good kind");
    assert!(crate::register(&mut registry).is_err(), "twice");
}
