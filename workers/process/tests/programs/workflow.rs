//! The kind `workflow` in a real tree with real programs: what runs when, how it ends, and that nothing is left.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{ChildName, ChildSpec, Incarnation, NodePath, Outcome, Registry, Vars};
use fsm_store::MemoryStore;
use fsm_supervisor::{DriverConfig, Handle, start};
use fsm_worker_process::{
    Keeper, NoAgents, OnFailure, Process, StepAgent, StepConfig, ToolConfig, WorkflowConfig, WorkflowEnd,
    WorkflowObserved, WorkflowStep, register,
};
use serde_json::json;

use crate::support::{PATIENCE, left, mark, until};

fn name(text: &str) -> ChildName {
    ChildName::try_new(text).expect("a good name")
}

fn sh(at: &str, script: &str) -> WorkflowStep {
    WorkflowStep::new(
        name(at),
        StepConfig::Tool { id: None, run: Box::new(ToolConfig::new(["sh", "-c", script])) },
    )
}

/// Says `text` as its result.
fn says(at: &str, text: &str) -> WorkflowStep {
    sh(at, &format!("echo '{{\"result\": \"{text}\"}}'"))
}

struct Job {
    tree: Handle,
    path: NodePath,
}

impl Job {
    async fn new(config: WorkflowConfig) -> Self {
        let mut registry = Registry::new();
        let process = Process::new(Keeper::program(env!("CARGO_BIN_EXE_fsm-keeper")));
        register(&mut registry, process, Arc::new(NoAgents)).expect("free names");
        let series = prometheus::Registry::new();
        let metrics = fsm_metrics::Metrics::try_new(Default::default(), &series).expect("fresh");
        let store = Arc::new(MemoryStore::default());
        let tree = start(registry, DriverConfig::default(), &metrics, store).expect("a good config");
        let root = ChildSpec::try_new("job", "workflow").expect("a good name").with_typed_config(config);
        tree.apply(root, Vars::new()).await.expect("a good spec");
        Self { tree, path: NodePath::try_new("/job").expect("a good path") }
    }

    /// Waits until it is in a final state, in a life after that one.
    async fn ended_after(&self, life: Option<Incarnation>) -> (Incarnation, &'static str, WorkflowEnd) {
        let ends = ["Succeeded", "Failed", "TimedOut", "Cancelled"];
        let reached =
            self.tree.until(|tree| ends.contains(&tree[0].state) && Some(tree[0].incarnation) != life);
        let in_time = tokio::time::timeout(PATIENCE * 3, reached).await.expect("it ends in time");
        let root = in_time.expect("the tree lives")[0].clone();
        let view = self.tree.node(&self.path).await.expect("it lives").expect("it is there");
        let seen: WorkflowObserved =
            serde_json::from_value(view.observed.expect("it was seen")).expect("its own form");
        (root.incarnation, root.state, seen.end.expect("it has ended"))
    }

    async fn ended(&self) -> (&'static str, WorkflowEnd) {
        let (_, state, end) = self.ended_after(None).await;
        (state, end)
    }

    async fn ask(&self, action: &str) {
        let mut run = self.tree.act(self.path.clone(), action, json!(null), "test").await.expect("it can");
        assert_eq!(run.ended().await.expect("the tree lives").outcome, Outcome::Success);
    }

    async fn stop(self) {
        let report = self.tree.shutdown(Duration::from_secs(30)).await.expect("it ends");
        assert_eq!(report.forced, [], "it stopped by itself");
    }
}

#[track_caller]
fn outcomes(end: &WorkflowEnd) -> Vec<(&str, Option<Outcome>)> {
    end.steps.iter().map(|(name, step)| (&**name, step.as_ref().map(|end| end.outcome))).collect()
}

// spec: S-15
#[tokio::test]
async fn steps_run_when_those_they_wait_for_have_succeeded() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let step = |at: &str, script: &str| sh(at, &format!("{script}; echo {at} >> {}", log.display()));
    let job = Job::new(WorkflowConfig::new([
        // Declared first, and yet last: it waits for both.
        step("pack", "true").after([name("stop"), name("label")]),
        step("label", "true").after([name("stop")]),
        step("stop", "sleep 0.3"),
    ]))
    .await;
    let (state, end) = job.ended().await;
    assert_eq!((state, end.outcome), ("Succeeded", Outcome::Success));
    let done = Some(Outcome::Success);
    assert_eq!(outcomes(&end), [("pack", done), ("label", done), ("stop", done)]);
    assert_eq!(std::fs::read_to_string(&log).expect("they wrote"), "stop\nlabel\npack\n");
    job.stop().await;
}

#[tokio::test]
async fn what_steps_answer_is_kept() {
    let job =
        Job::new(WorkflowConfig::new([says("a", "first"), says("b", "second").after([name("a")])])).await;
    let (_, end) = job.ended().await;
    let outputs: Vec<_> = end.steps.values().map(|end| end.as_ref().unwrap().output.clone()).collect();
    assert_eq!(outputs, [Some(json!("first")), Some(json!("second"))]);
    job.stop().await;
}

// spec: X-4
#[tokio::test]
async fn a_failed_step_stops_what_runs_and_nothing_more_is_started() {
    let mark = mark();
    let job = Job::new(WorkflowConfig::new([
        sh("long", &format!("sleep 600; : {mark}")),
        sh("bad", "sleep 0.3; exit 3"),
        says("after-bad", "never").after([name("bad")]),
        says("after-long", "never").after([name("long")]),
    ]))
    .await;
    let (state, end) = job.ended().await;
    assert_eq!((state, end.outcome), ("Failed", Outcome::Failure));
    let (failed, cancelled) = (Some(Outcome::Failure), Some(Outcome::Cancelled));
    assert_eq!(
        outcomes(&end),
        [("long", cancelled), ("bad", failed), ("after-bad", None), ("after-long", None)]
    );
    assert_eq!(left(&mark, None), Vec::<String>::new());
    job.stop().await;
}

#[tokio::test]
async fn told_to_continue_only_what_waits_for_the_failed_step_is_left_out() {
    let mut config = WorkflowConfig::new([
        sh("bad", "exit 3"),
        says("after-bad", "never").after([name("bad")]),
        says("after-that", "never").after([name("after-bad")]),
        sh("other", "sleep 0.3"),
        says("after-other", "done").after([name("other")]),
    ]);
    config.on_failure = OnFailure::Continue;
    let job = Job::new(config).await;
    let (state, end) = job.ended().await;
    assert_eq!(state, "Failed", "one step failed");
    let (failed, done) = (Some(Outcome::Failure), Some(Outcome::Success));
    assert_eq!(
        outcomes(&end),
        [("bad", failed), ("after-bad", None), ("after-that", None), ("other", done), ("after-other", done)]
    );
    job.stop().await;
}

// spec: X-4
#[tokio::test]
async fn a_workflow_that_takes_too_long_times_out_and_leaves_nothing() {
    let mark = mark();
    let mut config = WorkflowConfig::new([sh("long", &format!("sleep 600; : {mark}"))]);
    config.timeout = Duration::from_millis(700).into();
    let job = Job::new(config).await;
    let (state, end) = job.ended().await;
    assert_eq!((state, end.outcome), ("TimedOut", Outcome::Timeout));
    assert_eq!(outcomes(&end), [("long", Some(Outcome::Cancelled))]);
    assert_eq!(left(&mark, None), Vec::<String>::new());
    job.stop().await;
}

// spec
#[tokio::test]
async fn a_cancelled_workflow_says_so_and_another_run_is_a_new_life() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mark, go) = (mark(), folder.path().join("go"));
    let script = format!("[ -e {} ] && exit 0; sleep 600; : {mark}", go.display());
    let job = Job::new(WorkflowConfig::new([sh("waits", &script)])).await;
    until("it runs", || !left(&mark, None).is_empty()).await;
    job.ask("cancel").await;
    let (life, state, end) = job.ended_after(None).await;
    assert_eq!((state, end.outcome), ("Cancelled", Outcome::Cancelled));
    assert_eq!(left(&mark, None), Vec::<String>::new());

    std::fs::write(&go, "").expect("its folder is there");
    job.ask("start").await;
    let (_, state, end) = job.ended_after(Some(life)).await;
    assert_eq!((state, outcomes(&end)), ("Succeeded", vec![("waits", Some(Outcome::Success))]));
    job.stop().await;
}

#[tokio::test]
async fn a_step_that_cannot_ask_says_why() {
    let agent = StepConfig::Agent(StepAgent::new("/edge/press", "probe"));
    let job = Job::new(WorkflowConfig::new([WorkflowStep::new(name("check"), agent)])).await;
    let (state, end) = job.ended().await;
    let check = end.steps["check"].clone().expect("it was tried");
    assert_eq!((state, check.outcome), ("Failed", Outcome::Failure));
    assert!(check.why.contains("`probe` of /edge/press can't be asked for"), "{}", check.why);
    job.stop().await;
}

// spec
#[tokio::test]
async fn the_end_of_the_tree_ends_its_steps() {
    let mark = mark();
    let job = Job::new(WorkflowConfig::new([sh("long", &format!("sleep 600; : {mark}"))])).await;
    until("it runs", || !left(&mark, None).is_empty()).await;
    job.stop().await;
    assert_eq!(left(&mark, None), Vec::<String>::new());
}
