//! Maintenance: every record is looked at, page by page. Between two pages it can be cut off, and goes on where it was.

use std::ops::ControlFlow;

use fsm_store::{Changes, Damage, Filter, ReadError, Store, SyncId, Verifier, encode};

use crate::ledger::Found;

/// Records of a page: some milliseconds of work.
const PAGE: usize = 1_000;

/// A look at every record.
pub(crate) struct Look {
    verifier: Verifier,
    at: SyncId,
    /// What was the newest at the beginning: what comes later is for the next time.
    until: SyncId,
}

impl Look {
    /// A look that goes on after this record.
    pub(crate) fn new(store: &dyn Store, after: Option<SyncId>) -> Self {
        let at = after.unwrap_or_default();
        Self { verifier: Verifier::new(at.next()), at, until: store.newest() }
    }

    /// Up to where it has come.
    pub(crate) const fn at(&self) -> SyncId {
        self.at
    }

    /// Looks at a page; what it found at the end of the last one.
    pub(crate) fn page(mut self, store: &dyn Store) -> Result<ControlFlow<Found, Self>, ReadError> {
        if self.at >= self.until {
            return Ok(ControlFlow::Break(found(self.verifier.finish(self.at))));
        }
        match store.changes_since(self.at, &Filter::default(), PAGE) {
            Ok(Changes::Page { records, next, .. }) => {
                for record in &records {
                    // It was read from bytes, so it can be written as such.
                    if let Ok(bytes) = encode(record) {
                        self.verifier.feed(&bytes);
                    }
                }
                self.at = next;
                Ok(ControlFlow::Continue(self))
            }
            // What it would look at was forgotten meanwhile.
            Ok(Changes::Bootstrap { oldest, newest }) => {
                let at = oldest.min(newest);
                Ok(ControlFlow::Continue(Self { verifier: Verifier::new(at.next()), at, until: newest }))
            }
            // From here on nothing can be read: the store's own look names everything that is wrong.
            Err(ReadError::Damaged(damage)) => {
                let mut all = store.check()?;
                if all.is_empty() {
                    all.push(damage);
                }
                Ok(ControlFlow::Break(found(all)))
            }
            Err(error) => Err(error),
        }
    }
}

fn found(damage: Vec<Damage>) -> Found {
    Found { findings: damage.len(), first: damage.first().map(ToString::to_string) }
}
