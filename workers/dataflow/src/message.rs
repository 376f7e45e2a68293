//! A message on its way through a flow, and the promise to its source that comes with it.
//!
//! A [`Delivery`] travels with each message until an output has taken it. It is the only way to acknowledge, and dropping
//! it is the only other end: so a message that gets lost in a crash, a cancel or a bug stays unacknowledged at its source.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::flow::Shared;
use crate::mqtt::AckSlot;

/// What an input makes and an output takes. Cloning shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Message {
    /// The topic; empty as long as nothing set one.
    pub topic: ByteString,
    /// The payload, never interpreted unless a step asks.
    pub payload: Bytes,
    /// Names and values beside the payload, in the order they came: MQTT user properties, HTTP headers.
    pub metadata: Vec<(ByteString, ByteString)>,
}

impl Message {
    /// A message without metadata.
    #[must_use]
    pub fn new(topic: impl Into<ByteString>, payload: impl Into<Bytes>) -> Self {
        Self { topic: topic.into(), payload: payload.into(), metadata: Vec::new() }
    }

    /// Bytes of payload: what size limits count.
    #[must_use]
    pub fn size(&self) -> usize {
        self.payload.len()
    }
}

/// Acknowledges to one kind of source.
pub(crate) enum Ack {
    /// The source doesn't wait for an answer.
    None,
    /// An MQTT broker waits for PUBACK or PUBREC.
    Mqtt(AckSlot),
    /// A request waits for its answer.
    Reply(oneshot::Sender<Reply>),
    /// One of several messages that were made of one.
    Part(Arc<Whole>),
}

/// The delivery of a message that became several: done when all of them are.
pub(crate) struct Whole {
    left: AtomicUsize,
    delivery: Mutex<Option<Delivery>>,
}

/// The answer to a waiting request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Every output took it, or it was dropped on purpose.
    Taken,
    /// It was refused and, by the flow's `on_error`, dropped.
    Refused(Arc<str>),
}

/// A message's way back to its source.
///
/// It counts as in flight from its making to its end. Dropped without [`taken`](Self::taken), it leaves the message
/// unacknowledged.
pub(crate) struct Delivery {
    ack: Ack,
    flow: Arc<Shared>,
    started: Instant,
    bytes: usize,
}

impl Delivery {
    pub(crate) fn new(ack: Ack, flow: &Arc<Shared>, started: Instant, bytes: usize) -> Self {
        flow.enter(bytes);
        Self { ack, flow: Arc::clone(flow), started, bytes }
    }

    /// Every output took the message: acknowledges.
    pub(crate) fn taken(mut self, out: usize) {
        self.flow.stats().delivered(self.started.elapsed(), out, self.bytes);
        self.acknowledge(Reply::Taken);
    }

    /// The message was left out on purpose, which was counted by its reason: acknowledges.
    pub(crate) fn left_out(mut self) {
        self.flow.stats().passed();
        self.acknowledge(Reply::Taken);
    }

    /// The message was refused and dropped, which was counted: acknowledges.
    pub(crate) fn refused(mut self, why: &Arc<str>) {
        self.acknowledge(Reply::Refused(Arc::clone(why)));
    }

    /// Deliveries for the messages that one message became. The source is acknowledged when all of them are taken.
    pub(crate) fn split(self, sizes: impl ExactSizeIterator<Item = usize>) -> Vec<Self> {
        let (flow, started) = (Arc::clone(&self.flow), self.started);
        let whole = Whole { left: AtomicUsize::new(sizes.len()), delivery: Mutex::new(Some(self)) };
        let whole = Arc::new(whole);
        sizes.map(|bytes| Self::new(Ack::Part(Arc::clone(&whole)), &flow, started, bytes)).collect()
    }

    pub(crate) fn flow(&self) -> &Arc<Shared> {
        &self.flow
    }

    fn acknowledge(&mut self, reply: Reply) {
        match std::mem::replace(&mut self.ack, Ack::None) {
            Ack::None => {}
            Ack::Mqtt(slot) => slot.acknowledge(),
            // The client may have hung up; then there is nobody to answer.
            Ack::Reply(sender) => drop(sender.send(reply)),
            Ack::Part(whole) => {
                if whole.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    let delivery = whole.delivery.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if let Some(mut delivery) = delivery {
                        delivery.acknowledge(reply);
                    }
                }
            }
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.flow.leave(self.bytes);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
