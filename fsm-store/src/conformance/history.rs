//! The history and reading on (H-2, H-3), its bounds (J7) and what a compaction forgets (H-11, W-11).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use fsm_core::CauseId;
use serde_json::{Value, json};

use super::Harness;
use super::world::{FIRST, SECOND, at, bootstrap, create, identify, node, observe, path, read, write};
use crate::{
    Changes, Delta, DocumentId, Filter, Retention, Role, Sequence, Store, Subject, Subscription, SyncId,
    Timestamp, revert,
};

/// A tree of two nodes whose observed values count up.
fn fill(store: &impl Store, changes: u64) {
    identify(store, "/a", FIRST, 0);
    identify(store, "/b", FIRST, 0);
    for n in 0..changes {
        observe(store, if n % 2 == 0 { "/a" } else { "/b" }, json!({ "n": n }), n);
    }
}

/// H-3: pages of any size give each change once, in order.
pub fn changes_are_read_in_pages_without_a_gap<H: Harness>(harness: &H) {
    let store = create(harness);
    fill(&store, 40);
    for limit in [1, 7, 100] {
        let records = read(&store, SyncId::ZERO, &Filter::default(), limit);
        let ids: Vec<u64> = records.iter().map(|record| record.sync_id.get()).collect();
        assert_eq!(ids, (1..=42).collect::<Vec<_>>(), "in pages of {limit}");
    }
    let rest = read(&store, SyncId::new(40), &Filter::default(), 10);
    assert_eq!(rest.len(), 2);
    let end = store.changes_since(store.newest(), &Filter::default(), 10).expect("it can be read");
    assert_eq!(end, Changes::Page { records: Vec::new(), next: store.newest(), lag: 0 });
}

/// H-3: a filter is on the subtree and the role, and reading through it still comes to the end.
pub fn a_filter_lets_only_its_subtree_and_roles_pass<H: Harness>(harness: &H) {
    let store = create(harness);
    for name in ["/a", "/a/b", "/a/bc", "/ab"] {
        identify(&store, name, FIRST, 0);
        for n in 0..200 {
            observe(&store, name, json!(n), n);
        }
    }
    write(&store, at(0).put(DocumentId::new("override", "/a/b"), b"stopped".as_slice()));
    write(&store, at(0).put(DocumentId::new("config", "1"), b"{}".as_slice()));
    let count = |filter: &Filter| read(&store, SyncId::ZERO, filter, 3).len();
    let under_b = Filter::default().under(path("/a/b"));
    assert_eq!(count(&under_b), 202, "the node, not /a/bc, and the document of that path");
    assert_eq!(count(&Filter::default().under(path("/a"))), 604);
    assert_eq!(count(&Filter::default().roles([Role::Identity])), 4);
    assert_eq!(count(&Filter::default().roles([Role::Identity, Role::Document])), 6);
    assert_eq!(count(&under_b.roles([Role::Document])), 1);
}

/// H-3: a reader that is older than the oldest record is told so; never a silent gap.
pub fn a_reader_that_is_too_far_behind_begins_anew<H: Harness>(harness: &H) {
    let store = harness.create(Retention::default().with_max_records(10));
    fill(&store, 40);
    let (oldest, newest) = bootstrap(&store, SyncId::ZERO);
    assert_eq!((oldest, newest), (SyncId::new(32), SyncId::new(42)));
    bootstrap(&store, SyncId::new(31));
    let records = read(&store, oldest, &Filter::default(), 100);
    assert_eq!((records.len(), records[0].sync_id), (10, SyncId::new(33)));

    let store: Arc<dyn Store> = Arc::new(store);
    let mut reader = Subscription::new(Arc::clone(&store), SyncId::ZERO, Filter::default(), Arc::new(|| {}));
    assert!(matches!(reader.poll(5), Ok(Changes::Bootstrap { .. })));
    assert_eq!(reader.lag(), 42);
    let page = store.nodes(None, 100).expect("it can be read");
    reader.resume(page.as_of);
    let nothing = Changes::Page { records: Vec::new(), next: SyncId::new(42), lag: 0 };
    assert_eq!(reader.poll(5).expect("it can be read"), nothing);
}

/// H-3: a reader that knows changes which the store never made has seen another store.
pub fn a_reader_ahead_of_the_store_begins_anew<H: Harness>(harness: &H) {
    let store = create(harness);
    fill(&store, 1);
    bootstrap(&store, SyncId::new(4));
    bootstrap(&store, SyncId::new(u64::MAX));
}

/// H-2: a record says what, who, when and why, and is numbered among those of its node.
pub fn records_of_a_node_are_numbered_without_a_gap<H: Harness>(harness: &H) {
    let store = create(harness);
    fill(&store, 10);
    let mut batch = at(99);
    batch.because_of(CauseId::new(7)).observe(&path("/a"), FIRST, json!({"n": "last"}));
    write(&store, &batch);
    let records = read(&store, SyncId::ZERO, &Filter::default().under(path("/a")), 100);
    let numbers: Vec<u64> = records.iter().map(|record| record.sequence.get()).collect();
    assert_eq!(numbers, (1..=7).collect::<Vec<_>>());
    let last = records.last().expect("there are seven");
    assert_eq!((last.role, last.incarnation, &*last.who), (Role::Observed, Some(FIRST), "conformance"));
    assert_eq!((last.when, last.cause), (Timestamp::new(99), CauseId::new(7)));
    assert_eq!(last.subject, Subject::Node(path("/a")));
    let Delta::Edits(edits) = &last.delta else { panic!("{:?}", last.delta) };
    assert_eq!((edits[0].at.as_str(), &edits[0].old), ("/n", &Some(json!(8))));
}

/// H-10: from what is there and the records since, what was there follows.
pub fn the_past_is_reached_by_reverting<H: Harness>(harness: &H) {
    let store = create(harness);
    identify(&store, "/a", FIRST, 0);
    let past = [json!({"x": {"y": [1, 2]}}), json!({"x": null, "z": 1}), json!([]), json!({"x": {"y": 3}})];
    for value in &past {
        observe(&store, "/a", value.clone(), 0);
    }
    let mut value = node(&store, "/a").observed.map(|part| Value::clone(&part.value));
    let records = read(&store, SyncId::new(1), &Filter::default(), 100);
    for (record, there) in records.iter().zip(&past).rev() {
        assert_eq!(value.as_ref(), Some(there));
        let Delta::Edits(edits) = &record.delta else { panic!("{:?}", record.delta) };
        value = revert(value, edits);
    }
    assert_eq!(value, None, "before the first observation there was none");
}

/// J7: the history never holds more than its caps, in number and in size.
pub fn the_history_stays_within_its_caps<H: Harness>(harness: &H) {
    let store = harness.create(Retention::default().with_max_records(20).with_max_bytes(3_000));
    identify(&store, "/a", FIRST, 0);
    for n in 0..100 {
        observe(&store, "/a", json!({ "n": n, "text": "x".repeat(n) }), 0);
        let stats = store.stats().expect("it can be read");
        assert!(stats.records <= 20 && stats.record_bytes <= 3_000, "{stats:?}");
        assert_eq!(stats.role_bytes.iter().sum::<usize>(), stats.record_bytes, "{stats:?}");
        assert!(stats.records > 0, "the newest fits");
    }
    assert_eq!(store.check().expect("it can be read"), []);
}

/// H-11: a compaction forgets what is too old or too much, oldest first, and nothing else.
pub fn a_compaction_forgets_by_age_and_number<H: Harness>(harness: &H) {
    let store = create(harness);
    identify(&store, "/a", FIRST, 0);
    for second in 1..=10 {
        observe(&store, "/a", json!(second), second * 1_000);
    }
    let before = store.stats().expect("it can be read");
    let now = Timestamp::new(10_000);
    let young = Retention::default().with_max_age(Duration::from_secs(4));
    let forgot = store.compact(now, &young).expect("it can be compacted");
    let stats = store.stats().expect("it can be read");
    assert_eq!((forgot.records, stats.records), (6, 5), "0, 1, 2, 3, 4 and 5 s are older than 4 s");
    assert_eq!(stats.record_bytes, before.record_bytes - forgot.bytes);
    assert_eq!(stats.role_bytes.iter().sum::<usize>(), stats.record_bytes);
    assert_eq!((stats.oldest, stats.oldest_at), (Some(SyncId::new(7)), Some(Timestamp::new(6_000))));
    let few = Retention::default().with_max_records(2);
    assert_eq!(store.compact(now, &few).expect("it can be compacted").records, 3);
    assert_eq!(*node(&store, "/a").observed.expect("it is kept").value, json!(10));
    assert_eq!(store.check().expect("it can be read"), []);
    bootstrap(&store, SyncId::new(8));
    assert_eq!(read(&store, SyncId::new(9), &Filter::default(), 10).len(), 2);
    let all = store.compact(Timestamp::new(1_000_000), &young).expect("it can be compacted");
    assert_eq!(all.records, 2);
    assert_eq!(store.newest(), SyncId::new(11), "ids are never used twice");
    observe(&store, "/a", json!("more"), 1_000_000);
    assert_eq!(read(&store, SyncId::new(11), &Filter::default(), 10)[0].sync_id, SyncId::new(12));
}

/// W-11: what is known of a removed node goes when its retention is over and the history has forgotten it, not before.
pub fn a_gone_node_is_forgotten_after_the_history_of_it<H: Harness>(harness: &H) {
    let store = create(harness);
    for name in ["/a", "/b", "/c"] {
        identify(&store, name, FIRST, 0);
    }
    write(&store, at(1_000).remove(&path("/a"), FIRST));
    write(&store, at(1_000).put(DocumentId::new("override", "/a"), b"x".as_slice()));
    write(&store, at(1_000).delete(DocumentId::new("override", "/a")));
    let hour = Retention::default();
    let forgot = store.compact(Timestamp::new(60_000), &hour).expect("it can be compacted");
    assert_eq!((forgot.nodes, forgot.documents), (0, 0));
    let none = Retention::default().with_max_removed(0);
    let forgot = store.compact(Timestamp::new(60_000), &none).expect("it can be compacted");
    assert_eq!(forgot.nodes, 0, "the history still tells of it");
    let forgot = store.compact(Timestamp::new(3_700_000), &hour).expect("it can be compacted");
    assert_eq!((forgot.nodes, forgot.documents), (1, 1));
    assert_eq!(store.node(&path("/a")).expect("it can be read"), None);
    assert!(store.node(&path("/b")).expect("it can be read").is_some(), "who is in the tree stays");
    identify(&store, "/a", SECOND, 3_800_000);
    assert_eq!(node(&store, "/a").sequence, Sequence::new(1));
    assert_eq!(store.check().expect("it can be read"), []);
}

/// H-3: watchers are woken once per batch that changed something, until they stop watching.
pub fn watchers_are_woken_by_changes_only<H: Harness>(harness: &H) {
    let store = create(harness);
    let woken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&woken);
    let watch = store.watch(Arc::new(move || {
        counter.fetch_add(1, Relaxed);
    }));
    fill(&store, 2);
    assert_eq!(woken.load(Relaxed), 4);
    observe(&store, "/a", json!({"n": 0}), 5);
    let _refused = store.write(at(0).observe(&path("/unknown"), FIRST, json!(1)));
    assert_eq!(woken.load(Relaxed), 4, "neither an equal value nor a conflict wakes anybody");
    drop(watch);
    observe(&store, "/a", json!({"n": 9}), 5);
    assert_eq!(woken.load(Relaxed), 4);
}
