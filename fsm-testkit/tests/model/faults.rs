//! Each fault is found by the check that is for it, and by no other; without it nothing is found.

use fsm_testkit::{Check, Finding, ModelError};

use crate::lamp::*;

fn findings<const FAULT: u8>() -> Vec<Finding> {
    match model::<FAULT>().check() {
        Ok(_) => Vec::new(),
        Err(ModelError::Found { kind, findings }) => {
            assert_eq!(kind, "lamp");
            findings
        }
        Err(other) => panic!("{other}"),
    }
}

/// The fault's first finding; every finding is of the same check.
#[track_caller]
fn found<const FAULT: u8>(check: Check, says: &str) -> Finding {
    let findings = findings::<FAULT>();
    let checks: Vec<_> = findings.iter().map(|finding| finding.check).collect();
    assert!(!checks.is_empty() && checks.iter().all(|found| *found == check), "{findings:#?}");
    let first = findings.into_iter().next().expect("looked at before");
    assert!(first.what.contains(says), "{}", first.what);
    first
}

// spec: K-6
#[test]
fn a_sound_worker_passes() {
    let report = model::<NONE>().check().unwrap();
    assert_eq!((report.kind, report.states), ("lamp", 5));
    assert!(report.asked > 100 && report.situations >= report.asked, "{report}");
    assert!(report.transitions > report.situations as u64, "{report}");
    assert!(report.to_string().starts_with("model check of `lamp`: 5 states, "), "{report}");
    assert!(report.to_string().contains("10 checks hold"), "{report}");
}

// spec: K-6
#[test]
fn a_panic_is_found_with_the_situation() {
    let finding = found::<PANICS>(Check::Panic, "`stop` of Shining panics: not seen");
    let test = finding.test.unwrap();
    assert!(test.contains(".stop(LampState::Shining)") && !test.contains(".observed("), "{test}");
}

#[test]
fn a_state_that_counts_is_impure() {
    found::<COUNTS>(Check::Purity, "Shining gives two answers to `next`: it stays because `asked");
}

#[test]
fn a_decision_without_a_reason_is_found() {
    found::<SAYS_NOTHING>(Check::Reason, "`next` of Shining gives an empty reason");
    found::<LACKS_A_VALUE>(Check::Reason, "1 places and 0 values, `dark for {}`");
}

#[test]
fn each_state_is_of_its_sort() {
    found::<ACTS_WHILE_PASSIVE>(Check::Sort, "Shining is passive, and `next` runs On because `once more`");
    let finding = found::<WAITS_FOR_EVER>(Check::Sort, "TryingToShine is trying, and `next` stays");
    assert!(finding.test.unwrap().contains(".after(\"on\", Outcome::Failure)\n        .attempts(1, 1)"));
    found::<WORKS_AND_DOES_NOTHING>(Check::Sort, "Shining is working, and never acts");
}

#[test]
fn states_that_move_to_each_other_flap() {
    let finding = found::<FLAPS>(Check::Flapping, "Shining -> TryingToShine (not bright enough)");
    assert!(finding.what.contains("TryingToShine -> Shining (it shines)"), "{}", finding.what);
    assert!(finding.test.unwrap().contains("LampConfig { bright: true }"));
    found::<FLAPS_SLOWLY>(Check::Flapping, "Shining -> TryingToShine (let us see)");
}

#[test]
fn stop_starts_no_work() {
    found::<TURNS_ON_WHILE_STOPPING>(Check::StopStartsNothing, "told to stop, TryingToEnd runs On");
    found::<MOVES_ON_WHILE_STOPPING>(Check::StopStartsNothing, "told to stop, Broken moves to Shining");
    found::<RESTARTS_WHILE_STOPPING>(Check::StopStartsNothing, "told to stop, Broken asks to be restarted");
    // A last action that is meant is no start.
    let report = model::<TURNS_ON_WHILE_STOPPING>().stop_may("on").check();
    assert!(report.is_ok(), "{report:?}");
}

#[test]
fn a_state_that_is_never_reached_is_found() {
    let finding = found::<NEVER_BREAKS>(Check::Reached, "Broken is never reached");
    assert_eq!(finding.test, None);
}

#[test]
fn removal_is_reached_from_everywhere() {
    let finding = findings::<NEVER_ENDS>();
    let checks: Vec<_> = finding.iter().map(|finding| finding.check).collect();
    assert!(checks.contains(&Check::Removal) && checks.contains(&Check::BlindRemoval), "{checks:?}");
    let first = &finding[0];
    assert!(
        first.what.contains(
            "in TryingToEnd, it never comes to rest, though the world cooperates: it runs Off because"
        ),
        "{}",
        first.what
    );
    found::<ENDS_ONLY_WHEN_SEEN>(Check::BlindRemoval, "and nothing can be observed");
    // Time is part of a cooperative world.
    assert_eq!(findings::<STOPS_BY_WAITING>(), []);
}

#[test]
fn a_state_without_a_way_out_is_a_trap() {
    let finding = found::<STAYS_BROKEN>(
        Check::Trap,
        "told to run in Broken, it never comes to a state of phase Running",
    );
    assert!(finding.path[3].contains("-> Broken: it is broken"), "{:?}", finding.path);
    assert!(model::<STAYS_BROKEN>().rests_in([LampState::Broken]).check().is_ok());
}

// spec: K-6
#[test]
fn a_check_can_be_left_out_with_its_reason() {
    let report =
        model::<ENDS_ONLY_WHEN_SEEN>().except(Check::BlindRemoval, "it is always seen").check().unwrap();
    assert!(report.to_string().ends_with("without blind-removal: it is always seen"), "{report}");
    assert!(report.to_string().contains("9 checks hold"), "{report}");
}

// spec: K-6 — the counter-example is a test.
#[test]
fn a_finding_reads_as_a_story_and_a_test() {
    let error = model::<STAYS_BROKEN>().check().unwrap_err();
    let expected = "\
the model check of `lamp` found one thing:

[trap] told to run in Broken, it never comes to a state of phase Running or Completed (`.rests_in([…])` says that a state is meant to be final), though the world cooperates: it stays because `it is broken`
  how it comes about:
    1. Dark with LampConfig::default()
    2. broken() is observed
    3. Dark -> TryingToShine: told to shine
    4. TryingToShine -> Broken: it is broken
    5. shining() is observed
  as a test:

    #[test]
    fn it_gets_on() {
        let answer = Case::<Lamp>::new(LampConfig::default())
            .observed(shining())
            .next(LampState::Broken);
        assert!(!matches!(answer.decision.step(), Step::Stay), \"{answer:?}\");
    }
";
    assert_eq!(error.to_string(), expected);
}
