//! A config that changes while it runs: only what changed is touched, and a bad file changes nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::rig::{Daemon, Files};

const CONFIG: &str = r#"
version: 1
agent: {name: edge}
server: {listen: "127.0.0.1:0"}
templates:
  device:
    parameters: {level: {type: string, pattern: "^[0-9]+$"}}
    read:
      input: {generate: {interval: 1h, payload: {json: {level: "{{ level }}"}}}}
      output: {drop: {}}
bridges:
  - for_each: {file: devices.csv}
    name: "dev-{{ item.id }}"
    template: device
    variables: {level: "{{ item.level }}"}
"#;
const ROWS: usize = 50;

fn rows(change: impl Fn(usize) -> Option<String>) -> String {
    let mut csv = "id,level\n".to_owned();
    for id in 1..=ROWS {
        if let Some(row) = change(id) {
            csv.push_str(&row);
            csv.push('\n');
        }
    }
    csv
}

fn same(id: usize) -> Option<String> {
    Some(format!("{id},{id}"))
}

/// What a change would show in: the life, the desired state, the starts and the variables of every node.
async fn nodes(daemon: &Daemon) -> BTreeMap<String, [Value; 4]> {
    let tree = daemon.get("/v1/tree").await.json();
    let mut nodes = BTreeMap::new();
    for entry in tree.as_array().unwrap() {
        let path = entry["path"].as_str().unwrap();
        let node = daemon.get(&format!("/v1/nodes{path}")).await.json();
        nodes.insert(
            path.to_owned(),
            ["incarnation", "desired", "starts", "variables"].map(|key| node[key].clone()),
        );
    }
    nodes
}

/// The paths that differ.
fn touched(before: &BTreeMap<String, [Value; 4]>, after: &BTreeMap<String, [Value; 4]>) -> Vec<String> {
    let paths = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
    paths.filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

async fn started() -> (Files, Daemon) {
    let files = Files::new(&[("fsmd.yaml", CONFIG), ("devices.csv", &rows(same))]);
    let daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    daemon.ready().await;
    (files, daemon)
}

// spec: C-5, T-9
#[tokio::test]
async fn a_changed_row_touches_its_bridge_and_a_removed_row_takes_its_own_away() {
    let (files, mut daemon) = started().await;
    let before = nodes(&daemon).await;
    assert_eq!(before.len(), 1 + 2 * ROWS);

    files.write("devices.csv", &rows(|id| if id == 7 { Some("7,700".into()) } else { same(id) }));
    let line = daemon.hears("reloaded").await;
    assert!(line.contains("/edge/dev-7/read") && !line.contains("/edge/dev-8"), "{line}");
    daemon.ready().await;
    let changed = nodes(&daemon).await;
    assert_eq!(touched(&before, &changed), ["/edge", "/edge/dev-7", "/edge/dev-7/read"]);
    let incarnation = |nodes: &BTreeMap<String, [Value; 4]>, path: &str| nodes[path][0].clone();
    for path in ["/edge", "/edge/dev-7", "/edge/dev-7/read"] {
        assert_eq!(incarnation(&before, path), incarnation(&changed, path), "{path} changed in place");
    }
    let read = daemon.get("/v1/nodes/edge/dev-7/read").await.json();
    assert_eq!(read["config"]["input"]["generate"]["payload"]["json"]["level"], "700");

    files.write(
        "devices.csv",
        &rows(|id| match id {
            7 => Some("7,700".into()),
            20 => None,
            id => same(id),
        }),
    );
    daemon.hears("reloaded").await;
    daemon.until("/v1/nodes/edge/dev-20", |answer| answer.status == 404).await;
    let removed = nodes(&daemon).await;
    assert_eq!(touched(&changed, &removed), ["/edge", "/edge/dev-20", "/edge/dev-20/read"]);
}

// spec: C-5, T-5
#[tokio::test]
async fn a_broken_row_changes_nothing_is_reported_with_its_place_and_can_be_mended() {
    let (files, mut daemon) = started().await;
    let before = nodes(&daemon).await;
    files.write(
        "devices.csv",
        &rows(|id| match id {
            3 => Some("3,three".into()),
            4 => None,
            id => same(id),
        }),
    );
    daemon.hears("the config is refused").await;
    let said = daemon.said.join("\n");
    assert!(said.contains("devices.csv:4"), "names the file and the row: {said}");
    assert!(said.contains("level"), "names the variable: {said}");
    assert_eq!(touched(&before, &nodes(&daemon).await), [""; 0]);
    let metrics =
        daemon.until("/metrics", |a| a.body.contains("fsm_config_reload_total{result=\"refused\"} 1")).await;
    assert!(!metrics.body.contains("fsm_config_reload_total{result=\"applied\"} 1"), "{}", metrics.body);

    files.write("devices.csv", &rows(same));
    daemon.hears("no node was touched").await;
    assert_eq!(touched(&before, &nodes(&daemon).await), [""; 0]);
    let metrics = daemon.get("/metrics").await.body;
    assert!(metrics.contains("fsm_config_reload_total{result=\"refused\"} 1"), "said once: {metrics}");
}

// spec: C-5
#[tokio::test]
async fn a_link_that_is_pointed_elsewhere_is_a_change() {
    let other = CONFIG.replace(
        "  - for_each",
        "  - {name: extra, template: device, variables: {level: \"1\"}}\n  - for_each",
    );
    let files = Files::new(&[("one.yaml", CONFIG), ("two.yaml", &other), ("devices.csv", &rows(same))]);
    let link = |to: &str| {
        let new = files.path("new");
        std::os::unix::fs::symlink(files.path(to), &new).unwrap();
        std::fs::rename(new, files.path("fsmd.yaml")).unwrap();
    };
    link("one.yaml");
    let mut daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    daemon.ready().await;
    link("two.yaml");
    let line = daemon.hears("reloaded").await;
    assert!(line.contains("created=[/edge/extra, /edge/extra/read]"), "{line}");
}

// spec: C-5
#[tokio::test]
async fn a_comment_or_a_signal_alone_does_nothing() {
    let (files, mut daemon) = started().await;
    let before = nodes(&daemon).await;
    files.write("fsmd.yaml", &format!("# a comment\n{CONFIG}\n"));
    let line = daemon.hears("no node was touched").await;
    assert!(line.contains("evaluated=0"), "{line}");
    daemon.signal("HUP");
    let line = daemon.hears("no node was touched").await;
    assert!(line.contains("evaluated=0"), "{line}");
    assert_eq!(touched(&before, &nodes(&daemon).await), [""; 0]);
}

// spec: C-5
#[tokio::test]
async fn a_signal_reloads_and_what_needs_a_restart_is_said() {
    let (files, mut daemon) = started().await;
    let config =
        CONFIG.replace("agent: {name: edge}", "agent: {name: edge}\nsupervision: {shutdown_timeout: 7s}");
    let config = config.replace(
        "  - for_each",
        "  - {name: extra, template: device, variables: {level: \"1\"}}\n  - for_each",
    );
    files.write("fsmd.yaml", &config);
    daemon.signal("HUP");
    let line = daemon.hears("restart fsmd for it").await;
    assert!(line.contains("supervision"), "{line}");
    daemon.hears("reloaded").await;
    daemon.until("/v1/nodes/edge/extra/read", |answer| answer.status == 200).await;
}
