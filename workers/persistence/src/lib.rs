//! The kind `persistence`: keeps the store small, looks at every record once a week, and says when the store is not well.
//!
//! The tree writes to [`Persistence::store`], so that a write which fails or hangs is seen where it is looked after.
//!
//! ```
//! use std::sync::Arc;
//!
//! use fsm_core::Registry;
//! use fsm_store::MemoryStore;
//! use fsm_worker_persistence::{Persistence, register};
//!
//! let persistence = Persistence::new(Arc::new(MemoryStore::default()));
//! let store = persistence.store(); // for `fsm_supervisor::start`
//! let mut registry = Registry::new();
//! register(&mut registry, persistence)?;
//! assert!(registry.get("persistence").is_some());
//! # drop(store);
//! # Ok::<(), fsm_core::RegisterError>(())
//! ```

// What a node is told, and when something is due: pure.
mod config;
mod schedule;

// When it acts: pure.
mod observed;
mod state;

// What is done to the store.
mod compaction;
mod ledger;
mod maintenance;
mod watched;
mod worker;

pub use config::{ClockTime, Day, PersistenceConfig, Window};
pub use observed::{Figures, PersistenceObserved};
pub use schedule::{Due, compaction_is_due, maintenance_due};
pub use state::PersistenceState;
pub use watched::Watched;
pub use worker::{Persistence, PersistenceAction, PersistenceLife, register};
