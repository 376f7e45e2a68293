//! When what was done last: a document in the store itself, so that it survives a restart as long as what it is about.

use fsm_core::NodePath;
use fsm_store::{Batch, DocumentId, ReadError, Store, SyncId, Timestamp, WriteError};
use serde::{Deserialize, Serialize};

/// The kind of the document.
const KIND: &str = "persistence";

/// When what was done last, and how far what is under way has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ledger {
    pub(crate) compacted: Option<Timestamp>,
    pub(crate) maintained: Option<Timestamp>,
    /// Maintenance that was cut off looked at everything up to here.
    pub(crate) looked_at: Option<SyncId>,
    /// What maintenance found.
    pub(crate) damage: Found,
}

/// Damaged records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Found {
    pub(crate) findings: usize,
    pub(crate) first: Option<String>,
}

impl Ledger {
    fn id(of: &NodePath) -> DocumentId {
        DocumentId::new(KIND, of.as_str())
    }

    /// What this node wrote last. A document that can't be understood is as good as none: everything is due.
    pub(crate) fn load(store: &dyn Store, of: &NodePath) -> Result<Self, ReadError> {
        let document = store.document(&Self::id(of))?;
        let bytes = document.and_then(|document| document.bytes);
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub(crate) fn save(&self, store: &dyn Store, of: &NodePath, now: Timestamp) -> Result<(), WriteError> {
        let text = serde_json::to_vec(self).map_err(|source| WriteError::Value { change: 0, source })?;
        let mut batch = Batch::new(now, KIND);
        batch.put(Self::id(of), text);
        store.write(&batch).map(drop)
    }
}
