//! Each action again and again, and cut off midway, against a relay.

use std::sync::Arc;

use fsm_store::MemoryStore;
use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_communicator::relay::Relay;
use fsm_worker_communicator::{Communicator, CommunicatorAction, Operation, Report};
use serde_json::json;

use crate::support::{QUICK, World, config, numbers, relay, soon};

type Bench = Workbench<Communicator>;

/// What a bench works with.
struct Site {
    relay: Arc<Relay>,
    world: Arc<World>,
}

async fn site() -> (Bench, Site) {
    let (relay, world) = (Arc::new(relay().await), Arc::<World>::default());
    let worker =
        Communicator::new(Arc::<World>::clone(&world), Arc::<MemoryStore>::default()).with_pace(QUICK);
    let config = serde_json::from_value(config(&relay, json!({}))).unwrap();
    (Workbench::new(worker, config), Site { relay, world })
}

async fn bench() -> Bench {
    let (bench, Site { relay, .. }) = site().await;
    bench.keeping(relay)
}

/// Logged in, with three unsent messages.
async fn busy() -> (Bench, Site) {
    let (bench, site) = site().await;
    bench.execute(CommunicatorAction::Authenticate).await.unwrap();
    site.world.is_heard().await;
    (0..3).for_each(|n| site.world.happens(Report::Event, n));
    soon("three messages", async {
        while bench.collect().await.unwrap().unsent < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    (bench, site)
}

/// The session, and whether anything of it runs.
async fn session(bench: &Bench) -> (bool, bool, usize) {
    let seen = bench.collect().await.unwrap();
    (seen.session, seen.alive, bench.tasks())
}

// spec: A-11, K-7, W-1
#[tokio::test]
async fn logging_in_leaves_one_session() {
    let passed =
        verify_action_idempotency(bench, CommunicatorAction::Authenticate, 3, session).await.unwrap();
    assert!(passed.cuts > 1, "it waits for the store and for the relay: {passed:?}");
}

// spec: W-1, A-11
#[tokio::test]
async fn a_session_that_is_there_is_not_asked_for_again() {
    let (bench, site) = site().await;
    for _ in 0..3 {
        bench.execute(CommunicatorAction::Authenticate).await.unwrap();
    }
    assert_eq!(site.relay.book(|book| book.answered(Operation::Login, 200)), 1);
}

// spec: A-11, K-7, W-4
#[tokio::test]
async fn pushing_leaves_each_message_at_the_relay_once() {
    let relays = std::sync::Mutex::new(Vec::new());
    let fresh = async || {
        let (bench, site) = busy().await;
        relays.lock().unwrap().push(Arc::clone(&site.relay));
        bench.keeping(site.relay)
    };
    let check = async |bench: &Bench| {
        let relay = Arc::clone(relays.lock().unwrap().last().unwrap());
        (bench.collect().await.unwrap().unsent, relay.book(|book| numbers(&book.received)))
    };
    let passed = verify_action_idempotency(fresh, CommunicatorAction::SyncPush, 3, check).await.unwrap();
    assert!(passed.cuts > 0, "it waits for the relay");
}

// spec: A-11, K-7, W-3
#[tokio::test]
async fn new_connections_keep_the_session() {
    let fresh = async || {
        let (bench, site) = busy().await;
        bench.keeping(site.relay)
    };
    let check = async |bench: &Bench| {
        let seen = bench.collect().await.unwrap();
        (seen.session, seen.reset_due, seen.unsent)
    };
    verify_action_idempotency(fresh, CommunicatorAction::ResetTransport { hang_up: false }, 3, check)
        .await
        .unwrap();
}

// spec: A-11, K-7, A-10
#[tokio::test]
async fn hanging_up_leaves_nothing_that_runs() {
    let fresh = async || {
        let (bench, site) = busy().await;
        bench.keeping(site.relay)
    };
    let check = async |bench: &Bench| {
        let seen = bench.collect().await.unwrap();
        (seen.session, seen.alive, seen.unsent)
    };
    verify_action_idempotency(fresh, CommunicatorAction::ResetTransport { hang_up: true }, 3, check)
        .await
        .unwrap();
}
