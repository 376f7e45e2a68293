//! A change as it is kept: one record, framed with a checksum, so that damage is noticed (H-2).

use std::fmt;
use std::sync::Arc;

use fsm_core::{CauseId, Generation, Incarnation, NodePath};
use serde::{Deserialize, Serialize};

use crate::{Damage, Delta, DocumentId, Sequence, SyncId, Timestamp};

/// What a change is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A node.
    Node(NodePath),
    /// A document.
    Document(DocumentId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(path) => path.fmt(f),
            Self::Document(id) => id.fmt(f),
        }
    }
}

/// Which part of its subject a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Who the node is; its removal, too.
    Identity,
    /// What it should be.
    Desired,
    /// What was seen.
    Observed,
    /// A document.
    Document,
}

impl Role {
    /// All roles, in order.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Desired, Self::Observed, Self::Document];
}

/// One change as it is kept. Never changed, only forgotten when it is old.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// Its place in the order of all changes.
    pub sync_id: SyncId,
    /// What it is about.
    pub subject: Subject,
    /// Its place among the changes of its subject.
    pub sequence: Sequence,
    /// Which life of the path; none for a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
    /// Which part.
    pub role: Role,
    /// The generation of that part after the change.
    pub generation: Generation,
    /// What made it happen.
    pub cause: CauseId,
    /// Who.
    pub who: Arc<str>,
    /// When.
    pub when: Timestamp,
    /// What changed.
    pub delta: Delta,
}

/// The checksum in front of a record, in bytes.
const CHECKSUM: usize = size_of::<u32>();

/// A record as bytes: a CRC-32 of the rest in little-endian order, then the record as JSON. What backends keep.
///
/// # Errors
/// When a value in it can't be JSON, such as a map with keys that are no text; values that were JSON always can.
pub fn encode(record: &ChangeRecord) -> Result<Box<[u8]>, serde_json::Error> {
    let mut bytes = vec![0; CHECKSUM];
    serde_json::to_writer(&mut bytes, record)?;
    let sum = crc32fast::hash(&bytes[CHECKSUM..]);
    bytes[..CHECKSUM].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes.into())
}

/// The record in these bytes.
///
/// # Errors
/// [`Damage`] when they are not what was written. `expected` is the place at which they were found.
pub fn decode(expected: SyncId, bytes: &[u8]) -> Result<ChangeRecord, Damage> {
    let Some((sum, body)) = bytes.split_first_chunk::<CHECKSUM>() else {
        return Err(Damage::Short { at: expected, bytes: bytes.len() });
    };
    let (written, found) = (u32::from_le_bytes(*sum), crc32fast::hash(body));
    if written != found {
        return Err(Damage::Checksum { at: expected, written, found });
    }
    let record: ChangeRecord = serde_json::from_slice(body)
        .map_err(|error| Damage::Unreadable { at: expected, why: error.to_string() })?;
    if record.sync_id != expected {
        return Err(Damage::Misplaced { at: expected, found: record.sync_id });
    }
    Ok(record)
}
