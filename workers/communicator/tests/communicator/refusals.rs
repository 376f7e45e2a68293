//! A relay that does not want this token or this instance is not asked again, until something is different (W-2).

use std::sync::Arc;

use fsm_worker_communicator::Operation::{Login, Pull, Push};
use fsm_worker_communicator::relay::Fault;
use serde_json::json;

use crate::support::{INSTANCE, Rig, TOKEN, relay, soon};

// spec: W-2
#[tokio::test]
async fn a_token_that_is_not_taken_is_not_tried_again_until_there_is_another() {
    let rig = Rig::start(json!({"auth_token": "wrong"})).await;
    rig.state("AuthFailed").await;
    let view = rig.node().await;
    assert!(view.entry.reason.contains("invalid_token"), "{}", view.entry.reason);
    // What is not the token, the url or the id changes nothing.
    rig.apply(json!({"auth_token": "wrong", "batch": 7})).await;
    rig.observed("another look", |seen| seen["refused"]["code"] == "invalid_token").await;
    rig.apply(json!({})).await;
    rig.state("Syncing").await;
    assert_eq!(rig.relay.book(|book| (book.answered(Login, 401), book.answered(Login, 200))), (1, 1));
    rig.shutdown().await;
}

// spec: W-2
#[tokio::test]
async fn a_token_file_that_is_rotated_is_seen_without_a_change_of_the_config() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "wrong\n").unwrap();
    let rig = Rig::start(json!({"auth_token": {"secret": {"file": &file}}})).await;
    rig.state("AuthFailed").await;
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    rig.observed("another token", |seen| seen["refused"].is_null()).await;
    rig.state("Syncing").await;
    rig.shutdown().await;
}

// spec: W-2
#[tokio::test]
async fn a_token_that_is_not_there_says_which_and_is_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let rig = Rig::start(json!({"auth_token": {"secret": {"file": &file}}})).await;
    rig.state("AuthFailed").await;
    let reason = rig.node().await.entry.reason;
    assert!(reason.contains("no_token") && reason.contains(file.to_str().unwrap()), "{reason}");
    std::fs::write(&file, TOKEN).unwrap();
    rig.observed("a token", |seen| seen["refused"].is_null()).await;
    rig.state("Syncing").await;
    rig.shutdown().await;
}

// spec: W-2
#[tokio::test]
async fn a_deleted_instance_ends_everything_whoever_is_told_first() {
    for operation in [Login, Pull, Push] {
        let relay = relay().await;
        relay.fail(operation, [Fault::Status(403, "instance_deleted")]);
        let rig = Rig::with(relay, Arc::default(), json!({})).await;
        rig.happens(0..1).await;
        rig.state("AuthFailed").await;
        let reason = rig.node().await.entry.reason;
        assert!(reason.contains("instance_deleted"), "{reason}");
        rig.observed("nothing alive", |seen| seen["alive"] == false).await;
        let before = rig.relay.book(|book| book.requests.len());
        // Another id is another instance.
        rig.apply(json!({"instance": INSTANCE})).await;
        rig.state("Syncing").await;
        assert!(rig.relay.book(|book| book.requests.len()) > before);
        rig.shutdown().await;
    }
}

// spec: W-2
#[tokio::test]
async fn a_token_of_another_instance_is_refused_here() {
    let rig = Rig::start(json!({"instance": "instance-2"})).await;
    rig.state("AuthFailed").await;
    assert!(rig.node().await.entry.reason.contains("another instance"), "{}", rig.node().await.entry.reason);
    rig.shutdown().await;
}

// spec: W-2, S-24
#[tokio::test]
async fn a_refused_one_stops_at_once() {
    let rig = Rig::start(json!({"auth_token": "wrong"})).await;
    rig.state("AuthFailed").await;
    soon("the end", rig.shutdown()).await;
}
