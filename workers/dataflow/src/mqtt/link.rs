//! What flows and a session's task share: the inbox that flows fill and the task empties, and what each side may know.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::codec::Protocol;
use super::outbound::Publication;
use super::pool::Peer;
use crate::config::{Qos, TopicFilter};
use crate::flow::Shared;
use crate::message::Message;
use crate::stats::{ErrorKind, Stage};

/// How many unacknowledged messages of a shared connection one flow may hold while others wait behind it.
///
/// Well under what a broker has in flight for one client (65 535 at most), well over a burst.
pub(crate) const CROWDED: usize = 1024;

/// A message as the session received it.
pub(crate) struct Incoming {
    pub(crate) message: Message,
    pub(crate) slot: super::AckSlot,
    pub(crate) at: Instant,
    pub(crate) duplicate: bool,
}

/// When to subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// As soon as there is a connection.
    Now,
    /// As soon as there is a connection, unless the broker kept the session from an earlier life of this process: then
    /// when told.
    Fresh,
    /// When told. What the session has for it comes all the same.
    Told,
}

/// How far a subscription is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Neither connected nor confirmed.
    Pending,
    /// Connected, and waits to be told. `present` says whether the broker had the session.
    Held { present: bool },
    /// Confirmed.
    Subscribed,
    /// The connection's window is too small to be shared (MQTT 3.1.1).
    TooNarrow,
}

/// One flow's subscription at one session.
pub(crate) struct Route {
    pub(crate) number: u64,
    pub(crate) filters: Vec<TopicFilter>,
    pub(crate) qos: Qos,
    pub(crate) start: Start,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) flow: Arc<Shared>,
    held: AtomicUsize,
    held_bytes: AtomicUsize,
    crowded: AtomicBool,
    pub(crate) crowd: Notify,
}

impl Route {
    pub(crate) fn new(
        number: u64,
        filters: Vec<TopicFilter>,
        qos: Qos,
        start: Start,
        flow: &Arc<Shared>,
    ) -> Self {
        Self {
            number,
            filters,
            qos,
            start,
            progress: watch::Sender::new(Progress::Pending),
            flow: Arc::clone(flow),
            held: AtomicUsize::new(0),
            held_bytes: AtomicUsize::new(0),
            crowded: AtomicBool::new(false),
            crowd: Notify::new(),
        }
    }

    /// Messages that the flow has and has not acknowledged.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
    pub(crate) fn hold(&self, bytes: usize) {
        self.held.fetch_add(1, Ordering::Relaxed);
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
    /// Says whether the queue was full and is no more.
    pub(crate) fn release(&self, bytes: usize) -> bool {
        let full = self.is_full();
        self.held.fetch_sub(1, Ordering::Relaxed);
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        full && !self.is_full()
    }
    /// Whether the flow has far more than it may have under way. Brokers exist that overrun the window they were told
    /// (mosquitto 2.0.11, by a thousand messages at once).
    pub(crate) fn is_full(&self) -> bool {
        self.held() >= 4 * self.flow.max_in_flight()
            || self.held_bytes.load(Ordering::Relaxed) >= self.flow.max_bytes()
    }
    /// Tells the flow, once, that it is in the way of others.
    pub(crate) fn is_in_the_way(&self) {
        if !self.crowded.swap(true, Ordering::Relaxed) {
            self.crowd.notify_one();
        }
    }
}

/// What a flow asks of the session.
pub(crate) enum Command {
    /// Subscribe, and send what comes there.
    Attach(Arc<Route>, mpsc::UnboundedSender<Incoming>),
    /// Subscribe now.
    Activate(u64),
    /// The flow is gone. It may be back soon: the subscription stays for a while.
    Detach(u64),
    /// The flow has moved: unsubscribe now. Its queue ends when the broker has confirmed.
    Leave(u64),
}

#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) publications: VecDeque<Publication>,
    pub(crate) settled: Vec<(u64, bool)>,
    pub(crate) commands: Vec<Command>,
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.publications.is_empty() && self.settled.is_empty() && self.commands.is_empty()
    }
}

/// A flow that wants to know how the connection is.
struct Listener {
    number: u64,
    stage: Stage,
    flow: Arc<Shared>,
}

/// One session, as flows see it.
pub(crate) struct Link {
    pub(crate) peer: Peer,
    inbox: Mutex<Inbox>,
    pub(crate) wake: Notify,
    attached: AtomicUsize,
    listeners: Mutex<Vec<Listener>>,
    up: AtomicBool,
    /// Whether the task has ended; a flow that comes later needs a new one.
    pub(crate) ended: AtomicBool,
    protocol: Mutex<Option<Protocol>>,
}

impl Link {
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer,
            inbox: Mutex::default(),
            wake: Notify::new(),
            attached: AtomicUsize::new(0),
            listeners: Mutex::default(),
            up: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            protocol: Mutex::default(),
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, put: impl FnOnce(&mut Inbox)) {
        let mut inbox = self.inbox();
        let sleeping = inbox.is_empty();
        put(&mut inbox);
        drop(inbox);
        if sleeping {
            self.wake.notify_one();
        }
    }

    /// Queues messages to publish, in order.
    pub(crate) fn publish(&self, publications: impl Iterator<Item = Publication>) {
        self.put(|inbox| inbox.publications.extend(publications));
    }

    /// A flow took a message, or gave it back.
    pub(crate) fn settle(&self, number: u64, taken: bool) {
        self.put(|inbox| inbox.settled.push((number, taken)));
    }

    pub(crate) fn command(&self, command: Command) {
        self.put(|inbox| inbox.commands.push(command));
    }

    /// Takes all that flows asked; `into` is empty and gives its memory for the next ones.
    pub(crate) fn take(&self, into: &mut Inbox) {
        std::mem::swap(&mut *self.inbox(), into);
    }

    /// Flows that use the session.
    pub(crate) fn attached(&self) -> usize {
        self.attached.load(Ordering::Acquire)
    }

    pub(crate) fn attach(&self, number: u64, stage: Stage, flow: &Arc<Shared>) {
        self.attached.fetch_add(1, Ordering::AcqRel);
        flow.set_up(stage, self.up.load(Ordering::Acquire));
        let listener = Listener { number, stage, flow: Arc::clone(flow) };
        self.listeners().push(listener);
    }

    pub(crate) fn detach(&self, number: u64) {
        self.listeners().retain(|listener| listener.number != number);
        self.attached.fetch_sub(1, Ordering::AcqRel);
        self.wake.notify_one();
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection is there. `again` says that it was there before.
    pub(crate) fn connected(&self, protocol: Protocol, again: bool) {
        *self.protocol.lock().unwrap_or_else(PoisonError::into_inner) = Some(protocol);
        self.up.store(true, Ordering::Release);
        for listener in self.listeners().iter() {
            listener.flow.set_up(listener.stage, true);
            if again {
                listener.flow.stats().reconnected();
            }
        }
    }

    /// The connection broke, or could not be made.
    pub(crate) fn disconnected(&self, why: &Arc<str>) {
        self.down();
        for listener in self.listeners().iter() {
            listener.flow.set_up(listener.stage, false);
            listener.flow.stats().error(listener.stage, ErrorKind::Connection, Arc::clone(why));
        }
    }

    pub(crate) fn down(&self) {
        self.up.store(false, Ordering::Release);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// The protocol that the broker spoke last.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        *self.protocol.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
