//! The kind `tool` and real programs: one run, its end, and nothing left.

use fsm_core::{Outcome, Worker};
use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_process::{Keeper, RunEnd, Runner, ToolAction, ToolConfig, ToolObserved, ToolWorker};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{PATIENCE, left, mark, until};

fn bench(text: &str) -> Workbench<ToolWorker> {
    let runner = Runner::new(Keeper::program(env!("CARGO_BIN_EXE_fsm-keeper")));
    Workbench::new(ToolWorker::new(runner), ToolConfig::new(["sh", "-c", text]))
}

async fn started(text: &str) -> Workbench<ToolWorker> {
    let bench = bench(text);
    bench.execute(ToolAction::Start).await.expect("it can be started");
    bench
}

async fn look(bench: &Workbench<ToolWorker>) -> ToolObserved {
    ToolObserved::clone(&*bench.collect().await.expect("it looks at memory only"))
}

async fn end(bench: &Workbench<ToolWorker>) -> RunEnd {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(end) = look(bench).await.ended(bench.config()) {
            return end.clone();
        }
        assert!(Instant::now() < limit, "it doesn't end");
        tokio::task::yield_now().await;
    }
}

// spec: X-7
#[tokio::test]
async fn a_run_is_followed_to_its_end() {
    let bench = started("sleep 0.2; echo note >&2; echo '{\"result\": {\"printed\": 3}}'").await;
    assert!(look(&bench).await.runs(bench.config()));
    let end = end(&bench).await;
    assert_eq!(
        (end.outcome, &*end.ending, end.output),
        (Outcome::Success, "success", Some(json!({"printed": 3})))
    );
    assert_eq!(&*end.stderr, "note\n");
}

// spec: X-7
#[tokio::test]
async fn failed_timed_out_and_cancelled_are_told_apart() {
    let failed = started("exit 4").await;
    let end_of_it = end(&failed).await;
    assert_eq!((end_of_it.outcome, &*end_of_it.ending), (Outcome::Failure, "exit_nonzero"));

    let text = r#"{"command": ["sleep", "600"], "limits": {"timeout": "200ms"}}"#;
    let mut slow = bench("");
    slow.reconfigure(serde_json::from_str(text).expect("valid"));
    slow.execute(ToolAction::Start).await.expect("it can be started");
    assert_eq!(end(&slow).await.outcome, Outcome::Timeout);

    let cancelled = started("sleep 600").await;
    cancelled.execute(ToolAction::Cancel).await.expect("it can be cancelled");
    assert_eq!(end(&cancelled).await.outcome, Outcome::Cancelled);
    cancelled.execute(ToolAction::Forget).await.expect("it has ended");
    assert!(look(&cancelled).await.is_nothing());
}

#[tokio::test]
async fn a_changed_config_is_another_run() {
    let mark = mark();
    let mut bench = started(&format!("sleep 600; : {mark}")).await;
    until("it runs", || !left(&mark, None).is_empty()).await;
    bench.reconfigure(ToolConfig::new(["sh", "-c", "exit 0"]));
    assert!(!look(&bench).await.runs(bench.config()));
    bench.execute(ToolAction::Start).await.expect("the old run is cancelled");
    assert_eq!(left(&mark, None), Vec::<String>::new());
    assert_eq!(end(&bench).await.outcome, Outcome::Success);
}

// spec: A-10, X-4
#[tokio::test]
async fn the_end_of_an_incarnation_ends_its_run() {
    let mark = mark();
    let bench = started(&format!("sleep 600; : {mark}")).await;
    until("it runs", || !left(&mark, None).is_empty()).await;
    drop(bench);
    until("it is gone", || left(&mark, None).is_empty()).await;
    assert_eq!(ToolWorker::KIND, "tool");
}

// spec: A-11, K-7
#[tokio::test]
async fn starting_leaves_one_run() {
    let check = async |bench: &Workbench<ToolWorker>| (look(bench).await.runs(bench.config()), bench.tasks());
    verify_action_idempotency(async || bench("sleep 600"), ToolAction::Start, 3, check)
        .await
        .expect("one run each time");
}

// spec: A-11, K-7
#[tokio::test]
async fn cancelling_leaves_no_run() {
    let check = async |bench: &Workbench<ToolWorker>| (look(bench).await.running, bench.tasks());
    let running = async || started("sleep 600").await;
    let cancelled = verify_action_idempotency(running, ToolAction::Cancel, 3, check).await;
    assert!(cancelled.expect("none each time").cuts > 0, "it waits for the end");
    let forgotten = verify_action_idempotency(running, ToolAction::Forget, 3, check).await;
    assert!(forgotten.expect("none each time").cuts > 0, "it waits for the end");
}
