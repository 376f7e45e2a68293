//! Each state against each thing it can see.

use std::sync::Arc;

use fsm_core::table::Case;

use super::ToolState::{
    Cancelled, Failed, Pending, Running, Succeeded, TimedOut, TryingToCancel, TryingToStart,
};
use super::*;
use crate::tool_kind::{ToolConfig, ToolObserved};

const ENDS: [(Outcome, ToolState); 5] = [
    (Outcome::Success, Succeeded),
    (Outcome::Failure, Failed),
    (Outcome::Panic, Failed),
    (Outcome::Timeout, TimedOut),
    (Outcome::Cancelled, Cancelled),
];

fn config() -> ToolConfig {
    ToolConfig::new(["tool"])
}

fn nothing() -> ToolObserved {
    ToolObserved::default()
}

fn runs() -> ToolObserved {
    ToolObserved { running: true, deployed: Some(Arc::new(config())), ..nothing() }
}

fn ended(outcome: Outcome) -> ToolObserved {
    let end = RunEnd::new(outcome, "as the case says");
    ToolObserved { end: Some(end), deployed: Some(Arc::new(config())), ..nothing() }
}

fn case(observed: ToolObserved) -> Case<ToolWorker> {
    Case::new(config()).observed(observed)
}

#[test]
fn a_tool_runs_once_and_ends_as_its_run_did() {
    case(nothing()).next(Pending).moves_to(TryingToStart);
    case(nothing()).next(TryingToStart).acts("start");
    case(nothing())
        .after("start", Outcome::Failure)
        .next(TryingToStart)
        .acts("start")
        .because("as the case says");
    case(runs()).next(TryingToStart).moves_to(Running);
    case(runs()).next(Running).stays();
    for (outcome, state) in ENDS {
        case(ended(outcome)).next(TryingToStart).moves_to(state).because("as the case says");
        case(ended(outcome)).next(Running).moves_to(state);
        case(ended(outcome)).next(state).stays();
    }
}

#[test]
fn another_config_is_another_run() {
    let other = || ToolConfig::new(["other"]);
    for (outcome, state) in ENDS {
        Case::<ToolWorker>::new(other()).observed(ended(outcome)).next(state).moves_to(TryingToStart);
        Case::<ToolWorker>::new(other()).observed(ended(outcome)).next(TryingToStart).acts("start");
    }
    Case::<ToolWorker>::new(other()).observed(runs()).next(Running).moves_to(TryingToStart);
}

#[test]
fn a_run_that_somebody_started_again_is_followed() {
    for state in [Succeeded, Failed, TimedOut, Cancelled] {
        case(runs()).next(state).moves_to(Running);
    }
    case(ended(Outcome::Success)).next(Failed).moves_to(Succeeded);
}

#[test]
fn an_unwanted_tool_is_cancelled_and_forgotten() {
    for state in [Pending, TryingToStart, Running, Succeeded, Failed, TimedOut, Cancelled] {
        case(runs()).stop(state).moves_to(TryingToCancel);
    }
    for state in [TryingToStart, Running, Failed, TimedOut, Cancelled] {
        case(ended(Outcome::Failure)).stop(state).moves_to(TryingToCancel);
        Case::<ToolWorker>::new(config()).stop(state).moves_to(TryingToCancel);
    }
    case(runs()).stop(TryingToCancel).acts("cancel");
    // How it ended is forgotten, so that it runs again when it is wanted again.
    case(ended(Outcome::Cancelled)).stop(TryingToCancel).acts("cancel");
    case(nothing()).stop(TryingToCancel).moves_to(Pending);
    case(nothing()).next(TryingToCancel).moves_to(TryingToStart);
    Case::<ToolWorker>::new(config()).stop(TryingToCancel).acts("cancel");
    Case::<ToolWorker>::new(config())
        .after("cancel", Outcome::Success)
        .stop(TryingToCancel)
        .moves_to(Pending);
    case(nothing()).stop(Pending).stays();
    case(ended(Outcome::Success)).stop(Succeeded).stays();
}
