//! Identity, desired and observed state per path, with the history of how they changed.
//!
//! A [`Store`] keeps per node the [triple](NodeRecord) of who it is, what it should be and what was seen, documents beside the
//! tree, and a bounded history of [change records](ChangeRecord) that readers can [follow](Subscription). What a change makes of
//! what is there is a pure function, [`apply`], that every backend shares; [`conformance`] is what every backend has to pass.
//! [`MemoryStore`] is the backend without a disk. Nothing here has a clock: whoever writes says when.

// What is kept.
mod delta;
mod id;
mod node;
mod record;

// What is written, and by which rules.
mod apply;
mod change;
mod error;

// What is read.
mod history;
mod store;
mod verify;
mod watch;

// Who keeps it.
pub mod conformance;
mod memory;

pub use apply::{Applied, Entry, apply, subject};
pub use change::{Batch, Change, Effect, Expected, Op, Written};
pub use delta::{Delta, Edit, diff, replay, revert};
pub use error::{BatchConflict, CompactError, Conflict, Damage, ReadError, WriteError};
pub use id::{Sequence, SyncId, Timestamp};
pub use memory::{Blow, MemoryStore};
pub use node::{Document, DocumentId, NodeRecord, Part, Removed};
pub use record::{ChangeRecord, Role, Subject, decode, encode};
pub use store::{Changes, Compacted, Filter, Page, Retention, Store, StoreStats};
pub use verify::Verifier;
pub use watch::{Subscription, Wake, Watch, Watchers};
