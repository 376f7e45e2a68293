//! The table of `persistence`.

use std::time::Duration;

use fsm_core::table::Case;
use fsm_core::{Observed, Outcome};
use fsm_worker_persistence::PersistenceState::*;
use fsm_worker_persistence::{Due, Persistence, PersistenceConfig, PersistenceObserved, PersistenceState};

fn case(seen: PersistenceObserved) -> Case<Persistence> {
    Case::new(PersistenceConfig::default()).observed(seen)
}

fn due(compact: bool, maintain: Due) -> PersistenceObserved {
    PersistenceObserved::due(compact, maintain)
}

fn full() -> PersistenceObserved {
    due(false, Due::NotYet).with_trouble("the disk is full")
}

// spec: W-10, S-25
#[test]
fn each_state_answers_each_situation() {
    for compact in [false, true] {
        for maintain in [Due::NotYet, Due::Overdue, Due::Now] {
            let case = |trouble: bool| {
                let seen = due(compact, maintain);
                case(if trouble { seen.with_trouble("the disk is full") } else { seen })
            };
            for trouble in [false, true] {
                case(trouble).next(Stopped).moves_to(TryingToStart);
                case(trouble).next(TryingToStop).moves_to(TryingToStart);
                case(trouble).stop(Stopped).stays();
                for state in [TryingToStart, Running, Degraded] {
                    case(trouble).stop(state).moves_to(TryingToStop);
                }
                case(trouble).stop(TryingToStop).moves_to(Stopped);
            }
            for state in [TryingToStart, Running] {
                case(true).next(state).moves_to(Degraded).because("the disk is full");
            }
            if compact {
                for state in [TryingToStart, Running, Degraded] {
                    case(false).next(state).acts("compact");
                }
                case(true).next(Degraded).acts("compact");
            } else if maintain == Due::Now {
                for state in [TryingToStart, Running, Degraded] {
                    case(false).next(state).acts("maintain");
                }
                case(true).next(Degraded).acts("maintain");
            } else {
                case(false).next(Running).stays().because("nothing is due");
                case(false).next(Degraded).moves_to(Running);
                case(true).next(Degraded).stays().because("the disk is full");
            }
        }
    }
}

// spec: W-10 — both at the start when overdue; later maintenance waits for its window.
#[test]
fn a_start_makes_up_for_what_was_missed() {
    case(due(true, Due::Overdue)).next(TryingToStart).acts("compact");
    case(due(false, Due::Overdue)).next(TryingToStart).acts("maintain").because("missed");
    case(due(false, Due::NotYet)).next(TryingToStart).moves_to(Running);
    case(due(false, Due::Overdue)).next(Running).stays();
}

// spec: W-10 — what keeps failing degrades it, and is asked for on.
#[test]
fn what_fails_degrades_it_and_is_asked_for_again() {
    for state in [TryingToStart, Running] {
        let failed = case(due(true, Due::NotYet)).after("compact", Outcome::Failure).next(state);
        failed.moves_to(Degraded).because("compact failed: as the case says");
    }
    for outcome in [Outcome::Failure, Outcome::Timeout, Outcome::Panic] {
        case(due(true, Due::NotYet))
            .after("compact", outcome)
            .next(Degraded)
            .acts("compact")
            .because("failed");
    }
    // It failed, and is not due any more: somebody else did it.
    case(due(false, Due::NotYet)).after("compact", Outcome::Failure).next(Running).stays();
}

// spec: W-10, S-24 — whatever the store does, a stop takes a few seconds at most.
#[test]
fn a_stop_waits_a_little_for_a_thread_and_no_longer() {
    let busy = || case(full().at_work());
    busy().stop(TryingToStop).stays().wakes().because("still at work");
    busy().in_state_for(Duration::from_secs(5)).stop(TryingToStop).moves_to(Stopped).because("left behind");
    let blind = Case::<Persistence>::new(PersistenceConfig::default());
    blind.stop(TryingToStop).moves_to(PersistenceState::Stopped);
}

#[test]
fn figures_alone_decide_nothing() {
    let mut grown = due(false, Due::NotYet);
    grown.figures = Some(Default::default());
    assert!(grown.same_for_decisions(&due(false, Due::NotYet)));
    assert!(!full().same_for_decisions(&due(false, Due::NotYet)));
    assert!(!due(true, Due::NotYet).same_for_decisions(&due(false, Due::NotYet)));
    assert!(!due(false, Due::Now).same_for_decisions(&due(false, Due::Overdue)));
    assert!(!full().at_work().same_for_decisions(&full()));
}
