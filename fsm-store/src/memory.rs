//! The store that forgets with its process: for tests, for simulation, and for embedders that need no memory of the past.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fsm_core::NodePath;

use crate::apply::{Applied, Entry, apply, subject};
use crate::history::History;
use crate::record::{Subject, encode};
use crate::verify::Verifier;
use crate::watch::{Wake, Watch, Watchers};
use crate::{
    Batch, BatchConflict, Changes, CompactError, Compacted, Damage, Document, DocumentId, Effect, Filter,
    NodeRecord, Page, ReadError, Retention, Store, StoreStats, SyncId, Timestamp, WriteError, Written,
};

/// A store in memory. Cloning is cheap; clones are the same store.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
    watchers: Watchers,
    limits: Retention,
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<NodePath, NodeRecord>,
    documents: BTreeMap<DocumentId, Document>,
    history: History,
}

/// A way to hurt a store, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// One bit of a record is turned over.
    FlipBit {
        /// Which, counted from the beginning; beyond the end it is counted on from the beginning.
        bit: usize,
    },
    /// A record is lost, those after it move up.
    Lose,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Retention::default())
    }
}

impl MemoryStore {
    /// An empty store. The caps on number and size of records hold after each write, the rest at each compaction.
    #[must_use]
    pub fn new(limits: Retention) -> Self {
        Self { state: Arc::default(), watchers: Watchers::default(), limits }
    }

    /// Hurts a record; false when there is none at this place. For tests of what reads a store.
    pub fn hurt(&self, at: SyncId, blow: Blow) -> bool {
        let mut state = self.lock();
        match blow {
            Blow::Lose => state.history.lose(at),
            Blow::FlipBit { bit } => {
                let Some(kept) = state.history.kept_mut(at) else { return false };
                let mut bytes = kept.bytes.to_vec();
                let bit = bit % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                kept.bytes = bytes.into();
                true
            }
        }
    }

    // A panic while the lock is held leaves the state whole: a batch is worked out first and then moved in.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch worked out on what is there.
struct Plan {
    effects: Vec<Effect>,
    entries: HashMap<Subject, Entry>,
    records: Vec<(Applied, Arc<[u8]>)>,
}

impl State {
    fn entry(&self, subject: &Subject) -> Option<Entry> {
        match subject {
            Subject::Node(path) => self.nodes.get(path).cloned().map(Entry::Node),
            Subject::Document(id) => self.documents.get(id).cloned().map(Entry::Document),
        }
    }

    fn plan(&self, batch: &Batch) -> Result<Plan, WriteError> {
        let mut plan = Plan { effects: Vec::new(), entries: HashMap::new(), records: Vec::new() };
        let (mut conflicts, mut next) = (Vec::new(), self.history.newest().next());
        for (at, change) in batch.changes.iter().enumerate() {
            let subject = subject(&change.op);
            let stored = plan.entries.get(&subject).cloned().or_else(|| self.entry(&subject));
            match apply(stored.as_ref(), batch, change, next) {
                Err(conflict) => conflicts.push(BatchConflict { change: at, conflict }),
                Ok(None) => plan.effects.push(Effect::Unchanged),
                Ok(Some(applied)) => {
                    let generation = applied.record.generation;
                    plan.effects.push(Effect::Changed { sync_id: next, generation });
                    plan.entries.insert(subject, applied.entry.clone());
                    let bytes = encode(&applied.record);
                    let bytes = bytes.map_err(|source| WriteError::Value { change: at, source })?;
                    plan.records.push((applied, bytes.into()));
                    next = next.next();
                }
            }
        }
        if conflicts.is_empty() { Ok(plan) } else { Err(WriteError::Conflicts(conflicts)) }
    }

    fn take(&mut self, plan: Plan) -> Vec<Effect> {
        for entry in plan.entries.into_values() {
            match entry {
                Entry::Node(node) => drop(self.nodes.insert(node.path.clone(), node)),
                Entry::Document(document) => drop(self.documents.insert(document.id.clone(), document)),
            }
        }
        for (applied, bytes) in plan.records {
            self.history.push(&applied.record, bytes);
        }
        plan.effects
    }

    /// Forgets what is gone: when it is too old or too many, but never before the history has forgotten it. A path that came back
    /// would count its changes anew, beside records of its former count.
    fn forget_gone(&mut self, now: Timestamp, retention: &Retention) -> (usize, usize) {
        let oldest = self.history.oldest();
        let gone_nodes = self.nodes.values().filter_map(|node| {
            node.removed.map(|removed| (removed.sync_id, removed.at, Subject::Node(node.path.clone())))
        });
        let gone_documents = self.documents.values().filter(|document| document.bytes.is_none());
        let gone_documents = gone_documents
            .map(|document| (document.sync_id, document.updated_at, Subject::Document(document.id.clone())));
        let mut gone: Vec<_> = gone_nodes.chain(gone_documents).collect();
        gone.sort_unstable_by_key(|(sync_id, ..)| *sync_id);
        let too_many = gone.len().saturating_sub(retention.max_removed);
        let (mut nodes, mut documents) = (0, 0);
        for (at, (sync_id, when, subject)) in gone.into_iter().enumerate() {
            let goes = at < too_many || now.since(when) > retention.max_age;
            if sync_id >= oldest || !goes {
                continue;
            }
            match subject {
                Subject::Node(path) => nodes += usize::from(self.nodes.remove(&path).is_some()),
                Subject::Document(id) => documents += usize::from(self.documents.remove(&id).is_some()),
            }
        }
        (nodes, documents)
    }
}

/// The first `limit` of what a listing would give.
fn page<T>(items: impl Iterator<Item = T>, limit: usize, as_of: SyncId) -> Page<T> {
    let limit = limit.max(1);
    let mut items: Vec<T> = items.take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    Page { items, more, as_of }
}

impl Store for MemoryStore {
    fn write(&self, batch: &Batch) -> Result<Written, WriteError> {
        let mut state = self.lock();
        let plan = state.plan(batch)?;
        let changed = !plan.records.is_empty();
        let effects = state.take(plan);
        state.history.shrink(self.limits.max_records, self.limits.max_bytes);
        let last = state.history.newest();
        drop(state);
        if changed {
            self.watchers.wake();
        }
        Ok(Written { last, effects })
    }

    fn node(&self, path: &NodePath) -> Result<Option<NodeRecord>, ReadError> {
        Ok(self.read().nodes.get(path).cloned())
    }

    fn nodes(&self, after: Option<&NodePath>, limit: usize) -> Result<Page<NodeRecord>, ReadError> {
        let state = self.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let nodes = state.nodes.range::<NodePath, _>((from, Bound::Unbounded)).map(|(_, node)| node.clone());
        Ok(page(nodes, limit, state.history.newest()))
    }

    fn document(&self, id: &DocumentId) -> Result<Option<Document>, ReadError> {
        Ok(self.read().documents.get(id).filter(|document| document.bytes.is_some()).cloned())
    }

    fn documents(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Page<Document>, ReadError> {
        let state = self.read();
        let from = DocumentId::new(kind, after.unwrap_or_default());
        let from = if after.is_some() { Bound::Excluded(from) } else { Bound::Included(from) };
        let documents = state.documents.range((from, Bound::Unbounded)).map(|(_, document)| document);
        let documents = documents.take_while(|document| *document.id.kind == *kind);
        let there = documents.filter(|document| document.bytes.is_some()).cloned();
        Ok(page(there, limit, state.history.newest()))
    }

    fn changes_since(&self, since: SyncId, filter: &Filter, limit: usize) -> Result<Changes, ReadError> {
        let looked = self.read().history.look(since, filter, limit);
        match looked {
            Ok(looked) => looked.read(since),
            Err(bootstrap) => Ok(bootstrap),
        }
    }

    fn newest(&self) -> SyncId {
        self.read().history.newest()
    }

    fn stats(&self) -> Result<StoreStats, ReadError> {
        let state = self.read();
        let removed = state.nodes.values().filter(|node| node.removed.is_some()).count();
        Ok(StoreStats {
            nodes: state.nodes.len() - removed,
            removed,
            documents: state.documents.values().filter(|document| document.bytes.is_some()).count(),
            records: state.history.len(),
            record_bytes: state.history.bytes(),
            role_bytes: state.history.role_bytes(),
            newest: state.history.newest(),
            oldest: (state.history.len() > 0).then(|| state.history.oldest()),
            oldest_at: state.history.oldest_at(),
        })
    }

    fn compact(&self, now: Timestamp, retention: &Retention) -> Result<Compacted, CompactError> {
        let mut state = self.lock();
        let (records, bytes) = state.history.compact(now, retention);
        let (nodes, documents) = state.forget_gone(now, retention);
        Ok(Compacted { records, bytes, nodes, documents })
    }

    fn check(&self) -> Result<Vec<Damage>, ReadError> {
        let (records, oldest, newest) = {
            let history = &self.read().history;
            let records: Vec<Arc<[u8]>> = history.all().map(|kept| Arc::clone(&kept.bytes)).collect();
            (records, history.oldest(), history.newest())
        };
        let mut verifier = Verifier::new(oldest);
        records.iter().for_each(|bytes| verifier.feed(bytes));
        Ok(verifier.finish(newest))
    }

    fn watch(&self, wake: Wake) -> Watch {
        self.watchers.add(wake)
    }
}
