//! Job trees that are run by a call.

use serde_json::{Value, json};

use super::{Site, living};

const WORKFLOWS: &str = r#"
variables: {site: cologne}
workflows:
  - id: changeover
    parameters: {line: {type: string}, parts: {type: integer, default: 3}}
    steps:
      - {name: greet, tool: greet, input: "{{ line }} of {{ global.site }}"}
      - {name: count, tool: line/count, input: {parts: "{{ parts }}"}, depends_on: [greet]}
      - {name: check, agent: /edge/job, action: cancel, depends_on: [greet]}
  - id: broken
    on_failure: continue
    steps:
      - {name: print, tool: print}
      - {name: after, tool: greet, depends_on: [print]}
      - {name: beside, tool: greet, input: x}
  - id: slow
    steps: [{name: wait, tool: waits}]
    timeout: 4m
"#;

async fn site() -> Site {
    let site = Site::of(&(super::CONFIG.to_owned() + WORKFLOWS)).await;
    site.daemon.until("/v1/nodes/edge/job", |answer| answer.json()["state"] == "Running").await;
    site
}

/// Names of the children of the root.
async fn children(site: &Site) -> Vec<String> {
    let tree = site.daemon.get("/v1/tree").await.json();
    tree.as_array()
        .unwrap()
        .iter()
        .filter(|e| e["depth"] == 1)
        .map(|e| e["path"].as_str().unwrap().to_owned())
        .collect()
}

// spec: X-20, X-25
#[tokio::test]
async fn a_workflow_runs_its_steps_in_their_order_and_is_gone_afterwards() {
    let site = site().await;
    let before = children(&site).await;
    let answer = site.call("workflows/changeover", r#"{"input": {"line": "l4"}}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    assert_eq!(told["output"], json!({"greet": "hello, l4 of cologne\n", "count": [1, 2]}));
    let outcomes: Vec<&Value> =
        ["greet", "count", "check"].map(|step| &told["metadata"]["steps"][step]["outcome"]).to_vec();
    assert_eq!(outcomes, ["success"; 3], "{told}");
    let record = site.daemon.get(told["exec_url"].as_str().unwrap()).await.json();
    assert_eq!((&record["kind"], &record["target"]), (&json!("workflow"), &json!("changeover")));
    site.daemon.until("/v1/tree", |answer| !answer.body.contains("changeover-")).await;
    assert_eq!(children(&site).await, before);
    assert!(site.metric("workflow_sync_polls_total{outcome=\"completed\"}").await >= 1.0);
    assert_eq!(site.metric("workflow_sync_poll_duration_seconds_count").await, 1.0);
    assert_eq!(site.metric("exec_finished_total{kind=\"workflow\",status=\"success\"}").await, 1.0);
    assert_eq!(
        site.metric("runtime_tool_execute_seconds_count{tool_id=\"greet\",outcome=\"success\"}").await,
        1.0
    );
}

// spec: X-20, X-25
#[tokio::test]
async fn a_workflow_that_failed_is_an_error_and_names_the_step() {
    let site = site().await;
    let answer = site.call("workflows/broken", "{}").await;
    assert_eq!(answer.status, 422, "{answer:?}");
    let told = answer.json();
    assert_eq!(told["error"]["reason"], "step_failed");
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains("`print`") && detail.contains("no paper"), "{detail}");
    assert_eq!(told["output"], json!({"beside": "hello, x\n"}), "what went on is kept");
    let steps = &told["metadata"]["steps"];
    assert!(steps["after"].is_null() && steps["print"]["stderr"] == "tray 2\n", "{steps}");
    assert!(site.metric("workflow_sync_polls_total{outcome=\"failed\"}").await >= 1.0);
    assert_eq!(site.metric("workflow_sync_polls_total{outcome=\"completed\"}").await, 0.0);
}

// spec: X-20, T-5, T-6
#[tokio::test]
async fn an_input_that_does_not_fit_runs_nothing() {
    let site = site().await;
    for (body, hint) in [
        ("{}", "`line`"),
        (r#"{"input": {"line": "l4", "prats": 3}}"#, "did you mean `parts`?"),
        (r#"{"input": {"line": "l4", "parts": "many"}}"#, "parts"),
        (r#"{"input": ["l4"]}"#, "an object"),
    ] {
        let answer = site.call("workflows/changeover", body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(hint), "{body}: {detail}");
    }
    let answer = site.call("workflows/changeovr", "{}").await;
    assert!(answer.status == 404 && answer.body.contains("did you mean `changeover`?"), "{answer:?}");
    assert_eq!(site.daemon.get("/v1/exec").await.json()["executions"], json!([]));
}

// spec: X-22, X-23, X-25
#[tokio::test]
async fn a_workflow_that_takes_too_long_or_is_cancelled_leaves_nobody() {
    let site = site().await;
    let answer = site.call("workflows/slow", r#"{"timeout_s": 0.5}"#).await;
    assert!(answer.status == 408 && answer.json()["state"] == "running", "{answer:?}");
    let url = answer.json()["exec_url"].as_str().unwrap().to_owned();
    assert!(site.metric("workflow_sync_polls_total{outcome=\"timeout\"}").await >= 1.0);
    let mark = "FSM_EXEC_ID=";
    site.daemon.until("/metrics", |_| living(mark).iter().any(|line| line.contains("sleep 600"))).await;
    assert_eq!(site.cancel(&url).await.status, 202);
    let record = site.becomes(&url, "cancelled").await;
    assert_eq!(record["error"]["message"], "somebody cancelled it");
    let url = site.begin("workflows/slow", r#"{"timeout_s": 0.5}"#).await;
    let record = site.becomes(&url, "timeout").await;
    assert_eq!(record["error"]["reason"], "timeout", "{record}");
    site.daemon.until("/v1/tree", |answer| !answer.body.contains("slow-")).await;
}
