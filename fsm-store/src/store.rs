//! The trait behind which every backend stands.

use std::collections::BTreeSet;
use std::time::Duration;

use fsm_core::NodePath;

use crate::record::{ChangeRecord, Role, Subject};
use crate::watch::{Wake, Watch};
use crate::{
    Batch, CompactError, Damage, Document, DocumentId, NodeRecord, ReadError, SyncId, Timestamp, WriteError,
    Written,
};

/// State and history of a tree.
///
/// # Guarantees
/// A batch is written whole or not at all, and it is durable, as far as the backend can be, when [`write`](Store::write) returns.
/// Sync ids are consecutive. What was written is read, or damage is reported: never silently less.
///
/// # Caveats
/// Methods may block on a disk: call them where that is allowed, never on a tick (H-5). Whoever wants few, large writes gathers
/// changes into one batch.
///
/// Methods that are added later have defaults, so that a backend outside of this crate goes on compiling. A backend proves
/// itself with [`conformance`](crate::conformance).
pub trait Store: Send + Sync {
    /// Writes a batch.
    ///
    /// # Errors
    /// [`WriteError`]; then nothing of it is written.
    fn write(&self, batch: &Batch) -> Result<Written, WriteError>;

    /// What is known of a node, one that was removed included.
    ///
    /// # Errors
    /// [`ReadError`] when it can't be read.
    fn node(&self, path: &NodePath) -> Result<Option<NodeRecord>, ReadError>;

    /// The nodes after this path, in the order of paths, at most `limit`.
    ///
    /// # Errors
    /// [`ReadError`] when they can't be read.
    fn nodes(&self, after: Option<&NodePath>, limit: usize) -> Result<Page<NodeRecord>, ReadError>;

    /// A document that is there.
    ///
    /// # Errors
    /// [`ReadError`] when it can't be read.
    fn document(&self, id: &DocumentId) -> Result<Option<Document>, ReadError>;

    /// The documents of a kind after this key, in the order of keys, at most `limit`.
    ///
    /// # Errors
    /// [`ReadError`] when they can't be read.
    fn documents(&self, kind: &str, after: Option<&str>, limit: usize) -> Result<Page<Document>, ReadError>;

    /// The changes after this one that the filter lets pass, oldest first, at most `limit` (H-3).
    ///
    /// # Errors
    /// [`ReadError::Damaged`] at a record that is missing or not as it was written.
    fn changes_since(&self, since: SyncId, filter: &Filter, limit: usize) -> Result<Changes, ReadError>;

    /// The newest change; [`SyncId::ZERO`] before the first.
    fn newest(&self) -> SyncId;

    /// How much there is.
    ///
    /// # Errors
    /// [`ReadError`] when it can't be read.
    fn stats(&self) -> Result<StoreStats, ReadError>;

    /// Forgets what is older or more than wanted: records of the history, and nodes and documents that are gone (H-11, W-11).
    ///
    /// # Errors
    /// [`CompactError`] when the backend fails.
    fn compact(&self, now: Timestamp, retention: &Retention) -> Result<Compacted, CompactError>;

    /// Looks at every record and reports what is not as it was written (H-2). Slow: it reads everything.
    ///
    /// # Errors
    /// [`ReadError::Backend`] when the backend fails; damage is the answer and no error here.
    fn check(&self) -> Result<Vec<Damage>, ReadError>;

    /// Calls `wake` after each batch that changed something, until the watch is dropped. It runs on the writer's thread: it must
    /// be quick, must not panic, and tells somebody else to read on.
    fn watch(&self, wake: Wake) -> Watch;
}

/// Part of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether more follow.
    pub more: bool,
    /// The newest change that the page shows. Reading on from the first page's gives every change that a later page missed.
    pub as_of: SyncId,
}

/// What follows a change.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Changes {
    /// The next changes.
    Page {
        /// Those that the filter let pass.
        records: Vec<ChangeRecord>,
        /// Where to read on. It moves even when the filter let nothing pass.
        next: SyncId,
        /// How many changes there are after `next`, before filtering.
        lag: u64,
    },
    /// The reader is behind the oldest record that is kept, or ahead of the newest: it reads the nodes anew, then goes on from
    /// what they show.
    Bootstrap {
        /// Reading on is possible from here on.
        oldest: SyncId,
        /// Up to here.
        newest: SyncId,
    },
}

/// Which changes a reader wants. By default all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only this node and those below it. Documents are kept out, unless their key is such a path.
    pub under: Option<NodePath>,
    /// Only these roles; none given means all.
    pub roles: BTreeSet<Role>,
}

impl Filter {
    /// Only a node and those below it.
    #[must_use]
    pub fn under(mut self, path: NodePath) -> Self {
        self.under = Some(path);
        self
    }

    /// Only these roles.
    #[must_use]
    pub fn roles(mut self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.roles = roles.into_iter().collect();
        self
    }

    /// Whether a change of this role and subject passes.
    #[must_use]
    pub fn passes(&self, role: Role, subject: &Subject) -> bool {
        let wanted = self.roles.is_empty() || self.roles.contains(&role);
        let Some(under) = &self.under else { return wanted };
        let path = match subject {
            Subject::Node(path) => path.as_str(),
            Subject::Document(id) => &id.key,
        };
        // `/a/bc` is not below `/a/b`.
        let below = path.strip_prefix(under.as_str());
        wanted && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// How much of the past is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Records of the history, nodes that were removed and documents that were deleted go when they are older.
    pub max_age: Duration,
    /// Records of the history beyond this go, oldest first.
    pub max_records: usize,
    /// Bytes of the history beyond this go, oldest first.
    pub max_bytes: usize,
    /// Removed nodes and deleted documents beyond this go, oldest first, once the history has forgotten them.
    pub max_removed: usize,
}

impl Default for Retention {
    /// One hour (W-10), and caps that bound the memory of a tree that changes all the time (J7).
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(3_600),
            max_records: 100_000,
            max_bytes: 64 << 20,
            max_removed: 10_000,
        }
    }
}

impl Retention {
    /// With another age.
    #[must_use]
    pub const fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// With another number of records.
    #[must_use]
    pub const fn with_max_records(mut self, records: usize) -> Self {
        self.max_records = records;
        self
    }

    /// With another size of the history.
    #[must_use]
    pub const fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// With another number of removed nodes.
    #[must_use]
    pub const fn with_max_removed(mut self, removed: usize) -> Self {
        self.max_removed = removed;
        self
    }
}

/// What a compaction forgot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Compacted {
    /// Records of the history.
    pub records: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Nodes that had been removed.
    pub nodes: usize,
    /// Documents that had been deleted.
    pub documents: usize,
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreStats {
    /// Nodes in the tree.
    pub nodes: usize,
    /// Nodes that were removed and are still known.
    pub removed: usize,
    /// Documents that are there.
    pub documents: usize,
    /// Records of the history.
    pub records: usize,
    /// Their bytes.
    pub record_bytes: usize,
    /// The same by role, in the order of [`Role::ALL`](crate::Role::ALL).
    pub role_bytes: [usize; 4],
    /// The newest change; zero before the first.
    pub newest: SyncId,
    /// The oldest change that is kept.
    pub oldest: Option<SyncId>,
    /// When that was.
    pub oldest_at: Option<Timestamp>,
}
