//! Each action, run again and run again after it was cut off at each place where it waits.

use std::fs;

use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_examples::child::*;
use fsm_worker_examples::hello::*;

// spec: A-11, K-7
#[tokio::test]
async fn greeting_leaves_one_greeting() {
    let fresh = async || {
        let dir = tempfile::tempdir().unwrap();
        let config = HelloConfig::new(dir.path().join("mood"), dir.path().join("greeting"));
        Workbench::new(Hello, config).keeping(dir)
    };
    let greeting =
        async |bench: &Workbench<Hello>| fs::read_to_string(&bench.config().greeting_file).unwrap();
    let passed = verify_action_idempotency(fresh, HelloAction::Greet, 3, greeting).await.unwrap();
    assert!(passed.cuts > 0, "it waits for the disk");
}

// spec: A-11, K-7
#[tokio::test]
async fn connecting_leaves_one_socket() {
    let fresh = async || Workbench::new(Child, ChildConfig::default());
    let sockets =
        async |bench: &Workbench<Child>| (bench.collect().await.unwrap().link.is_some(), bench.tasks());
    verify_action_idempotency(fresh, ChildAction::Connect, 3, sockets).await.unwrap();
}

// spec: A-11, K-7
#[tokio::test]
async fn disconnecting_leaves_no_socket() {
    let fresh = async || {
        let bench = Workbench::new(Child, ChildConfig::default());
        bench.execute(ChildAction::Connect).await.unwrap();
        bench
    };
    let socket = async |bench: &Workbench<Child>| bench.collect().await.unwrap().link.clone();
    let passed = verify_action_idempotency(fresh, ChildAction::Disconnect, 3, socket).await.unwrap();
    assert!(passed.cuts > 0, "it waits for the socket to be closed");
}
