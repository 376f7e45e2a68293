//! A store that fails and hangs when a test wants it to: behind the seam that every backend stands behind.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use fsm_core::NodePath;
use fsm_store::{
    Batch, Changes, CompactError, Compacted, Damage, Document, DocumentId, Filter, MemoryStore, NodeRecord,
    Page, ReadError, Retention, Store, StoreStats, SyncId, Timestamp, Wake, Watch, WriteError, Written,
};

/// Clones are the same store.
#[derive(Clone, Default)]
pub(crate) struct Faulty {
    pub(crate) memory: MemoryStore,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    write: AtomicBool,
    read: AtomicBool,
    compact: AtomicBool,
    shut: Mutex<bool>,
    opened: Condvar,
    /// Where pages of changes were read from.
    pages: Mutex<Vec<SyncId>>,
}

fn full() -> Box<dyn std::error::Error + Send + Sync> {
    io::Error::from(io::ErrorKind::StorageFull).into()
}

impl Faulty {
    pub(crate) fn shared(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    pub(crate) fn fail_writes(&self, fail: bool) {
        self.faults.write.store(fail, Ordering::SeqCst);
    }

    pub(crate) fn fail_reads(&self, fail: bool) {
        self.faults.read.store(fail, Ordering::SeqCst);
    }

    pub(crate) fn fail_compactions(&self, fail: bool) {
        self.faults.compact.store(fail, Ordering::SeqCst);
    }

    /// While it is shut, whoever asks how much there is or compacts holds its thread.
    pub(crate) fn shut(&self, shut: bool) {
        *self.faults.shut.lock().unwrap() = shut;
        self.faults.opened.notify_all();
    }

    pub(crate) fn pages(&self) -> Vec<SyncId> {
        std::mem::take(&mut self.faults.pages.lock().unwrap())
    }

    fn pass(&self) {
        drop(self.faults.opened.wait_while(self.faults.shut.lock().unwrap(), |shut| *shut).unwrap());
    }

    fn read(&self) -> Result<(), ReadError> {
        if self.faults.read.load(Ordering::SeqCst) { Err(ReadError::Backend(full())) } else { Ok(()) }
    }
}

impl Store for Faulty {
    fn write(&self, batch: &Batch) -> Result<Written, WriteError> {
        if self.faults.write.load(Ordering::SeqCst) {
            return Err(WriteError::Backend(full()));
        }
        self.memory.write(batch)
    }
    fn node(&self, path: &NodePath) -> Result<Option<NodeRecord>, ReadError> {
        self.memory.node(path)
    }
    fn nodes(&self, after: Option<&NodePath>, limit: usize) -> Result<Page<NodeRecord>, ReadError> {
        self.memory.nodes(after, limit)
    }
    fn document(&self, id: &DocumentId) -> Result<Option<Document>, ReadError> {
        self.read()?;
        self.memory.document(id)
    }
    fn documents(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Page<Document>, ReadError> {
        self.memory.documents(kind, after, limit)
    }
    fn changes_since(&self, since: SyncId, filter: &Filter, limit: usize) -> Result<Changes, ReadError> {
        self.read()?;
        self.faults.pages.lock().unwrap().push(since);
        self.memory.changes_since(since, filter, limit)
    }
    fn newest(&self) -> SyncId {
        self.memory.newest()
    }
    fn stats(&self) -> Result<StoreStats, ReadError> {
        self.pass();
        self.read()?;
        self.memory.stats()
    }
    fn compact(&self, now: Timestamp, retention: &Retention) -> Result<Compacted, CompactError> {
        self.pass();
        if self.faults.compact.load(Ordering::SeqCst) {
            return Err(CompactError::Backend(full()));
        }
        self.memory.compact(now, retention)
    }
    fn check(&self) -> Result<Vec<Damage>, ReadError> {
        self.memory.check()
    }
    fn watch(&self, wake: Wake) -> Watch {
        self.memory.watch(wake)
    }
}
