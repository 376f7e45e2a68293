//! What nodes did, as the API and `describe` tell it.

use crate::rig::{Daemon, Files, text, verb};

// spec: N-19, X-7
#[tokio::test]
async fn what_nodes_and_tools_did_is_told_by_the_api_and_by_describe() {
    let files = Files::new(&[("mood", "happy")]);
    let folder = files.folder().display();
    let config = format!(
        "version: 1\nagent: {{name: edge}}\nserver: {{listen: \"127.0.0.1:0\"}}\nworkers:\n  \
         - {{name: greeter, kind: hello, config: {{mood_file: {folder}/mood, greeting_file: {folder}/greeting}}}}\n  \
         - {{name: label, kind: tool, config: {{command: [sh, -c, \"exit 3\"]}}}}\n",
    );
    files.write("fsmd.yaml", &config);
    let daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    let all = daemon
        .until("/v1/node-metrics", |all| {
            let all = all.json();
            all["/edge/greeter"]["successCount"].as_u64() > Some(0) && all["edge/label"]["failureCount"] == 1
        })
        .await;
    assert!(all.head.contains("content-type: application/json"), "{}", all.head);
    let one = daemon.get("/v1/node-metrics?node=/edge/greeter").await.json();
    assert_eq!((&one["failureCount"], &one["retryCount"]), (&0.into(), &0.into()));
    assert!(one["lastExecutionMs"].is_number() && one["p99"].is_number(), "{one}");
    // A worker that never acted has its empty statistics, a slip of the pen has a hint.
    let root = daemon.get("/v1/node-metrics?node=/edge").await;
    assert_eq!((root.status, &root.json()["p50"]), (200, &serde_json::Value::Null));
    let slip = daemon.get("/v1/node-metrics?node=/edge/greeeter").await;
    assert_eq!(slip.status, 404);
    assert!(slip.json()["help"].as_str().unwrap().contains("did you mean `/edge/greeter`?"), "{slip:?}");
    let wrong = daemon.get("/v1/node-metrics?nod=/edge").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.json()["help"].as_str().unwrap().contains("node=PATH"), "{wrong:?}");

    let server = format!("http://{}", daemon.address);
    let described = text(&verb(["describe", "/edge/greeter", "--server", &server]).stdout);
    let acted = one["totalExecutions"].as_u64().unwrap();
    assert!(described.contains(&format!("    acted  {acted} execution")), "{described}");
    assert!(described.contains("on average; of the last"), "{described}");
    let document = verb(["describe", "/edge/greeter", "--server", &server, "-o", "json"]).stdout;
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["statistics"], one);

    let metrics = daemon.get("/metrics").await.body;
    for series in [
        r#"runtime_tool_execute_seconds_count{tool_id="_node",outcome="error"} 1"#,
        r#"runtime_process_exits_total{status="exit",code="other",signal=""} 1"#,
    ] {
        assert!(metrics.lines().any(|line| line == series), "{series}");
    }
}
