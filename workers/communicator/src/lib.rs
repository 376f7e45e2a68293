//! Worker kind `communicator`: status, events and receipts up to an HTTP relay, commands down from it.
//!
//! The protocol is in `docs/relay.md`. The crate knows no tree: what happens there, and who carries commands out,
//! is lent to it through [`Exchange`]. What is unsent is kept in a [`Store`](fsm_store::Store), so it survives a
//! restart of the node and of the process.
//!
//! Pure, and tested by tables: what an answer of the relay means (`answer`), how long to wait (`backoff`), when a
//! token is refreshed (`token`), what fits into the buffers (`buffer`), what to do next (`state`).
//!
//! With the feature `relay` there is a relay in the process, to try things against: [`relay`].
//!
//! # No token anywhere
//!
//! The token and the JWT are in headers that are marked sensitive and in types that print `[secret]`; texts that the
//! relay sends are searched for both before anybody sees them; redirects, which could carry them elsewhere, are not
//! followed.

// What is said.
mod config;
mod message;

// The rules.
mod answer;
mod backoff;
mod buffer;
mod token;

// The worker.
mod observed;
mod state;
mod worker;

// Its life.
mod life;
mod mailbox;
mod tasks;

// What it talks to.
mod client;
mod journal;
mod port;
mod record;

mod register;

#[cfg(feature = "relay")]
pub mod relay;

pub use backoff::{ErrorClass, Failures, Pace, is_reset_due, parse_retry_after, wait};
pub use buffer::{ENTER_UNDER, LEAVE_AT, Pressure};
pub use config::{Buffers, CommandName, CommunicatorConfig, ConfigError, InstanceId, Proxy, RelayUrl, Role};
pub use message::{Message, MessageError};
pub use observed::{CommunicatorObserved, Operation, Refused, Trouble};
pub use port::{Command, CommandFailure, Exchange, Happening, Happenings, NoExchange, Order, Report};
pub use register::register;
pub use state::CommunicatorState;
pub use token::{REFRESH_BEFORE, expires_at, refresh_at};
pub use worker::{Communicator, CommunicatorAction};

pub use life::CommunicatorLife;
