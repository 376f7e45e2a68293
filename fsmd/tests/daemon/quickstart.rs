//! The quick start: what a person sees who tries it for the first time.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::rig::{Daemon, Files, free_port, fsmd, text};

/// The example itself, with ports that nobody has.
fn quick_start() -> Files {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart.yaml");
    let config = std::fs::read_to_string(example).unwrap();
    assert!(config.contains("18830"), "the port of its broker is replaced by a free one");
    let config = config.replace("18830", &free_port().to_string()) + "\nserver: {listen: \"127.0.0.1:0\"}\n";
    Files::new(&[("quickstart.yaml", &config)])
}

/// Asks with a verb; gives what it printed.
#[track_caller]
fn asks(daemon: &Daemon, args: &[&str]) -> String {
    let server = format!("http://{}", daemon.address);
    let output = fsmd().args(args).args(["--server", &server]).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

// spec: U-1, U-2, U-6, U-7, U-40, U-41, M-5
#[tokio::test]
async fn the_quick_start_shows_messages_of_every_machine_answers_and_ends_cleanly() {
    let files = quick_start();
    let mut daemon = Daemon::start(&files.path("quickstart.yaml")).await;

    let mut wanted: BTreeSet<&str> = ["press-shop/line-1", "machining/line-2", "hardening/line-3"].into();
    while !wanted.is_empty() {
        let line = daemon.line().await;
        let (topic, payload) = line.split_once(' ').unwrap();
        let place = topic.strip_prefix("umh/v1/acme/cologne/").unwrap();
        let payload: Value = serde_json::from_str(payload).unwrap();
        assert!(payload["timestamp_ms"].is_u64() && !payload["value"].is_null(), "{line}");
        wanted.retain(|wanted| !place.starts_with(wanted));
    }

    daemon.ready().await;
    assert_eq!(daemon.get("/healthz").await.status, 200);
    verbs_answer(&daemon);
    api_answers(&daemon).await;
    errors_are_problems(&daemon).await;

    daemon.signal("TERM");
    let status = daemon.ends().await;
    assert_eq!(status.code(), Some(0), "{}", daemon.said.join("\n"));
}

fn verbs_answer(daemon: &Daemon) {
    let tree = asks(daemon, &["tree"]);
    assert!(tree.starts_with("● quickstart"), "{tree}");
    assert!(tree.contains("├─ ● press-1") && tree.contains("13 nodes: 13 running"), "{tree}");
    assert!(!tree.contains('\u{1b}'), "no colours where nobody sees them: {tree:?}");
    assert_eq!(asks(daemon, &["tree", "--unhealthy"]), "all nodes are as they should be\n");
    let nodes: Value = serde_json::from_str(&asks(daemon, &["tree", "-o", "json"])).unwrap();
    assert_eq!(nodes.as_array().unwrap().len(), 13);

    let line = asks(daemon, &["get", "/quickstart/press-1"]);
    assert!(line.starts_with("/quickstart/press-1  bridge  "), "{line}");
    let node = asks(daemon, &["get", "/quickstart/press-1/connection", "-o", "yaml"]);
    assert!(node.contains("path: /quickstart/press-1/connection\n"), "{node}");

    let told = asks(daemon, &["describe", "/quickstart/press-1/connection"]);
    let order =
        ["/quickstart/press-1/connection", "state  ● Up", "since", "why", "desired", "observed", "history"];
    let places: Vec<usize> = order.iter().map(|part| told.find(part).expect(part)).collect();
    assert!(places.is_sorted(), "{told}");
}

async fn api_answers(daemon: &Daemon) {
    let node = daemon.get("/v1/nodes/quickstart/press-1/read").await.json();
    assert_eq!(node["config"]["input"]["mqtt"]["topic"], "plant/press-1/+");
    let since = node["since"].as_str().unwrap();
    assert!(since.starts_with("20") && since.ends_with('Z'), "a time on the wall: {since}");
    let at = node["history"][0]["at"].as_str().unwrap();
    assert!(at.starts_with("20") && at.ends_with('Z'), "a time on the wall: {at}");
    assert_eq!(daemon.get("/v1/tree?unhealthy=true").await.json(), serde_json::json!([]));

    let metrics = daemon.get("/metrics").await;
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    let running =
        "fsm_workers{supervisor_id=\"mqtt_broker\",path=\"\",state=\"Running\",phase=\"running\"} 1";
    assert!(metrics.body.contains(running), "{}", metrics.body);
}

async fn errors_are_problems(daemon: &Daemon) {
    let near = daemon.get("/v1/nodes/quickstart/pres-1").await;
    assert_eq!(near.status, 404);
    assert!(near.head.contains("content-type: application/problem+json"), "{}", near.head);
    let problem = near.json();
    assert_eq!(problem["status"], 404);
    assert!(problem["help"].as_str().unwrap().contains("did you mean `/quickstart/press-1`?"), "{problem}");

    for (method, path, host, status) in [
        ("GET", "/v1/nothing", "127.0.0.1", 404),
        ("GET", "/v1/nodes/Quick%20Start", "127.0.0.1", 400),
        ("GET", "/v1/tree?unhealhty=true", "127.0.0.1", 400),
        ("POST", "/v1/tree", "127.0.0.1", 405),
        ("GET", "/v1/tree", "evil.example", 421),
    ] {
        let answer = daemon.ask(method, path, host).await;
        assert_eq!(answer.status, status, "{method} {path} {host}: {answer:?}");
        let problem = answer.json();
        assert!(problem["title"].is_string() && problem["help"].is_string(), "{problem}");
    }
}
