//! What comes down: carried out once, under a role, and answered whatever it is.

use fsm_worker_communicator::{Command, CommandFailure, Message, Role};
use serde_json::json;

use crate::support::{Rig, path, soon};

// spec: W-1
#[tokio::test]
async fn a_command_is_carried_out_under_the_role_and_answered_with_its_trace() {
    let rig = Rig::start(json!({"role": "admin"})).await;
    let receipt = rig.ask("c-1", "stop", json!({"path": "/edge/press"})).await;
    assert_eq!(receipt.trace_id, "trace-c-1");
    assert_eq!(receipt.payload, json!({"of": "c-1", "outcome": "success", "result": "done"}));
    {
        let orders = rig.world.orders.lock().unwrap();
        assert_eq!(orders[0].command, Command::Stop { path: path("/edge/press") });
        assert_eq!((orders[0].who.as_str(), orders[0].role), ("relay:instance-1", Role::Admin));
    }
    rig.world
        .answers
        .lock()
        .unwrap()
        .push_back(Err(CommandFailure::new("no_such_node", "there is no node /x")));
    let receipt = rig.ask("c-2", "retry", json!({"path": "/x"})).await;
    assert_eq!(receipt.payload["outcome"], "failure");
    assert_eq!(receipt.payload["error"], json!({"code": "no_such_node", "message": "there is no node /x"}));
    rig.shutdown().await;
}

// spec: W-1
#[tokio::test]
async fn what_the_config_does_not_allow_is_refused_and_not_carried_out() {
    let rig = Rig::start(json!({"role": "operate", "commands": ["stop", "apply"]})).await;
    for (id, kind, payload) in
        [("a", "apply", json!({"config": "version: 1"})), ("b", "start", json!({"path": "/edge"}))]
    {
        let receipt = rig.ask(id, kind, payload).await;
        assert_eq!(receipt.payload["error"]["code"], "forbidden", "{receipt:?}");
    }
    assert!(rig.world.orders().is_empty());
    rig.shutdown().await;
}

// spec: W-4
#[tokio::test]
async fn what_is_no_command_is_answered_and_counted_and_the_next_one_is_carried_out() {
    let rig = Rig::start(json!({})).await;
    rig.relay.send_raw("no-id", json!({"kind": "stop"}));
    rig.relay.send_raw("m-1", json!({"id": "m-1", "kind": 7}));
    let code = |receipt: Message| receipt.payload["error"]["code"].clone();
    assert_eq!(code(soon("a receipt", rig.relay.receipt("m-1")).await), "bad_message");
    assert_eq!(code(rig.ask("m-2", "reboot", json!({})).await), "unknown_command");
    assert_eq!(code(rig.ask("m-3", "stop", json!({"path": 3})).await), "bad_payload");
    assert_eq!(code(rig.ask("m-4", "exec", json!({"panic": true})).await), "panic");
    assert_eq!(rig.ask("m-5", "stop", json!({"path": "/edge"})).await.payload["outcome"], "success");
    assert_eq!(rig.metric("poison_total", &["down"]), 4.0);
    assert_eq!(rig.world.orders().len(), 1);
    rig.shutdown().await;
}

// spec: W-4
#[tokio::test]
async fn a_command_that_comes_twice_is_carried_out_once_and_answered_twice() {
    let rig = Rig::start(json!({})).await;
    let command = Message::new("c-1", "stop", "", json!({"path": "/edge"}));
    rig.relay.send(&command);
    soon("a receipt", rig.relay.receipt("c-1")).await;
    rig.relay.send(&command);
    soon("the second receipt", rig.relay.until(|book| book.receipts("c-1").count() == 2)).await;
    assert_eq!(rig.world.orders().len(), 1);
    assert_eq!(rig.metric("duplicates_total", &[]), 1.0);
    // And by another process, which has the same store.
    crate::support::kept(&rig.store, "done", 1).await;
    rig.shutdown().await;
    let Rig { relay, store, .. } = rig;
    let rig = Rig::with(relay, store, json!({})).await;
    rig.relay.send(&command);
    soon("the third receipt", rig.relay.until(|book| book.receipts("c-1").count() == 3)).await;
    assert!(rig.world.orders().is_empty());
    rig.shutdown().await;
}
