//! A config that changes while it runs: only what changed is touched, and a bad file changes nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
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
/// A plant.
const MANY: usize = 1_000;
/// Enough to tell one from the others.
const FEW: usize = 20;

fn rows(number: usize, change: impl Fn(usize) -> Option<String>) -> String {
    let mut csv = "id,level\n".to_owned();
    for id in 1..=number {
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

/// What a change of a node would show in: its life, its desired state, its starts and its variables. Not its state:
/// a flow goes from `Idle` to `Active` when its first message is seen, whatever is reloaded meanwhile.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Node {
    path: String,
    incarnation: u64,
    desired: u64,
    starts: u64,
    variables: Value,
}

type Nodes = BTreeMap<String, Node>;

/// All nodes of the tree.
async fn nodes(daemon: &Daemon) -> Nodes {
    let tree = daemon.get("/v1/tree").await.json();
    let paths = tree.as_array().unwrap().iter().map(|e| format!("/v1/nodes{}", e["path"].as_str().unwrap()));
    let nodes: Vec<Node> = daemon.get_all(paths).await;
    nodes.into_iter().map(|node| (node.path.clone(), node)).collect()
}

/// How often children were changed so far, and how often templates were rendered for it, by kind of the parent.
async fn counters(daemon: &Daemon) -> BTreeMap<String, u64> {
    let text = daemon.get("/metrics").await.body;
    let counted = text.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let wanted = ["fsm_children_changed_total", "fsm_template_rendering_duration_seconds_count"];
        wanted.iter().any(|wanted| name.starts_with(wanted)).then(|| Some((name, value.parse().ok()?)))?
    });
    counted
        .map(|(name, value)| (name.replace("supervisor_id=", "").replace(",path=\"\"", ""), value))
        .collect()
}

/// What was counted in between.
fn moved(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<String> {
    let moved = after.iter().map(|(name, value)| (name, value - before.get(name).copied().unwrap_or(0)));
    moved.filter(|(_, by)| *by > 0).map(|(name, by)| format!("{name} {by}")).collect()
}

/// The paths of those that differ, came or went.
fn touched(before: &Nodes, after: &Nodes) -> Vec<String> {
    let paths = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
    paths.filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

async fn started(number: usize) -> (Files, Daemon) {
    let files = Files::new(&[("fsmd.yaml", CONFIG), ("devices.csv", &rows(number, same))]);
    let daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    daemon.ready().await;
    (files, daemon)
}

// spec: C-5, T-1, T-9, S-11
#[tokio::test]
async fn a_changed_row_touches_its_bridge_and_a_removed_row_takes_its_own_away() {
    let (files, mut daemon) = started(MANY).await;
    let before = nodes(&daemon).await;
    assert_eq!(before.len(), 1 + 2 * MANY);
    let counted = counters(&daemon).await;

    files.write("devices.csv", &rows(MANY, |id| if id == 7 { Some("7,700".into()) } else { same(id) }));
    let line = daemon.hears("reloaded").await;
    assert!(line.contains("updated=[/edge, /edge/dev-7, /edge/dev-7/read]"), "{line}");
    daemon.ready().await;
    let read = daemon.get("/v1/nodes/edge/dev-7/read").await.json();
    assert_eq!(read["config"]["input"]["generate"]["payload"]["json"]["level"], "700");
    let updated = counters(&daemon).await;
    assert_eq!(
        moved(&counted, &updated),
        [
            "fsm_children_changed_total{\"application\",change=\"updated\"} 1",
            "fsm_children_changed_total{\"bridge\",change=\"updated\"} 1",
            // The name and the variables of the row, then the bridge's template: nobody else's.
            "fsm_template_rendering_duration_seconds_count{\"application\",status=\"success\"} 2",
            "fsm_template_rendering_duration_seconds_count{\"bridge\",status=\"success\"} 1",
        ]
    );

    files.write(
        "devices.csv",
        &rows(MANY, |id| match id {
            7 => Some("7,700".into()),
            20 => None,
            id => same(id),
        }),
    );
    let line = daemon.hears("reloaded").await;
    assert!(line.contains("created=[] ") && line.contains("leaving=[/edge/dev-20]"), "{line}");
    daemon.until("/v1/nodes/edge/dev-20", |answer| answer.status == 404).await;
    let removals = "fsm_children_changed_total{\"application\",change=\"removed\"} 1";
    assert_eq!(moved(&updated, &counters(&daemon).await), [removals], "nothing is rendered for it");

    let after = nodes(&daemon).await;
    let gone = ["/edge/dev-20", "/edge/dev-20/read"];
    let changed = ["/edge", "/edge/dev-7", "/edge/dev-7/read"];
    assert_eq!(touched(&before, &after), [changed[0], gone[0], gone[1], changed[1], changed[2]]);
    for path in changed {
        assert_eq!(before[path].incarnation, after[path].incarnation, "{path} changed in place");
    }
    assert!(gone.iter().all(|path| !after.contains_key(*path)), "{gone:?}");
}

// spec: C-5, T-5
#[tokio::test]
async fn a_broken_row_changes_nothing_is_reported_with_its_place_and_can_be_mended() {
    let (files, mut daemon) = started(MANY).await;
    let before = nodes(&daemon).await;
    let counted = counters(&daemon).await;
    files.write(
        "devices.csv",
        &rows(MANY, |id| match id {
            3 => Some("3,three".into()),
            4 => None,
            id => same(id),
        }),
    );
    daemon.hears("the config is refused").await;
    let said = daemon.said.join("\n");
    assert!(said.contains("devices.csv:4"), "names the file and the row: {said}");
    assert!(said.contains("dev-3"), "names the bridge: {said}");
    assert!(said.contains("`level`"), "names the variable: {said}");
    assert_eq!(moved(&counted, &counters(&daemon).await), [""; 0]);
    let metrics =
        daemon.until("/metrics", |a| a.body.contains("fsm_config_reload_total{result=\"refused\"} 1")).await;
    assert!(!metrics.body.contains("fsm_config_reload_total{result=\"applied\"} 1"), "{}", metrics.body);

    files.write("devices.csv", &rows(MANY, same));
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
    let files = Files::new(&[("one.yaml", CONFIG), ("two.yaml", &other), ("devices.csv", &rows(FEW, same))]);
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
    let (files, mut daemon) = started(FEW).await;
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
    let (files, mut daemon) = started(FEW).await;
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
