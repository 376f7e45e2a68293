//! Starting and stopping a real flow, again and again, and cut off midway.

use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_dataflow::{Dataflow, FlowAction};
use serde_json::json;

/// A flow that takes a port: two of them can't be there at once.
fn listening() -> Workbench<Dataflow> {
    let config = json!({"input": {"http_server": {"listen": "127.0.0.1:0"}}, "output": {"drop": {}}});
    Workbench::new(Dataflow::new("test"), serde_json::from_value(config).unwrap())
}

async fn seen(bench: &Workbench<Dataflow>) -> (bool, bool) {
    let seen = bench.collect().await.unwrap();
    (seen.running, seen.deployed.is_some())
}

// spec: A-11, K-7
#[tokio::test]
async fn starting_leaves_one_flow() {
    let fresh = async || listening();
    let flows = async |bench: &Workbench<Dataflow>| (seen(bench).await, bench.tasks());
    let passed = verify_action_idempotency(fresh, FlowAction::Start, 3, flows).await.unwrap();
    assert_eq!(passed.times, 3);
}

// spec: A-11, K-7
#[tokio::test]
async fn stopping_leaves_no_flow() {
    let fresh = async || {
        let bench = listening();
        bench.execute(FlowAction::Start).await.unwrap();
        bench
    };
    let passed =
        verify_action_idempotency(fresh, FlowAction::Stop, 3, async |bench| seen(bench).await).await.unwrap();
    assert!(passed.cuts > 0, "it waits for the flow to end");
}
