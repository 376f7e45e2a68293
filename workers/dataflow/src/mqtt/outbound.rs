//! What a broker owes a session: publishes that are queued or written and not answered yet. Pure.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::codec::{self, ConnAck, Protocol};
use crate::config::Qos;
use crate::message::{Delivery, Message};
use crate::stats::{ErrorKind, Stage};

/// Publishes use the packet identifiers up to here, subscriptions those above.
const LAST_ID: u16 = 60_000;

/// A message to publish, with its way back.
pub(crate) struct Publication {
    pub(crate) message: Message,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) delivery: Delivery,
}

struct Sent {
    id: u16,
    /// Gone once it was answered.
    publication: Option<Publication>,
    /// Exactly once: the broker has it, what is left is the release.
    released: bool,
}

/// Publishes in the order the flows made them. That is also the order in which they are written, and written again.
pub(crate) struct Outbound {
    queued: VecDeque<Publication>,
    /// Packet identifiers without a gap, so that an answer is found by its distance from the front.
    sent: VecDeque<Sent>,
    /// How many of `sent` are written on this connection.
    written: usize,
    /// Written and unanswered.
    open: usize,
    next_id: u16,
    limits: Limits,
}

/// MQTT 3.1.1 doesn't say how many exactly-once publishes a broker takes at once; mosquitto hangs up after 20.
const EXACTLY_ONCE_WINDOW: usize = 16;

struct Limits {
    window: usize,
    exactly_once: usize,
    packet: usize,
    qos: Qos,
    retain: bool,
}

const fn following(id: u16) -> u16 {
    if id >= LAST_ID { 1 } else { id + 1 }
}

impl Outbound {
    pub(crate) fn new() -> Self {
        Self {
            queued: VecDeque::new(),
            sent: VecDeque::new(),
            written: 0,
            open: 0,
            next_id: 1,
            limits: Limits { window: 0, exactly_once: 0, packet: 0, qos: Qos::ExactlyOnce, retain: true },
        }
    }

    pub(crate) fn push(&mut self, publications: &mut VecDeque<Publication>) {
        if self.queued.is_empty() {
            std::mem::swap(&mut self.queued, publications);
        } else {
            self.queued.append(publications);
        }
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.sent.is_empty()
    }

    /// A new connection: everything unanswered is to be written again, in the same order.
    pub(crate) fn connected(&mut self, ack: &ConnAck, protocol: Protocol) {
        let window = usize::from(ack.receive_maximum).min(usize::from(LAST_ID) / 2);
        self.limits = Limits {
            // The identifiers must not meet themselves.
            window,
            exactly_once: if protocol == Protocol::V5 { window } else { EXACTLY_ONCE_WINDOW },
            packet: ack.maximum_packet as usize,
            qos: Qos::from_level(ack.maximum_qos).unwrap_or(Qos::ExactlyOnce),
            retain: ack.retain,
        };
        self.written = 0;
        self.open = 0;
        if !ack.session_present {
            // The broker forgot that it has them: they start over.
            for sent in &mut self.sent {
                sent.released = false;
            }
        }
    }

    /// Writes as much as the broker's window and `space` bytes allow.
    pub(crate) fn write(&mut self, out: &mut BytesMut, protocol: Protocol, space: usize) {
        while out.len() < space && self.open < self.limits.window {
            if self.written < self.sent.len() {
                let sent = &self.sent[self.written];
                let exactly_once = sent.publication.as_ref().is_some_and(|p| p.qos == Qos::ExactlyOnce);
                if exactly_once && self.open >= self.limits.exactly_once {
                    return;
                }
                self.written += 1;
                let Some(publication) = &sent.publication else { continue };
                if sent.released {
                    codec::acknowledge(out, 6, sent.id);
                } else {
                    publication.delivery.flow().stats().retried(1);
                    let flags = (publication.qos, publication.retain, true, sent.id);
                    codec::publish_into(out, protocol, &publication.message, flags);
                }
                self.open += 1;
                continue;
            }
            if self.sent.len() >= usize::from(LAST_ID) - 1 {
                return;
            }
            let Some(front) = self.queued.front() else { return };
            if front.qos == Qos::ExactlyOnce && self.open >= self.limits.exactly_once {
                return;
            }
            let Some(mut publication) = self.queued.pop_front() else { return };
            publication.qos = publication.qos.min(self.limits.qos);
            publication.retain &= self.limits.retain;
            let (_, length) = codec::publish_length(protocol, &publication.message, publication.qos);
            // The fixed header has at most five bytes.
            let limit = self.limits.packet.min(codec::MAX_PACKET);
            if length + 5 > limit {
                let text =
                    format!("a message of {length} bytes is larger than the {limit} that the broker takes");
                refuse(publication, ErrorKind::TooLarge, &text);
                continue;
            }
            if publication.qos == Qos::AtMostOnce {
                codec::publish_into(
                    out,
                    protocol,
                    &publication.message,
                    (Qos::AtMostOnce, publication.retain, false, 0),
                );
                publication.delivery.taken(1);
                continue;
            }
            let id = self.next_id;
            self.next_id = following(id);
            codec::publish_into(
                out,
                protocol,
                &publication.message,
                (publication.qos, publication.retain, false, id),
            );
            self.sent.push_back(Sent { id, publication: Some(publication), released: false });
            self.written += 1;
            self.open += 1;
        }
    }

    fn find(&mut self, id: u16) -> Option<&mut Sent> {
        let first = self.sent.front()?.id;
        let index = (u32::from(id) + u32::from(LAST_ID) - u32::from(first)) % u32::from(LAST_ID);
        self.sent.get_mut(index as usize).filter(|sent| sent.id == id && sent.publication.is_some())
    }

    /// PUBACK or PUBCOMP: the broker is done with it.
    pub(crate) fn answered(&mut self, id: u16, code: u8) {
        let Some(publication) = self.find(id).and_then(|sent| sent.publication.take()) else { return };
        self.open = self.open.saturating_sub(1);
        while self.sent.front().is_some_and(|sent| sent.publication.is_none()) {
            self.sent.pop_front();
            self.written = self.written.saturating_sub(1);
        }
        if code < 0x80 {
            publication.delivery.taken(1);
        } else {
            let text = format!("the broker refused a message: {}", codec::reason(code));
            refuse(publication, ErrorKind::Rejected, &text);
        }
    }

    /// PUBREC: the broker has it; says whether a PUBREL is to be sent.
    pub(crate) fn received(&mut self, id: u16, code: u8) -> bool {
        if code >= 0x80 {
            self.answered(id, code);
            return false;
        }
        match self.find(id) {
            Some(sent) => {
                sent.released = true;
                true
            }
            // It was answered before: the broker waits for the release all the same.
            None => true,
        }
    }
}

fn refuse(publication: Publication, kind: ErrorKind, text: &str) {
    let flow = std::sync::Arc::clone(publication.delivery.flow());
    flow.reject(publication.message, publication.delivery, Stage::Output, kind, text.into());
}

#[cfg(test)]
mod tests;
