//! The store in memory keeps the rules of every backend.

use fsm_store::conformance::Harness;
use fsm_store::{Blow, MemoryStore, Retention, SyncId};

struct Memory;

impl Harness for Memory {
    type Store = MemoryStore;

    fn create(&self, limits: Retention) -> MemoryStore {
        MemoryStore::new(limits)
    }

    fn reopen(&self, store: MemoryStore) -> MemoryStore {
        store
    }

    fn hurt(&self, store: MemoryStore, at: SyncId, blow: Blow) -> Option<MemoryStore> {
        assert!(store.hurt(at, blow), "there is a record at {at}");
        Some(store)
    }
}

// The rules of the conformance tests, one test each.
// spec: H-1, H-2, H-3
fsm_store::conformance_tests!(Memory);
