//! Each state against each thing it can see.

use fsm_core::table::Case;

use super::StepState::{
    Cancelled, Ended, Failed, Pending, Running, Succeeded, TimedOut, TryingToCancel, TryingToStart,
};
use super::*;
use crate::step::{StepAgent, StepConfig, StepObserved};

const ENDS: [(Outcome, StepState); 5] = [
    (Outcome::Success, Succeeded),
    (Outcome::Failure, Failed),
    (Outcome::Panic, Failed),
    (Outcome::Timeout, TimedOut),
    (Outcome::Cancelled, Cancelled),
];

fn case(running: bool, end: Option<Outcome>) -> Case<Step> {
    let config = StepConfig::Agent(StepAgent::new("/edge/a", "probe"));
    let end = end.map(|outcome| RunEnd::new(outcome, "as the case says"));
    Case::new(config).observed(StepObserved { running, end })
}

fn nothing() -> Case<Step> {
    case(false, None)
}

#[test]
fn a_step_runs_once_and_ends_as_its_run_did() {
    nothing().next(Pending).moves_to(TryingToStart);
    nothing().next(TryingToStart).acts("start");
    nothing().after("start", Outcome::Failure).next(TryingToStart).acts("start").because("as the case says");
    case(true, None).next(TryingToStart).moves_to(Running);
    case(true, None).next(Running).stays();
    for (outcome, state) in ENDS {
        case(false, Some(outcome)).next(TryingToStart).moves_to(state).because("as the case says");
        case(false, Some(outcome)).next(Running).moves_to(state);
        case(false, Some(outcome)).next(state).stays();
    }
    nothing().next(Running).moves_to(TryingToStart);
}

#[test]
fn a_step_that_is_not_to_run_any_more_is_cancelled_and_keeps_its_end() {
    nothing().stop(Pending).stays();
    case(false, Some(Outcome::Success)).stop(Succeeded).stays();
    for state in [Failed, TimedOut, Cancelled] {
        case(false, Some(Outcome::Failure)).stop(state).moves_to(Ended);
    }
    case(true, None).stop(Running).moves_to(TryingToCancel);
    nothing().stop(TryingToStart).moves_to(TryingToCancel);
    // What was seen before may be older than the start: only a cancel that came back is believed.
    nothing().stop(TryingToCancel).acts("cancel");
    case(true, None).after("cancel", Outcome::Timeout).stop(TryingToCancel).acts("cancel");
    case(false, Some(Outcome::Cancelled))
        .after("cancel", Outcome::Success)
        .stop(TryingToCancel)
        .moves_to(Ended);
    case(false, Some(Outcome::Cancelled)).stop(Ended).stays();
}

#[test]
fn another_run_is_another_life() {
    case(false, Some(Outcome::Cancelled)).next(Ended).restarts();
    case(true, None).next(TryingToCancel).restarts();
}
