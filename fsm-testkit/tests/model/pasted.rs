//! Tests that findings gave, pasted as they came: each compiles, and fails while the worker has its fault.

use std::panic::catch_unwind;

use fsm_core::table::Case;
use fsm_core::*;

use crate::lamp::*;

#[track_caller]
fn fails(test: impl Fn() + std::panic::RefUnwindSafe) {
    assert!(catch_unwind(&test).is_err(), "a pasted test passes on the worker that it was made for");
}

// spec: K-6
#[test]
fn a_pasted_test_fails_while_the_worker_is_wrong() {
    type Lamp = crate::lamp::Lamp<STAYS_BROKEN>;
    fails(|| {
        let answer = Case::<Lamp>::new(LampConfig::default()).observed(shining()).next(LampState::Broken);
        assert!(!matches!(answer.decision.step(), Step::Stay), "{answer:?}");
    });
}

#[test]
fn a_pasted_circle_fails_while_it_goes_round() {
    type Lamp = crate::lamp::Lamp<FLAPS>;
    let pasted = || {
        let circle = [
            (
                Case::<Lamp>::new(LampConfig { bright: true })
                    .observed(shining())
                    .next(LampState::TryingToShine),
                LampState::Shining,
            ),
            (
                Case::<Lamp>::new(LampConfig { bright: true }).observed(shining()).next(LampState::Shining),
                LampState::TryingToShine,
            ),
        ];
        let goes_round = circle
            .iter()
            .all(|(answer, to)| matches!(answer.decision.step(), Step::Move(state) if state == to));
        assert!(!goes_round, "{circle:?}");
    };
    fails(pasted);
}

#[test]
fn a_pasted_act_of_a_stop_fails_while_it_starts_work() {
    type Lamp = crate::lamp::Lamp<TURNS_ON_WHILE_STOPPING>;
    fails(|| {
        let answer =
            Case::<Lamp>::new(LampConfig::default()).observed(shining()).stop(LampState::TryingToEnd);
        let starts = matches!(answer.decision.step(), Step::Act(action) if action.name() == "on");
        assert!(!starts, "{answer:?}");
    });
}

#[test]
fn a_pasted_wait_fails_while_it_has_no_deadline() {
    type Lamp = crate::lamp::Lamp<WAITS_FOR_EVER>;
    fails(|| {
        let answer = Case::<Lamp>::new(LampConfig::default())
            .observed(dark())
            .after("on", Outcome::Failure)
            .attempts(1, 1)
            .next(LampState::TryingToShine);
        let waits = matches!(answer.decision.step(), Step::Stay) && answer.wake.is_none();
        assert!(!waits, "{answer:?}");
    });
}
