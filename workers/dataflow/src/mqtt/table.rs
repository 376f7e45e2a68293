//! Who gets what: the subscriptions of one session, each shared by the flows that asked for the same filter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use indexmap::IndexMap;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::AckSlot;
use super::codec::{self, ConnAck, Protocol, Publish};
use super::inbound;
use super::link::{CROWDED, Incoming, Progress, Route, Start};
use crate::config::{Qos, TopicFilter};
use crate::message::Message;
use crate::stats::DropReason;

/// Packet identifiers of subscriptions; publishes use those below.
const FIRST_ID: u16 = 60_001;
/// A subscription that was ended, and for which nothing came for this long, has nothing queued at the broker any more.
const QUIET: Duration = Duration::from_millis(500);

struct Member {
    route: Arc<Route>,
    sender: mpsc::UnboundedSender<Incoming>,
    narrow: bool,
    /// Waits to be told.
    held: bool,
    /// Goes as soon as it has got what the broker has queued for it.
    leaving: bool,
    last_message: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not to be asked for yet. The broker may have it from an earlier life.
    Held,
    /// To be subscribed as soon as there is a connection.
    Wanted,
    /// Asked for.
    Asked,
    /// The broker has it.
    Active,
    /// To be unsubscribed.
    Unwanted,
    /// Asked to be unsubscribed.
    Ending,
    /// Unsubscribed. What the broker has queued still comes, as the window allows.
    Ended,
}

struct Subscription {
    /// Identifier at the broker (MQTT 5), and here.
    number: u32,
    qos: Qos,
    state: State,
    /// Numbers of routes.
    members: Vec<u64>,
    /// Since when it has no members.
    orphan: Option<Instant>,
    /// The packet that was sent last for it.
    packet: u16,
}

impl Subscription {
    fn add_to(&self, routes: &mut Vec<u64>, first: &mut u32) {
        if *first == 0 {
            *first = self.number;
        }
        for number in &self.members {
            if !routes.contains(number) {
                routes.push(*number);
            }
        }
    }
}

/// The identifier of a subscription: made of its filter, so that what was queued under it in an earlier life still finds it.
fn identifier(filter: &TopicFilter, taken: &mut BTreeMap<u32, TopicFilter>) -> u32 {
    // The protocol's largest.
    const LARGEST: u64 = 268_435_455;
    let hash = inbound::content(filter.get(), &[]);
    let number = (hash..).map(|n| (n % LARGEST) as u32 + 1).find(|n| !taken.contains_key(n)).unwrap_or(1);
    taken.insert(number, filter.clone());
    number
}

/// What a SUBACK says.
pub(super) enum Answer {
    Fine,
    Refused { filter: TopicFilter, code: u8 },
}

/// See the module.
#[derive(Default)]
pub(super) struct Table {
    members: BTreeMap<u64, Member>,
    subscriptions: IndexMap<TopicFilter, Subscription>,
    by_number: BTreeMap<u32, TopicFilter>,
    next_packet: u16,
    /// Something is to be written.
    dirty: bool,
    ids: bool,
    online: bool,
    /// Whether the broker had the session at the first connect; `None` before that.
    resumed: Option<bool>,
    /// Whether the broker had the session at the last connect.
    present: bool,
}

impl Table {
    /// Whether no flow subscribes, nor did until lately.
    pub(super) fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// How much the broker may send without an answer. With one flow that is what the flow has under way at most, so that
    /// its limit reaches the source; with several it is all there is, so that none can fill it.
    pub(super) fn window(&self) -> u16 {
        let mut members = self.members.values().filter(|m| !m.narrow);
        match (members.next(), members.next()) {
            (None, _) => 1024,
            (Some(only), None) => u16::try_from(only.route.flow.max_in_flight()).unwrap_or(u16::MAX),
            (Some(_), Some(_)) => u16::MAX,
        }
    }

    /// Whether a flow has as much as it can take.
    pub(super) fn is_full(&self) -> bool {
        self.members.values().any(|m| m.route.is_full())
    }

    pub(super) fn attach(
        &mut self,
        route: Arc<Route>,
        sender: mpsc::UnboundedSender<Incoming>,
        narrow: bool,
    ) {
        let number = route.number;
        let narrow = narrow && route.qos != Qos::AtMostOnce;
        if narrow {
            route.progress.send_replace(Progress::TooNarrow);
        }
        let held = match route.start {
            Start::Now => false,
            Start::Told => true,
            Start::Fresh => self.resumed != Some(false),
        };
        let filters = if narrow { &[][..] } else { &route.filters };
        for filter in filters {
            let by_number = &mut self.by_number;
            let subscription = self.subscriptions.entry(filter.clone()).or_insert_with(|| Subscription {
                number: identifier(filter, by_number),
                qos: route.qos,
                state: State::Held,
                members: Vec::new(),
                orphan: None,
                packet: 0,
            });
            subscription.qos = subscription.qos.max(route.qos);
            subscription.members.push(number);
            subscription.orphan = None;
            if !held {
                // Asked again even if it is active: the new flow is to get what the broker retains.
                subscription.state = State::Wanted;
            }
        }
        if held && self.online && !narrow {
            route.progress.send_replace(Progress::Held { present: self.present });
        }
        let member = Member { route, sender, narrow, held, leaving: false, last_message: Instant::now() };
        self.members.insert(number, member);
        self.dirty = true;
    }

    /// Subscribes a held route.
    pub(super) fn activate(&mut self, number: u64) {
        let Some(member) = self.members.get_mut(&number) else { return };
        member.held = false;
        member.route.progress.send_replace(Progress::Pending);
        for filter in &member.route.filters {
            if let Some(subscription) = self.subscriptions.get_mut(filter) {
                subscription.state = State::Wanted;
            }
        }
        self.dirty = true;
    }

    /// The flow is gone; its subscriptions stay for a while.
    pub(super) fn detach(&mut self, number: u64) {
        let Some(member) = self.members.remove(&number) else { return };
        for filter in &member.route.filters {
            let Some(subscription) = self.subscriptions.get_mut(filter) else { continue };
            subscription.members.retain(|m| *m != number);
            if !subscription.members.is_empty() {
                continue;
            }
            if subscription.state == State::Held && !self.present {
                // The broker never heard of it.
                self.by_number.remove(&subscription.number);
                self.subscriptions.shift_remove(filter);
                continue;
            }
            subscription.orphan = Some(Instant::now());
        }
    }

    /// The flow has moved: unsubscribes what only it wanted.
    pub(super) fn leave(&mut self, number: u64) {
        let Some(member) = self.members.get_mut(&number) else { return };
        member.leaving = true;
        for filter in &member.route.filters {
            let Some(subscription) = self.subscriptions.get_mut(filter) else { continue };
            let only = subscription.members.iter().all(|m| *m == number);
            if only && !matches!(subscription.state, State::Ending | State::Ended) {
                subscription.state = State::Unwanted;
            }
        }
        self.dirty = true;
    }

    pub(super) fn connected(&mut self, ack: &ConnAck, first: bool, narrow: bool) {
        self.ids = ack.subscription_ids;
        self.online = true;
        if first {
            self.resumed = Some(ack.session_present);
        }
        self.present = ack.session_present;
        self.dirty = true;
        if narrow {
            let narrowed: Vec<u64> = self
                .members
                .values()
                .filter(|m| m.route.qos != Qos::AtMostOnce)
                .map(|m| m.route.number)
                .collect();
            for number in narrowed {
                self.forget(number);
                if let Some(member) = self.members.get_mut(&number) {
                    member.narrow = true;
                    member.route.progress.send_replace(Progress::TooNarrow);
                }
            }
        }
        if !ack.session_present {
            // The broker has nothing queued for them any more.
            let leaving: Vec<u64> =
                self.members.values().filter(|m| m.leaving).map(|m| m.route.number).collect();
            for number in leaving {
                self.members.remove(&number);
                self.forget(number);
            }
        }
        for subscription in self.subscriptions.values_mut() {
            subscription.state = match subscription.state {
                State::Wanted | State::Asked | State::Active => State::Wanted,
                State::Unwanted | State::Ending => State::Unwanted,
                State::Held => State::Held,
                State::Ended => State::Ended,
            };
        }
        let held: Vec<u64> =
            self.members.values().filter(|m| m.held && !m.narrow).map(|m| m.route.number).collect();
        for number in held {
            let Some(Member { route, .. }) = self.members.get(&number) else { continue };
            if route.start == Start::Fresh && self.resumed == Some(false) {
                self.activate(number);
            } else {
                route.progress.send_replace(Progress::Held { present: ack.session_present });
            }
        }
    }

    fn forget(&mut self, number: u64) {
        for subscription in self.subscriptions.values_mut() {
            subscription.members.retain(|m| *m != number);
        }
        let by_number = &mut self.by_number;
        self.subscriptions.retain(|_, s| {
            let keep = !s.members.is_empty() || s.orphan.is_some();
            if !keep {
                by_number.remove(&s.number);
            }
            keep
        });
    }

    pub(super) fn disconnected(&mut self) {
        self.online = false;
    }

    /// Writes what is to be asked of the broker.
    pub(super) fn write(&mut self, out: &mut BytesMut, protocol: Protocol) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        for (filter, subscription) in &mut self.subscriptions {
            if !matches!(subscription.state, State::Wanted | State::Unwanted) {
                continue;
            }
            self.next_packet = if self.next_packet < FIRST_ID || self.next_packet == u16::MAX {
                FIRST_ID
            } else {
                self.next_packet + 1
            };
            subscription.packet = self.next_packet;
            let id = subscription.packet;
            if subscription.state == State::Wanted {
                let number = self.ids.then_some(subscription.number);
                codec::subscribe(out, protocol, id, (filter.get(), subscription.qos, number));
                subscription.state = State::Asked;
            } else {
                codec::unsubscribe(out, protocol, id, filter.get());
                subscription.state = State::Ending;
            }
        }
    }

    pub(super) fn subscribed(&mut self, id: u16, codes: &[u8]) -> Answer {
        let Some((filter, subscription)) =
            self.subscriptions.iter_mut().find(|(_, s)| s.packet == id && s.state == State::Asked)
        else {
            return Answer::Fine;
        };
        let code = codes.first().copied().unwrap_or(0);
        if code >= 0x80 {
            return Answer::Refused { filter: filter.clone(), code };
        }
        subscription.state = State::Active;
        let members = subscription.members.clone();
        for number in members {
            let Some(member) = self.members.get(&number) else { continue };
            let active =
                |f: &TopicFilter| self.subscriptions.get(f).is_some_and(|s| s.state == State::Active);
            if member.route.filters.iter().all(active) {
                let pending = !member.held && *member.route.progress.borrow() == Progress::Pending;
                if pending {
                    member.route.progress.send_replace(Progress::Subscribed);
                }
            }
        }
        Answer::Fine
    }

    /// Gives the number of the subscription if nobody is interested in it any more.
    pub(super) fn unsubscribed(&mut self, id: u16) -> Option<u32> {
        let index = self.subscriptions.values().position(|s| s.packet == id && s.state == State::Ending)?;
        for number in &self.subscriptions[index].members {
            if let Some(member) = self.members.get_mut(number) {
                member.last_message = Instant::now();
            }
        }
        if !self.subscriptions[index].members.is_empty() {
            self.subscriptions[index].state = State::Ended;
            return None;
        }
        let (_, ended) = self.subscriptions.shift_remove_index(index)?;
        self.by_number.remove(&ended.number);
        Some(ended.number)
    }

    /// Lets members go that are leaving and have got all that the broker had for them. `unblocked` says that the broker is
    /// not held back by the window, so that what it has queued does come.
    pub(super) fn drained(&mut self, unblocked: bool) {
        if !unblocked || !self.online {
            return;
        }
        let has_all = |m: &&Member| {
            let ended = m
                .route
                .filters
                .iter()
                .filter_map(|f| self.subscriptions.get(f))
                .all(|s| s.state == State::Ended);
            // Where another flow subscribed again, silence can't be waited for.
            let shared = !ended
                && m.route
                    .filters
                    .iter()
                    .filter_map(|f| self.subscriptions.get(f))
                    .all(|s| s.members.len() > 1);
            m.leaving && m.route.held() == 0 && (shared || ended && m.last_message.elapsed() >= QUIET)
        };
        let done: Vec<u64> = self.members.values().filter(has_all).map(|m| m.route.number).collect();
        for number in done {
            self.members.remove(&number);
            self.forget(number);
        }
    }

    /// Subscriptions that have been without a flow for too long, or hold too much for nobody: unsubscribes them.
    pub(super) fn overdue(&mut self, linger: Duration, returned: impl Fn(u32) -> usize) -> Vec<u32> {
        let mut ended = Vec::new();
        for subscription in self.subscriptions.values_mut() {
            let Some(since) = subscription.orphan else { continue };
            let ending = matches!(subscription.state, State::Unwanted | State::Ending | State::Ended);
            if !ending && (since.elapsed() >= linger || returned(subscription.number) > CROWDED) {
                subscription.state = State::Unwanted;
                self.dirty = true;
                ended.push(subscription.number);
            }
        }
        ended
    }

    /// Whether a flow waits for this subscription's messages.
    pub(super) fn has_flow(&self, number: u32) -> bool {
        let subscription = self.by_number.get(&number).and_then(|filter| self.subscriptions.get(filter));
        subscription.is_some_and(|s| {
            !s.members.is_empty() && matches!(s.state, State::Active | State::Held | State::Ended)
        })
    }

    /// Whether a subscription's messages may still find a flow.
    pub(super) fn expects(&self, number: u32) -> bool {
        let subscription = self.by_number.get(&number).and_then(|filter| self.subscriptions.get(filter));
        subscription.is_some_and(|s| !matches!(s.state, State::Unwanted | State::Ending | State::Ended))
    }

    /// Collects the routes that a message is for, and gives the first subscription it came by; 0 if there is none.
    pub(super) fn find(&self, publish: &Publish, routes: &mut Vec<u64>) -> u32 {
        routes.clear();
        let mut first = 0;
        for number in &publish.subscriptions {
            // Identifiers of an earlier life may name another filter by now.
            let known = self.by_number.get(number).filter(|filter| filter.matches(&publish.topic));
            if let Some(subscription) = known.and_then(|filter| self.subscriptions.get(filter)) {
                subscription.add_to(routes, &mut first);
            }
        }
        if first == 0 {
            for (filter, subscription) in &self.subscriptions {
                if filter.matches(&publish.topic) {
                    subscription.add_to(routes, &mut first);
                }
            }
        }
        first
    }

    /// Gives a message to its routes. `shared` says that the session can't stop reading for one of them.
    pub(super) fn send(
        &mut self,
        routes: &[u64],
        publish: Publish,
        at: Instant,
        slot: impl Fn(&Arc<Route>, usize) -> AckSlot,
        shared: bool,
    ) {
        let (duplicate, qos) = (publish.duplicate, publish.qos);
        let mut message = Message::new(publish.topic, publish.payload);
        message.metadata = publish.properties;
        let others = self.members.len() > 1;
        let last = routes.len().saturating_sub(1);
        for (i, number) in routes.iter().enumerate() {
            let Some(Member { route, sender, last_message, .. }) = self.members.get_mut(number) else {
                continue;
            };
            *last_message = at;
            let message = if i == last { std::mem::take(&mut message) } else { message.clone() };
            if shared && (others && route.held() >= CROWDED || route.is_full()) {
                // What is queued at the broker for a filter that others use too can't be told from what comes later, so
                // that its flows can't move.
                if routes.len() == 1 {
                    route.is_in_the_way();
                }
                if qos == Qos::AtMostOnce && route.is_full() {
                    route.flow.stats().dropped(DropReason::Overflow);
                    continue;
                }
            }
            let slot = slot(route, message.size());
            // A closed queue is a flow that is just ending: its slot comes back as returned.
            drop(sender.send(Incoming { message, slot, at, duplicate }));
        }
    }
}
