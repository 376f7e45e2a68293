//! What a writer asks for: changes, in a batch that is taken as a whole or not at all.

use std::sync::Arc;

use fsm_core::{CauseId, Generation, Incarnation, NodePath};
use serde_json::Value;

use crate::{DocumentId, SyncId, Timestamp};

/// What a writer believes is there: the compare in compare-and-swap (H-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing yet.
    Nothing,
    /// This generation.
    Generation(Generation),
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("none"),
            Self::Generation(generation) => generation.fmt(f),
        }
    }
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// A node begins a life. Once per incarnation; the same again is no change.
    Identify {
        /// Its path.
        path: NodePath,
        /// Which life; greater than every earlier one of this path.
        incarnation: Incarnation,
        /// Its kind.
        kind: Arc<str>,
        /// Facts about it.
        value: Arc<Value>,
    },
    /// What a node should be.
    Desire {
        /// Its path.
        path: NodePath,
        /// Which life.
        incarnation: Incarnation,
        /// What the writer believes is there.
        expected: Expected,
        /// The new value.
        value: Arc<Value>,
    },
    /// What was seen of a node. When and how long it took to look don't belong into the value: they alone are no change (H-2).
    Observe {
        /// Its path.
        path: NodePath,
        /// Which life.
        incarnation: Incarnation,
        /// The value.
        value: Arc<Value>,
    },
    /// A node left the tree.
    Remove {
        /// Its path.
        path: NodePath,
        /// Which life.
        incarnation: Incarnation,
    },
    /// A document is set.
    Put {
        /// Which.
        id: DocumentId,
        /// What the writer believes is there; none to set it whatever is there.
        expected: Option<Expected>,
        /// The content.
        bytes: Arc<[u8]>,
    },
    /// A document is deleted. One that isn't there is no change.
    Delete {
        /// Which.
        id: DocumentId,
        /// What the writer believes is there; none to delete it whatever is there.
        expected: Option<Expected>,
    },
}

/// One change and why it is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What is changed.
    pub op: Op,
    /// What made it happen.
    pub cause: CauseId,
    /// Who: `engine`, or a user of the API.
    pub who: Arc<str>,
}

/// Changes that are written together: all of them or, when one conflicts, none. They get consecutive sync ids in their order.
///
/// ```
/// use fsm_store::{Batch, DocumentId, MemoryStore, Store, Timestamp};
/// let store = MemoryStore::default();
/// let mut batch = Batch::new(Timestamp::new(1_000), "engine");
/// batch.put(DocumentId::new("override", "/edge-01/press-7"), b"stopped".as_slice());
/// let written = store.write(&batch)?;
/// assert_eq!(written.last.get(), 1);
/// # Ok::<(), fsm_store::WriteError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// When, for all of them.
    pub when: Timestamp,
    /// Who, for those that are added without saying.
    who: Arc<str>,
    cause: CauseId,
    /// The changes in order.
    pub changes: Vec<Change>,
}

impl Batch {
    /// A batch without changes.
    pub fn new(when: Timestamp, who: impl Into<Arc<str>>) -> Self {
        Self { when, who: who.into(), cause: CauseId::default(), changes: Vec::new() }
    }

    /// What is added from here on was made to happen by this.
    pub fn because_of(&mut self, cause: CauseId) -> &mut Self {
        self.cause = cause;
        self
    }

    /// Adds something to write.
    pub fn push(&mut self, op: Op) -> &mut Self {
        self.changes.push(Change { op, cause: self.cause, who: Arc::clone(&self.who) });
        self
    }

    /// Adds the beginning of a node's life.
    pub fn identify(
        &mut self,
        path: &NodePath,
        incarnation: Incarnation,
        kind: impl Into<Arc<str>>,
        value: impl Into<Arc<Value>>,
    ) -> &mut Self {
        self.push(Op::Identify { path: path.clone(), incarnation, kind: kind.into(), value: value.into() })
    }

    /// Adds what a node should be.
    pub fn desire(
        &mut self,
        path: &NodePath,
        incarnation: Incarnation,
        expected: Expected,
        value: impl Into<Arc<Value>>,
    ) -> &mut Self {
        self.push(Op::Desire { path: path.clone(), incarnation, expected, value: value.into() })
    }

    /// Adds what was seen of a node.
    pub fn observe(
        &mut self,
        path: &NodePath,
        incarnation: Incarnation,
        value: impl Into<Arc<Value>>,
    ) -> &mut Self {
        self.push(Op::Observe { path: path.clone(), incarnation, value: value.into() })
    }

    /// Adds that a node left the tree.
    pub fn remove(&mut self, path: &NodePath, incarnation: Incarnation) -> &mut Self {
        self.push(Op::Remove { path: path.clone(), incarnation })
    }

    /// Adds a document, whatever is there.
    pub fn put(&mut self, id: DocumentId, bytes: impl Into<Arc<[u8]>>) -> &mut Self {
        self.push(Op::Put { id, expected: None, bytes: bytes.into() })
    }

    /// Adds the deletion of a document, whatever is there.
    pub fn delete(&mut self, id: DocumentId) -> &mut Self {
        self.push(Op::Delete { id, expected: None })
    }
}

/// What became of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It was written.
    Changed {
        /// The id of the change.
        sync_id: SyncId,
        /// The new generation of what it changed.
        generation: Generation,
    },
    /// It says what is there already: nothing was written, nobody is told.
    Unchanged,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The newest change of the store, after the batch.
    pub last: SyncId,
    /// What became of each change, in order.
    pub effects: Vec<Effect>,
}
