//! The model checks of the kinds, and their diagrams in docs/workers.

use std::sync::Arc;

use fsm_core::{ChildName, Outcome, Phase};
use fsm_testkit::{Report, listed, model_check};
use fsm_worker_process::{
    Exit, OnFailure, Process, ProcessConfig, ProcessObserved, Ready, RunEnd, Step, StepAgent, StepConfig,
    StepObserved, StepState, Stream, StreamConfig, StreamObserved, ToolConfig, ToolObserved, ToolState,
    ToolWorker, Workflow, WorkflowConfig, WorkflowEnd, WorkflowObserved, WorkflowState, WorkflowStep,
};

#[track_caller]
fn check_diagram(report: &Report) {
    let file = format!("{}/../../docs/workers/{}.md", env!("CARGO_MANIFEST_DIR"), report.kind);
    report.graph().check_file(file).unwrap_or_else(|error| panic!("{error}"));
}

fn server() -> ProcessConfig {
    ProcessConfig::new(["server"])
}

fn setup() -> ProcessConfig {
    let mut config = ProcessConfig::new(["setup"]);
    config.ready = Ready::Exit;
    config
}

fn gone() -> ProcessObserved {
    ProcessObserved::default()
}

fn alive(config: ProcessConfig) -> ProcessObserved {
    let mut seen = gone();
    (seen.alive, seen.deployed) = (true, Some(Arc::new(config)));
    seen
}

fn ready(config: ProcessConfig) -> ProcessObserved {
    let mut seen = alive(config);
    seen.ready = true;
    seen
}

fn unwell() -> ProcessObserved {
    let mut seen = ready(server());
    seen.unwell = Some("no answer".into());
    seen
}

fn left(config: ProcessConfig, code: i32) -> ProcessObserved {
    let mut seen = gone();
    (seen.ended, seen.exit, seen.deployed) = (true, Some(Exit::Code(code)), Some(Arc::new(config)));
    seen
}

// spec: K-6, K-9
#[test]
fn process_passes_the_model_check() {
    let report = model_check::<Process>()
        .configs(listed![server(), setup()])
        .observations(listed![
            gone(),
            alive(server()),
            ready(server()),
            unwell(),
            left(server(), 1),
            alive(setup()),
            left(setup(), 0),
            left(setup(), 1)
        ])
        .outcomes([Outcome::Success, Outcome::Failure, Outcome::Timeout])
        .after("start", |config, seen| seen.runs(config) && seen.unwell.is_none() || seen.is_done(config))
        .after("stop", |_, seen| !seen.alive && !seen.ended)
        .after("kill", |_, seen| !seen.alive && seen.ended)
        // A server becomes ready, and well again, by its own doing.
        .by_itself(|config, seen| {
            (seen.runs(config) && seen.ready && seen.unwell.is_none()) || seen.is_done(config)
        })
        .assert();
    check_diagram(&report);
}

fn tool(name: &str) -> ToolConfig {
    ToolConfig::new([name])
}

fn nothing() -> ToolObserved {
    ToolObserved::default()
}

fn running(config: ToolConfig) -> ToolObserved {
    let mut seen = nothing();
    (seen.running, seen.deployed) = (true, Some(Arc::new(config)));
    seen
}

fn ended(config: ToolConfig, outcome: Outcome) -> ToolObserved {
    let mut seen = nothing();
    (seen.end, seen.deployed) = (Some(RunEnd::new(outcome, "so it was")), Some(Arc::new(config)));
    seen
}

// spec: K-6, K-9
#[test]
fn tool_passes_the_model_check() {
    let report = model_check::<ToolWorker>()
        .configs(listed![tool("a"), tool("b")])
        .observations(listed![
            nothing(),
            running(tool("a")),
            running(tool("b")),
            ended(tool("a"), Outcome::Success),
            ended(tool("a"), Outcome::Failure),
            ended(tool("a"), Outcome::Timeout),
            ended(tool("a"), Outcome::Cancelled),
            ended(tool("b"), Outcome::Success)
        ])
        .after("start", |config, seen| seen.runs(config) || seen.ended(config).is_some())
        .after("cancel", |_, seen| seen.is_nothing())
        // It ends by its own doing.
        .by_itself(|config, seen| seen.ended(config).is_some())
        // How a run ended is a result, not a fault to be mended.
        .rests_in([ToolState::Failed, ToolState::TimedOut, ToolState::Cancelled])
        .assert();
    check_diagram(&report);
}

fn stream(input: &str) -> StreamConfig {
    let map = serde_json::json!({"input": {input: {}}, "output": {"drop": {}}});
    StreamConfig::new(map.as_object().expect("a map").clone())
}

/// Its file says `written`, and what lives runs with `deployed`.
fn engine(written: Option<&str>, deployed: Option<&str>, ready: bool, unwell: bool) -> StreamObserved {
    let mut seen = StreamObserved::default();
    let config = |input: &str| Arc::new(stream(input));
    (seen.written, seen.deployed) = (written.map(config), deployed.map(config));
    (seen.process.alive, seen.process.ready) = (deployed.is_some(), ready);
    seen.process.unwell = unwell.then(|| "no answer".into());
    seen
}

fn engine_left() -> StreamObserved {
    let mut seen = engine(Some("a"), Some("a"), false, false);
    (seen.process.alive, seen.process.ended, seen.process.exit) = (false, true, Some(Exit::Code(1)));
    seen
}

// spec: K-6, K-9
#[test]
fn benthos_dataflow_passes_the_model_check() {
    let report = model_check::<Stream>()
        .configs(listed![stream("a"), stream("b")])
        .observations(listed![
            engine(None, None, false, false),
            engine(Some("a"), None, false, false),
            engine(Some("b"), None, false, false),
            engine(Some("a"), Some("a"), false, false),
            engine(Some("a"), Some("a"), true, false),
            engine(Some("a"), Some("a"), true, true),
            engine(Some("b"), Some("b"), true, false),
            engine_left()
        ])
        .after("write_config", |config, seen| seen.is_written(config) && !seen.process.alive)
        .after("start", |config, seen| seen.runs(config))
        .after("reload", |config, seen| seen.runs(config))
        .after("stop", |_, seen| !seen.process.alive && !seen.process.ended)
        .after("kill", |_, seen| !seen.process.alive && seen.process.ended)
        // An engine answers, and is connected again, by its own doing.
        .by_itself(|config, seen| seen.runs(config) && seen.process.ready && seen.process.unwell.is_none())
        .assert();
    check_diagram(&report);
}

fn probe() -> StepConfig {
    StepConfig::Agent(StepAgent::new("/edge/press-7/connection", "probe"))
}

fn step(running: bool, end: Option<Outcome>) -> StepObserved {
    let mut seen = StepObserved::default();
    (seen.running, seen.end) = (running, end.map(|outcome| RunEnd::new(outcome, "so it was")));
    seen
}

// spec: K-6, K-9
#[test]
fn step_passes_the_model_check() {
    let report = model_check::<Step>()
        .configs(listed![probe()])
        .observations(listed![
            step(false, None),
            step(true, None),
            step(false, Some(Outcome::Success)),
            step(false, Some(Outcome::Failure)),
            step(false, Some(Outcome::Timeout)),
            step(false, Some(Outcome::Cancelled))
        ])
        .after("start", |_, seen| seen.running || seen.end.is_some())
        .after("cancel", |_, seen| !seen.running)
        // It ends by its own doing.
        .by_itself(|_, seen| seen.end.is_some())
        // How a run ended is a result, not a fault to be mended.
        .rests_in([StepState::Failed, StepState::TimedOut, StepState::Cancelled])
        .assert();
    check_diagram(&report);
}

fn workflow(on_failure: OnFailure) -> WorkflowConfig {
    let name = |name: &str| ChildName::try_new(name).expect("a good name");
    let mut config = WorkflowConfig::new(["first", "other"].map(|at| WorkflowStep::new(name(at), probe())));
    config.on_failure = on_failure;
    config
}

fn noted(started: bool, end: Option<Outcome>) -> WorkflowObserved {
    let mut seen = WorkflowObserved::default();
    (seen.started, seen.end) = (started, end.map(WorkflowEnd::new));
    seen
}

fn wanted(cancelled: bool) -> WorkflowObserved {
    let mut seen = noted(true, (!cancelled).then_some(Outcome::Failure));
    (seen.cancelled, seen.again) = (cancelled, !cancelled);
    seen
}

/// What a workflow tells apart.
const STEP: [(&str, Phase); 4] = [
    ("Ended", Phase::Stopped),
    ("Running", Phase::Running),
    ("Succeeded", Phase::Completed),
    ("Failed", Phase::Degraded),
];

// spec: K-6, K-9 — the product with the states of its steps.
#[test]
fn workflow_passes_the_model_check() {
    let report = model_check::<Workflow>()
        .configs(listed![workflow(OnFailure::Stop), workflow(OnFailure::Continue)])
        .observations(listed![
            noted(false, None),
            noted(true, None),
            noted(true, Some(Outcome::Success)),
            noted(true, Some(Outcome::Failure)),
            noted(true, Some(Outcome::Timeout)),
            noted(true, Some(Outcome::Cancelled)),
            wanted(true),
            wanted(false)
        ])
        .child_states("first", STEP)
        .child_states("other", [STEP[0], STEP[1]])
        .after("start", |_, seen| seen.started)
        .after("conclude", |_, seen| seen.end.is_some())
        // How it ended is a result, not a fault to be mended.
        .rests_in([WorkflowState::Failed, WorkflowState::TimedOut, WorkflowState::Cancelled])
        .assert();
    check_diagram(&report);
}
