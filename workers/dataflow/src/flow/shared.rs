//! What the parts of one flow share: its counters, its limits, and the way to refuse a message.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};

use crate::config::FlowConfig;
use crate::message::{Delivery, Message};
use crate::stats::{ErrorKind, FlowSnapshot, FlowStats, Stage};

/// A message that the pipeline or the output refused.
pub(crate) struct Reject {
    pub(crate) message: Message,
    pub(crate) delivery: Delivery,
    pub(crate) stage: Stage,
    pub(crate) kind: ErrorKind,
    pub(crate) text: Arc<str>,
}

/// See the module.
pub(crate) struct Shared {
    name: String,
    stats: FlowStats,
    max_messages: usize,
    max_bytes: usize,
    messages: AtomicUsize,
    bytes: AtomicUsize,
    waiting: AtomicBool,
    change: Notify,
    rejects: mpsc::UnboundedSender<Reject>,
}

impl Shared {
    pub(crate) fn new(name: &str, config: &FlowConfig) -> (Arc<Self>, mpsc::UnboundedReceiver<Reject>) {
        // tidy: allow(unbounded): bounded by what may be in flight, each entry holds a delivery
        let (rejects, receiver) = mpsc::unbounded_channel();
        let shared = Self {
            name: name.into(),
            stats: FlowStats::new(),
            max_messages: config.max_in_flight.get() as usize,
            max_bytes: config.max_bytes.as_usize(),
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            waiting: AtomicBool::new(false),
            change: Notify::new(),
            rejects,
        };
        (Arc::new(shared), receiver)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
    pub(crate) fn stats(&self) -> &FlowStats {
        &self.stats
    }
    pub(crate) fn max_in_flight(&self) -> usize {
        self.max_messages
    }
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes
    }
    pub(crate) fn in_flight(&self) -> usize {
        self.messages.load(Ordering::Relaxed)
    }

    pub(crate) fn snapshot(&self) -> FlowSnapshot {
        self.stats.snapshot(self.in_flight(), self.bytes.load(Ordering::Relaxed))
    }

    pub(crate) fn set_up(&self, stage: Stage, up: bool) {
        match stage {
            Stage::Input => self.stats.input_up.store(up, Ordering::Relaxed),
            Stage::Output => self.stats.output_up.store(up, Ordering::Relaxed),
            Stage::Pipeline => {}
        }
    }

    pub(crate) fn enter(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        let left = self.messages.fetch_sub(1, Ordering::SeqCst) - 1;
        // A flow that waits is woken when an eighth is free, not for each message; the last one always wakes it.
        let low = self.max_messages - self.max_messages / 8;
        if self.waiting.load(Ordering::SeqCst) && (left == 0 || left <= low && self.has_room()) {
            self.change.notify_one();
        }
    }

    /// Whether a message may enter. One may always enter an empty flow, however large it is.
    pub(crate) fn has_room(&self) -> bool {
        let messages = self.messages.load(Ordering::SeqCst);
        messages == 0 || messages < self.max_messages && self.bytes.load(Ordering::SeqCst) < self.max_bytes
    }

    /// Waits for room. One waiter at a time: the flow itself.
    pub(super) async fn room(&self) {
        self.wait(|| self.has_room()).await;
    }

    /// Waits until nothing is in flight.
    pub(super) async fn empty(&self) {
        self.wait(|| self.in_flight() == 0).await;
    }

    async fn wait(&self, done: impl Fn() -> bool) {
        while !done() {
            self.waiting.store(true, Ordering::SeqCst);
            // Between the first look and the flag a message may have left without a wake-up.
            if !done() {
                self.change.notified().await;
            }
            self.waiting.store(false, Ordering::SeqCst);
        }
    }

    /// Hands a refused message to the flow, which does with it what the config says.
    pub(crate) fn reject(
        &self,
        message: Message,
        delivery: Delivery,
        stage: Stage,
        kind: ErrorKind,
        text: Arc<str>,
    ) {
        // If the flow is gone, the delivery is dropped: the message stays unacknowledged.
        drop(self.rejects.send(Reject::new(message, delivery, stage, kind, text)));
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}
