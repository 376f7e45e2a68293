//! The verbs that need no daemon, and how the others find one.

use serde_json::Value;

use crate::rig::{Daemon, Files, free_port, fsmd, text, verb};

const CONFIG: &str = r#"
version: 1
agent: {name: edge}
templates:
  press:
    parameters: {ip: {type: string}, port: {type: integer, default: 502}}
    connection: {tcp: {host: "{{ ip }}", port: "{{ port }}"}}
bridges:
  - {name: press-7, template: press, variables: {ip: 10.0.0.7}}
"#;

#[test]
fn a_wrong_command_line_ends_with_64() {
    for args in [
        &["tee"][..],
        &["check"],
        &["tree", "--server", "ftp://x"],
        &["explain", "E01O3"],
        &["get", "press-7"],
        &["plan"],
        &["check", "--output", "xml", "fsmd.yaml"],
    ] {
        let output = verb(args.iter().copied());
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", text(&output.stderr));
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    let files = Files::new(&[("fsmd.yaml", CONFIG)]);
    let output = verb(["run", files.path("fsmd.yaml").to_str().unwrap(), "--log", "fsmd=loud"]);
    assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));
}

#[test]
fn a_slip_of_the_pen_gets_a_hint() {
    for (args, hint) in [
        (&["chekc"][..], "'check'"),
        (&["check", "--stirct", "x"], "'--strict'"),
        (&["get", "edge/press-7"], "did you mean `/edge/press-7`?"),
        (&["check", "--output", "xml", "x"], "json"),
        (&["plan"], "`fsmd plan --shutdown`: how long a stop of the running tree may take"),
    ] {
        let said = text(&verb(args.iter().copied()).stderr);
        assert!(said.contains(hint), "{args:?}: {said}");
    }
}

// spec: U-2
#[test]
fn check_counts_the_nodes_of_a_good_config() {
    let files = Files::new(&[("fsmd.yaml", CONFIG)]);
    let output = verb(["check", files.path("fsmd.yaml").to_str().unwrap()]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "ok: 3 nodes\n"));
    let output = verb(["check", files.path("fsmd.yaml").to_str().unwrap(), "-o", "json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer, serde_json::json!({"ok": true, "nodes": 3, "diagnostics": []}));
}

// spec: U-2, T-6
#[test]
fn strict_makes_warnings_errors() {
    let unused = CONFIG.replace("agent: {name: edge}", "agent: {name: edge}\nvariables: {ip: x}");
    let files = Files::new(&[("fsmd.yaml", &unused)]);
    let path = files.path("fsmd.yaml");
    let output = verb(["check", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("warning["), "{}", text(&output.stderr));
    let output = verb(["check", path.to_str().unwrap(), "--strict"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("error["), "{}", text(&output.stderr));
}

// spec: U-3, T-7
#[test]
fn render_shows_a_subtree_with_the_origin_of_each_part() {
    let files = Files::new(&[("fsmd.yaml", CONFIG)]);
    let path = files.path("fsmd.yaml");
    let args = ["render", path.to_str().unwrap(), "/edge/press-7", "--trace", "-o", "json"];
    let output = verb(args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let nodes: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(nodes.as_array().unwrap().len(), 2);
    assert_eq!(nodes[1]["path"], "/edge/press-7/connection");
    assert_eq!(nodes[1]["config"]["tcp"], serde_json::json!({"host": "10.0.0.7", "port": 502}));
    let trace = nodes[0]["trace"].as_array().unwrap();
    let host = trace.iter().find(|scalar| scalar["at"] == "connection.tcp.host").unwrap();
    assert_eq!(host["uses"][0]["variable"], "ip");
    assert!(host["written_at"].as_str().unwrap().contains("fsmd.yaml:7:"), "{host}");

    let output = verb(["render", path.to_str().unwrap(), "/edge/pres-7"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("did you mean `/edge/press-7`?"), "{}", text(&output.stderr));
}

// spec: C-3, U-15
#[test]
fn schema_explain_and_version_answer() {
    let schema: Value = serde_json::from_slice(&verb(["schema"]).stdout).unwrap();
    assert!(schema["properties"]["bridges"].is_object(), "{schema}");
    let told = text(&verb(["explain", "e0520"]).stdout);
    assert!(told.starts_with("E0520: an address is in use\n"), "{told}");
    assert!(text(&verb(["explain", "E0103"]).stdout).starts_with("E0103: "));
    let unknown = verb(["explain", "E9999"]);
    assert_eq!(unknown.status.code(), Some(1));
    let version = format!("fsmd {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&verb(["version"]).stdout), version);
    assert_eq!(text(&verb(["--version"]).stdout), version);
}

#[track_caller]
fn looks_at(command: &mut std::process::Command, port: u16, from: &str) {
    let output = command.arg("tree").output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("no daemon answers at http://127.0.0.1:{port} ({from})")), "{said}");
    assert!(said.contains("help: start one with `fsmd run CONFIG`"), "{said}");
}

// spec: U-1
#[test]
fn a_daemon_is_found_by_option_then_environment_then_config_in_the_folder() {
    let [option, environment, file] = [free_port(), free_port(), free_port()];
    let config = format!("{CONFIG}\nserver: {{listen: \"127.0.0.1:{file}\"}}\n");
    let files = Files::new(&[("fsmd.yaml", &config)]);
    let mut command = fsmd();
    looks_at(command.current_dir(files.folder()), file, "server.listen of the config in this folder");
    let server = format!("http://127.0.0.1:{environment}");
    let mut command = fsmd();
    looks_at(command.current_dir(files.folder()).env("FSMD_SERVER", &server), environment, "FSMD_SERVER");
    let mut command = fsmd();
    command.current_dir(files.folder()).env("FSMD_SERVER", &server);
    let output = command.args(["tree", "--server", &format!("http://127.0.0.1:{option}")]).output().unwrap();
    assert!(text(&output.stderr).contains(&format!(":{option} (--server)")), "{}", text(&output.stderr));
}

/// What `plan --shutdown` tells of a tree of two levels that takes 40 s at most, under a daemon with this deadline.
async fn planned(supervision: &str, output: &str) -> String {
    let config = format!(
        r#"
version: 1
agent: {{name: edge}}
server: {{listen: "127.0.0.1:0"}}
{supervision}
dataflows:
  - {{name: slow, input: {{generate: {{interval: 1h}}}}, output: {{drop: {{}}}}, policy: {{stop_timeout: 10s}}}}
  - {{name: quick, input: {{generate: {{interval: 1h}}}}, output: {{drop: {{}}}}, policy: {{stop_timeout: 1s}}}}
"#
    );
    let files = Files::new(&[("fsmd.yaml", &config)]);
    let mut daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    daemon.ready().await;
    let server = format!("http://{}", daemon.address);
    let told = verb(["plan", "--shutdown", "-o", output, "--server", &server]);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    daemon.signal("TERM");
    assert_eq!(daemon.ends().await.code(), Some(0));
    text(&told.stdout)
}

// spec: S-24
#[tokio::test]
async fn a_planned_shutdown_names_the_longest_chain_and_a_deadline_that_is_too_short_for_it() {
    let told = planned("", "table").await;
    assert!(
        told.contains("\n  /edge/slow  within 10s\n  /edge       within 30s\n\nit takes  40s,"),
        "{told}"
    );
    assert!(told.contains("\ndeadline  30s (supervision.shutdown_timeout)\n"), "{told}");
    assert!(
        told.contains("10s too short") && told.contains("help: set `supervision.shutdown_timeout` to 40s"),
        "{told}"
    );
    assert!(!told.contains("quick"), "who stops beside it is not in the way: {told}");
}

// spec: S-24
#[tokio::test]
async fn a_planned_shutdown_that_has_time_enough_needs_no_advice() {
    let told = planned("supervision: {shutdown_timeout: 1m}", "table").await;
    assert!(
        told.ends_with("deadline  1m (supervision.shutdown_timeout)\na shutdown has time enough for it\n"),
        "{told}"
    );
    let told: Value =
        serde_json::from_str(&planned("supervision: {shutdown_timeout: 1m}", "json").await).unwrap();
    let chain =
        serde_json::json!([{"path": "/edge/slow", "within": "10s"}, {"path": "/edge", "within": "30s"}]);
    assert_eq!(told, serde_json::json!({"takes": "40s", "deadline": "1m", "chain": chain}));
}
