//! Runs asynchronous actions: a bounded pool, one slot per key, retries, timeouts, cancelling. Usable without any other part of
//! the engine: a key is anything small and comparable, an action is a closure that makes a future.
//!
//! What it guarantees:
//!
//! - **One action per slot.** From its acceptance to its end nothing else is accepted under the same key, not even when a thread
//!   that won't come back was given up (`Busy`).
//! - **Bounded.** At most `concurrency` attempts run at a time, in the order of arrival, and at most `max_waiting` actions wait.
//!   Waiting for a retry takes no place.
//! - **Never blocks the caller.** [`Executor::enqueue`] and [`Executor::cancel`] take a lock that is never held across foreign
//!   code or a wait.
//! - **Every accepted action ends exactly once**, with one of five outcomes, whatever it does: an action that panics, hangs or
//!   blocks its thread hurts nobody but itself. The two exceptions are a dropped executor, and a future that never awaits and is
//!   not declared blocking: that one holds a runtime thread until it returns.
//!
//! Reading order: [`Executor`], [`Request`], [`ExecutorEvent`].

mod config;
mod event;
mod executor;
mod observer;
mod request;

mod caught;
mod planted;
mod retry;
mod runner;
mod shared;
mod slots;

pub use config::{ExecutorConfig, StartError};
pub use event::{ActionRef, Clock, Ended, EventSink, ExecutorEvent, tokio_clock};
pub use executor::{Cancel, Executor, ShutdownReport};
pub use observer::{ExecutorObserver, NoObserver};
#[cfg(feature = "planted-bugs")]
pub use planted::plant_leak_on_panic;
pub use request::{Attempt, Cleanups, EnqueueError, Priority, Request, Run, SlotKey};
pub use slots::{ExecutorStats, InFlight, SlotStage};
