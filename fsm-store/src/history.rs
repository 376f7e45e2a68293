//! The newest records in memory, bounded (J7): all of a memory store's history, and what a backend on disk may keep at hand.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::record::{ChangeRecord, Role, Subject, decode};
use crate::{Changes, Damage, Filter, ReadError, Retention, SyncId, Timestamp};

/// Records that a page looks at for each that it may give: a filter that lets little pass must not hold a reader for long.
const LOOK_AT: usize = 64;

/// One record as it is kept, and what a filter asks of it without reading it.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) when: Timestamp,
    pub(crate) role: Role,
    pub(crate) subject: Subject,
    pub(crate) bytes: Arc<[u8]>,
}

/// Consecutive records, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    kept: VecDeque<Kept>,
    /// The newest change, kept or not.
    newest: SyncId,
    /// Changes that were forgotten, all at the beginning.
    forgotten: u64,
    bytes: usize,
    /// The same by role, in the order of [`Role::ALL`].
    role_bytes: [usize; Role::ALL.len()],
}

impl History {
    pub(crate) fn newest(&self) -> SyncId {
        self.newest
    }

    /// The oldest change that should be kept; the one after the newest when none is.
    pub(crate) fn oldest(&self) -> SyncId {
        SyncId::new(self.forgotten + 1)
    }

    pub(crate) fn oldest_at(&self) -> Option<Timestamp> {
        self.kept.front().map(|kept| kept.when)
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn role_bytes(&self) -> [usize; Role::ALL.len()] {
        self.role_bytes
    }

    pub(crate) fn push(&mut self, record: &ChangeRecord, bytes: Arc<[u8]>) {
        self.newest = record.sync_id;
        self.bytes += bytes.len();
        self.role_bytes[record.role as usize] += bytes.len();
        let (when, role, subject) = (record.when, record.role, record.subject.clone());
        self.kept.push_back(Kept { when, role, subject, bytes });
    }

    /// Forgets the oldest records that are too many; gives their number and bytes.
    pub(crate) fn shrink(&mut self, max_records: usize, max_bytes: usize) -> (usize, usize) {
        self.forget_while(|history, _| history.kept.len() > max_records || history.bytes > max_bytes)
    }

    /// Forgets the oldest records that are too many or too old; gives their number and bytes.
    pub(crate) fn compact(&mut self, now: Timestamp, retention: &Retention) -> (usize, usize) {
        let (records, bytes) = self.shrink(retention.max_records, retention.max_bytes);
        let (old, old_bytes) = self.forget_while(|_, oldest| now.since(oldest.when) > retention.max_age);
        (records + old, bytes + old_bytes)
    }

    fn forget_while(&mut self, goes: impl Fn(&Self, &Kept) -> bool) -> (usize, usize) {
        let before = (self.kept.len(), self.bytes);
        while let Some(oldest) = self.kept.front()
            && goes(self, oldest)
        {
            self.bytes -= oldest.bytes.len();
            self.role_bytes[oldest.role as usize] -= oldest.bytes.len();
            self.kept.pop_front();
            self.forgotten += 1;
        }
        (before.0 - self.kept.len(), before.1 - self.bytes)
    }

    /// The records after `since` that a page looks at, each with its place, and where the page ends; else that the reader has to
    /// begin anew.
    pub(crate) fn look(&self, since: SyncId, filter: &Filter, limit: usize) -> Result<Looked, Changes> {
        let (oldest, newest) = (self.oldest(), self.newest);
        if since > newest || since.next() < oldest {
            return Err(Changes::Bootstrap { oldest: SyncId::new(self.forgotten), newest });
        }
        let skip = usize::try_from(since.get() - self.forgotten).unwrap_or(usize::MAX);
        let budget = limit.max(1).saturating_mul(LOOK_AT);
        let mut looked = Looked { records: Vec::new(), next: since, newest };
        for kept in self.kept.iter().skip(skip).take(budget) {
            if looked.records.len() >= limit.max(1) {
                break;
            }
            looked.next = looked.next.next();
            if filter.passes(kept.role, &kept.subject) {
                looked.records.push((looked.next, Arc::clone(&kept.bytes)));
            }
        }
        Ok(looked)
    }

    /// All records as they are kept.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter()
    }

    pub(crate) fn kept_mut(&mut self, at: SyncId) -> Option<&mut Kept> {
        let index = at.get().checked_sub(self.forgotten + 1)?;
        self.kept.get_mut(usize::try_from(index).ok()?)
    }

    pub(crate) fn lose(&mut self, at: SyncId) -> bool {
        let index = at.get().checked_sub(self.forgotten + 1).and_then(|index| usize::try_from(index).ok());
        index.is_some_and(|index| self.kept.remove(index).is_some())
    }
}

/// What a page will show, to be read without a lock.
#[derive(Debug)]
pub(crate) struct Looked {
    records: Vec<(SyncId, Arc<[u8]>)>,
    next: SyncId,
    newest: SyncId,
}

impl Looked {
    /// Reads the records.
    pub(crate) fn read(self, since: SyncId) -> Result<Changes, ReadError> {
        if self.next == since && since < self.newest {
            // There is more, but nothing could be looked at.
            return Err(Damage::Gap { missing: since.next() }.into());
        }
        let records = self.records.iter().map(|(at, bytes)| decode(*at, bytes));
        let records = records.collect::<Result<Vec<_>, Damage>>()?;
        Ok(Changes::Page { records, next: self.next, lag: self.newest.get() - self.next.get() })
    }
}
