//! Each action, run again and again, and after it was cut off between any two of its chunks.

use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_persistence::{Persistence, PersistenceAction};

use crate::faulty::Faulty;
use crate::work::{HOUR, bench, fill};

/// A store with an hour-old history of several chunks.
async fn aged(changes: usize) -> Workbench<Persistence> {
    let store = Faulty::default();
    fill(&store, changes);
    let bench = bench(&store).keeping(store);
    tokio::time::advance(HOUR * 2).await;
    bench
}

// spec: A-11, K-7
#[tokio::test(start_paused = true)]
async fn compacting_leaves_what_is_wanted() {
    let world = async |bench: &Workbench<Persistence>| {
        let seen = bench.collect().await.unwrap();
        (seen.compact, seen.figures)
    };
    let passed = verify_action_idempotency(async || aged(9_000).await, PersistenceAction::Compact, 3, world)
        .await
        .unwrap();
    assert!(passed.cuts >= 3, "{passed:?}");
}

// spec: A-11, K-7
#[tokio::test(start_paused = true)]
async fn maintaining_leaves_one_answer() {
    let world = async |bench: &Workbench<Persistence>| {
        let seen = bench.collect().await.unwrap();
        // A checkpoint is a change, too, so the history grows by what was written down.
        (seen.maintain, seen.trouble.clone(), seen.figures.unwrap().documents)
    };
    let passed = verify_action_idempotency(async || aged(2_500).await, PersistenceAction::Maintain, 3, world)
        .await
        .unwrap();
    assert!(passed.cuts >= 3, "{passed:?}");
}
