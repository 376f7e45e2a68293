//! Each state against each thing it can see.

use fsm_core::table::Case;

use super::WorkflowState::{
    Cancelled, Ended, Failed, Pending, Running, Succeeded, TimedOut, TryingToCancel, TryingToConclude,
    TryingToFail, TryingToStart, TryingToTimeOut,
};
use super::*;
use crate::step::{StepAgent, StepConfig, StepState};
use crate::workflow::{WorkflowConfig, WorkflowEnd, WorkflowObserved, WorkflowStep};

/// `b` waits for `a`, `c` for nobody.
fn config(on_failure: OnFailure) -> WorkflowConfig {
    let name = |name: &str| fsm_core::ChildName::try_new(name).expect("a good name");
    let step = |at: &str| WorkflowStep::new(name(at), StepConfig::Agent(StepAgent::new("/edge/x", "probe")));
    let mut config = WorkflowConfig::new([step("a"), step("b").after([name("a")]), step("c")]);
    config.on_failure = on_failure;
    config
}

fn case(a: StepState, b: StepState, c: StepState) -> Case<Workflow> {
    of(OnFailure::Stop, a, b, c)
}

fn of(on_failure: OnFailure, a: StepState, b: StepState, c: StepState) -> Case<Workflow> {
    [("a", a), ("b", b), ("c", c)].into_iter().fold(
        Case::new(config(on_failure)).observed(WorkflowObserved { started: true, ..Default::default() }),
        |case, (name, state)| case.child(name, State::phase(state), State::name(state)),
    )
}

fn ended(outcome: Outcome) -> Case<Workflow> {
    let end = Some(WorkflowEnd::new(outcome));
    Case::new(config(OnFailure::Stop)).observed(WorkflowObserved { started: true, end, ..Default::default() })
}

#[test]
fn a_workflow_begins_once_and_waits_for_its_steps() {
    let new = Case::<Workflow>::new(config(OnFailure::Stop)).observed(WorkflowObserved::default());
    new.next(Pending).moves_to(TryingToStart);
    new.next(TryingToStart).acts("start");
    let all_wait = case(StepState::Pending, StepState::Pending, StepState::Pending);
    all_wait.next(TryingToStart).moves_to(Running);
    all_wait.next(Running).stays().because("0 of 3");
    case(StepState::Succeeded, StepState::Running, StepState::Running)
        .next(Running)
        .stays()
        .because("1 of 3");
    let done = case(StepState::Succeeded, StepState::Succeeded, StepState::Succeeded);
    done.next(Running).moves_to(TryingToConclude);
    done.next(TryingToConclude).acts("conclude");
}

#[test]
fn a_failed_step_stops_the_others_or_only_those_that_wait_for_it() {
    let (failed, waits, runs) = (StepState::Failed, StepState::Pending, StepState::Running);
    case(failed, waits, runs).next(Running).moves_to(TryingToFail);
    of(OnFailure::Continue, failed, waits, runs).next(Running).stays();
    for done in [StepState::Succeeded, StepState::TimedOut, StepState::Cancelled] {
        // What waits for a lost step is lost.
        of(OnFailure::Continue, failed, waits, done).next(Running).moves_to(TryingToConclude);
        case(failed, waits, done).next(Running).moves_to(TryingToConclude);
    }
    of(OnFailure::Continue, StepState::Succeeded, runs, failed).next(Running).stays();
}

#[test]
fn a_step_that_cannot_be_run_has_failed() {
    let [b, c] = [("b", StepState::Pending), ("c", StepState::Succeeded)];
    let case = Case::<Workflow>::new(config(OnFailure::Stop))
        .observed(WorkflowObserved { started: true, ..Default::default() })
        .invalid_child("a")
        .child(b.0, State::phase(b.1), State::name(b.1))
        .child(c.0, State::phase(c.1), State::name(c.1));
    case.next(Running).moves_to(TryingToConclude);
}

#[test]
fn it_ends_once_no_step_runs_any_more() {
    let still = case(StepState::Ended, StepState::Pending, StepState::TryingToCancel);
    let rest = || case(StepState::Ended, StepState::Pending, StepState::Succeeded);
    for state in [TryingToFail, TryingToTimeOut, TryingToCancel] {
        still.next(state).stays().wakes();
        rest().next(state).acts("conclude");
        case(StepState::Ended, StepState::Pending, StepState::TryingToCancel)
            .in_state_for(STOPPED_WITHIN)
            .next(state)
            .acts("conclude");
    }
    let five_minutes = config(OnFailure::Stop).timeout.get();
    let late = case(StepState::Running, StepState::Pending, StepState::Running).in_state_for(five_minutes);
    late.next(Running).moves_to(TryingToTimeOut);
    // What is done in the last moment is done.
    case(StepState::Succeeded, StepState::Succeeded, StepState::Succeeded)
        .in_state_for(five_minutes)
        .next(Running)
        .moves_to(TryingToConclude);
}

#[test]
fn how_it_ended_is_final_until_somebody_asks_again() {
    for (outcome, state) in [
        (Outcome::Success, Succeeded),
        (Outcome::Failure, Failed),
        (Outcome::Timeout, TimedOut),
        (Outcome::Cancelled, Cancelled),
    ] {
        for from in [TryingToConclude, TryingToFail, TryingToTimeOut, TryingToCancel] {
            ended(outcome).next(from).moves_to(state);
        }
        ended(outcome).next(state).stays();
        let again = WorkflowObserved { again: true, started: true, ..Default::default() };
        Case::<Workflow>::new(config(OnFailure::Stop)).observed(again).next(state).restarts();
    }
    ended(Outcome::Failure).next(Ended).restarts();
}

#[test]
fn a_workflow_that_is_not_to_run_rests() {
    for state in [Pending, Succeeded, Ended] {
        ended(Outcome::Success).stop(state).stays();
    }
    for state in
        [TryingToStart, Running, TryingToConclude, TryingToFail, TryingToCancel, Failed, TimedOut, Cancelled]
    {
        ended(Outcome::Failure).stop(state).moves_to(Ended);
    }
}

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    let refused = |text: &str| {
        let config: WorkflowConfig = serde_json::from_str(text).expect("serde takes it");
        let error = Case::<Workflow>::new(config).derive().expect_err("it can't work");
        format!("{} {error}", error.field().unwrap_or_default())
    };
    let agent = r#""agent": {"path": "/edge/a", "action": "probe"}"#;
    let empty = refused(r#"{"steps": []}"#);
    assert!(empty.starts_with("steps ") && empty.contains("there is nothing to do"), "{empty}");
    let unknown = refused(&format!(r#"{{"steps": [{{"name": "a", {agent}, "depends_on": ["b"]}}]}}"#));
    assert!(
        unknown.starts_with("steps[0].depends_on[0] ")
            && unknown.contains("there is no step `b`; there are a"),
        "{unknown}"
    );
    let circle = refused(&format!(
        r#"{{"steps": [{{"name": "x", {agent}}}, {{"name": "a", {agent}, "depends_on": ["b"]}}, {{"name": "b", {agent}, "depends_on": ["a", "x"]}}]}}"#
    ));
    assert!(circle.starts_with("steps ") && circle.contains("wait for each other: a, b"), "{circle}");
    let twice = refused(&format!(r#"{{"steps": [{{"name": "a", {agent}}}, {{"name": "a", {agent}}}]}}"#));
    assert!(twice.starts_with("steps[1].name"), "{twice}");
    let tool = refused(r#"{"steps": [{"name": "a", "tool": {"run": {"command": [], "protocol": "raw"}}}]}"#);
    assert!(tool.starts_with("steps[0].tool.run.command"), "{tool}");
    let path = refused(r#"{"steps": [{"name": "a", "agent": {"path": "edge", "action": "probe"}}]}"#);
    assert!(path.starts_with("steps[0].agent.path"), "{path}");
    for text in [
        format!(r#"{{"steps": [{{"name": "a", {agent}, "tool": {{"run": {{"command": ["x"]}}}}}}]}}"#),
        r#"{"steps": [{"name": "a"}]}"#.to_owned(),
    ] {
        let error = serde_json::from_str::<WorkflowConfig>(&text).expect_err("which of them?").to_string();
        assert!(error.contains("step `a`"), "{error}");
    }
}
