//! What can go wrong, by operation.

use fsm_core::{Generation, Incarnation, NodePath};

use crate::record::Subject;
use crate::{DocumentId, Expected, Sequence, SyncId};

/// A batch was not written; the store is as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Some changes contradict what is there. Leave them out, or look again and decide anew.
    #[error("{} of the batch's changes contradict what is stored, first: {}", .0.len(), first(.0))]
    Conflicts(Vec<BatchConflict>),
    /// A value can't be stored as JSON.
    #[error("change {change} of the batch holds a value that can't be stored")]
    Value {
        /// Which change of the batch.
        change: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// What is stored can't be read, so nothing can be compared with it.
    #[error("what is stored can't be read")]
    Read(#[from] ReadError),
    /// The backend failed.
    #[error("the store's backend can't write")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn first(conflicts: &[BatchConflict]) -> String {
    conflicts.first().map(|c| format!("change {}: {}", c.change, c.conflict)).unwrap_or_default()
}

/// A change of a batch that contradicts what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchConflict {
    /// Which change of the batch.
    pub change: usize,
    /// What it contradicts.
    pub conflict: Conflict,
}

/// What a change contradicts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Somebody else wrote the desired state first.
    #[error("the desired state of {path} is at generation {}, not {}: read it again", show(*.stored), .expected)]
    Desired {
        /// The node.
        path: NodePath,
        /// What the writer believed.
        expected: Expected,
        /// What is there.
        stored: Option<Generation>,
    },
    /// Somebody else wrote the document first.
    #[error("the document {id} is at generation {}, not {}: read it again", show(*.stored), .expected)]
    Document {
        /// The document.
        id: DocumentId,
        /// What the writer believed.
        expected: Expected,
        /// What is there.
        stored: Option<Generation>,
    },
    /// The node is not known: it has to be identified first.
    #[error("{path} is not known: write its identity first")]
    Unknown {
        /// The node.
        path: NodePath,
    },
    /// The writer is of another life of this path.
    #[error("{path} is in incarnation {stored}, the change is of {written}: it comes too late")]
    Incarnation {
        /// The node.
        path: NodePath,
        /// The writer's.
        written: Incarnation,
        /// The one that is there.
        stored: Incarnation,
    },
    /// This life of the path has an identity already, another one.
    #[error(
        "incarnation {incarnation} of {path} has another identity already: it is written once per incarnation"
    )]
    Identity {
        /// The node.
        path: NodePath,
        /// The incarnation.
        incarnation: Incarnation,
    },
    /// The node left the tree.
    #[error("{path} was removed: it can only come back in a new incarnation")]
    Removed {
        /// The node.
        path: NodePath,
    },
}

fn show(generation: Option<Generation>) -> String {
    generation.map_or_else(|| "none".into(), |generation| generation.to_string())
}

/// What is stored can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not what was written.
    #[error("the store is damaged: check and repair it")]
    Damaged(#[from] Damage),
    /// The backend failed.
    #[error("the store's backend can't read")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Something in the history is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A record is too short to hold anything.
    #[error("change {at} has {bytes} bytes, too few for a record")]
    Short {
        /// Where.
        at: SyncId,
        /// Its size.
        bytes: usize,
    },
    /// The checksum of a record doesn't fit.
    #[error("change {at} has checksum {found:08x}, it was written with {written:08x}")]
    Checksum {
        /// Where.
        at: SyncId,
        /// The one that was written.
        written: u32,
        /// The one of what is there.
        found: u32,
    },
    /// The checksum fits, but it is no record, such as one of a newer version.
    #[error("change {at} is no readable record: {why}")]
    Unreadable {
        /// Where.
        at: SyncId,
        /// Why.
        why: String,
    },
    /// A record stands where another should.
    #[error("where change {at} should be is change {found}")]
    Misplaced {
        /// Where.
        at: SyncId,
        /// What is there.
        found: SyncId,
    },
    /// A record is missing among all.
    #[error("change {missing} is missing")]
    Gap {
        /// The first missing one.
        missing: SyncId,
    },
    /// A record is missing among those of its subject.
    #[error("{subject}: its change number {expected} is missing, change {at} is its number {found}")]
    SubjectGap {
        /// Whose.
        subject: Subject,
        /// The record after the gap.
        at: SyncId,
        /// The number that should have come.
        expected: Sequence,
        /// The number that came.
        found: Sequence,
    },
}

/// A compaction failed; what was not forgotten is as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompactError {
    /// What is stored can't be read.
    #[error("what is stored can't be read")]
    Read(#[from] ReadError),
    /// The backend failed.
    #[error("the store's backend can't forget")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}
