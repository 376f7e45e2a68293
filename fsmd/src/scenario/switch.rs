//! A store in memory that a scenario can make slow, full or broken.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::NodePath;
use fsm_store::{
    Batch, Changes, CompactError, Compacted, Damage, Document, DocumentId, Filter, MemoryStore, NodeRecord,
    Page, ReadError, Retention, Store, StoreStats, SyncId, Timestamp, Wake, Watch, WriteError, Written,
};

/// How the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mood {
    /// It writes.
    #[default]
    Well,
    /// A write waits until the mood changes.
    Slow,
    /// There is no room on its disk.
    Full,
    /// Its disk gives errors.
    Failing,
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    /// Writes that wait at present.
    waiting: usize,
    refused: u32,
}

/// The store.
#[derive(Default)]
pub(crate) struct Switch {
    store: MemoryStore,
    state: Mutex<State>,
    changed: Condvar,
}

/// Far longer than a thread takes to begin, in real time.
const ARRIVES: Duration = Duration::from_secs(10);

impl Switch {
    pub(crate) fn turn(&self, mood: Mood) {
        self.lock().mood = mood;
        self.changed.notify_all();
    }

    /// Whether a write waits, or comes to wait: it is on a thread of its own, which virtual time doesn't know.
    pub(super) fn is_waiting(&self) -> bool {
        let none = |state: &mut State| state.waiting == 0;
        let waited = self.changed.wait_timeout_while(self.lock(), ARRIVES, none);
        waited.unwrap_or_else(PoisonError::into_inner).0.waiting > 0
    }

    /// Writes that were refused so far.
    pub(super) fn refused(&self) -> u32 {
        self.lock().refused
    }

    /// Plain data, good as it is after a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as the store is slow; then it writes or it doesn't.
    fn enter(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.waiting += 1;
        self.changed.notify_all();
        while state.mood == Mood::Slow {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
        let error = match state.mood {
            Mood::Well | Mood::Slow => return Ok(()),
            Mood::Full => io::Error::new(io::ErrorKind::StorageFull, "no space left on device"),
            Mood::Failing => io::Error::other("input/output error"),
        };
        state.refused += 1;
        Err(error)
    }
}

impl Store for Switch {
    fn write(&self, batch: &Batch) -> Result<Written, WriteError> {
        self.enter().map_err(|error| WriteError::Backend(Box::new(error)))?;
        self.store.write(batch)
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
        self.enter().map_err(|error| CompactError::Backend(Box::new(error)))?;
        self.store.compact(now, retention)
    }
    fn check(&self) -> Result<Vec<Damage>, ReadError> {
        self.store.check()
    }
    fn watch(&self, wake: Wake) -> Watch {
        self.store.watch(wake)
    }
}
