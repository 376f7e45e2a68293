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
