//! What the rules share: a small tree and short ways to write and read.

use std::sync::Arc;

use fsm_core::{Generation, Incarnation, NodePath};
use serde_json::Value;

use super::Harness;
use crate::{
    Batch, ChangeRecord, Changes, Conflict, Effect, Expected, Filter, NodeRecord, Retention, Store, SyncId,
    Timestamp, WriteError, Written,
};

pub(super) const FIRST: Incarnation = Incarnation::new(1);
pub(super) const SECOND: Incarnation = Incarnation::new(2);

pub(super) fn create<H: Harness>(harness: &H) -> H::Store {
    harness.create(Retention::default())
}

pub(super) fn path(text: &str) -> NodePath {
    NodePath::try_new(text).expect("the rules use good paths")
}

pub(super) fn at(when: u64) -> Batch {
    Batch::new(Timestamp::new(when), "conformance")
}

pub(super) fn generation(number: u64) -> Generation {
    Generation::new(number)
}

pub(super) fn after(number: u64) -> Expected {
    Expected::Generation(generation(number))
}

#[track_caller]
pub(super) fn write(store: &impl Store, batch: &Batch) -> Written {
    store.write(batch).expect("the batch contradicts nothing")
}

/// Writes a node's identity, at this time.
#[track_caller]
pub(super) fn identify(store: &impl Store, node: &str, incarnation: Incarnation, when: u64) {
    write(store, at(when).identify(&path(node), incarnation, "bridge", Value::Null));
}

/// Writes a node's observed value, at this time.
#[track_caller]
pub(super) fn observe(store: &impl Store, node: &str, value: impl Into<Arc<Value>>, when: u64) -> Effect {
    write(store, at(when).observe(&path(node), FIRST, value)).effects[0]
}

#[track_caller]
pub(super) fn conflict(store: &impl Store, batch: &Batch) -> Conflict {
    let before = store.newest();
    match store.write(batch) {
        Err(WriteError::Conflicts(conflicts)) => {
            assert_eq!(store.newest(), before, "a refused batch writes nothing");
            conflicts.into_iter().next().expect("at least one conflict").conflict
        }
        other => panic!("expected a conflict, got {other:?}"),
    }
}

#[track_caller]
pub(super) fn node(store: &impl Store, node: &str) -> NodeRecord {
    store.node(&path(node)).expect("it can be read").expect("it is known")
}

/// All changes after this one, read in pages of this size.
#[track_caller]
pub(super) fn read(store: &impl Store, since: SyncId, filter: &Filter, limit: usize) -> Vec<ChangeRecord> {
    let (mut all, mut since) = (Vec::new(), since);
    loop {
        match store.changes_since(since, filter, limit).expect("it can be read") {
            Changes::Page { records, next, lag } => {
                assert!(records.len() <= limit, "a page holds {} records, {limit} were asked", records.len());
                assert_eq!(lag, store.newest().get() - next.get());
                assert!(next > since || lag == 0, "a page must lead on");
                all.extend(records);
                since = next;
                if lag == 0 {
                    return all;
                }
            }
            Changes::Bootstrap { .. } => panic!("nothing was forgotten"),
        }
    }
}

#[track_caller]
pub(super) fn bootstrap(store: &impl Store, since: SyncId) -> (SyncId, SyncId) {
    match store.changes_since(since, &Filter::default(), 10).expect("it can be read") {
        Changes::Bootstrap { oldest, newest } => (oldest, newest),
        page @ Changes::Page { .. } => panic!("{since} can't be read on from, but gave {page:?}"),
    }
}
