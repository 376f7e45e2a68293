//! The buffers each way: what fits, what waits, what is set aside (W-4). Pure: who keeps them durable is told by slots.

use std::collections::{BTreeSet, HashSet, VecDeque};

use crate::message::Message;

/// Backpressure begins with fewer free places than this.
pub const ENTER_UNDER: usize = 50;
/// Backpressure ends with this many free places.
pub const LEAVE_AT: usize = 100;

/// Whether a buffer asks its source to wait. It begins under 50 free places and ends at 100, so that it does not flicker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pressure {
    on: bool,
}

impl Pressure {
    /// With so many free places now.
    pub const fn update(&mut self, free: usize) {
        self.on = if self.on { free < LEAVE_AT } else { free < ENTER_UNDER };
    }

    /// Whether the source is to wait.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.on
    }
}

/// What is unsent, in order.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: VecDeque<Unsent>,
    free: BTreeSet<u32>,
    /// Places that there are; a message that was kept in one beyond them gives none back.
    slots: u32,
    next: u64,
    /// How many of the first may be sent together: halved when the relay refuses them, until the one to blame is alone.
    window: usize,
    pressure: Pressure,
}

/// A message and the place where it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unsent {
    pub(crate) slot: u32,
    /// Its place in the order of all that were ever kept.
    pub(crate) number: u64,
    pub(crate) message: Message,
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// What a refused batch comes to.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    /// Fewer of them are tried.
    Smaller,
    /// This one is to blame, and is not tried again.
    SetAside(Box<Unsent>),
}

impl Outbox {
    /// An outbox with room for `capacity` messages, with what was kept before. What is beyond the room is kept too, and
    /// counts against it.
    pub(crate) fn new(capacity: usize, mut kept: Vec<Unsent>) -> Self {
        kept.sort_by_key(|unsent| unsent.number);
        let taken: HashSet<u32> = kept.iter().map(|unsent| unsent.slot).collect();
        let slots = u32::try_from(capacity).unwrap_or(u32::MAX);
        let free = (0..slots).filter(|slot| !taken.contains(slot)).collect();
        let next = kept.last().map_or(0, |unsent| unsent.number + 1);
        let mut outbox =
            Self { queue: kept.into(), free, slots, next, window: usize::MAX, pressure: Pressure::default() };
        outbox.pressure.update(outbox.free.len());
        outbox
    }

    /// Takes a message of which there will be more: it waits while there is pressure.
    pub(crate) fn offer(&mut self, message: Message) -> Result<&Unsent, Full> {
        if self.pressure.is_on() { Err(Full) } else { self.insist(message) }
    }

    /// Takes a message that others wait for, such as a receipt: as long as there is any room.
    pub(crate) fn insist(&mut self, message: Message) -> Result<&Unsent, Full> {
        let slot = self.free.pop_first().ok_or(Full)?;
        let number = self.next;
        self.next += 1;
        self.pressure.update(self.free.len());
        self.queue.push_back(Unsent { slot, number, message });
        self.queue.back().ok_or(Full)
    }

    /// The number of the next message that is taken.
    pub(crate) const fn next_number(&self) -> u64 {
        self.next
    }

    /// The first ones, at most `most`, as many as may be sent together.
    pub(crate) fn batch(&self, most: usize) -> Vec<Message> {
        let count = most.min(self.window).max(1);
        self.queue.iter().take(count).map(|unsent| unsent.message.clone()).collect()
    }

    /// The relay has these now. Gives the slots that are free again.
    pub(crate) fn sent(&mut self, ids: &HashSet<&str>) -> Vec<u32> {
        let (gone, kept): (Vec<_>, Vec<_>) =
            self.queue.drain(..).partition(|unsent| ids.contains(unsent.message.id.as_str()));
        self.queue = kept.into();
        self.window = self.window.saturating_mul(2);
        self.release(&gone)
    }

    /// The relay does not take a batch of the first `count`.
    pub(crate) fn refused(&mut self, count: usize) -> Option<Refused> {
        if count > 1 {
            self.window = count / 2;
            return Some(Refused::Smaller);
        }
        let unsent = self.queue.pop_front()?;
        self.release(std::slice::from_ref(&unsent));
        Some(Refused::SetAside(Box::new(unsent)))
    }

    /// The relay does not take this one, whatever is sent with it.
    pub(crate) fn set_aside(&mut self, id: &str) -> Option<Unsent> {
        let at = self.queue.iter().position(|unsent| unsent.message.id == id)?;
        let unsent = self.queue.remove(at)?;
        self.release(std::slice::from_ref(&unsent));
        Some(unsent)
    }

    fn release(&mut self, gone: &[Unsent]) -> Vec<u32> {
        let slots: Vec<u32> = gone.iter().map(|unsent| unsent.slot).collect();
        self.free.extend(slots.iter().filter(|slot| **slot < self.slots));
        self.pressure.update(self.free.len());
        slots
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) const fn is_pressed(&self) -> bool {
        self.pressure.is_on()
    }
}

/// Commands that wait for their turn, each once.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: VecDeque<Message>,
    ids: HashSet<String>,
    capacity: usize,
    pressure: Pressure,
}

/// What became of a message that was pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It waits for its turn.
    New,
    /// It waits, or is carried out, already.
    Known,
    /// There is no room; the relay sends it again.
    Full,
}

impl Inbox {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { queue: VecDeque::new(), ids: HashSet::new(), capacity, pressure: Pressure::default() }
    }

    pub(crate) fn take(&mut self, message: Message) -> Taken {
        if self.ids.contains(&message.id) {
            return Taken::Known;
        }
        if self.queue.len() >= self.capacity {
            return Taken::Full;
        }
        self.ids.insert(message.id.clone());
        self.queue.push_back(message);
        self.pressure.update(self.capacity - self.queue.len());
        Taken::New
    }

    /// The next one. Until [`done`](Self::done) it counts as known.
    pub(crate) fn next(&mut self) -> Option<Message> {
        let next = self.queue.pop_front()?;
        self.pressure.update(self.capacity - self.queue.len());
        Some(next)
    }

    /// It was answered: whoever sends it again is told so by its receipt.
    pub(crate) fn done(&mut self, id: &str) {
        self.ids.remove(id);
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) const fn is_pressed(&self) -> bool {
        self.pressure.is_on()
    }
}

#[cfg(test)]
mod tests;
