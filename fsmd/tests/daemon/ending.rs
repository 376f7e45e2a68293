//! How it ends, and what keeps it from beginning.

use std::net::{Ipv4Addr, TcpListener};

use crate::rig::{Daemon, Files, text, verb};

/// A flow that makes lines as fast as they are taken.
const FLOOD: &str = r#"
version: 1
agent: {name: edge}
server: {listen: "127.0.0.1:0"}
supervision: {shutdown_timeout: 10m}
dataflows:
  - name: flood
    input: {generate: {interval: 0s}}
    output: {stdout: {}}
    ack_timeout: 100ms
    policy: {stop_timeout: 10m}
"#;

// spec: S-24, U-70
#[tokio::test]
async fn a_second_signal_forces_what_does_not_stop_and_names_it() {
    let files = Files::new(&[("flood.yaml", FLOOD)]);
    // Nobody reads its lines, so the flow can't finish those under way.
    let mut daemon = Daemon::start_unread(&files.path("flood.yaml")).await;
    daemon.until("/v1/nodes/edge/flood", |answer| answer.json()["state"] == "Degraded").await;
    daemon.signal("TERM");
    daemon.until("/v1/nodes/edge/flood", |answer| answer.json()["state"] == "TryingToStop").await;
    assert_eq!(daemon.get("/readyz").await.json()["title"], "the daemon is stopping");
    daemon.signal("TERM");
    let status = daemon.ends().await;
    assert_eq!(status.code(), Some(1));
    let said = daemon.said.join("\n");
    assert!(said.contains("did not stop by themselves") && said.contains("\n  /edge/flood"), "{said}");
}

/// The config with a flow that rests.
fn quiet() -> String {
    FLOOD.replace("interval: 0s", "interval: 1h")
}

// spec: U-70, C-5
#[tokio::test]
async fn a_reload_that_hangs_delays_no_stop() {
    let files = Files::new(&[("fsmd.yaml", &quiet())]);
    let mut daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    daemon.ready().await;
    let pipe = files.pipe("fsmd.yaml");
    daemon.signal("HUP");
    // Somebody reads it, and nobody writes: so it hangs.
    let _silent = pipe.is_read().await;
    daemon.signal("TERM");
    assert_eq!(daemon.ends().await.code(), Some(0));
    let said = daemon.said.join("\n");
    assert!(said.contains("stopped") && !said.contains("does not answer"), "it did not wait: {said}");
}

// spec: C-5
#[tokio::test]
async fn a_file_that_does_not_answer_is_named_and_what_replaces_it_is_read() {
    let config = quiet()
        + "bridges:\n  - {for_each: {file: rows.csv}, name: \"b-{{ item.id }}\", read: {input: {generate: {}}, output: {drop: {}}}}\n";
    let files = Files::new(&[("fsmd.yaml", &config), ("rows.csv", "id\n1\n")]);
    let mut daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    daemon.ready().await;
    let pipe = files.pipe("rows.csv");
    let _silent = pipe.is_read().await;
    let line = daemon.hears("does not answer").await;
    assert!(line.contains("rows.csv"), "{line}");
    daemon.until("/metrics", |a| a.body.contains("fsm_config_reload_total{result=\"failed\"} 1")).await;
    daemon.ready().await;
    files.write("rows.csv", "id\n1\n2\n");
    daemon.hears("created=[/edge/b-2").await;
    daemon.signal("TERM");
    assert_eq!(daemon.ends().await.code(), Some(0));
}

// spec: C-2, U-1
#[tokio::test]
async fn an_address_in_use_is_named_and_nothing_is_started() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let config = FLOOD.replace("127.0.0.1:0", &address.to_string());
    let files = Files::new(&[("flood.yaml", &config)]);
    let output = verb(["run", files.path("flood.yaml").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(&format!("error[E0520]: the address {address} is in use")), "{said}");
    assert!(said.contains("help: "), "{said}");
    assert!(output.stdout.is_empty(), "no flow was started");
}

// spec: C-2
#[tokio::test]
async fn a_bad_config_starts_nothing() {
    let config = FLOOD.replace("interval: 0s", "intervall: 0s");
    let files = Files::new(&[("flood.yaml", &config)]);
    let output = verb(["run", files.path("flood.yaml").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("intervall") && said.contains("nothing is started"), "{said}");
    assert!(output.stdout.is_empty());
}

// spec: U-1, U-70
#[tokio::test]
async fn every_line_of_a_json_log_is_json() {
    let config = FLOOD.replace("interval: 0s", "interval: 1h") + "telemetry: {log: json}\n";
    let files = Files::new(&[("fsmd.yaml", &config)]);
    let mut daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    daemon.ready().await;
    files.write("fsmd.yaml", &config.replace("interval: 1h", "intervall: 1h"));
    daemon.hears("the config is refused").await;
    daemon.signal("INT");
    assert_eq!(daemon.ends().await.code(), Some(0));
    let refused: Vec<serde_json::Value> = daemon
        .said
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let place = |line: &serde_json::Value| line["at"].as_str().is_some_and(|at| at.contains("fsmd.yaml:8:"));
    assert!(refused.iter().any(|line| line["code"].is_string() && place(line)), "{refused:#?}");
}
