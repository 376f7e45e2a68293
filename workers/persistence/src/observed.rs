//! What a `persistence` node sees: what is due, what is wrong, and figures.

use std::sync::Arc;

use fsm_core::Observed;
use fsm_store::{StoreStats, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::PersistenceConfig;
use crate::schedule::Due;

/// What was seen of the store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PersistenceObserved {
    /// A compaction is due.
    pub compact: bool,
    /// Whether maintenance is due.
    pub maintain: Due,
    /// Why the store is not well.
    pub trouble: Option<Arc<str>>,
    /// A thread of this node is at work in the store.
    pub at_work: bool,
    /// When it was last compacted.
    pub compacted: Option<Timestamp>,
    /// When every record was last looked at.
    pub maintained: Option<Timestamp>,
    /// How much it holds; none when it can't be read.
    pub figures: Option<Figures>,
}

/// How much the store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Figures {
    /// Nodes in the tree.
    pub nodes: usize,
    /// Nodes that were removed and are still known.
    pub removed: usize,
    /// Documents.
    pub documents: usize,
    /// Changes in the history.
    pub records: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The age of the oldest of them, in seconds.
    pub oldest_seconds: u64,
}

impl Figures {
    pub(crate) fn of(stats: &StoreStats, now: Timestamp) -> Self {
        Self {
            nodes: stats.nodes,
            removed: stats.removed,
            documents: stats.documents,
            records: stats.records,
            bytes: stats.record_bytes,
            oldest_seconds: stats.oldest_at.map_or(0, |at| now.since(at).as_secs()),
        }
    }
}

impl PersistenceObserved {
    /// A store that is well, and of which this is due.
    #[must_use]
    pub fn due(compact: bool, maintain: Due) -> Self {
        Self { compact, maintain, ..Self::default() }
    }

    /// And this is wrong with it.
    #[must_use]
    pub fn with_trouble(mut self, why: impl Into<Arc<str>>) -> Self {
        self.trouble = Some(why.into());
        self
    }

    /// And a thread is at work in it.
    #[must_use]
    pub fn at_work(mut self) -> Self {
        self.at_work = true;
        self
    }
}

impl Observed<PersistenceConfig> for PersistenceObserved {
    /// Figures and times only measure.
    fn same_for_decisions(&self, old: &Self) -> bool {
        self.compact == old.compact
            && self.maintain == old.maintain
            && self.trouble == old.trouble
            && self.at_work == old.at_work
    }
}
