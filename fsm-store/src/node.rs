//! What a store knows of a node: the triple of identity, desired and observed (H-1), and of documents beside the tree.

use std::sync::Arc;

use fsm_core::{Generation, Incarnation, NodePath};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Sequence, SyncId, Timestamp};

/// One part of a triple.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The value.
    pub value: Arc<Value>,
    /// Which life of the path wrote it.
    pub incarnation: Incarnation,
    /// Grows by one with each change of this part, over incarnations.
    pub generation: Generation,
    /// When this part was first written in this life of the record.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The change that did.
    pub sync_id: SyncId,
}

/// Everything that is known of a node. The key is its path, never its bare name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its path.
    pub path: NodePath,
    /// Its kind.
    pub kind: Arc<str>,
    /// Which life of the path it is.
    pub incarnation: Incarnation,
    /// Since when this path has been known without having been removed: `internal.created_at` (S-17).
    pub known_since: Timestamp,
    /// Who it is: written once per incarnation.
    pub identity: Part,
    /// What it should be.
    pub desired: Option<Part>,
    /// What was seen.
    pub observed: Option<Part>,
    /// Set when the node left the tree; what is known of it is kept for the retention time (W-11).
    pub removed: Option<Removed>,
    /// The place of its last change among its own.
    pub sequence: Sequence,
}

/// When a node left the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// When.
    pub at: Timestamp,
    /// The change that said so.
    pub sync_id: SyncId,
}

/// What a document is about: `override`, `config`, `execution`…, with a key of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DocumentId {
    /// The kind of document.
    pub kind: Arc<str>,
    /// Its key among those of its kind; for something of a node, the node's path.
    pub key: Arc<str>,
}

impl DocumentId {
    /// The id of a document.
    pub fn new(kind: impl Into<Arc<str>>, key: impl Into<Arc<str>>) -> Self {
        Self { kind: kind.into(), key: key.into() }
    }
}

impl std::fmt::Display for DocumentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.key)
    }
}

/// Bytes beside the tree: overrides, config generations, execution records, buffer positions. Secrets never: by reference only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Kind and key.
    pub id: DocumentId,
    /// The content; none for a document that was deleted and is remembered for its generation.
    pub bytes: Option<Arc<[u8]>>,
    /// Grows by one with each change, over deletions.
    pub generation: Generation,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The change that did.
    pub sync_id: SyncId,
    /// The place of its last change among its own.
    pub sequence: Sequence,
}
