//! Sessions with MQTT brokers, made for a bridge: each publish knows when the broker took it, each acknowledgement is ours
//! to give, and many flows share one connection without sharing its congestion.
//!
//! Reading order: [`codec`] (bytes), [`inbound`] (what we owe the broker), [`outbound`] (what the broker owes us),
//! [`link`] (what flows and the session's task share), [`table`] (who gets what), [`session`] (the task), [`pool`] (which flow gets which session).
//!
//! # One session, many flows (D-10)
//!
//! MQTT has one window per connection: a broker stops sending when too many messages are unacknowledged. If flows share a
//! connection and one of them stalls, its messages would fill that window and stop all others. Therefore:
//!
//! 1. The session never stops reading: answers to publishes come the same way. Each subscription has its own queue.
//! 2. Messages are acknowledged one by one, when their own flow has taken them. The protocol wants acknowledgements in
//!    order of arrival, so a finished message waits for an earlier one up to [`inbound::PATIENCE`]; then it passes it.
//! 3. A flow that holds [`link::CROWDED`] unacknowledged messages of a shared connection while others wait behind it, or
//!    more than it may hold at all, is moved to a connection of its own ([`input`]): subscribed there first, then
//!    unsubscribed here, and read here until the broker has sent all it had queued; so nothing is lost, and order is kept.
//!    There the flow just stops reading. A calm flow moves back. (Not moved: flows that use one filter together.)
//! 4. On MQTT 3.1.1 the broker alone sets the window (mosquitto: 20 messages), too small to share: an input with
//!    quality of service 1 or 2 gets a connection of its own from the start. Outputs are shared always.
//! 5. A process that was killed finds its moved flows again: if the shared session turns out to be resumed, each flow looks
//!    once whether the broker has a session of its own, and goes on from there; what is left on the shared one comes first.
//!
//! # Nothing lost
//!
//! Sessions are persistent, with a client identifier that stays the same over restarts. A message whose flow ended before
//! taking it is fetched again: the session reconnects as soon as its subscription has a flow again, and the broker sends
//! what is unacknowledged. Messages that are still on their way are recognised by packet identifier and content, and not
//! taken twice.

mod codec;
mod inbound;
mod input;
mod link;
mod outbound;
mod pool;
mod session;
mod table;
mod transport;

pub(crate) use inbound::AckSlot;
pub(crate) use input::MqttSource;
pub(crate) use link::Incoming;
pub(crate) use outbound::Publication;
pub use pool::SessionPool;
pub(crate) use pool::{Attachment, Peer};
