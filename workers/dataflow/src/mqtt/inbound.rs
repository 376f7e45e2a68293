//! What a session owes its broker: which messages it received and has not acknowledged. Pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;
use tokio::time::Instant;

use super::link::{Link, Route};

/// How long a finished message waits for an earlier one before it is acknowledged ahead of it.
///
/// The protocol asks for acknowledgements in order, and brokers exist that hang up on others; but a stalled flow must not
/// hold back its neighbours for longer than this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The right to acknowledge one received message, and the place it takes in its flow's queue. Dropped without
/// [`acknowledge`](Self::acknowledge), the message counts as returned and is fetched again.
pub(crate) struct AckSlot {
    link: Arc<Link>,
    route: Arc<Route>,
    /// `None` where the broker waits for no answer (quality of service 0), and once it was given.
    number: Option<u64>,
    bytes: usize,
}

impl AckSlot {
    pub(crate) fn new(link: &Arc<Link>, route: &Arc<Route>, number: Option<u64>, bytes: usize) -> Self {
        route.hold(bytes);
        Self { link: Arc::clone(link), route: Arc::clone(route), number, bytes }
    }

    pub(crate) fn acknowledge(mut self) {
        if let Some(number) = self.number.take() {
            self.link.settle(number, true);
        }
    }
}

impl Drop for AckSlot {
    fn drop(&mut self) {
        if self.route.release(self.bytes) {
            self.link.wake.notify_one();
        }
        if let Some(number) = self.number {
            self.link.settle(number, false);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Flows have it.
    Pending,
    /// All flows took it.
    Done,
    /// Acknowledged ahead of its turn.
    Acked,
    /// A flow ended before it took it.
    Returned,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: u16,
    exactly_once: bool,
    state: State,
    /// Flows that have yet to take it.
    left: u32,
    /// The number under which flows know it.
    number: u64,
    subscription: u32,
    content: u64,
    at: Instant,
}

/// What to do with a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// Give it to its flows, under this number.
    New(u64),
    /// Flows have it already, from before the connection broke.
    Known,
}

/// Received and unacknowledged messages, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    entries: VecDeque<Entry>,
    /// Position of the first entry, counted from the start of the session.
    base: u64,
    /// Positions by number. A message's number is its position on the connection on which it came first; only those that
    /// were known from an earlier connection are here.
    moved: HashMap<u64, u64, FixedState>,
    /// Finished out of turn.
    waiting: Vec<u64>,
    /// From before the connection broke, by packet identifier: the broker will send them again.
    old: HashMap<u16, Entry, FixedState>,
    /// Packet identifiers of those by number.
    old_ids: HashMap<u64, u16, FixedState>,
    /// The broker hangs up on acknowledgements out of order.
    strict: bool,
}

/// What tells one message from another that has the same packet identifier.
pub(crate) fn content(topic: &str, payload: &[u8]) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(topic.as_bytes());
    hasher.write_u8(0xff);
    hasher.write(payload);
    hasher.finish()
}

impl Inbound {
    /// Messages received and not acknowledged on this connection.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether a message was given back whose subscription is `wanted`.
    pub(crate) fn has_returned(&self, wanted: impl Fn(u32) -> bool) -> bool {
        self.entries.iter().any(|e| e.state == State::Returned && wanted(e.subscription))
    }

    /// Takes note of a received message for `flows` flows; none is a message whose flow is away.
    pub(crate) fn receive(
        &mut self,
        (id, exactly_once): (u16, bool),
        content: u64,
        (flows, subscription): (usize, u32),
        at: Instant,
    ) -> Received {
        let position = self.base + self.entries.len() as u64;
        let old = if self.old.is_empty() { None } else { self.old.remove(&id) };
        if let Some(old) = &old {
            self.old_ids.remove(&old.number);
        }
        let known = old.filter(|old| old.content == content);
        let left = u32::try_from(flows).unwrap_or(u32::MAX);
        match known {
            Some(old) if old.state != State::Returned => {
                if old.state != State::Pending {
                    self.waiting.push(position);
                }
                let state = if old.state == State::Acked { State::Done } else { old.state };
                self.moved.insert(old.number, position);
                self.entries.push_back(Entry { exactly_once, state, at, ..old });
                Received::Known
            }
            Some(_) | None => {
                let state = if flows == 0 { State::Returned } else { State::Pending };
                let number = position;
                self.entries.push_back(Entry {
                    id,
                    exactly_once,
                    state,
                    left,
                    number,
                    subscription,
                    content,
                    at,
                });
                Received::New(number)
            }
        }
    }

    fn position(&self, number: u64) -> Option<u64> {
        let position = self.moved.get(&number).copied().unwrap_or(number);
        let entry = self.entries.get(usize::try_from(position.checked_sub(self.base)?).ok()?)?;
        (entry.number == number).then_some(position)
    }

    /// A flow took the message, or gave it back.
    pub(crate) fn settle(&mut self, number: u64, taken: bool) {
        let found = self.position(number);
        let entry = match found {
            Some(position) => self.entries.get_mut((position - self.base) as usize),
            None => {
                let id = self.old_ids.get(&number);
                id.and_then(|id| self.old.get_mut(id)).filter(|entry| entry.number == number)
            }
        };
        let Some(entry) = entry else { return };
        if !taken {
            if matches!(entry.state, State::Pending) {
                entry.state = State::Returned;
            }
            return;
        }
        entry.left = entry.left.saturating_sub(1);
        if entry.left == 0 && entry.state == State::Pending {
            entry.state = State::Done;
            if let Some(position) = found.filter(|position| *position != self.base) {
                self.waiting.push(position);
            }
        }
    }

    /// Nobody wants the messages of this subscription any more. Gives how many there were.
    pub(crate) fn abandon(&mut self, subscription: u32) -> usize {
        let mut count = 0;
        for entry in self.entries.iter_mut().chain(self.old.values_mut()) {
            if entry.subscription == subscription && entry.state == State::Returned {
                entry.state = State::Done;
                count += 1;
            }
        }
        self.waiting.clear();
        for (i, entry) in self.entries.iter().enumerate() {
            if entry.state == State::Done {
                self.waiting.push(self.base + i as u64);
            }
        }
        count
    }

    /// How many messages of this subscription nobody has.
    pub(crate) fn returned(&self, subscription: u32) -> usize {
        let of_it = |e: &&Entry| e.subscription == subscription && e.state == State::Returned;
        self.entries.iter().filter(of_it).count()
    }

    /// Acknowledges what may be: `answer` gets packet identifier and whether it is exactly-once. Says whether any of them
    /// passed an earlier one.
    pub(crate) fn flush(&mut self, now: Instant, mut answer: impl FnMut(u16, bool)) -> bool {
        while let Some(front) = self.entries.front() {
            match front.state {
                State::Done => answer(front.id, front.exactly_once),
                State::Acked => {}
                State::Pending | State::Returned => break,
            }
            if !self.moved.is_empty() {
                self.moved.remove(&front.number);
            }
            self.entries.pop_front();
            self.base += 1;
        }
        let Some(front) = self.entries.front() else {
            self.waiting.clear();
            return false;
        };
        if self.waiting.is_empty() || self.strict || now.duration_since(front.at) < PATIENCE {
            return false;
        }
        let mut passed = false;
        for position in self.waiting.drain(..) {
            let Some(index) = position.checked_sub(self.base) else { continue };
            if let Some(entry) = self.entries.get_mut(index as usize).filter(|e| e.state == State::Done) {
                entry.state = State::Acked;
                answer(entry.id, entry.exactly_once);
                passed = true;
            }
        }
        passed
    }

    /// From now on acknowledges in order only.
    pub(crate) fn be_strict(&mut self) {
        self.strict = true;
    }

    /// The connection broke. If the broker still has the session when it is back, it sends again what is unacknowledged.
    pub(crate) fn disconnected(&mut self) {
        self.base += self.entries.len() as u64;
        for entry in self.entries.drain(..) {
            self.old_ids.insert(entry.number, entry.id);
            self.old.insert(entry.id, entry);
        }
        self.moved.clear();
        self.waiting.clear();
    }

    /// The connection is back.
    pub(crate) fn connected(&mut self, session_present: bool) {
        if !session_present {
            self.old.clear();
            self.old_ids.clear();
        }
    }
}

#[cfg(test)]
mod tests;
