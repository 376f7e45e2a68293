//! Each action, run again and run again after it was cut off at each place where it waits.

use std::fs;
use std::time::Duration;

use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_examples::child::*;
use fsm_worker_examples::failing::*;
use fsm_worker_examples::hello::*;
use fsm_worker_examples::panicking::*;
use fsm_worker_examples::slow::*;

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
    // How often it is cut off depends on the disk: on a busy machine its answer is there before anybody waits for it.
    verify_action_idempotency(fresh, HelloAction::Greet, 3, greeting).await.unwrap();
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

// spec: A-11, K-7
#[tokio::test]
async fn what_failed_often_enough_is_up_once() {
    let config = || FailingConfig::default().with_fails(Fails::Times(0));
    let up = async |bench: &Workbench<Failing>| *bench.collect().await.unwrap();
    let fresh = async || Workbench::new(Failing, config());
    verify_action_idempotency(fresh, FailingAction::Start, 3, up).await.unwrap();
    let fresh = async || {
        let bench = Workbench::new(Failing, config());
        bench.execute(FailingAction::Start).await.unwrap();
        bench
    };
    verify_action_idempotency(fresh, FailingAction::Stop, 3, up).await.unwrap();
}

// spec: A-11, K-7
#[tokio::test(start_paused = true)]
async fn slow_starts_leave_one_world_wherever_they_are_cut_off() {
    let world = async |bench: &Workbench<Slow>| (bench.collect().await.unwrap().up, bench.tasks());
    for how in [Spending::Waiting, Spending::Spawning] {
        let fresh = async || Workbench::new(Slow, SlowConfig::default().with_start_by(how));
        let passed = verify_action_idempotency(fresh, SlowAction::Start, 3, world).await.unwrap();
        assert!(passed.cuts > 0, "{how:?} waits");
    }
    let config = || {
        let config = SlowConfig::default().with_start_by(Spending::Blocking);
        config.with_start_takes(Duration::from_millis(30))
    };
    let fresh = async || Workbench::new(Slow, config());
    verify_action_idempotency(fresh, SlowAction::StartBlocking, 3, world).await.unwrap();
    let fresh = async || {
        let bench = Workbench::new(Slow, config());
        bench.execute(SlowAction::StartBlocking).await.unwrap();
        bench
    };
    verify_action_idempotency(fresh, SlowAction::Stop, 3, world).await.unwrap();
}

// spec: A-11, K-7
#[tokio::test]
async fn what_does_not_panic_in_its_actions_is_up_once() {
    let up = async |bench: &Workbench<Panicking>| bench.collect().await.unwrap().up;
    let fresh = async || Workbench::new(Panicking, PanickingConfig::new(Place::Next));
    verify_action_idempotency(fresh, PanickingAction::Start, 3, up).await.unwrap();
    let fresh = async || {
        let bench = Workbench::new(Panicking, PanickingConfig::new(Place::Next));
        bench.execute(PanickingAction::Start).await.unwrap();
        bench
    };
    verify_action_idempotency(fresh, PanickingAction::Stop, 3, up).await.unwrap();
}
