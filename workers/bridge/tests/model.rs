//! The model check of the bridge kinds with their children, and their diagrams in docs/workers.

use fsm_core::Phase;
use fsm_testkit::{Report, listed, model_check};
use fsm_worker_bridge::application::{Application, ApplicationConfig, Sections};
use fsm_worker_bridge::bridge::{Bridge, BridgeConfig};
use fsm_worker_bridge::connection::*;
use fsm_worker_bridge::group::{Group, GroupConfig};
use serde_json::{Value, json};

/// The committed diagram is what the states do.
#[track_caller]
fn diagram(report: &Report) {
    let file = format!("{}/../../docs/workers/{}.md", env!("CARGO_MANIFEST_DIR"), report.kind);
    report.graph().check_file(file).unwrap_or_else(|error| panic!("{error}"));
}

fn device(port: u16) -> ConnectionConfig {
    ConnectionConfig::try_tcp("device", port).expect("a good target")
}

fn up(port: u16, changes: u32) -> ConnectionObserved {
    ConnectionObserved::up(format!("tcp://device:{port}").into()).with_changes(changes)
}

fn down(port: u16, changes: u32) -> ConnectionObserved {
    let failure = Failure::new(FailureClass::Refused, "connection refused");
    ConnectionObserved::down(format!("tcp://device:{port}").into(), failure).with_changes(changes)
}

// spec: K-6, K-9 — below, between and above both limits of flapping.
#[test]
fn connection_passes_the_model_check() {
    let report = model_check::<Connection>()
        .configs(listed![device(502), device(503)])
        .observations(listed![up(502, 0), up(502, 3), up(502, 4), down(502, 0), down(502, 3), down(502, 4)])
        .observations(listed![up(503, 0), down(503, 4)])
        .assert();
    diagram(&report);
}

fn bridge(sections: Value) -> BridgeConfig {
    serde_json::from_value(sections).expect("a good bridge")
}

/// The states of a dataflow: the crates of workers don't know each other.
const FLOW: [(&str, Phase); 6] = [
    ("Stopped", Phase::Stopped),
    ("TryingToStart", Phase::Starting),
    ("Idle", Phase::Running),
    ("Active", Phase::Running),
    ("Degraded", Phase::Degraded),
    ("TryingToStop", Phase::Stopping),
];

// spec: K-6, K-9 — the product with the states of its children.
#[test]
fn bridge_passes_the_model_check() {
    let report = model_check::<Bridge>()
        .configs(listed![
            bridge(json!({"connection": {"tcp": {}}, "read": {"input": {}}, "write": {"input": {}}})),
            bridge(json!({"connection": {"tcp": {}}, "read": {"enabled": false}})),
            bridge(json!({"read": {"input": {}}}))
        ])
        .child::<Connection>("connection")
        .child_states("read", FLOW)
        .child_states("write", FLOW)
        .assert();
    diagram(&report);
}

fn group(children: Value) -> GroupConfig {
    serde_json::from_value(json!({ "children": children })).expect("a good group")
}

// spec: K-6, K-9
#[test]
fn group_passes_the_model_check() {
    let report = model_check::<Group>()
        .configs(listed![
            group(
                json!([{"name": "a", "kind": "hello"}, {"name": "b", "kind": "hello", "depends_on": ["a"]}])
            ),
            group(json!([{"name": "a", "kind": "hello", "enabled": false}])),
            group(json!([]))
        ])
        .assert();
    diagram(&report);
}

fn application(units: Value) -> ApplicationConfig {
    let mut sections = json!({"agent": {"name": "edge-01"}});
    sections.as_object_mut().expect("a map").extend(units.as_object().expect("a map").clone());
    serde_json::from_value::<Sections>(sections).expect("good sections").into_config().0
}

// spec: K-6, K-9
#[test]
fn application_passes_the_model_check() {
    let report = model_check::<Application>()
        .configs(listed![
            application(json!({
                "bridges": [{"name": "press", "connection": {"tcp": {"host": "a", "port": 1}}}],
                "workers": [{"name": "greeter", "kind": "hello"}]
            })),
            application(json!({}))
        ])
        .child::<Bridge>("press")
        .assert();
    diagram(&report);
}
