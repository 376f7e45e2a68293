//! Each action again and again, and cut off midway: one process, or none.

use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_process::{Process, ProcessAction};

use crate::support::{bench, look, mark, script};

/// A fresh one, and a started one.
fn fresh() -> Workbench<Process> {
    bench(script(&format!("sleep 600; : {}", mark())))
}

async fn running() -> Workbench<Process> {
    let bench = fresh();
    bench.execute(ProcessAction::Start).await.expect("it can be started");
    bench
}

// spec: A-11, K-7
#[tokio::test]
async fn starting_leaves_one_process() {
    let check = async |bench: &Workbench<Process>| (look(bench).await.runs(bench.config()), bench.tasks());
    let passed = verify_action_idempotency(async || fresh(), ProcessAction::Start, 3, check)
        .await
        .expect("one process each time");
    assert!(passed.cuts > 0, "it waits for the start");
}

// spec: A-11, K-7
#[tokio::test]
async fn stopping_leaves_no_process() {
    let check = async |bench: &Workbench<Process>| (look(bench).await.alive, bench.tasks());
    let passed = verify_action_idempotency(async || running().await, ProcessAction::Stop, 3, check)
        .await
        .expect("none each time");
    assert!(passed.cuts > 0, "it waits for the end");
}

// spec: A-11, K-7
#[tokio::test]
async fn killing_leaves_no_process() {
    let check =
        async |bench: &Workbench<Process>| (look(bench).await.alive, look(bench).await.exit, bench.tasks());
    verify_action_idempotency(async || running().await, ProcessAction::Kill, 3, check)
        .await
        .expect("none each time");
}
