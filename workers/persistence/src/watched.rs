//! A store that remembers how it is: whether its last write failed, and how long the present one has been running (H-6).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::NodePath;
use fsm_store::{
    Batch, Changes, CompactError, Compacted, Damage, Document, DocumentId, Filter, NodeRecord, Page,
    ReadError, Retention, Store, StoreStats, SyncId, Timestamp, Wake, Watch, WriteError, Written,
};
use tokio::time::Instant;

/// A write that takes longer is trouble: a disk that is only busy answers before.
const SLOW: Duration = Duration::from_secs(10);

/// A store whose failures are remembered until the next success of the same sort.
///
/// ```
/// use std::sync::Arc;
/// use fsm_store::{MemoryStore, Store};
/// use fsm_worker_persistence::Watched;
///
/// let store = Watched::new(Arc::new(MemoryStore::default()));
/// assert_eq!(store.trouble(), None);
/// assert_eq!(store.stats().unwrap().records, 0);
/// ```
pub struct Watched {
    store: Arc<dyn Store>,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    write: Option<Arc<str>>,
    compact: Option<Arc<str>>,
    /// Calls that have not returned, by number, and since when.
    running: BTreeMap<u64, Instant>,
    calls: u64,
}

impl Watched {
    /// Watches this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, health: Mutex::default() }
    }

    /// What is wrong, if anything is: it can't write, can't forget, or doesn't answer.
    #[must_use]
    pub fn trouble(&self) -> Option<Arc<str>> {
        let health = self.lock();
        let hangs = health.running.values().next().is_some_and(|since| since.elapsed() >= SLOW);
        let hangs =
            || hangs.then(|| Arc::from("the store is slow: a call has not returned for more than 10s"));
        health.write.clone().or_else(|| health.compact.clone()).or_else(hangs)
    }

    /// Runs a call that may hang.
    fn watch<T>(&self, call: impl FnOnce(&dyn Store) -> T, note: impl FnOnce(&T, &mut Health)) -> T {
        let number = {
            let mut health = self.lock();
            health.calls += 1;
            let number = health.calls;
            health.running.insert(number, Instant::now());
            number
        };
        // A call that panics has ended as well.
        let running = Running { health: &self.health, number };
        let result = call(&*self.store);
        note(&result, &mut self.lock());
        drop(running);
        result
    }

    /// What is behind this lock is plain data, good as it is after a panic.
    fn lock(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Running<'a> {
    health: &'a Mutex<Health>,
    number: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).running.remove(&self.number);
    }
}

impl Store for Watched {
    fn write(&self, batch: &Batch) -> Result<Written, WriteError> {
        let note = |result: &Result<Written, WriteError>, health: &mut Health| match result {
            // A batch that contradicts what is there, or holds what can't be stored, is its writer's mistake.
            Ok(_) | Err(WriteError::Conflicts(_) | WriteError::Value { .. }) => health.write = None,
            Err(error) => health.write = Some(fsm_core::chain(error)),
        };
        self.watch(|store| store.write(batch), note)
    }

    fn node(&self, path: &NodePath) -> Result<Option<NodeRecord>, ReadError> {
        self.store.node(path)
    }

    fn nodes(&self, after: Option<&NodePath>, limit: usize) -> Result<Page<NodeRecord>, ReadError> {
        self.store.nodes(after, limit)
    }

    fn document(&self, id: &DocumentId) -> Result<Option<Document>, ReadError> {
        self.store.document(id)
    }

    fn documents(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Page<Document>, ReadError> {
        self.store.documents(kind, after, limit)
    }

    fn changes_since(&self, since: SyncId, filter: &Filter, limit: usize) -> Result<Changes, ReadError> {
        self.store.changes_since(since, filter, limit)
    }

    fn newest(&self) -> SyncId {
        self.store.newest()
    }

    fn stats(&self) -> Result<StoreStats, ReadError> {
        self.store.stats()
    }

    fn compact(&self, now: Timestamp, retention: &Retention) -> Result<Compacted, CompactError> {
        let note = |result: &Result<Compacted, CompactError>, health: &mut Health| {
            health.compact = result.as_ref().err().map(|error| fsm_core::chain(error));
        };
        self.watch(|store| store.compact(now, retention), note)
    }

    fn check(&self) -> Result<Vec<Damage>, ReadError> {
        self.store.check()
    }

    fn watch(&self, wake: Wake) -> Watch {
        self.store.watch(wake)
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("trouble", &self.trouble()).finish_non_exhaustive()
    }
}
