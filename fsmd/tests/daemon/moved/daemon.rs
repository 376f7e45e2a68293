//! A daemon at work: flows with a broker that restarts and a disk that is full, programs, calls, a reload.

use std::io::Write as _;
use std::process::{Command, Stdio};

use fsm_metrics::never_moved_in;

use crate::proof::Mosquitto;
use crate::rig::{Daemon, Files};

/// More than a flow takes ahead: some wait for their turn.
const MESSAGES: usize = 3_000;

fn config(port: u16, files: &Files, greeting: &str) -> String {
    let folder = files.folder().display();
    format!(
        r#"
version: 1
agent: {{name: edge}}
server: {{listen: "127.0.0.1:0"}}
dataflows:
  - name: kept
    input: {{mqtt: {{url: "mqtt://127.0.0.1:{port}", topic: "in/#", qos: 1}}}}
    pipeline: [{{filter: ".n >= 5"}}]
    output: {{file: {{path: {folder}/kept}}}}
  - name: full
    input: {{mqtt: {{url: "mqtt://127.0.0.1:{port}", topic: "in/#", qos: 1}}}}
    output: {{file: {{path: /dev/full}}}}
workers:
  - {{name: label, kind: tool, config: {{command: [sh, -c, "echo '{{}}'; sleep 600"], limits: {{timeout: 300ms}}}}}}
  - {{name: greet, kind: tool, config: {{command: [echo, '{{"result": "{greeting}"}}']}}}}
tools:
  - {{id: wait, command: [sleep, "600"]}}
workflows:
  - {{id: greets, steps: [{{name: a, agent: /edge/greet, action: start}}]}}
"#
    )
}

fn publish(broker: &Mosquitto) {
    let mut child = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-q", "1", "-t", "in/a", "-l"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("mosquitto-clients are installed: `cargo xtask ci` sees to it");
    let lines: String = (0..MESSAGES).map(|n| format!("{{\"n\": {n}}}\n")).collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Everything that it moved was seen in one of its scrapes.
pub(super) async fn works() -> Vec<&'static str> {
    let mut broker = Mosquitto::start();
    let files = Files::new(&[]);
    files.write("fsmd.yaml", &config(broker.port, &files, "hello"));
    let daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    for flow in ["kept", "full"] {
        // It has its source, and makes its file with the first message.
        daemon.until(&format!("/v1/nodes/edge/{flow}"), |a| a.body.contains("no_target")).await;
    }
    publish(&broker);
    let mut scrapes = Vec::new();
    for wanted in [
        "dataflow_lag_messages{flow=\"/edge/full\"}",
        "dataflow_retries_total{flow=\"/edge/full\"}",
        "dataflow_messages_out_total{flow=\"/edge/kept\"}",
        "dataflow_last_message_age_seconds{flow=\"/edge/kept\"}",
        "runtime_tool_timeouts_total{tool_id=\"_node\"}",
    ] {
        scrapes.push(daemon.until("/metrics", |metrics| is_moved(&metrics.body, wanted)).await.body);
    }
    scrapes.push(executes(&daemon).await);
    broker.down();
    broker.up();
    files.write("fsmd.yaml", &config(broker.port, &files, "good day"));
    daemon.signal("HUP");
    for wanted in
        ["dataflow_reconnects_total{flow=\"/edge/kept\"}", "fsm_config_reload_total{result=\"applied\"}"]
    {
        scrapes.push(daemon.until("/metrics", |metrics| is_moved(&metrics.body, wanted)).await.body);
    }
    never_moved_in(scrapes.iter().map(String::as_str))
}

/// What is run by a call, in all ways that are counted; seen while one of them runs.
async fn executes(daemon: &Daemon) -> String {
    assert_eq!(daemon.post("/v1/exec/workflows/greets", "", "{}").await.status, 200);
    assert_eq!(daemon.post("/v1/exec/tasks/wait?async=true", "", "{}").await.status, 202);
    assert_eq!(daemon.post("/v1/exec/tasks/wait", "", "{\"timeout_s\": 0.1}").await.status, 408);
    daemon.until("/metrics", |metrics| is_moved(&metrics.body, "exec_in_flight{kind=\"task\"}")).await.body
}

fn is_moved(scrape: &str, series: &str) -> bool {
    let value = scrape.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
    value.is_some_and(|value| value > 0.0)
}
