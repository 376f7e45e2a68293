//! No token in any log, event, store record, answer or crash report (W-5): a whole life with marked ones, then a search.

use std::io::Write;
use std::sync::{Arc, Mutex};

use fsm_store::{Changes, Filter, Store, SyncId};
use fsm_worker_communicator::Operation::{Login, Pull, Push};
use fsm_worker_communicator::relay::Fault;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Rig, TOKEN, describe, relay};

const JWT: &str = "MARKER-jwt-91c2";

/// Takes what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[track_caller]
fn check_clean(what: &str, text: &str) {
    for secret in [TOKEN, JWT] {
        let at = text.find(secret);
        let shown = at.map(|at| &text[at.saturating_sub(200)..(at + 100).min(text.len())]);
        assert!(at.is_none(), "{what} holds a secret: …{}…", shown.unwrap_or_default());
    }
}

// spec: W-5, U-85
#[tokio::test]
async fn no_token_is_anywhere_after_a_life_with_every_kind_of_failure() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    // This test has a process of its own, and all threads of it log here.
    let _ = tracing::subscriber::set_global_default(subscriber.finish());
    let relay = relay().await;
    relay.book(|book| book.marker = JWT.into());
    relay.fail(Login, [Fault::Echo(500), Fault::Page(200), Fault::Echo(429), Fault::Break]);
    relay.fail(Pull, [Fault::Echo(500), Fault::Break, Fault::Status(401, "token_expired")]);
    relay.fail(Push, [Fault::Echo(503), Fault::Echo(422), Fault::BreakAfter]);
    let rig = Rig::with(relay, Arc::default(), json!({})).await;
    let mut events = rig.tree.events();
    rig.happens(0..3).await;
    rig.ask("c-1", "stop", json!({"path": "/edge"})).await;
    rig.relay.expire_sessions();
    rig.happens(3..6).await;
    rig.ask("c-2", "exec", json!({"panic": true})).await;
    let mut seen = String::new();
    let mut look = async || {
        let view = rig.node().await;
        seen.push_str(&serde_json::to_string(&view).unwrap());
        seen.push_str(&format!("{view:?} {:?}", rig.tree.tree().await.unwrap()));
    };
    look().await;
    // What refuses it repeats the token, too.
    rig.relay.book(|book| book.token = "another".into());
    rig.relay.expire_sessions();
    rig.state("AuthFailed").await;
    look().await;
    rig.shutdown().await;

    let mut told = String::new();
    while let Some(event) = events.next().await {
        told.push_str(&describe(&event));
    }
    check_clean("the events", &told);
    assert!(
        told.contains("authenticate") && told.contains("[secret]"),
        "the echo was there, and masked: {told}"
    );
    check_clean("the node", &seen);
    let metrics = prometheus::TextEncoder::new().encode_to_string(&rig.registry.gather()).unwrap();
    check_clean("the metrics", &metrics);
    let Ok(Changes::Page { records, .. }) =
        rig.store.changes_since(SyncId::ZERO, &Filter::default(), 1_000_000)
    else {
        panic!("the history is all there")
    };
    check_clean("the history", &serde_json::to_string(&records).unwrap());
    let nodes = rig.store.nodes(None, 1_000).unwrap().items;
    check_clean("the nodes of the store", &serde_json::to_string(&nodes).unwrap());
    for document in rig.store.documents("communicator", None, 10_000).unwrap().items {
        check_clean("a document", &String::from_utf8_lossy(document.bytes.as_deref().unwrap()));
    }
    check_clean("what went up", &format!("{:?}", rig.relay.book(|book| book.received.clone())));
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    check_clean("the log", &log);
    assert!(log.contains("/v2/instance/login") || log.contains("communicator"), "something was logged");
}
