//! The way to the relay: through a proxy, over TLS, and what is said when there is none.

use serde_json::json;

use crate::support::{Rig, soon};

// spec: W-1
#[tokio::test]
async fn a_proxy_of_the_config_is_asked_instead_of_the_relay() {
    let relay = crate::support::relay().await;
    let proxy = relay.url();
    // Nobody listens there: only the proxy can have taken it.
    let more = json!({"url": "http://127.0.0.1:1/base", "proxy": proxy});
    let rig = Rig::with(relay, std::sync::Arc::default(), more).await;
    soon("a request", rig.relay.until(|book| !book.strays.is_empty())).await;
    assert_eq!(rig.relay.book(|book| book.strays[0].clone()), "http://127.0.0.1:1/base/v2/instance/login");
    rig.shutdown().await;
}

// spec: W-3
#[tokio::test]
async fn a_relay_without_tls_is_not_talked_to_over_https() {
    let relay = crate::support::relay().await;
    let more = json!({"url": relay.url().replace("http://", "https://")});
    let rig = Rig::with(relay, std::sync::Arc::default(), more).await;
    let seen = rig.observed("an error", |seen| seen["trouble"]["class"] == "network").await;
    assert_eq!(seen["trouble"]["operation"], "login");
    assert!(rig.relay.book(|book| book.requests.is_empty()));
    rig.shutdown().await;
}

// spec: W-3
#[tokio::test]
async fn certificates_that_cannot_be_read_are_named() {
    let rig = Rig::start(json!({"ca_file": "/nowhere/ca.pem"})).await;
    let seen = rig.observed("an error", |seen| seen["trouble"]["class"] == "network").await;
    let what = seen["trouble"]["what"].as_str().unwrap();
    assert!(what.contains("`/nowhere/ca.pem` (`ca_file`) can't be read"), "{what}");
    rig.shutdown().await;
}
