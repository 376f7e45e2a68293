//! When the daemon says that it is ready, and what it names when it is not.

use crate::rig::{Answer, Daemon, Files};

/// What is not ready: path, goal and reason.
fn waiting(answer: &Answer) -> Vec<(String, String, String)> {
    let problem = answer.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let nodes = problem["not_ready"].as_array().cloned().unwrap_or_default();
    nodes.iter().map(|node| (text(&node["path"]), text(&node["goal"]), text(&node["reason"]))).collect()
}

fn names(answer: &Answer, path: &str, goal: &str, reason: &str) -> bool {
    waiting(answer).iter().any(|(p, g, r)| p == path && g == goal && r.contains(reason))
}

// spec: U-41, S-15, S-13
#[tokio::test]
async fn a_node_that_waits_for_another_is_not_ready_and_one_that_is_disabled_is() {
    let files = Files::new(&[("mood", "sad")]);
    let folder = files.folder().display();
    let hello = |name: &str| {
        format!("kind: hello, config: {{mood_file: {folder}/mood-{name}, greeting_file: {folder}/{name}}}")
    };
    let first = hello("first").replace("mood-first", "mood");
    let config = format!(
        "version: 1\nagent: {{name: edge}}\nserver: {{listen: \"127.0.0.1:0\"}}\nworkers:\n  \
         - {{name: first, {first}, policy: {{interval: 100ms}}}}\n  \
         - {{name: second, depends_on: [first], {}}}\n  \
         - {{name: never, enabled: false, {}}}\n",
        hello("second"),
        hello("never"),
    );
    files.write("fsmd.yaml", &config);
    let daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    let answer = daemon
        .until("/readyz", |answer| {
            names(answer, "/edge/first", "run", "the mood is sad")
                && names(answer, "/edge/second", "stop", "waiting until first is healthy")
        })
        .await;
    assert_eq!(answer.status, 503);
    assert!(!names(&answer, "/edge/never", "stop", ""), "{answer:?}");

    files.write("mood", "happy");
    daemon.ready().await;
    let unhealthy = daemon.get("/v1/tree?unhealthy=true").await;
    assert_eq!(unhealthy.json(), serde_json::json!([]), "the same is said by the tree");
    assert_eq!(daemon.get("/v1/nodes/edge/never").await.json()["healthy"], true);
}

// spec: U-41, S-20
#[tokio::test]
async fn a_node_that_leaves_is_not_ready_until_it_is_gone() {
    // Nobody reads its lines, so the flow can't finish those under way.
    const FLOOD: &str = "  - name: flood\n    input: {generate: {interval: 0s}}\n    output: {stdout: {}}\n    \
                         ack_timeout: 100ms\n    policy: {stop_timeout: 10m}\n";
    const REST: &str = "version: 1\nagent: {name: edge}\nserver: {listen: \"127.0.0.1:0\"}\ndataflows:\n  \
                        - {name: rests, input: {generate: {interval: 1h}}, output: {drop: {}}}\n";
    let files = Files::new(&[("fsmd.yaml", &format!("{REST}{FLOOD}"))]);
    let mut daemon = Daemon::start_unread(&files.path("fsmd.yaml")).await;
    daemon.until("/v1/nodes/edge/flood", |answer| answer.json()["state"] == "Degraded").await;
    files.write("fsmd.yaml", REST);
    let answer = daemon.until("/readyz", |answer| names(answer, "/edge/flood", "remove", "")).await;
    assert_eq!(answer.status, 503);
    daemon.hears("reloaded").await;
    daemon.drain();
    daemon.ready().await;
    assert_eq!(daemon.get("/v1/nodes/edge/flood").await.status, 404);
}
