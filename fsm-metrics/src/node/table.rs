//! The nodes that are kept, in the order of their last use: a bounded table in which finding, using and forgetting take the same
//! time however many there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::category::ErrorCategory;
use super::shown::{NodeMetrics, ms};
use super::window::Window;

/// No neighbour.
const NONE: usize = usize::MAX;

/// What is kept of one node.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    newer: usize,
    older: usize,
    successes: u64,
    failures: u64,
    retries: u64,
    errors: [u64; ErrorCategory::ALL.len()],
    last: u64,
    sum: u128,
    pub(super) window: Window,
    /// Which thresholds it is above.
    pub(super) above: [bool; 3],
    /// When it was last warned about.
    pub(super) warned: Option<Duration>,
}

impl Entry {
    fn new(name: Arc<str>, window: Window) -> Self {
        Self {
            name,
            newer: NONE,
            older: NONE,
            successes: 0,
            failures: 0,
            retries: 0,
            errors: [0; ErrorCategory::ALL.len()],
            last: 0,
            sum: 0,
            window,
            above: [false; 3],
            warned: None,
        }
    }

    pub(super) fn record(&mut self, nanos: u64, failed: Option<ErrorCategory>) {
        match failed {
            None => self.successes += 1,
            Some(category) => {
                self.failures += 1;
                self.errors[category as usize] += 1;
            }
        }
        self.last = nanos;
        self.sum += u128::from(nanos);
        self.window.push(nanos, failed.is_some());
    }

    pub(super) fn retried(&mut self) {
        self.retries += 1;
    }

    pub(super) const fn executions(&self) -> u64 {
        self.successes + self.failures
    }

    pub(super) fn failure_rate(&self) -> f64 {
        match self.executions() {
            0 => 0.0,
            all => self.failures as f64 / all as f64,
        }
    }

    /// What is shown of it.
    pub(super) fn show(&self, room: &mut Vec<u64>) -> NodeMetrics {
        let all = self.executions();
        let [p50, p90, p99] = match self.window.percentiles(room) {
            Some(percentiles) => percentiles.map(|nanos| Some(ms(nanos))),
            None => [None; 3],
        };
        let of = |category: ErrorCategory| self.errors[category as usize];
        NodeMetrics {
            total_executions: all,
            success_count: self.successes,
            failure_count: self.failures,
            retry_count: self.retries,
            last_execution_ms: (all > 0).then(|| ms(self.last)),
            avg_execution_ms: if all == 0 { 0.0 } else { self.sum as f64 / all as f64 / 1e6 },
            p50,
            p90,
            p99,
            sample_count: self.window.len() as u64,
            timeout_errors: of(ErrorCategory::Timeout),
            validation_errors: of(ErrorCategory::Validation),
            network_errors: of(ErrorCategory::Network),
            other_errors: of(ErrorCategory::Other),
        }
    }
}

/// All nodes: a map from names to places, and a list through the places by last use.
#[derive(Debug)]
pub(super) struct Table {
    places: HashMap<Arc<str>, usize>,
    entries: Vec<Entry>,
    newest: usize,
    oldest: usize,
    window: usize,
    max: usize,
    /// For percentiles.
    pub(super) room: Vec<u64>,
}

impl Table {
    pub(super) fn new(window: usize, max: usize) -> Self {
        Self {
            places: HashMap::new(),
            entries: Vec::new(),
            newest: NONE,
            oldest: NONE,
            window,
            max,
            room: Vec::new(),
        }
    }

    /// The entry of a node, made if it is not there, as the most recently used.
    pub(super) fn used(&mut self, name: &str) -> (&mut Entry, &mut Vec<u64>) {
        let at = match self.places.get(name) {
            Some(at) => *at,
            None => self.enter(name),
        };
        if at != self.newest {
            self.unlink(at);
            self.link_newest(at);
        }
        (&mut self.entries[at], &mut self.room)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.places.get(name).map(|at| &self.entries[*at])
    }

    /// All entries, in no order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn remove(&mut self, name: &str) {
        let Some(at) = self.places.remove(name) else { return };
        self.unlink(at);
        let last = self.entries.len() - 1;
        self.entries.swap_remove(at);
        if at < last {
            // The last one moved into the gap: whoever points to it must learn that.
            let moved = &self.entries[at];
            let (newer, older) = (moved.newer, moved.older);
            self.places.insert(Arc::clone(&moved.name), at);
            self.point(newer, older, at);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.window, self.max);
    }

    /// A place for a new node, linked as the most recently used. At the bound the least recently used one goes, and leaves its
    /// window behind.
    fn enter(&mut self, name: &str) -> usize {
        let name: Arc<str> = name.into();
        let at = if self.entries.len() < self.max {
            self.entries.push(Entry::new(Arc::clone(&name), Window::new(self.window)));
            self.entries.len() - 1
        } else {
            let at = self.oldest;
            self.unlink(at);
            let mut window = std::mem::replace(&mut self.entries[at].window, Window::new(0));
            window.clear();
            self.places.remove(&self.entries[at].name);
            self.entries[at] = Entry::new(Arc::clone(&name), window);
            at
        };
        self.places.insert(name, at);
        self.link_newest(at);
        at
    }

    fn unlink(&mut self, at: usize) {
        let (newer, older) = (self.entries[at].newer, self.entries[at].older);
        match newer {
            NONE => self.newest = older,
            newer => self.entries[newer].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.entries[older].newer = newer,
        }
    }

    fn link_newest(&mut self, at: usize) {
        self.entries[at].newer = NONE;
        self.entries[at].older = self.newest;
        match self.newest {
            NONE => self.oldest = at,
            newest => self.entries[newest].newer = at,
        }
        self.newest = at;
    }

    /// Lets the neighbours of an entry point to its place.
    fn point(&mut self, newer: usize, older: usize, at: usize) {
        match newer {
            NONE => self.newest = at,
            newer => self.entries[newer].older = at,
        }
        match older {
            NONE => self.oldest = at,
            older => self.entries[older].newer = at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    use proptest::prelude::*;

    /// From the newest to the oldest, along the list and back.
    fn order(table: &Table) -> Vec<String> {
        let (mut names, mut at, mut back) = (Vec::new(), table.newest, NONE);
        while at != NONE {
            let entry = &table.entries[at];
            assert_eq!((entry.newer, table.places.get(&entry.name)), (back, Some(&at)));
            names.push(entry.name.to_string());
            (back, at) = (at, entry.older);
        }
        assert_eq!(table.oldest, back);
        assert_eq!((names.len(), table.places.len()), (table.entries.len(), table.entries.len()));
        names
    }

    proptest! {
        // spec: N-18, N-5
        #[test]
        fn the_least_recently_used_go_first_whatever_was_done(
            steps in prop::collection::vec((0..10_u8, 0..6_u8), 0..200),
            max in 1..8_usize,
        ) {
            let mut table = Table::new(2, max);
            let mut model: VecDeque<String> = VecDeque::new();
            for (node, step) in steps {
                let name = format!("n{node}");
                model.retain(|known| *known != name);
                if step == 0 {
                    table.remove(&name);
                } else {
                    table.used(&name).0.record(1, None);
                    model.push_front(name);
                    model.truncate(max);
                }
                prop_assert_eq!(order(&table), Vec::from(model.clone()));
            }
        }
    }
}
