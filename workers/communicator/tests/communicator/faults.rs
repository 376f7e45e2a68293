//! What can go wrong on the way: each class is told, waited for and got over, and nothing is lost or doubled.

use fsm_worker_communicator::Operation::{Login, Pull, Push};
use fsm_worker_communicator::relay::Fault;
use serde_json::json;

use crate::support::{Rig, relay, soon};

#[track_caller]
fn check_errors(rig: &Rig, operation: &str, class: &str, count: f64) {
    assert_eq!(rig.metric("errors_total", &[operation, class]), count, "{operation} {class}");
}

// spec: W-3
#[tokio::test]
async fn a_relay_that_slows_it_down_is_left_alone_as_long_as_it_asks_for() {
    let rig = Rig::start(json!({})).await;
    rig.state("Syncing").await;
    rig.relay.fail(Push, [Fault::RetryAfter(429, "100".into()), Fault::Status(429, "slow_down")]);
    rig.happens(0..3).await;
    let seen = rig.observed("a limit", |seen| seen["trouble"]["class"] == "rate_limit").await;
    assert_eq!(seen["trouble"]["operation"], "push");
    assert_eq!(rig.arrived(3).await, [0, 1, 2]);
    rig.state("Syncing").await;
    check_errors(&rig, "push", "rate_limit", 2.0);
    assert_eq!(rig.metric("retries_total", &["push"]), 2.0);
    rig.shutdown().await;
}

// spec: W-3
#[tokio::test]
async fn a_page_where_json_was_due_degrades_and_passes() {
    let rig = Rig::start(json!({})).await;
    rig.state("Syncing").await;
    rig.relay.fail(Push, [Fault::Page(200), Fault::Page(403)]);
    rig.happens(0..3).await;
    rig.state("Degraded").await;
    let seen = rig.observed("a page", |seen| seen["trouble"]["class"] == "proxy_page").await;
    assert!(seen["trouble"]["what"].as_str().unwrap().contains("a proxy, portal or challenge"), "{seen}");
    assert_eq!(rig.arrived(3).await, [0, 1, 2]);
    rig.state("Syncing").await;
    check_errors(&rig, "push", "proxy_page", 2.0);
    rig.shutdown().await;
}

// spec: W-3
#[tokio::test]
async fn every_tenth_server_error_in_a_row_makes_new_connections() {
    let rig = Rig::start(json!({})).await;
    rig.state("Syncing").await;
    rig.relay.fail(Push, std::iter::repeat_n(Fault::Status(503, "down"), 11));
    rig.happens(0..3).await;
    assert_eq!(rig.arrived(3).await, [0, 1, 2]);
    check_errors(&rig, "push", "server", 11.0);
    assert_eq!(rig.metric("transport_resets_total", &[]), 1.0);
    rig.shutdown().await;
}

// spec: W-3
#[tokio::test]
async fn every_fifth_network_error_makes_new_connections_and_a_relay_that_comes_back_is_found() {
    let mut relay = relay().await;
    relay.close().await;
    let mut rig = Rig::with(relay, std::sync::Arc::default(), json!({})).await;
    rig.state("TryingToAuthenticate").await;
    rig.happens(0..3).await;
    soon("a reset", async {
        while rig.metric("transport_resets_total", &[]) < 1.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(rig.metric("errors_total", &["login", "network"]) >= 5.0);
    rig.relay.reopen().await.unwrap();
    assert_eq!(rig.arrived(3).await, [0, 1, 2]);
    rig.shutdown().await;
}

// spec: W-4
#[tokio::test]
async fn a_connection_that_breaks_loses_and_doubles_nothing() {
    let rig = Rig::start(json!({})).await;
    rig.state("Syncing").await;
    rig.relay.fail(Push, [Fault::BreakAfter, Fault::Break, Fault::BreakAfter]);
    rig.relay.fail(Pull, [Fault::BreakAfter, Fault::Break]);
    rig.happens(0..60).await;
    let receipt = rig.ask("c-1", "stop", json!({"path": "/edge"})).await;
    assert_eq!(receipt.payload["outcome"], "success");
    assert_eq!(rig.arrived(60).await, (0..60).collect::<Vec<_>>());
    assert!(rig.relay.book(|book| book.duplicates) > 0, "the same ids came again and were told apart");
    assert_eq!(rig.world.orders().len(), 1);
    rig.shutdown().await;
}

// spec: W-3
#[tokio::test]
async fn a_login_gets_over_every_error_that_passes() {
    let relay = relay().await;
    let faults = [
        Fault::Status(500, "down"),
        Fault::Page(200),
        Fault::Status(429, "slow_down"),
        Fault::Break,
        Fault::Status(404, "what"),
        Fault::RetryAfter(503, "1".into()),
    ];
    relay.fail(Login, faults);
    let rig = Rig::with(relay, std::sync::Arc::default(), json!({})).await;
    rig.state("Syncing").await;
    for (class, count) in [("server", 3.0), ("proxy_page", 1.0), ("rate_limit", 1.0), ("network", 1.0)] {
        check_errors(&rig, "login", class, count);
    }
    rig.shutdown().await;
}

// spec: W-4
#[tokio::test]
async fn what_the_relay_cannot_use_is_set_aside_and_the_others_arrive() {
    let rig = Rig::start(json!({})).await;
    rig.state("Syncing").await;
    rig.relay.book(|book| book.refuses = Some("status".into()));
    rig.happens(0..20).await;
    rig.world.happens(fsm_worker_communicator::Report::Status, 0);
    rig.happens(20..40).await;
    assert_eq!(rig.arrived(40).await, (0..40).collect::<Vec<_>>());
    let seen = rig.observed("one aside", |seen| seen["set_aside"] == 1 && seen["unsent"] == 0).await;
    assert_eq!(seen["trouble"], json!(null), "{seen}");
    assert_eq!(rig.metric("poison_total", &["up"]), 1.0);
    crate::support::kept(&rig.store, "poison", 1).await;
    let kept = crate::support::documents(&rig.store, "poison");
    assert!(kept[0].contains("status 422 bad_message"), "{kept:?}");
    rig.shutdown().await;
}

// spec: W-1, W-3
#[tokio::test]
async fn a_pull_that_is_to_wait_waits_and_pushes_go_on() {
    let relay = relay().await;
    // Half a minute at this pace: longer than everything below.
    relay.fail(Pull, [Fault::RetryAfter(503, "3000".into())]);
    let rig = Rig::with(relay, std::sync::Arc::default(), json!({})).await;
    rig.observed("a failed pull", |seen| seen["trouble"]["operation"] == "pull").await;
    for n in 0..10 {
        rig.happens(n..n + 1).await;
        assert_eq!(rig.arrived(n + 1).await.len(), n + 1);
    }
    assert_eq!(rig.relay.book(|book| book.begun(Pull)), 1);
    rig.shutdown().await;
}
