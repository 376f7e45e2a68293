//! The rules: who is connected, who gets what, what outlives whom. Pure: no socket, no clock, no task; the
//! connections call it under one lock and hold that for microseconds.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use slab::Slab;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::retained::{Kept, Retained};
use crate::session::{Link, Offer, QueueLimits, Queued, Session};
use crate::stats::BrokerStats;
use crate::topic;
use crate::tree::{Match, SessionKey, Tree};
use crate::wire::{Ack, Code, Connect, Filter, Leave, Message, Qos, RetainHandling, Version};

/// How long the session of an absent client is kept at most: a machine may be off for a long weekend.
const SESSION_LIFETIME: u32 = 7 * 24 * 3600;
/// Sessions per allowed connection: absent clients may outnumber present ones, but not without end.
const SESSIONS_PER_CONNECTION: usize = 10;

/// Bounds of everything that clients can fill.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) queue: QueueLimits,
    pub(crate) retained_bytes: usize,
}

/// A connection's claim on a session. It ends when another connection takes the session over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) session: SessionKey,
    epoch: u64,
}

/// The session belongs to another connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TakenOver;

/// What a client is told about its session.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) claim: Claim,
    pub(crate) present: bool,
    pub(crate) assigned_id: Option<Arc<str>>,
    /// Set when the session is kept for a shorter time than the client asked for.
    pub(crate) expiry: Option<u32>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// With a DISCONNECT.
    Left(Leave),
    /// Without one: the will is due.
    Lost,
}

/// All sessions, subscriptions and retained messages of one broker.
#[derive(Debug)]
pub(crate) struct Hub {
    limits: Limits,
    sessions: Slab<Session>,
    by_client_id: HashMap<Arc<str>, SessionKey>,
    tree: Tree,
    retained: Retained,
    /// Sessions for which something is due: the end of a will's delay or of the session.
    due: BTreeSet<(Instant, SessionKey)>,
    epochs: u64,
    connected: usize,
    stats: BrokerStats,
    found: Vec<Match>,
}

impl Hub {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sessions: Slab::new(),
            by_client_id: HashMap::new(),
            tree: Tree::default(),
            retained: Retained::new(limits.retained_bytes),
            due: BTreeSet::new(),
            epochs: 0,
            connected: 0,
            stats: BrokerStats::default(),
            found: Vec::new(),
        }
    }

    pub(crate) fn stats(&self) -> BrokerStats {
        BrokerStats {
            connections: self.connected as u64,
            sessions: self.sessions.len() as u64,
            subscriptions: self.tree.len() as u64,
            retained: self.retained.len() as u64,
            ..self.stats
        }
    }

    pub(crate) fn stats_mut(&mut self) -> &mut BrokerStats {
        &mut self.stats
    }

    /// Lets a client in: resumes its session or starts a new one, and ends its former connection.
    pub(crate) fn connect(
        &mut self,
        connect: &mut Connect,
        wake: &Arc<Notify>,
        now: Instant,
    ) -> Result<Admitted, Code> {
        self.epochs += 1;
        let epoch = self.epochs;
        let assigned_id: Option<Arc<str>> = if connect.client_id.is_empty() {
            if connect.version == Version::V311 && !connect.clean_start {
                return Err(Code::ClientIdNotValid);
            }
            Some(format!("auto-{epoch}").into())
        } else {
            None
        };
        let client_id: Arc<str> = assigned_id.clone().unwrap_or_else(|| connect.client_id.as_ref().into());

        let mut known = self.by_client_id.get(&client_id).copied();
        if let Some(session) = known
            && let Some(link) = &self.sessions[session].link
        {
            let former = Claim { session, epoch: link.epoch };
            link.wake.notify_one();
            self.disconnect(former, End::Lost, now);
            // A session of expiry 0 ended with its connection.
            known = self.by_client_id.get(&client_id).copied();
        }
        if self.connected >= self.limits.connections {
            return Err(Code::ServerUnavailable);
        }
        if connect.clean_start
            && let Some(session) = known.take()
        {
            self.end(session, now);
        }
        let present = known.is_some();
        let key = match known {
            Some(session) => session,
            None if self.sessions.len() >= self.limits.connections * SESSIONS_PER_CONNECTION => {
                return Err(Code::QuotaExceeded);
            }
            None => {
                let key = self.sessions.insert(Session::new(Arc::clone(&client_id)));
                self.by_client_id.insert(client_id, key);
                key
            }
        };
        let session = &mut self.sessions[key];
        session.will = connect.will.take();
        session.expiry = connect.session_expiry.min(SESSION_LIFETIME);
        let expiry = (session.expiry != connect.session_expiry).then_some(session.expiry);
        session.attach(Link::new(
            epoch,
            connect.version,
            Arc::clone(wake),
            connect.receive_maximum,
            connect.maximum_packet_size,
        ));
        self.book(key);
        self.connected += 1;
        self.stats.connects += 1;
        Ok(Admitted { claim: Claim { session: key, epoch }, present, assigned_id, expiry })
    }

    /// Ends a connection; its session may go on. Does nothing for a connection that was taken over.
    pub(crate) fn disconnect(&mut self, claim: Claim, end: End, now: Instant) {
        let Ok(session) = self.session(claim) else { return };
        session.detach();
        let with_will = match end {
            End::Lost => true,
            End::Left(leave) => {
                if let Some(seconds) = leave.session_expiry {
                    session.expiry = seconds.min(SESSION_LIFETIME);
                }
                leave.with_will
            }
        };
        if !with_will {
            session.will = None;
        }
        let lifetime = Duration::from_secs(u64::from(session.expiry));
        session.ends_at = Some(now + lifetime);
        session.will_at = session.will.as_ref().map(|will| now + will.delay.min(lifetime));
        self.connected -= 1;
        self.book(claim.session);
        self.fire(claim.session, now);
    }

    /// Passes a message on. Returns how many sessions it matched; those that its publisher should wait for
    /// are added to `congested`.
    pub(crate) fn publish(
        &mut self,
        from: Option<SessionKey>,
        message: Message,
        now: Instant,
        congested: &mut Vec<SessionKey>,
    ) -> usize {
        let expires = message.expiry.map(|lifetime| now + lifetime);
        let kept = Kept { message: Arc::new(message), expires };
        let message = &kept.message;
        if message.retain && !self.retained.store(kept.clone()) {
            self.stats.not_retained += 1;
        }
        let mut found = mem::take(&mut self.found);
        let sessions = &self.sessions;
        self.tree.find(message.topic(), |key| sessions[key].link.is_some(), &mut found);
        let mut matched = 0;
        for entry in &found {
            if entry.no_local && from == Some(entry.session) {
                continue;
            }
            matched += 1;
            let queued = Queued {
                kept: kept.clone(),
                qos: message.qos.min(entry.qos),
                retain: message.retain && entry.retain_as_published,
                id: entry.id,
            };
            match self.sessions[entry.session].offer(queued, self.limits.queue) {
                Offer::Queued | Offer::NotKept => {}
                Offer::Dropped => self.stats.dropped += 1,
                // A client that waited for itself would wait for acknowledgements that nobody reads.
                Offer::Congested if from == Some(entry.session) => {}
                Offer::Congested if congested.contains(&entry.session) => {}
                Offer::Congested => congested.push(entry.session),
            }
        }
        self.found = found;
        matched
    }

    /// A client's PUBLISH. `None`: a repetition at QoS 2, which was passed on already.
    pub(crate) fn publish_from(
        &mut self,
        claim: Claim,
        message: Message,
        packet_id: u16,
        now: Instant,
        congested: &mut Vec<SessionKey>,
    ) -> Result<Option<usize>, TakenOver> {
        let session = self.session(claim)?;
        if message.qos == Qos::ExactlyOnce && !session.receive(packet_id) {
            return Ok(None);
        }
        self.stats.received += 1;
        Ok(Some(self.publish(Some(claim.session), message, now, congested)))
    }

    /// Leaves those sessions in `congested` that still are, and has `publisher` woken when one of them drains.
    pub(crate) fn still_congested(&mut self, congested: &mut Vec<SessionKey>, publisher: &Arc<Notify>) {
        let limits = self.limits.queue;
        congested.retain(|key| match self.sessions.get_mut(*key) {
            Some(session) if session.is_congested(limits) => {
                session.block(publisher);
                true
            }
            _ => false,
        });
    }

    /// The patience with these sessions has ended.
    pub(crate) fn give_up(&mut self, congested: &mut Vec<SessionKey>) {
        for key in congested.drain(..) {
            if let Some(session) = self.sessions.get_mut(key) {
                tracing::warn!(client = %session.client_id, "a subscriber does not keep up, its messages are dropped until it has caught up");
                session.give_up();
            }
        }
    }

    /// Subscribes; one granted QoS or failure code per filter.
    pub(crate) fn subscribe(
        &mut self,
        claim: Claim,
        filters: &[Filter],
        now: Instant,
    ) -> Result<Vec<u8>, TakenOver> {
        let mut granted = Vec::with_capacity(filters.len());
        for Filter { filter, options } in filters {
            self.session(claim)?;
            let Some(subscription) = topic::subscription(filter) else {
                granted.push(Code::TopicFilterInvalid as u8);
                continue;
            };
            if subscription.group.is_some() && options.no_local {
                granted.push(Code::ProtocolError as u8);
                continue;
            }
            let new = self.tree.insert(subscription, claim.session, *options);
            let session = &mut self.sessions[claim.session];
            session.filters.insert(filter.clone());
            let retained = match options.retain_handling {
                RetainHandling::Always => true,
                RetainHandling::IfNew => new,
                RetainHandling::Never => false,
            };
            if retained && subscription.group.is_none() {
                for kept in self.retained.matching(subscription.filter.as_bytes(), now) {
                    let qos = kept.message.qos.min(options.qos);
                    session.push(Queued { kept: kept.clone(), qos, retain: true, id: options.id });
                }
            }
            granted.push(options.qos.bits());
        }
        Ok(granted)
    }

    /// Unsubscribes; one reason code per filter.
    pub(crate) fn unsubscribe(&mut self, claim: Claim, filters: &[Box<str>]) -> Result<Vec<u8>, TakenOver> {
        self.session(claim)?;
        let codes = filters.iter().map(|filter| {
            let known = self.sessions[claim.session].filters.remove(filter);
            match topic::subscription(filter) {
                Some(subscription) if known && self.tree.remove(subscription, claim.session) => Code::Success,
                Some(_) => Code::NoSubscriptionExisted,
                None => Code::TopicFilterInvalid,
            }
        });
        Ok(codes.map(|code| code as u8).collect())
    }

    /// A client's acknowledgement of a message; an answer is appended to `out`.
    pub(crate) fn acknowledge(
        &mut self,
        claim: Claim,
        out: &mut BytesMut,
        ack: Ack,
        packet_id: u16,
        failed: bool,
    ) -> Result<(), TakenOver> {
        self.session(claim)?.acknowledge(out, ack, packet_id, failed);
        Ok(())
    }

    /// A client's PUBREL: the code for its PUBCOMP.
    pub(crate) fn release(&mut self, claim: Claim, packet_id: u16) -> Result<Code, TakenOver> {
        let known = self.session(claim)?.release(packet_id);
        Ok(if known { Code::Success } else { Code::PacketIdNotFound })
    }

    /// Appends waiting messages to `out`; `true` when more could follow at once.
    pub(crate) fn pull(
        &mut self,
        claim: Claim,
        out: &mut BytesMut,
        budget: usize,
        now: Instant,
    ) -> Result<bool, TakenOver> {
        let limits = self.limits.queue;
        let pulled = self.session(claim)?.pull(out, budget, now, limits);
        self.stats.sent += pulled.sent;
        self.stats.expired += pulled.expired;
        self.stats.dropped += pulled.too_large;
        Ok(pulled.more)
    }

    /// When [`fire_due`](Self::fire_due) has something to do next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(moment, _)| *moment)
    }

    /// Publishes wills whose delay is over and ends sessions whose time has come.
    pub(crate) fn fire_due(&mut self, now: Instant) {
        while let Some((moment, key)) = self.due.first().copied()
            && moment <= now
        {
            self.fire(key, now);
        }
    }

    fn fire(&mut self, key: SessionKey, now: Instant) {
        let session = &mut self.sessions[key];
        if session.will_at.is_some_and(|moment| moment <= now) {
            session.will_at = None;
            let will = session.will.take();
            self.publish_will(will, now);
        }
        if self.sessions[key].ends_at.is_some_and(|moment| moment <= now) {
            self.end(key, now);
        } else {
            self.book(key);
        }
    }

    fn publish_will(&mut self, will: Option<Box<crate::wire::Will>>, now: Instant) {
        if let Some(will) = will {
            // Nobody is there who could wait for a congested subscriber.
            self.publish(None, will.message, now, &mut Vec::new());
        }
    }

    /// Ends a session without a link, with its subscriptions and a will that still waits.
    fn end(&mut self, key: SessionKey, now: Instant) {
        let mut session = self.sessions.remove(key);
        if let Some(moment) = session.booked {
            self.due.remove(&(moment, key));
        }
        self.by_client_id.remove(&session.client_id);
        for filter in &session.filters {
            if let Some(subscription) = topic::subscription(filter) {
                self.tree.remove(subscription, key);
            }
        }
        session.detach();
        self.publish_will(session.will.take(), now);
    }

    /// Books the session's next due moment, in place of the former one.
    fn book(&mut self, key: SessionKey) {
        let session = &mut self.sessions[key];
        if let Some(moment) = session.booked {
            self.due.remove(&(moment, key));
        }
        session.booked = [session.will_at, session.ends_at].into_iter().flatten().min();
        if let Some(moment) = session.booked {
            self.due.insert((moment, key));
        }
    }

    fn session(&mut self, claim: Claim) -> Result<&mut Session, TakenOver> {
        match self.sessions.get_mut(claim.session) {
            Some(session) if session.link.as_ref().is_some_and(|link| link.epoch == claim.epoch) => {
                Ok(session)
            }
            _ => Err(TakenOver),
        }
    }
}

#[cfg(test)]
mod tests;
