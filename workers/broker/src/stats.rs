//! What the broker counted, as one plain value.

use serde::{Deserialize, Serialize};

/// Figures of a broker: gauges of now, counters since its start.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Clients that are connected.
    pub connections: u64,
    /// Sessions, those of absent clients included.
    pub sessions: u64,
    /// Subscriptions of all sessions.
    pub subscriptions: u64,
    /// Topics with a retained message.
    pub retained: u64,
    /// Connections that were let in.
    pub connects: u64,
    /// Connections that were refused: wrong password, no room, unknown protocol.
    pub refused: u64,
    /// Connections that ended because of what the client sent or did not send.
    pub broken: u64,
    /// Messages that clients published.
    pub received: u64,
    /// Messages that were written for subscribers, repetitions included.
    pub sent: u64,
    /// Messages that a subscriber was to get and did not: its queue was full, or it can't take the size.
    pub dropped: u64,
    /// Messages whose lifetime ended in a queue.
    pub expired: u64,
    /// Retained messages that found no room.
    pub not_retained: u64,
    /// Connection tasks that panicked. Each is a defect of this crate; its client was cut off.
    pub panics: u64,
}
