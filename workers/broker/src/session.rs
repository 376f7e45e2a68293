//! What the broker keeps for one client: its queue, its messages under way, and the link while it is there.
//! Pure: it appends packets to a buffer and is told the time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::retained::Kept;
use crate::wire::{self, Ack, Code, PublishHead, Qos, Version, Will};

/// Most messages without acknowledgement per client, whatever it offers: enough to fill a loopback or LAN link,
/// few enough to be sent again after a reconnect.
const MAX_WINDOW: u16 = 1_024;

/// The connection that currently serves a session.
#[derive(Debug)]
pub(crate) struct Link {
    /// Tells this connection from every other one.
    pub(crate) epoch: u64,
    pub(crate) version: Version,
    /// Wakes the connection: messages wait, it was replaced, or a full queue has drained.
    pub(crate) wake: Arc<Notify>,
    window: u16,
    quota: u16,
    max_packet: usize,
}

impl Link {
    pub(crate) fn new(
        epoch: u64,
        version: Version,
        wake: Arc<Notify>,
        window: u16,
        max_packet: usize,
    ) -> Self {
        let window = window.min(MAX_WINDOW);
        Self { epoch, version, wake, window, quota: window, max_packet }
    }
}

/// A message on its way to one client.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) kept: Kept,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    /// Subscription identifier; 0 is none.
    pub(crate) id: u32,
}

/// What an acknowledgement is still missing for.
#[derive(Debug)]
enum Flight {
    /// Sent, or to be sent again.
    Published { order: u64, queued: Queued },
    /// QoS 2: the client has it, and is told that the identifier is free.
    Released { order: u64 },
}

impl Flight {
    fn order(&self) -> u64 {
        match self {
            Self::Published { order, .. } | Self::Released { order } => *order,
        }
    }
}

/// How much may wait for one client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// What became of a message that was offered to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    Queued,
    /// Queued, and its publisher should wait until the queue has drained.
    Congested,
    /// QoS 0 for a client that is away: nobody is promised anything.
    NotKept,
    /// No room.
    Dropped,
}

/// Counters of one pull.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pulled {
    pub(crate) sent: u64,
    pub(crate) expired: u64,
    pub(crate) too_large: u64,
    /// More can be sent as soon as the buffer is written.
    pub(crate) more: bool,
}

/// One client's session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client_id: Arc<str>,
    pub(crate) link: Option<Link>,
    pub(crate) filters: BTreeSet<Box<str>>,
    pub(crate) will: Option<Box<Will>>,
    /// Seconds that the session outlives its connection.
    pub(crate) expiry: u32,
    pub(crate) will_at: Option<Instant>,
    pub(crate) ends_at: Option<Instant>,
    /// The moment under which the hub has it booked.
    pub(crate) booked: Option<Instant>,
    queue: VecDeque<Queued>,
    queue_bytes: usize,
    flights: BTreeMap<u16, Flight>,
    again: VecDeque<u16>,
    next_id: u16,
    order: u64,
    /// QoS 2 messages of the client that were passed on and not yet released.
    received: BTreeSet<u16>,
    /// It held its publishers up for too long: until it has drained, it loses messages instead.
    stuck: bool,
    blocked: Vec<Arc<Notify>>,
}

impl Session {
    pub(crate) fn new(client_id: Arc<str>) -> Self {
        Self {
            client_id,
            link: None,
            filters: BTreeSet::new(),
            will: None,
            expiry: 0,
            will_at: None,
            ends_at: None,
            booked: None,
            queue: VecDeque::new(),
            queue_bytes: 0,
            flights: BTreeMap::new(),
            again: VecDeque::new(),
            next_id: 0,
            order: 0,
            received: BTreeSet::new(),
            stuck: false,
            blocked: Vec::new(),
        }
    }

    /// Starts to serve the session over `link`: what was not acknowledged is sent again, in its order.
    pub(crate) fn attach(&mut self, link: Link) {
        let mut again: Vec<(u64, u16)> =
            self.flights.iter().map(|(id, flight)| (flight.order(), *id)).collect();
        again.sort_unstable();
        self.again = again.into_iter().map(|(_, id)| id).collect();
        link.wake.notify_one();
        self.link = Some(link);
        self.will_at = None;
        self.ends_at = None;
    }

    /// The link is gone; publishers that wait for this client are let go.
    pub(crate) fn detach(&mut self) {
        self.link = None;
        self.stuck = false;
        self.unblock();
    }

    /// Queues a message for the client.
    pub(crate) fn offer(&mut self, queued: Queued, limits: QueueLimits) -> Offer {
        if self.link.is_none() && queued.qos == Qos::AtMostOnce {
            return Offer::NotKept;
        }
        if self.queue.len() >= limits.messages || self.queue_bytes >= limits.bytes {
            return Offer::Dropped;
        }
        self.push(queued);
        if self.is_congested(limits) { Offer::Congested } else { Offer::Queued }
    }

    /// Queues without a bound, for retained messages: their store has one.
    pub(crate) fn push(&mut self, queued: Queued) {
        self.queue_bytes += queued.kept.message.weight();
        self.queue.push_back(queued);
        if let Some(link) = &self.link {
            link.wake.notify_one();
        }
    }

    /// A queue more than half full, of a client that is there and was not given up.
    pub(crate) fn is_congested(&self, limits: QueueLimits) -> bool {
        self.link.is_some()
            && !self.stuck
            && (self.queue.len() > limits.messages / 2 || self.queue_bytes > limits.bytes / 2)
    }

    /// Wakes `publisher` once the queue has drained or the client is gone.
    pub(crate) fn block(&mut self, publisher: &Arc<Notify>) {
        if !self.blocked.iter().any(|known| Arc::ptr_eq(known, publisher)) {
            self.blocked.push(Arc::clone(publisher));
        }
    }

    /// Nobody waits for this client any longer, until it has caught up.
    pub(crate) fn give_up(&mut self) {
        self.stuck = true;
        self.unblock();
    }

    fn unblock(&mut self) {
        for publisher in self.blocked.drain(..) {
            publisher.notify_one();
        }
    }

    /// Appends what may be sent now to `out`, up to about `budget` bytes.
    pub(crate) fn pull(
        &mut self,
        out: &mut BytesMut,
        budget: usize,
        now: Instant,
        limits: QueueLimits,
    ) -> Pulled {
        let mut pulled = Pulled::default();
        let Some(link) = &mut self.link else { return pulled };
        while let Some(id) = self.again.front().copied() {
            if out.len() >= budget {
                pulled.more = true;
                return pulled;
            }
            match self.flights.get(&id) {
                Some(Flight::Published { queued, .. }) => {
                    if link.quota == 0 {
                        return pulled;
                    }
                    link.quota -= 1;
                    // One that this connection can't take stays for a later one that can.
                    if send(out, link, queued, id, true, now) {
                        pulled.sent += 1;
                    } else {
                        link.quota += 1;
                        pulled.too_large += 1;
                    }
                }
                Some(Flight::Released { .. }) => {
                    wire::ack(out, link.version, Ack::PubRel, id, Code::Success);
                }
                None => {}
            }
            self.again.pop_front();
        }
        while let Some(front) = self.queue.front() {
            if out.len() >= budget {
                pulled.more = true;
                break;
            }
            if front.qos != Qos::AtMostOnce && link.quota == 0 {
                break;
            }
            let Some(queued) = self.queue.pop_front() else { break };
            self.queue_bytes -= queued.kept.message.weight();
            if !queued.kept.is_alive(now) {
                pulled.expired += 1;
                continue;
            }
            let id = match queued.qos {
                Qos::AtMostOnce => 0,
                Qos::AtLeastOnce | Qos::ExactlyOnce => free_id(&mut self.next_id, &self.flights),
            };
            if !send(out, link, &queued, id, false, now) {
                pulled.too_large += 1;
                continue;
            }
            pulled.sent += 1;
            if id != 0 {
                link.quota -= 1;
                self.order += 1;
                self.flights.insert(id, Flight::Published { order: self.order, queued });
            }
        }
        // A quarter, so that publishers are not stopped and let go at every message.
        if self.queue.len() <= limits.messages / 4 && self.queue_bytes <= limits.bytes / 4 {
            self.stuck = false;
            self.unblock();
        }
        pulled
    }

    /// The client acknowledges a message; for a PUBREC the PUBREL is appended to `out`.
    pub(crate) fn acknowledge(&mut self, out: &mut BytesMut, ack: Ack, id: u16, failed: bool) {
        let Some(link) = &mut self.link else { return };
        let finished = match (ack, self.flights.get_mut(&id)) {
            (Ack::PubAck, Some(Flight::Published { queued, .. })) => queued.qos == Qos::AtLeastOnce,
            (Ack::PubRec, Some(Flight::Published { queued, .. })) if failed => queued.qos == Qos::ExactlyOnce,
            (Ack::PubRec, Some(flight)) => {
                let exactly_once = match flight {
                    Flight::Published { queued, .. } => queued.qos == Qos::ExactlyOnce,
                    Flight::Released { .. } => true,
                };
                if exactly_once {
                    *flight = Flight::Released { order: flight.order() };
                    wire::ack(out, link.version, Ack::PubRel, id, Code::Success);
                }
                false
            }
            (Ack::PubRec, None) => {
                wire::ack(out, link.version, Ack::PubRel, id, Code::PacketIdNotFound);
                false
            }
            (Ack::PubComp, Some(Flight::Released { .. })) => true,
            (Ack::PubAck | Ack::PubComp | Ack::PubRel, _) => false,
        };
        if finished {
            self.flights.remove(&id);
            link.quota = link.quota.saturating_add(1).min(link.window);
        }
    }

    /// A QoS 2 message of the client arrived; `false` when it is a repetition.
    pub(crate) fn receive(&mut self, id: u16) -> bool {
        self.received.insert(id)
    }

    /// The client releases a QoS 2 message; `false` when the identifier is unknown.
    pub(crate) fn release(&mut self, id: u16) -> bool {
        self.received.remove(&id)
    }
}

/// The next identifier that no message holds. There is one: the window is far smaller than the identifiers.
fn free_id(next: &mut u16, flights: &BTreeMap<u16, Flight>) -> u16 {
    loop {
        *next = next.checked_add(1).unwrap_or(1);
        if !flights.contains_key(next) {
            return *next;
        }
    }
}

fn send(out: &mut BytesMut, link: &Link, queued: &Queued, id: u16, duplicate: bool, now: Instant) -> bool {
    let left = queued.kept.expires.map(|moment| moment.saturating_duration_since(now).as_secs());
    let head = PublishHead {
        qos: queued.qos,
        retain: queued.retain,
        duplicate,
        packet_id: id,
        expiry: left.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
        subscription_id: queued.id,
    };
    wire::publish(out, link.version, link.max_packet, &head, &queued.kept.message)
}

#[cfg(test)]
mod tests;
