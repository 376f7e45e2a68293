//! A config whose tools change.

use serde_json::{Value, json};

use super::{CONFIG, Site};

// spec: C-5
#[tokio::test]
async fn tools_come_change_and_go_and_what_runs_goes_on_with_what_it_was_called_with() {
    let config = CONFIG.to_owned() + "exec: {concurrency: 1, queue: 9}\n";
    let mut site = Site::of(&config).await;
    let nodes = async |site: &Site| -> Vec<Value> {
        let mut all = Vec::new();
        for path in ["edge", "edge/hello"] {
            let node = site.daemon.get(&format!("/v1/nodes/{path}")).await.json();
            all.push(json!([node["path"], node["incarnation"], node["desired"], node["starts"]]));
        }
        all
    };
    site.daemon.until("/v1/nodes/edge/hello", |answer| answer.status == 200).await;
    let before = nodes(&site).await;
    let running = site.begin("tasks/waits", "{}").await;
    let waiting = site.begin("tasks/greet", r#"{"input": "old"}"#).await;
    site.becomes(&running, "running").await;
    let changed = config
        .replace("hello, $name", "good day, $name")
        .replace("  - {id: print,", "  - {id: printer,")
        .replace("  - {id: waits,", "  - {id: waits-not,");
    site.files.write("fsmd.yaml", &changed);
    site.daemon.hears("no node was touched").await;
    assert_eq!(nodes(&site).await, before);
    assert_eq!(site.daemon.get(&running).await.json()["status"], "running");
    assert_eq!(site.call("tasks/print", "{}").await.status, 404);
    let text = site.daemon.get("/metrics").await.body;
    assert!(text.contains("tool_id=\"printer\"") && !text.contains("tool_id=\"print\""), "{text}");
    site.cancel(&running).await;
    assert_eq!(site.becomes(&waiting, "success").await["output"], "hello, old\n");
    assert_eq!(site.call("tasks/greet", r#"{"input": "new"}"#).await.json()["output"], "good day, new\n");
    assert_eq!(site.call("tasks/printer", "{}").await.status, 422);
    // A bad one changes nothing.
    site.files.write("fsmd.yaml", &changed.replace("id: exits", "id: ../exits"));
    site.daemon.hears("the config is refused").await;
    assert_eq!(site.call("tasks/exits", "{}").await.json()["error"]["exit_code"], 3);
    site.files.write("fsmd.yaml", &changed.replace("concurrency: 1", "concurrency: 2"));
    site.daemon.hears("restart fsmd").await;
}
