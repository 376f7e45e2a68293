//! Each state against each thing it can see.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::table::Case;
use fsm_core::{Observed, Registry};

use super::CommunicatorState::{AuthFailed, Degraded, Stopped, Syncing, TryingToAuthenticate};
use super::*;
use crate::backoff::ErrorClass;
use crate::config::CommunicatorConfig;
use crate::observed::{Operation, Refused, Trouble};

/// The moment that a case asks at.
const NOW: Moment = Moment::from_nanos(315_360_000_000_000_000);

fn config() -> CommunicatorConfig {
    let url = "https://relay.example.com".parse().expect("a good URL");
    CommunicatorConfig::new(url, fsm_templating::Secret::plain("T"))
}

fn off() -> CommunicatorObserved {
    CommunicatorObserved::default()
}

fn on() -> CommunicatorObserved {
    CommunicatorObserved { alive: true, session: true, deployed: Some(Arc::new(config())), ..off() }
}

fn over() -> CommunicatorObserved {
    CommunicatorObserved { alive: true, ..off() }
}

fn refused() -> CommunicatorObserved {
    let refused = Refused { code: "invalid_token".into(), what: "status 401".into() };
    CommunicatorObserved { refused: Some(refused), ..off() }
}

fn failing() -> CommunicatorObserved {
    let what = "connection refused".into();
    let trouble = Trouble { operation: Operation::Push, class: ErrorClass::Network, in_a_row: 2, what };
    CommunicatorObserved { trouble: Some(trouble), ..on() }
}

fn case(observed: CommunicatorObserved) -> Case<Communicator> {
    Case::new(config()).observed(observed)
}

fn later(seconds: u64) -> Option<Moment> {
    Some(NOW + Duration::from_secs(seconds))
}

fn ago(seconds: u64) -> Option<Moment> {
    Some(NOW - Duration::from_secs(seconds))
}

// spec: W-1
#[test]
fn it_logs_in_until_there_is_a_session_with_this_config() {
    case(off()).next(Stopped).moves_to(TryingToAuthenticate);
    case(off()).next(TryingToAuthenticate).acts("authenticate");
    case(on()).next(TryingToAuthenticate).moves_to(Syncing);
    let mut other = config();
    other.batch = 7;
    Case::<Communicator>::new(other).observed(on()).next(TryingToAuthenticate).acts("authenticate");
}

// spec: W-3
#[test]
fn a_login_waits_for_its_back_off_and_then_goes_on() {
    let waits = CommunicatorObserved { login_after: later(30), ..over() };
    case(waits).next(TryingToAuthenticate).stays().because("the next login is due").wakes();
    let due = CommunicatorObserved { login_after: ago(1), ..over() };
    case(due).next(TryingToAuthenticate).acts("authenticate");
}

// spec: W-3
#[test]
fn new_connections_come_before_the_next_try() {
    let seen = CommunicatorObserved { reset_due: true, login_after: later(30), ..over() };
    case(seen).next(TryingToAuthenticate).acts("reset_transport");
    for state in [Syncing, Degraded] {
        let seen = CommunicatorObserved { reset_due: true, unsent: 3, ..failing() };
        case(seen).next(state).acts("reset_transport").because("so many errors");
    }
}

// spec: W-1
#[test]
fn what_is_unsent_is_pushed_at_its_pace_in_both_working_states() {
    case(CommunicatorObserved { unsent: 3, ..on() }).next(Syncing).acts("sync_push").because("3 messages");
    case(CommunicatorObserved { unsent: 3, ..failing() }).next(Degraded).acts("sync_push");
    let paced = CommunicatorObserved { unsent: 3, push_after: later(1), ..on() };
    case(paced).next(Syncing).stays().wakes();
    case(on()).next(Syncing).stays().because("in touch");
}

// spec: W-2
#[test]
fn a_token_is_refreshed_when_it_is_time_and_not_before() {
    for (state, seen) in [(Syncing, on()), (Degraded, failing())] {
        case(CommunicatorObserved { refresh_at: ago(0), ..seen.clone() }).next(state).acts("authenticate");
        case(CommunicatorObserved { refresh_at: later(60), ..seen.clone() }).next(state).stays().wakes();
        let waits = CommunicatorObserved { refresh_at: ago(5), login_after: later(5), ..seen };
        case(waits).next(state).stays().wakes();
    }
}

// spec: W-2
#[test]
fn a_refusal_ends_every_state_until_something_is_different() {
    for state in [TryingToAuthenticate, Syncing, Degraded] {
        case(refused()).next(state).moves_to(AuthFailed).because("invalid_token");
    }
    case(refused()).next(AuthFailed).stays().because("when `auth_token`, `url` or `instance` changes");
    case(off()).next(AuthFailed).moves_to(TryingToAuthenticate).because("another one");
}

// spec: W-2
#[test]
fn a_session_that_is_over_is_asked_for_again() {
    for state in [Syncing, Degraded] {
        case(over()).next(state).moves_to(TryingToAuthenticate).because("over");
        let mut other = config();
        other.url = "https://other.example.com".parse().expect("a good URL");
        Case::<Communicator>::new(other)
            .observed(on())
            .next(state)
            .moves_to(TryingToAuthenticate)
            .because("config");
    }
}

// spec: W-3, W-4
#[test]
fn trouble_degrades_and_passes() {
    let up = CommunicatorObserved { pressed_up: true, ..on() };
    let down = CommunicatorObserved { pressed_down: true, ..on() };
    let store = CommunicatorObserved { store_error: Some("disk full".into()), ..on() };
    for (seen, because) in [
        (failing(), "push fails: connection refused"),
        (up, "unsent messages is nearly full"),
        (down, "commands is nearly full"),
        (store, "can't be kept: disk full"),
    ] {
        case(seen.clone()).next(Syncing).moves_to(Degraded).because(because);
        case(seen).next(Degraded).stays().because(because);
    }
    case(on()).next(Degraded).moves_to(Syncing);
}

// spec: S-24, S-25
#[test]
fn a_stop_hangs_up_and_a_blind_one_believes_the_action() {
    for state in [TryingToAuthenticate, Syncing, Degraded] {
        case(on()).stop(state).acts("reset_transport").because("hangs up");
        case(off()).stop(state).moves_to(Stopped);
        Case::<Communicator>::new(config()).stop(state).acts("reset_transport");
        let blind = Case::<Communicator>::new(config());
        blind.after("reset_transport", Outcome::Success).stop(state).moves_to(Stopped);
        let blind = Case::<Communicator>::new(config());
        blind.after("reset_transport", Outcome::Failure).stop(state).acts("reset_transport");
    }
    case(refused()).stop(AuthFailed).moves_to(Stopped);
    case(off()).stop(Stopped).stays();
}

#[test]
fn figures_decide_nothing() {
    let seen = CommunicatorObserved { unsent: 3, waiting: 1, set_aside: 1, lost: 1, ..on() };
    assert!(seen.same_for_decisions(&CommunicatorObserved {
        unsent: 400,
        waiting: 0,
        set_aside: 9,
        lost: 7,
        ..on()
    }));
    assert!(!seen.same_for_decisions(&on()), "there is something to push");
    assert!(!failing().same_for_decisions(&on()));
}

#[test]
fn the_kind_can_be_registered() {
    let mut registry = Registry::new();
    crate::register(&mut registry, Communicator::for_checking()).expect("a sound kind");
    assert_eq!(registry.names().collect::<Vec<_>>(), ["communicator"]);
}
