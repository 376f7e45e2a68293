//! What is done to a store, and what is seen of it.

use std::time::Duration;

use fsm_core::{NodePath, Worker};
use fsm_store::{Batch, Blow, DocumentId, Store, SyncId, Timestamp};
use fsm_testkit::{Cut, Workbench};
use fsm_worker_persistence::{Due, Persistence, PersistenceAction, PersistenceConfig};

use crate::faulty::Faulty;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// Writes so many changes, at the time zero of a workbench.
pub(crate) fn fill(store: &dyn Store, changes: usize) {
    let mut batch = Batch::new(Timestamp::new(0), "test");
    for change in 0..changes {
        batch.put(DocumentId::new("filler", format!("{}", change % 100)), change.to_string().as_bytes());
    }
    store.write(&batch).unwrap();
}

pub(crate) fn bench(store: &Faulty) -> Workbench<Persistence> {
    let config = PersistenceConfig::default().with_time_zone("UTC");
    Workbench::new(Persistence::new(store.shared()), config)
}

// spec: W-10, H-11
#[tokio::test(start_paused = true)]
async fn a_compaction_forgets_what_is_old_and_is_written_down() {
    let store = Faulty::default();
    fill(&store, 10_000);
    let bench = bench(&store);
    let seen = bench.collect().await.unwrap();
    assert!(seen.compact && seen.maintain == Due::Now, "never done: {seen:?}");
    assert_eq!(seen.figures.unwrap().records, 10_000);

    bench.execute(PersistenceAction::Compact).await.unwrap();
    let seen = bench.collect().await.unwrap();
    assert!(!seen.compact, "{seen:?}");
    assert_eq!(seen.figures.unwrap().records, 10_001, "all are young; the last is what was written down");

    tokio::time::advance(HOUR + Duration::from_secs(1)).await;
    assert!(bench.collect().await.unwrap().compact);
    bench.execute(PersistenceAction::Compact).await.unwrap();
    let seen = bench.collect().await.unwrap();
    assert_eq!((seen.figures.unwrap().records, seen.compact), (1, false));
    assert_eq!(seen.figures.unwrap().documents, 101, "documents that are there stay");
}

// spec: W-10 — a size cap.
#[tokio::test(start_paused = true)]
async fn a_compaction_keeps_to_the_caps_however_young_the_changes_are() {
    let store = Faulty::default();
    fill(&store, 10_000);
    let config = PersistenceConfig::default().with_max_records(5_000);
    let bench = Workbench::new(Persistence::new(store.shared()), config);
    bench.execute(PersistenceAction::Compact).await.unwrap();
    assert_eq!(bench.collect().await.unwrap().figures.unwrap().records, 5_001);
}

// A compaction of many changes can be cut off between two steps, and what a step forgot stays forgotten.
#[tokio::test(start_paused = true)]
async fn a_compaction_that_is_cut_off_keeps_what_it_has_done() {
    let store = Faulty::default();
    fill(&store, 20_000);
    let config = PersistenceConfig::default().with_max_records(1);
    let bench = Workbench::new(Persistence::new(store.shared()), config);
    let cut = bench.execute_until(PersistenceAction::Compact, 3).await;
    assert!(matches!(cut, Cut::Dropped), "{cut:?}");
    let seen = bench.collect().await.unwrap();
    let left = seen.figures.unwrap().records;
    assert!((5_000..15_000).contains(&left), "two steps of five are done: {left}");
    assert!(seen.compact && !seen.at_work, "it is due as before: {seen:?}");
}

// spec: W-10 — the last times survive a restart.
#[tokio::test(start_paused = true)]
async fn another_incarnation_knows_when_it_was_done() {
    let store = Faulty::default();
    let first = bench(&store);
    first.execute(PersistenceAction::Compact).await.unwrap();
    first.execute(PersistenceAction::Maintain).await.unwrap();
    drop(first);
    let seen = bench(&store).collect().await.unwrap();
    assert!(!seen.compact && seen.maintain == Due::NotYet, "{seen:?}");
    assert!(seen.compacted.is_some() && seen.maintained.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_was_written_down_and_can_not_be_read_makes_everything_due() {
    let store = Faulty::default();
    let bench = bench(&store);
    bench.execute(PersistenceAction::Compact).await.unwrap();
    let mut batch = Batch::new(Timestamp::new(0), "test");
    batch.put(DocumentId::new("persistence", "/test/bench"), b"{\"compacted\": \"once\"".as_slice());
    store.write(&batch).unwrap();
    let seen = bench.collect().await.unwrap();
    assert!(seen.compact && seen.trouble.is_none(), "{seen:?}");
}

// spec: H-2
#[tokio::test(start_paused = true)]
async fn maintenance_finds_damage_and_says_so_until_it_is_gone() {
    let store = Faulty::default();
    fill(&store, 3_000);
    let bench = bench(&store);
    bench.execute(PersistenceAction::Maintain).await.unwrap();
    assert_eq!(bench.collect().await.unwrap().trouble, None);

    // Each is missed among the changes of its document, too.
    for at in [500, 2_500] {
        assert!(store.memory.hurt(SyncId::new(at), Blow::FlipBit { bit: 99 }));
    }
    bench.execute(PersistenceAction::Maintain).await.unwrap();
    let trouble = bench.collect().await.unwrap().trouble.clone().unwrap();
    assert!(trouble.contains("damaged: 4 findings, first: change 500"), "{trouble}");

    tokio::time::advance(HOUR + Duration::from_secs(1)).await;
    bench.execute(PersistenceAction::Compact).await.unwrap();
    bench.execute(PersistenceAction::Maintain).await.unwrap();
    assert_eq!(bench.collect().await.unwrap().trouble, None, "what was damaged is forgotten");
}

// Maintenance is checkpointed: after it was cut off it doesn't begin anew.
#[tokio::test(start_paused = true)]
async fn maintenance_that_is_cut_off_goes_on_where_it_was() {
    let store = Faulty::default();
    fill(&store, 6_500);
    let bench = bench(&store);
    let cut = bench.execute_until(PersistenceAction::Maintain, 7).await;
    assert!(matches!(cut, Cut::Dropped), "{cut:?}");
    assert_eq!(store.pages().first(), Some(&SyncId::ZERO));
    assert_eq!(bench.collect().await.unwrap().maintain, Due::Now, "it is not done");
    bench.execute(PersistenceAction::Maintain).await.unwrap();
    assert_eq!(store.pages().first(), Some(&SyncId::new(5_000)));
    bench.execute(PersistenceAction::Maintain).await.unwrap();
    assert_eq!(
        store.pages().first(),
        Some(&SyncId::ZERO),
        "once it is done, the next one looks at everything"
    );
}

// What was forgotten before it was looked at is no damage.
#[tokio::test(start_paused = true)]
async fn maintenance_begins_at_the_oldest_record() {
    let store = Faulty::default();
    fill(&store, 5_000);
    let bench = bench(&store);
    tokio::time::advance(HOUR + Duration::from_secs(1)).await;
    bench.execute(PersistenceAction::Compact).await.unwrap();
    bench.execute(PersistenceAction::Maintain).await.unwrap();
    let seen = bench.collect().await.unwrap();
    assert_eq!((seen.trouble.as_deref(), seen.maintain), (None, Due::NotYet));
}

// spec: H-6 — what fails is named with its cause, and is over when it works again.
#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_seen_with_the_cause() {
    let store = Faulty::default();
    let bench = bench(&store);
    let trouble = async || bench.collect().await.unwrap().trouble.clone().unwrap_or_default();

    store.fail_writes(true);
    let error = bench.execute(PersistenceAction::Compact).await.unwrap_err();
    assert!(!error.is_permanent() && error.to_string().contains("write down"), "{}", error.chain());
    assert!(trouble().await.contains("can't write: no storage space"), "{}", trouble().await);
    assert!(bench.collect().await.unwrap().compact, "it is due all the same");

    store.fail_writes(false);
    store.fail_compactions(true);
    bench.execute(PersistenceAction::Compact).await.unwrap_err();
    bench.execute(PersistenceAction::Maintain).await.unwrap();
    assert!(trouble().await.contains("can't forget: no storage space"), "{}", trouble().await);

    store.fail_compactions(false);
    store.fail_reads(true);
    bench.execute(PersistenceAction::Maintain).await.unwrap_err();
    let seen = bench.collect().await.unwrap();
    assert!(!seen.compact && seen.figures.is_none());
    store.fail_reads(false);
    bench.execute(PersistenceAction::Compact).await.unwrap();
    assert_eq!(bench.collect().await.unwrap().trouble, None);
}

// spec: H-6 — a write that doesn't return is trouble, whoever waits for it.
#[test]
fn a_store_that_hangs_is_seen() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _time = runtime.enter();
    let store = Faulty::default();
    let watched = std::sync::Arc::new(fsm_worker_persistence::Watched::new(store.shared()));
    store.shut(true);
    std::thread::scope(|threads| {
        let (asked, hand) = (std::sync::Arc::clone(&watched), runtime.handle().clone());
        threads.spawn(move || {
            let _time = hand.enter();
            asked.compact(Timestamp::new(0), &fsm_store::Retention::default()).unwrap();
        });
        // Each turn moves the paused clock: in the end the call has been running for more than any patience.
        while watched.trouble().is_none() {
            runtime.block_on(tokio::time::advance(Duration::from_secs(1)));
            std::thread::yield_now();
        }
        assert!(watched.trouble().unwrap().contains("slow"));
        store.shut(false);
    });
    assert_eq!(watched.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn a_time_zone_that_is_not_known_is_trouble_with_advice() {
    let config = PersistenceConfig::default().with_time_zone("Mars/Olympus");
    let bench = Workbench::new(Persistence::new(Faulty::default().shared()), config);
    let trouble = bench.collect().await.unwrap().trouble.clone().unwrap();
    assert!(trouble.contains("`Mars/Olympus`") && trouble.contains("correct `time_zone`"), "{trouble}");
}

// spec: S-33
#[test]
fn whatever_touches_the_store_has_a_thread_that_it_may_block() {
    assert_eq!(Persistence::POLICY, Persistence::POLICY.blocking_collect());
    for name in ["compact", "maintain"] {
        assert!(Persistence::POLICY.action(name).blocking, "{name}");
    }
}

// spec: W-11
#[tokio::test(start_paused = true)]
async fn a_node_that_was_removed_is_known_for_the_retention_time() {
    let store = Faulty::default();
    let path = NodePath::try_new("/edge/press-7").unwrap();
    let life = fsm_core::Incarnation::new(1);
    let mut batch = Batch::new(Timestamp::new(0), "test");
    batch.identify(&path, life, "bridge", serde_json::Value::Null).remove(&path, life);
    store.write(&batch).unwrap();
    let bench = bench(&store);
    tokio::time::advance(HOUR - Duration::from_secs(1)).await;
    bench.execute(PersistenceAction::Compact).await.unwrap();
    assert!(store.node(&path).unwrap().unwrap().removed.is_some());
    tokio::time::advance(Duration::from_secs(2)).await;
    bench.execute(PersistenceAction::Compact).await.unwrap();
    assert_eq!(store.node(&path).unwrap(), None);
}
