//! Actions of live workers that somebody asks for.

use serde_json::json;

use super::Site;

// spec: X-20
#[tokio::test]
async fn an_action_of_a_worker_is_run_through_its_own_slot_and_recorded() {
    let site = Site::start().await;
    site.daemon.until("/v1/nodes/edge/job", |answer| answer.json()["state"] == "Running").await;
    let answer = site.call("agents/edge/job/-/cancel", "{}").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let record = site.daemon.get(answer.json()["exec_url"].as_str().unwrap()).await.json();
    for (key, value) in
        [("kind", "agent"), ("target", "/edge/job"), ("action", "cancel"), ("status", "success")]
    {
        assert_eq!(record[key], value, "{record}");
    }
    assert_eq!(record["attempts"], 1);
    assert_eq!(site.metric("exec_finished_total{kind=\"agent\",status=\"success\"}").await, 1.0);
    let url = site.begin("agents/edge/job/-/start", "{}").await;
    site.becomes(&url, "success").await;
    assert_eq!(site.metric("http_exec_started_total{kind=\"agent\"}").await, 1.0);
}

// spec: X-20
#[tokio::test]
async fn an_action_that_is_not_there_is_named_with_those_that_are() {
    let site = Site::start().await;
    for (path, hint) in [
        ("agents/edge/job/-/begin", "/edge/job knows: start, cancel"),
        ("agents/edge/jobb/-/start", "did you mean `/edge/job`?"),
        ("agents/edge/job", "/-/"),
        ("agents/Edge/-/x", "/-/"),
        ("agents/-/x", "/-/"),
    ] {
        let answer = site.call(path, "{}").await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        let help = answer.json()["help"].clone();
        assert!(help.as_str().is_some_and(|help| help.contains(hint)), "{path}: {help}");
    }
    assert_eq!(site.daemon.get("/v1/exec").await.json()["executions"], json!([]));
    assert_eq!(site.metric("http_exec_errors_total{kind=\"agent\",code=\"404\"}").await, 5.0);
    assert_eq!(site.metric("exec_in_flight{kind=\"agent\"}").await, 0.0);
}

// spec: X-20, X-22
#[tokio::test]
async fn a_busy_worker_refuses_and_a_cancelled_action_gives_its_slot_back() {
    let stubborn = "  - {name: stays, kind: tool, config: {command: [sh, -c, 'trap : TERM; touch FOLDER/deaf; while :; do sleep 1; done'], limits: {timeout: 1h, grace: 1h}}}\n";
    let site = Site::of(&(super::CONFIG.to_owned() + stubborn)).await;
    site.daemon.until("/v1/nodes/edge/stays", |answer| answer.json()["state"] == "Running").await;
    site.made("deaf").await;
    // Its cancel waits for an end that doesn't come.
    let url = site.begin("agents/edge/stays/-/cancel", "{}").await;
    site.becomes(&url, "running").await;
    let answer = site.call("agents/edge/stays/-/start", "{}").await;
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.json()["detail"].as_str().unwrap().contains("busy with action `cancel`"), "{answer:?}");
    assert_eq!(site.metric("http_exec_errors_total{kind=\"agent\",code=\"409\"}").await, 1.0);
    let all = site.daemon.get("/v1/exec").await.json();
    assert_eq!(all["executions"].as_array().unwrap().len(), 1, "the refused one leaves no record: {all}");
    assert_eq!(site.cancel(&url).await.status, 202);
    site.becomes(&url, "cancelled").await;
    // A wait that is over ends no action.
    let answer = site.call("agents/edge/stays/-/cancel", r#"{"timeout_s": 0.2}"#).await;
    assert!(answer.status == 408 && answer.json()["state"] == "running", "{answer:?}");
}
