//! The one action of the bridge kinds, run again and again against a real listener.

use std::net::TcpListener;

use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_bridge::connection::*;

// spec: A-11, K-7
#[tokio::test]
async fn probing_changes_nothing() {
    let fresh = async || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = ConnectionConfig::try_tcp("127.0.0.1", port).unwrap();
        Workbench::new(Connection::default(), config).keeping(listener)
    };
    let seen = async |bench: &Workbench<Connection>| {
        let seen = bench.collect().await.unwrap();
        (seen.is_up(), seen.changes_recently, bench.tasks())
    };
    let passed = verify_action_idempotency(fresh, ConnectionAction::Probe, 3, seen).await.unwrap();
    assert!(passed.cuts > 0, "it waits for the connection");
}
