//! Each state against each thing it can see.

use std::sync::Arc;

use fsm_core::Observed;
use fsm_core::table::Case;

use super::ProcessState::{Crashed, Degraded, Running, Stopped, TryingToStart, TryingToStop, WaitingReady};
use super::*;
use crate::ending::Exit;
use crate::process::{ProcessConfig, ProcessObserved, Ready};

fn config() -> ProcessConfig {
    ProcessConfig::new(["server"])
}

fn gone() -> ProcessObserved {
    ProcessObserved::default()
}

fn alive(ready: bool) -> ProcessObserved {
    ProcessObserved { alive: true, pid: Some(7), ready, deployed: Some(Arc::new(config())), ..gone() }
}

fn left(exit: Exit) -> ProcessObserved {
    ProcessObserved { ended: true, exit: Some(exit), deployed: Some(Arc::new(config())), ..gone() }
}

fn unwell() -> ProcessObserved {
    ProcessObserved { unwell: Some("no answer".into()), ..alive(true) }
}

fn other() -> ProcessObserved {
    ProcessObserved { deployed: Some(Arc::new(ProcessConfig::new(["old"]))), ..alive(true) }
}

fn case(observed: ProcessObserved) -> Case<Process> {
    Case::new(config()).observed(observed)
}

#[test]
fn a_wanted_process_is_started_until_it_is_ready() {
    case(gone()).next(Stopped).moves_to(TryingToStart);
    case(gone()).next(TryingToStart).acts("start").because("does not run yet");
    case(gone())
        .after("start", Outcome::Failure)
        .next(TryingToStart)
        .acts("start")
        .because("as the case says");
    case(other()).next(TryingToStart).acts("start");
    case(alive(false)).next(TryingToStart).moves_to(WaitingReady);
    case(alive(false)).next(WaitingReady).stays().because("not ready yet");
    case(alive(true)).next(WaitingReady).moves_to(Running);
    case(gone()).next(WaitingReady).moves_to(TryingToStart);
    case(alive(true)).next(Running).stays();
    case(alive(true)).next(TryingToStop).moves_to(TryingToStart);
}

// spec: S-22
#[test]
fn a_process_that_leaves_is_restarted_by_the_engine() {
    for state in [TryingToStart, WaitingReady, Running, Degraded] {
        case(left(Exit::Code(3))).next(state).moves_to(Crashed).because("exit code 3");
        case(left(Exit::Code(0))).next(state).moves_to(Crashed).because("exit code 0");
        case(left(Exit::Signal(11))).next(state).moves_to(Crashed).because("signal 11");
    }
    case(left(Exit::Code(3))).next(Crashed).restarts().because("exit code 3");
    case(alive(false)).next(Crashed).acts("kill");
}

#[test]
fn a_process_that_runs_already_is_taken_over_without_a_start() {
    case(alive(true)).next(Stopped).moves_to(TryingToStart);
    case(alive(true)).next(TryingToStart).moves_to(WaitingReady);
    case(alive(true)).next(WaitingReady).moves_to(Running);
}

#[test]
fn a_process_that_is_never_ready_is_killed_and_started_anew() {
    let limit = config().ready_within.get();
    case(alive(false))
        .in_state_for(limit)
        .next(WaitingReady)
        .moves_to(Crashed)
        .because("not ready within 30s");
    case(alive(false)).next(WaitingReady).wakes();
    case(alive(false)).next(Crashed).acts("kill");
    case(left(Exit::Signal(9))).next(Crashed).restarts();
}

#[test]
fn a_process_that_is_not_well_is_degraded_until_it_is() {
    case(unwell()).next(Running).moves_to(Degraded).because("no answer");
    case(unwell()).next(Degraded).stays().because("no answer");
    case(alive(true)).next(Degraded).moves_to(Running);
}

#[test]
fn another_config_is_another_process() {
    for state in [Running, Degraded, WaitingReady] {
        case(other()).next(state).moves_to(TryingToStart);
    }
}

#[test]
fn what_sets_something_up_has_done_its_work_when_it_leaves_well() {
    let mut config = config();
    config.ready = Ready::Exit;
    let left = |code| {
        let mut seen = left(Exit::Code(code));
        seen.deployed = Some(Arc::new(config.clone()));
        Case::<Process>::new(config.clone()).observed(seen)
    };
    for state in [TryingToStart, WaitingReady] {
        left(0).next(state).moves_to(Running).because("done its work");
        left(1).next(state).moves_to(Crashed);
    }
    left(0).next(Running).stays();
}

#[test]
fn an_unwanted_process_is_stopped_until_nothing_of_it_lives() {
    for state in [TryingToStart, WaitingReady, Running, Degraded, Crashed] {
        for observed in [gone(), alive(true), unwell(), left(Exit::Code(1))] {
            case(observed).stop(state).moves_to(TryingToStop);
        }
        Case::<Process>::new(config()).stop(state).moves_to(TryingToStop);
    }
    case(alive(true)).stop(TryingToStop).acts("stop");
    // How it left is forgotten by its stop, so that it is not taken for a crash when it is wanted again.
    case(left(Exit::Code(1))).stop(TryingToStop).acts("stop");
    case(gone()).stop(TryingToStop).moves_to(Stopped);
    case(gone()).stop(Stopped).stays();
    Case::<Process>::new(config()).stop(TryingToStop).acts("stop");
    Case::<Process>::new(config()).after("stop", Outcome::Success).stop(TryingToStop).moves_to(Stopped);
}

#[test]
fn figures_and_lines_are_no_reason_to_decide_again() {
    let mut seen = alive(true);
    seen.usage.rss = Some(1);
    seen.log.push("line".into());
    assert!(seen.same_for_decisions(&alive(true)));
    assert!(!unwell().same_for_decisions(&alive(true)));
}
