//! The actions of `workflow` and its steps, again and again and cut off midway.

use fsm_core::{ChildName, Outcome};
use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_process::{
    Keeper, NoAgents, Runner, Step, StepAction, StepAgent, StepConfig, StepObserved, ToolConfig, Workflow,
    WorkflowAction, WorkflowConfig, WorkflowObserved, WorkflowStep,
};
use std::sync::Arc;

fn step() -> Workbench<Step> {
    let runner = Runner::new(Keeper::program(env!("CARGO_BIN_EXE_fsm-keeper")));
    let config = StepConfig::Tool { id: None, run: Box::new(ToolConfig::new(["sleep", "600"])) };
    Workbench::new(Step::new(runner, Arc::new(NoAgents)), config)
}

async fn seen(bench: &Workbench<Step>) -> StepObserved {
    StepObserved::clone(&*bench.collect().await.expect("it looks at memory only"))
}

// spec: A-11, K-7
#[tokio::test]
async fn a_step_is_started_once() {
    let check = async |bench: &Workbench<Step>| (seen(bench).await.running, bench.tasks());
    verify_action_idempotency(async || step(), StepAction::Start, 3, check).await.expect("one run");
}

// spec: A-11, K-7
#[tokio::test]
async fn cancelling_a_step_leaves_no_run() {
    let running = async || {
        let bench = step();
        bench.execute(StepAction::Start).await.expect("it can be started");
        bench
    };
    let check = async |bench: &Workbench<Step>| (seen(bench).await.running, bench.tasks());
    let passed =
        verify_action_idempotency(running, StepAction::Cancel, 3, check).await.expect("none each time");
    assert!(passed.cuts > 0, "it waits for the end");
}

// spec: A-11, K-7
#[tokio::test]
async fn what_a_workflow_notes_is_noted_once() {
    let fresh = async || {
        let name = ChildName::try_new("check").expect("a good name");
        let agent = StepConfig::Agent(StepAgent::new("/edge/press", "probe"));
        Workbench::new(Workflow, WorkflowConfig::new([WorkflowStep::new(name, agent)]))
    };
    let check = async |bench: &Workbench<Workflow>| {
        WorkflowObserved::clone(&*bench.collect().await.expect("it looks at memory only"))
    };
    verify_action_idempotency(fresh, WorkflowAction::Start, 3, check).await.expect("started");
    verify_action_idempotency(fresh, WorkflowAction::Cancel, 3, check).await.expect("cancelled");
    verify_action_idempotency(fresh, WorkflowAction::Conclude(Outcome::Timeout), 3, check)
        .await
        .expect("concluded");
}
