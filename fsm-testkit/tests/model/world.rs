//! A model that says too little, or what can't be, is refused with what to do about it.

use std::cell::Cell;

use fsm_core::*;
use fsm_testkit::{ModelError, listed, model_check};

use crate::lamp::*;

type Sound = Lamp<NONE>;

#[test]
fn a_model_needs_configs_and_observations() {
    let error = model_check::<Sound>().check().unwrap_err();
    assert!(error.to_string().contains("add `.configs(listed![…])`"), "{error}");
    let error = model_check::<Sound>().configs(listed![LampConfig::default()]).check().unwrap_err();
    assert!(error.to_string().contains("add `.observations(listed![…])`"), "{error}");
}

#[test]
fn what_an_action_brings_about_must_be_said() {
    let error = model_check::<Sound>()
        .configs(listed![LampConfig::default()])
        .observations(listed![dark()])
        .after("on", |_, seen| seen.shines)
        .check()
        .unwrap_err();
    assert!(
        matches!(error, ModelError::NothingAfter { action: "on", config: "LampConfig::default()" }),
        "{error}"
    );
}

#[test]
fn an_action_that_is_not_there_is_named() {
    let error = model::<NONE>().after("dim", |_, _| true).check().unwrap_err();
    assert_eq!(error.to_string(), "`lamp` has no action `dim`; it has [\"on\", \"off\"]");
}

#[test]
fn a_lamp_that_only_its_switch_turns_on_is_turned_on() {
    // Nothing shines by itself: the way to Shining leads through the action.
    let asked = std::rc::Rc::new(Cell::new(0));
    let count = std::rc::Rc::clone(&asked);
    let report = model_check::<Sound>()
        .configs(listed![LampConfig::default()])
        .observations(listed![dark(), shining(), broken()])
        .after("on", move |_, seen| {
            count.set(count.get() + 1);
            seen.shines && !seen.broken
        })
        .after("off", |_, seen| !seen.shines)
        .at_any_time(|_, seen| !seen.shines || seen.broken)
        .assert();
    assert!(asked.get() > 0 && report.states == 5);
}

// spec: K-6 — five outcomes where a worker tells them apart.
#[test]
fn more_outcomes_and_failures_are_more_situations() {
    let few = model::<NONE>().assert();
    let many = model::<NONE>().outcomes(Outcome::ALL.iter().copied()).failures(3).assert();
    assert!(many.situations > few.situations, "{few}\n{many}");
}
