//! A workflow in the tree: programs, and actions of live workers of the same tree.

use serde_json::{Value, json};

use crate::rig::{Daemon, Files};

fn step<'a>(view: &'a Value, name: &str) -> &'a Value {
    &view["observed"]["end"]["steps"][name]
}

// spec: X-20, S-15
#[tokio::test]
async fn a_step_asks_a_live_worker_for_an_action_and_knows_how_it_ended() {
    let files = Files::new(&[]);
    let folder = files.folder().display();
    files.write(
        "fsmd.yaml",
        &format!(
            "
version: 1
agent: {{name: edge}}
server: {{listen: \"127.0.0.1:0\"}}
workers:
  - {{name: greeter, kind: hello, config: {{mood_file: {folder}/mood, greeting_file: {folder}/greeting}}}}
  - name: changeover
    kind: workflow
    depends_on: [greeter]
    config:
      on_failure: continue
      steps:
        - name: wipe
          tool: {{id: line/wipe, run: {{command: [rm, {folder}/greeting], protocol: raw}}}}
        - {{name: greet, agent: {{path: /edge/greeter, action: greet}}, depends_on: [wipe]}}
        - {{name: shout, agent: {{path: /edge/greeter, action: shout}}}}
        - {{name: nobody, agent: {{path: /edge/nobody, action: greet}}}}
"
        ),
    );
    let daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    let answer =
        daemon.until("/v1/nodes/edge/changeover", |answer| answer.json()["state"] == "Failed").await.json();
    assert_eq!(step(&answer, "wipe")["outcome"], "success", "{answer:#}");
    assert_eq!(step(&answer, "greet")["outcome"], "success", "{answer:#}");
    assert!(files.path("greeting").exists());
    let why = |name: &str| step(&answer, name)["why"].as_str().unwrap().to_owned();
    assert!(why("shout").contains("no action `shout`") && why("shout").contains("greet"), "{}", why("shout"));
    assert!(why("nobody").contains("there is no node /edge/nobody"), "{}", why("nobody"));
    assert_eq!(answer["observed"]["end"]["outcome"], json!("failure"));
}
