//! Keeps what is unsent in the store, off the hot path (W-4): changes are noted in memory and written together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::NodePath;
use fsm_store::{Batch, DocumentId, ReadError, Store, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::buffer::Unsent;
use crate::message::Message;

/// The kind of the documents.
const KIND: &str = "communicator";
/// Documents that are read at once.
const PAGE: usize = 500;
/// How long changes are gathered before they are written together; a crash loses so much at most.
pub(crate) const LINGER: Duration = Duration::from_millis(50);
/// Messages that were set aside are kept for people to look at: the last ones.
const KEPT_POISON: u32 = 20;

/// What of one communicator is kept. It outlives incarnations, so that nothing is lost between two of them.
pub(crate) struct Journal {
    store: Arc<dyn Store>,
    base: String,
    pending: Mutex<BTreeMap<String, Option<Arc<[u8]>>>>,
    /// Held while writing and while reading: a restarted node reads what its predecessor wrote.
    writing: Mutex<()>,
    error: Mutex<Option<Arc<str>>>,
    dirty: Notify,
}

/// A command that was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) number: u64,
    /// The id of the command.
    pub(crate) of: String,
    pub(crate) receipt: Message,
}

/// What was kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) unsent: Vec<Unsent>,
    pub(crate) answered: Vec<Answered>,
    pub(crate) set_aside: u64,
}

#[derive(Serialize, Deserialize)]
struct UnsentDocument {
    number: u64,
    message: Message,
}

/// A message that was set aside, and why.
#[derive(Serialize, Deserialize)]
struct PoisonDocument {
    number: u64,
    why: String,
    message: Message,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under these locks leaves plain data, which is good as it is.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    pub(crate) fn new(store: Arc<dyn Store>, path: &NodePath) -> Self {
        Self {
            store,
            // No name of a node can be `-`, so the keys of two nodes never meet.
            base: format!("{path}/-/"),
            pending: Mutex::default(),
            writing: Mutex::default(),
            error: Mutex::default(),
            dirty: Notify::new(),
        }
    }

    pub(crate) fn keep(&self, unsent: &Unsent) {
        let document = UnsentDocument { number: unsent.number, message: unsent.message.clone() };
        self.note(&format!("out/{:06}", unsent.slot), Some(&document));
    }

    pub(crate) fn forget(&self, slots: &[u32]) {
        for slot in slots {
            self.note(&format!("out/{slot:06}"), None::<&()>);
        }
    }

    pub(crate) fn answered(&self, slot: usize, answered: &Answered) {
        self.note(&format!("done/{slot:06}"), Some(answered));
    }

    /// The `number`th message that was set aside, from 0.
    pub(crate) fn set_aside(&self, number: u64, message: &Message, why: &str) {
        let document = PoisonDocument { number, why: why.to_owned(), message: message.clone() };
        self.note(&format!("poison/{:02}", number % u64::from(KEPT_POISON)), Some(&document));
    }

    fn note(&self, key: &str, value: Option<&impl Serialize>) {
        // Messages are JSON already, so they can be written as JSON.
        let bytes = value.and_then(|value| serde_json::to_vec(value).ok()).map(Arc::from);
        lock(&self.pending).insert(format!("{}{key}", self.base), bytes);
        self.dirty.notify_one();
    }

    /// Completes when there is something to write.
    pub(crate) async fn is_dirty(&self) {
        self.dirty.notified().await;
    }

    pub(crate) fn has_pending(&self) -> bool {
        !lock(&self.pending).is_empty()
    }

    /// Why the last write failed, if it did.
    pub(crate) fn error(&self) -> Option<Arc<str>> {
        lock(&self.error).clone()
    }

    /// Writes what was noted. Blocks. What can't be written is kept for the next time.
    pub(crate) fn flush(&self, wall_ms: u64) -> bool {
        let _one_at_a_time = lock(&self.writing);
        self.write(wall_ms)
    }

    fn write(&self, wall_ms: u64) -> bool {
        let changes = std::mem::take(&mut *lock(&self.pending));
        if changes.is_empty() {
            return true;
        }
        let mut batch = Batch::new(Timestamp::new(wall_ms), KIND);
        for (key, bytes) in &changes {
            let id = DocumentId::new(KIND, key.as_str());
            match bytes {
                Some(bytes) => batch.put(id, Arc::clone(bytes)),
                None => batch.delete(id),
            };
        }
        match self.store.write(&batch) {
            Ok(_) => {
                *lock(&self.error) = None;
                true
            }
            Err(error) => {
                *lock(&self.error) = Some(fsm_core::chain(&error));
                let mut pending = lock(&self.pending);
                for (key, bytes) in changes {
                    pending.entry(key).or_insert(bytes);
                }
                false
            }
        }
    }

    /// Reads what was kept, after writing what a predecessor noted. Blocks.
    pub(crate) fn load(&self, wall_ms: u64) -> Result<Kept, ReadError> {
        let _one_at_a_time = lock(&self.writing);
        self.write(wall_ms);
        let mut kept = Kept::default();
        let mut after = self.base.clone();
        loop {
            let page = self.store.documents(KIND, Some(&after), PAGE)?;
            for document in &page.items {
                let Some(key) = document.id.key.strip_prefix(&self.base) else { return Ok(kept) };
                self.read(key, document.bytes.as_deref().unwrap_or_default(), &mut kept);
            }
            match page.items.last() {
                Some(last) if page.more => after = last.id.key.to_string(),
                _ => return Ok(kept),
            }
        }
    }

    fn read(&self, key: &str, bytes: &[u8], kept: &mut Kept) {
        let (area, slot) = key.split_once('/').unwrap_or_default();
        let read = match (area, slot.parse()) {
            ("out", Ok(slot)) => serde_json::from_slice(bytes).map(|UnsentDocument { number, message }| {
                kept.unsent.push(Unsent { slot, number, message });
            }),
            ("done", Ok(_)) => serde_json::from_slice(bytes).map(|answered| kept.answered.push(answered)),
            ("poison", Ok(_)) => serde_json::from_slice(bytes)
                .map(|poison: PoisonDocument| kept.set_aside = kept.set_aside.max(poison.number + 1)),
            _ => Ok(()),
        };
        if let Err(error) = read {
            tracing::warn!(document = %format!("{}{key}", self.base), %error, "a kept message can't be read and is left out");
        }
    }
}
