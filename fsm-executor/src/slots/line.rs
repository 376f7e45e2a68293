//! A waiting line whose members may leave from its middle without anybody searching for them.

use std::collections::VecDeque;

/// Below this length a line is not worth compacting.
const SMALL: usize = 64;

/// First come, first served. Members that left are passed over at the head, and swept out when they outnumber the others, so
/// memory stays bounded by those who really wait.
pub(super) struct Line<K> {
    entries: VecDeque<Waiting<K>>,
    live: usize,
}

struct Waiting<K> {
    /// Position in the order of arrival, over all lines.
    ticket: u64,
    run: u64,
    key: K,
}

impl<K: Copy> Line<K> {
    pub(super) fn new() -> Self {
        Self { entries: VecDeque::new(), live: 0 }
    }

    pub(super) fn push(&mut self, ticket: u64, run: u64, key: K) {
        self.entries.push_back(Waiting { ticket, run, key });
        self.live += 1;
    }

    /// The ticket of the first member that is still waiting; afterwards it is at the very head.
    pub(super) fn head(&mut self, live: impl Fn(&K, u64) -> bool) -> Option<u64> {
        while let Some(first) = self.entries.front() {
            // Without anybody gone there is nobody to ask for.
            if self.live == self.entries.len() || live(&first.key, first.run) {
                return Some(first.ticket);
            }
            self.entries.pop_front();
        }
        None
    }

    /// Takes the head out, which `head` found alive.
    pub(super) fn pop(&mut self) -> Option<K> {
        let first = self.entries.pop_front()?;
        self.live -= 1;
        Some(first.key)
    }

    /// One member is not waiting any more.
    pub(super) fn forget_one(&mut self, live: impl Fn(&K, u64) -> bool) {
        self.live -= 1;
        if self.entries.len() > SMALL && self.entries.len() > 2 * self.live {
            self.entries.retain(|entry| live(&entry.key, entry.run));
        }
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
