//! Reading on as changes come: a reader is woken, and looks for itself. No runtime: a wake-up may notify a task, a thread or a
//! simulation.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::{Changes, Filter, ReadError, Store, SyncId};

/// What is called after a change: `|| notify.notify_one()`.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Who wants to be woken; the part of a backend that is the same everywhere.
#[derive(Clone, Default)]
pub struct Watchers(Arc<Mutex<Watching>>);

#[derive(Default)]
struct Watching {
    next: u64,
    wakes: BTreeMap<u64, Wake>,
}

/// Ends the wake-ups when dropped.
#[must_use = "dropping it ends the wake-ups"]
pub struct Watch {
    id: u64,
    home: Weak<Mutex<Watching>>,
}

impl Watchers {
    /// Adds somebody to wake.
    pub fn add(&self, wake: Wake) -> Watch {
        let mut watching = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = watching.next;
        watching.next += 1;
        watching.wakes.insert(id, wake);
        Watch { id, home: Arc::downgrade(&self.0) }
    }

    /// Wakes everybody. Call it without holding a lock that a reader takes.
    pub fn wake(&self) {
        let wakes: Vec<Wake> = {
            let watching = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            watching.wakes.values().cloned().collect()
        };
        wakes.iter().for_each(|wake| wake());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            home.lock().unwrap_or_else(PoisonError::into_inner).wakes.remove(&self.id);
        }
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watching = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Watchers").field("watching", &watching.wakes.len()).finish()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("id", &self.id).finish()
    }
}

/// A reader that follows a store (H-3).
///
/// ```
/// use std::sync::Arc;
/// use fsm_store::{Batch, Changes, DocumentId, Filter, MemoryStore, Store, Subscription, Timestamp};
///
/// let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
/// let (tell, told) = std::sync::mpsc::channel();
/// let wake = Arc::new(move || { let _ = tell.send(()); });
/// let mut reader = Subscription::new(Arc::clone(&store), store.newest(), Filter::default(), wake);
///
/// let mut batch = Batch::new(Timestamp::new(0), "engine");
/// batch.put(DocumentId::new("override", "/edge-01"), b"stopped".as_slice());
/// store.write(&batch)?;
///
/// told.recv()?;
/// assert_eq!(reader.lag(), 1);
/// let Changes::Page { records, .. } = reader.poll(100)? else { panic!("nothing was forgotten") };
/// assert_eq!((records.len(), reader.lag()), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Subscription {
    store: StoreRef,
    filter: Filter,
    cursor: SyncId,
    _watch: Watch,
}

/// A store in a struct that can be shown.
struct StoreRef(Arc<dyn Store>);

impl fmt::Debug for StoreRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("newest", &self.0.newest()).finish()
    }
}

impl Subscription {
    /// Follows a store from after `since`, and is woken after each batch.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, since: SyncId, filter: Filter, wake: Wake) -> Self {
        let watch = store.watch(wake);
        Self { store: StoreRef(store), filter, cursor: since, _watch: watch }
    }

    /// What follows what was read last. An empty page means: wait to be woken.
    ///
    /// After [`Changes::Bootstrap`] the reader reads the nodes and calls [`resume`](Self::resume); until then it gets that again.
    ///
    /// # Errors
    /// [`ReadError`]; the place is kept, so polling again tries again.
    pub fn poll(&mut self, limit: usize) -> Result<Changes, ReadError> {
        let changes = self.store.0.changes_since(self.cursor, &self.filter, limit)?;
        if let Changes::Page { next, .. } = &changes {
            self.cursor = *next;
        }
        Ok(changes)
    }

    /// Goes on from after `since`.
    pub fn resume(&mut self, since: SyncId) {
        self.cursor = since;
    }

    /// How many changes of the store this reader has not looked at.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.store.0.newest().get().saturating_sub(self.cursor.get())
    }
}
