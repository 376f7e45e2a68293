//! A daemon that reports to a relay and takes commands from it: over kill -9, and without its token ever showing.

use std::time::Duration;

use fsm_worker_communicator::relay::Relay;
use fsm_worker_communicator::{Message, Operation};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::rig::{Daemon, Files};

const TOKEN: &str = "MARKER-relay-token-55d1";
const JWT: &str = "MARKER-relay-jwt-08b3";
const ENVIRONMENT: [(&str, &str); 1] = [("RELAY_TOKEN", TOKEN)];

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

fn config(relay: &Relay, payload: &str, more: &str) -> String {
    format!(
        r#"
version: 1
agent: {{name: edge}}
server: {{listen: "127.0.0.1:0"}}
dataflows:
  - {{name: flow, input: {{generate: {{interval: 1h, payload: {{json: {{a: {payload}}}}}}}}}, output: {{drop: {{}}}}}}
{more}workers:
  - name: relay
    kind: communicator
    config: {{url: "{}", auth_token: {{secret: {{env: RELAY_TOKEN}}}}, proxy: none, role: admin, push_interval: 50ms}}
"#,
        relay.url()
    )
}

const ANOTHER: &str = "  - {name: other, input: {generate: {interval: 1h}}, output: {drop: {}}}\n";

struct Site {
    relay: Relay,
    files: Files,
    daemon: Daemon,
}

impl Site {
    async fn start() -> Self {
        let relay = Relay::start(TOKEN, "edge-1").await.unwrap();
        relay.book(|book| book.marker = JWT.into());
        let files = Files::new(&[("fsmd.yaml", &config(&relay, "1", ""))]);
        let daemon = Daemon::start_in(&files.path("fsmd.yaml"), &ENVIRONMENT).await;
        daemon.ready().await;
        Self { relay, files, daemon }
    }

    /// What a command is answered with.
    async fn ask(&self, id: &str, kind: &str, payload: Value) -> Value {
        self.relay.send(&Message::new(id, kind, "", payload));
        soon("a receipt", self.relay.receipt(id)).await.payload
    }

    /// Waits until the relay knows that a node moved to this state.
    async fn told(&self, path: &str, state: &str) -> Message {
        let of = |message: &Message| {
            message.kind == "status" && message.payload["path"] == path && message.payload["to"] == state
        };
        soon("a status", self.relay.until(|book| book.received.iter().any(of))).await;
        self.relay.book(|book| book.received.iter().find(|message| of(message)).cloned().unwrap())
    }
}

// spec: W-1, S-26, U-10
#[tokio::test]
async fn what_happens_arrives_and_a_stop_is_carried_out_answered_and_gone_on_with_after_a_kill() {
    let mut site = Site::start().await;
    let status = site.told("/edge/relay", "Syncing").await;
    assert_eq!(
        (&status.payload["event"], &status.payload["phase"]),
        (&json!("state_transition"), &json!("running"))
    );
    assert!(status.payload["at"].as_str().unwrap().ends_with('Z'), "{status:?}");

    assert_eq!(site.ask("c-1", "stop", json!({"path": "/edge/flow"})).await["outcome"], "success");
    site.daemon.until("/v1/nodes/edge/flow", |answer| answer.json()["state"] == "Stopped").await;
    assert_eq!(site.daemon.get("/v1/nodes/edge/flow").await.json()["stopped_by"], "relay:edge-1");
    site.told("/edge/flow", "Stopped").await;
    assert_eq!(site.ask("c-2", "start", json!({"path": "/edge/flow"})).await["outcome"], "success");
    site.daemon.until("/v1/nodes/edge/flow", |answer| answer.json()["stopped_by"].is_null()).await;

    let failure = site.ask("c-3", "retry", json!({"path": "/edge/nobody"})).await;
    assert_eq!((&failure["outcome"], &failure["error"]["code"]), (&json!("failure"), &json!("no_such_node")));
    assert_eq!(site.ask("c-4", "exec", json!({"task": "x"})).await["error"]["code"], "not_available");

    site.daemon.signal("KILL");
    site.daemon.ends().await;
    site.relay.send(&Message::new("c-5", "stop", "", json!({"path": "/edge/flow"})));
    let daemon = Daemon::start_in(&site.files.path("fsmd.yaml"), &ENVIRONMENT).await;
    let receipt = soon("a receipt", site.relay.receipt("c-5")).await;
    assert_eq!(receipt.payload["outcome"], "success");
    daemon.until("/v1/nodes/edge/flow", |answer| answer.json()["state"] == "Stopped").await;
}

// spec: W-1, U-4, U-5
#[tokio::test]
async fn a_config_is_planned_and_applied_and_cannot_look_around_on_this_machine() {
    let site = Site::start().await;
    let same = json!({"config": config(&site.relay, "1", "")});
    let nothing = json!({"create": [], "change": [], "remove": [], "keep": 3});
    assert_eq!(site.ask("p-1", "plan", same).await["result"], nothing);
    let other = json!({"config": config(&site.relay, "2", ANOTHER)});
    let plan = site.ask("p-2", "plan", other.clone()).await["result"].clone();
    assert_eq!((&plan["create"], &plan["remove"]), (&json!(["/edge/other"]), &json!([])));
    assert!(plan["change"].as_array().unwrap().contains(&json!("/edge/flow")), "{plan}");
    assert_eq!(site.daemon.get("/v1/nodes/edge/other").await.status, 404, "a plan does nothing");

    let receipt = site.ask("a-1", "apply", other).await;
    assert_eq!(receipt["result"]["created"], json!(["/edge/other"]), "{receipt}");
    site.daemon.ready().await;
    assert_eq!(site.daemon.get("/v1/nodes/edge/other").await.status, 200);

    let refused = async |id: &str, files: Value, hint: &str| {
        let receipt = site.ask(id, "apply", json!({"files": files})).await;
        assert_eq!(receipt["error"]["code"], "bad_config", "{receipt}");
        let message = receipt["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(hint), "{message}");
    };
    refused("b-1", json!({"fsmd.yaml": "version: 2"}), "version").await;
    refused("b-2", json!({"../fsmd.yaml": "version: 1"}), "no name of a file").await;
    refused("b-3", json!({"fsmd.yaml": "version: 1\nagent: {name: \"${RELAY_TOKEN}\"}"}), "fill it in").await;
    let elsewhere = config(
        &site.relay,
        "1",
        "bridges:\n  - {for_each: {file: /etc/passwd}, name: \"x-{{ item.root }}\"}\n",
    );
    refused("b-4", json!({"fsmd.yaml": elsewhere}), "only files that were sent with it").await;
    let another = config(&site.relay, "1", "").replace("{name: edge}", "{name: press}");
    refused("b-5", json!({"fsmd.yaml": another}), "for another agent").await;
    assert_eq!(site.daemon.get("/v1/nodes/edge/other").await.status, 200, "what is bad changes nothing");
}

// spec: W-5, U-85
#[tokio::test]
async fn no_token_shows_in_a_log_or_an_answer() {
    let mut site = Site::start().await;
    site.ask("c-1", "stop", json!({"path": "/edge/flow"})).await;
    site.relay.fail(Operation::Push, [fsm_worker_communicator::relay::Fault::Echo(500)]);
    site.relay.expire_sessions();
    site.ask("c-2", "start", json!({"path": "/edge/flow"})).await;
    let mut shown = String::new();
    let mut look = async |daemon: &Daemon| {
        for path in ["/v1/tree", "/v1/nodes/edge", "/v1/nodes/edge/relay", "/metrics", "/readyz"] {
            shown.push_str(&daemon.get(path).await.body);
        }
    };
    look(&site.daemon).await;
    site.relay.book(|book| book.token = "another".into());
    site.relay.expire_sessions();
    site.daemon.until("/v1/nodes/edge/relay", |answer| answer.json()["state"] == "AuthFailed").await;
    look(&site.daemon).await;
    site.daemon.signal("TERM");
    assert!(site.daemon.ends().await.success());
    shown.push_str(&site.daemon.said.join("\n"));
    while let Ok(line) = site.daemon.out.try_recv() {
        shown.push_str(&line);
    }
    for secret in [TOKEN, JWT] {
        assert!(!shown.contains(secret), "{secret} shows");
    }
    assert!(shown.contains("invalid_token") && shown.contains("communicator"), "it was looked at");
}
