//! What travels when nothing is in the way: up, down, over restarts; and that a pull delays no push.

use std::sync::Arc;
use std::time::Duration;

use fsm_supervisor::Command as TreeCommand;
use fsm_worker_communicator::{Operation, Report};
use serde_json::json;

use crate::support::{NODE, Rig, documents, kept, numbers, path, relay, soon};

// spec: W-1
#[tokio::test]
async fn it_logs_in_and_what_happens_goes_up_in_order_while_a_pull_is_open() {
    let rig = Rig::start(json!({})).await;
    rig.state("Syncing").await;
    rig.happens(0..1).await;
    rig.world.happens(Report::Status, 7);
    rig.happens(1..120).await;
    assert_eq!(rig.arrived(120).await, (0..120).collect::<Vec<_>>());
    let observed = rig.node().await.observed.unwrap();
    assert_eq!((&observed["session"], &observed["instance"]), (&json!(true), &json!("instance-1")));
    rig.relay.book(|book| {
        let status: Vec<_> = book.received.iter().filter(|message| message.kind == "status").collect();
        assert_eq!((status.len(), status[0].trace_id.as_str()), (1, "t-7"));
        assert_eq!(status[0].payload, json!({"n": 7}));
        assert_eq!(
            book.answered(Operation::Pull, 200),
            0,
            "the first pull is open for 30 s, and delayed nothing"
        );
    });
    soon("all told", async {
        while rig.metric("messages_up_total", &[]) < 121.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    rig.observed("an empty buffer", |seen| seen["unsent"] == 0).await;
    assert_eq!(rig.metric("buffered", &["up"]), 0.0);
    rig.shutdown().await;
}

// spec: W-2
#[tokio::test]
async fn a_token_is_refreshed_before_it_expires_and_nothing_is_interrupted() {
    let relay = relay().await;
    relay.book(|book| book.lifetime = Duration::from_secs(4));
    let rig = Rig::with(relay, Arc::default(), json!({})).await;
    soon("a refresh", rig.relay.until(|book| book.answered(Operation::Login, 200) >= 2)).await;
    rig.happens(0..1).await;
    rig.arrived(1).await;
    let events = rig.node().await.history;
    let states: Vec<_> = events.iter().map(|entry| entry.state).collect();
    assert!(!states.contains(&"Degraded"), "{states:?}");
    assert_eq!(rig.relay.book(|book| book.answered(Operation::Pull, 401)), 0);
    rig.shutdown().await;
}

// spec: W-2
#[tokio::test]
async fn a_session_that_expired_is_renewed_and_what_was_handed_out_comes_again() {
    let rig = Rig::start(json!({})).await;
    rig.state("Syncing").await;
    rig.relay.expire_sessions();
    soon("another login", rig.relay.until(|book| book.answered(Operation::Login, 200) >= 2)).await;
    let receipt = rig.ask("c-1", "stop", json!({"path": "/edge/press"})).await;
    assert_eq!(receipt.payload["outcome"], "success");
    rig.shutdown().await;
}

// spec: W-4
#[tokio::test]
async fn what_is_unsent_survives_a_restart_of_the_node_and_of_the_process() {
    let mut relay = relay().await;
    relay.close().await;
    let rig = Rig::with(relay, Arc::default(), json!({})).await;
    rig.happens(0..30).await;
    rig.observed("all kept", |seen| seen["unsent"] == 30).await;
    let before = rig.node().await.entry.incarnation;
    // At once, before the journal had its turn.
    rig.command(TreeCommand::Restart { path: path(NODE), who: "test".into() }).await;
    soon("another life", rig.tree.until(|tree| tree[0].incarnation != before)).await.unwrap();
    rig.observed("all of it", |seen| seen["unsent"] == 30).await;
    rig.happens(30..40).await;
    kept(&rig.store, "out", 40).await;
    // The process is gone without a word; another one has the same store.
    let Rig { mut relay, store, tree, .. } = rig;
    drop(tree);
    relay.reopen().await.unwrap();
    let rig = Rig::with(relay, Arc::clone(&store), json!({})).await;
    assert_eq!(rig.arrived(40).await, (0..40).collect::<Vec<_>>());
    rig.happens(40..41).await;
    rig.arrived(41).await;
    kept(&store, "out", 0).await;
    assert_eq!(rig.relay.book(|book| book.duplicates), 0);
    rig.shutdown().await;
}

// spec: W-4, A-10
#[tokio::test]
async fn stopped_it_talks_to_nobody_and_started_it_goes_on() {
    let rig = Rig::start(json!({})).await;
    rig.state("Syncing").await;
    rig.relay.book(|book| book.slow = Duration::from_secs(3_600));
    rig.happens(0..5).await;
    rig.observed("something unsent", |seen| seen["unsent"] == 5).await;
    rig.command(TreeCommand::Stop { path: path(NODE), who: "test".into() }).await;
    rig.state("Stopped").await;
    assert_eq!(rig.node().await.observed.unwrap()["alive"], false);
    assert_eq!(documents(&rig.store, "out").len(), 5, "they were written before it stopped");
    let requests = rig.relay.book(|book| {
        book.slow = Duration::ZERO;
        book.requests.len()
    });
    rig.command(TreeCommand::Start { path: path(NODE), who: "test".into() }).await;
    assert_eq!(rig.arrived(5).await, [0, 1, 2, 3, 4]);
    assert!(rig.relay.book(|book| book.requests.len()) > requests);
    rig.shutdown().await;
}

// spec: S-11
#[tokio::test]
async fn a_changed_config_is_taken_in_place_with_another_session() {
    let rig = Rig::start(json!({})).await;
    rig.state("Syncing").await;
    let before = rig.node().await.entry.incarnation;
    rig.apply(json!({"batch": 7})).await;
    soon("another login", rig.relay.until(|book| book.answered(Operation::Login, 200) == 2)).await;
    rig.state("Syncing").await;
    rig.happens(0..20).await;
    assert_eq!(rig.arrived(20).await.len(), 20);
    assert_eq!(rig.node().await.entry.incarnation, before);
    rig.apply(json!({"batch": 7, "buffer": {"up": 500}})).await;
    soon("another life", rig.tree.until(|tree| tree[0].incarnation != before)).await.unwrap();
    rig.shutdown().await;
    assert_eq!(rig.relay.book(|book| numbers(&book.received)).len(), 20);
}
