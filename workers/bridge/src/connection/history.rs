//! What a node remembers between probes: when the answer changed, and its TLS set-up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fsm_core::Moment;

use super::config::MAX_CHANGES;
use super::probe::CustomTls;

/// Live memory of one incarnation.
#[derive(Debug, Default)]
pub struct ConnectionHandle {
    history: Mutex<History>,
    pub(super) tls: CustomTls,
}

impl ConnectionHandle {
    /// Notes what a probe of `target` saw at `now`; gives the changes within `window`.
    pub(super) fn note(&self, target: &Arc<str>, is_up: bool, now: Moment, window: Duration) -> u32 {
        // A panic elsewhere leaves the history whole, so a poisoned lock is still good.
        self.history.lock().unwrap_or_else(PoisonError::into_inner).note(target, is_up, now, window)
    }
}

#[derive(Debug, Default)]
struct History {
    last: Option<(Arc<str>, bool)>,
    changes: VecDeque<Moment>,
}

impl History {
    fn note(&mut self, target: &Arc<str>, is_up: bool, now: Moment, window: Duration) -> u32 {
        match &mut self.last {
            Some((known, was_up)) if known == target => {
                if *was_up != is_up {
                    *was_up = is_up;
                    self.changes.push_back(now);
                }
            }
            // Another target has another past.
            last => {
                *last = Some((Arc::clone(target), is_up));
                self.changes.clear();
            }
        }
        while self.changes.len() > MAX_CHANGES as usize
            || self.changes.front().is_some_and(|at| now.since(*at) > window)
        {
            self.changes.pop_front();
        }
        self.changes.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn changes_are_counted_within_the_window_only() {
        let (mut history, target, window) =
            (History::default(), Arc::from("tcp://a:1"), Duration::from_secs(10));
        let mut note = |is_up, second| history.note(&target, is_up, at(second), window);
        assert_eq!(note(true, 0), 0, "the first answer is no change");
        assert_eq!(note(true, 1), 0);
        assert_eq!(note(false, 2), 1);
        assert_eq!(note(true, 3), 2);
        assert_eq!(note(true, 12), 2, "the oldest is just inside");
        assert_eq!(note(true, 13), 1);
        assert_eq!(note(true, 14), 0);
    }

    #[test]
    fn another_target_begins_anew() {
        let (a, b) = (Arc::from("tcp://a:1"), Arc::from("tcp://b:1"));
        let (mut history, window) = (History::default(), Duration::from_secs(10));
        history.note(&a, true, at(0), window);
        assert_eq!(history.note(&a, false, at(1), window), 1);
        assert_eq!(history.note(&b, true, at(2), window), 0);
    }

    #[test]
    fn the_memory_of_changes_is_bounded() {
        let (mut history, target) = (History::default(), Arc::from("tcp://a:1"));
        for second in 0..1000 {
            history.note(&target, second % 2 == 0, at(second), Duration::from_secs(100_000));
        }
        assert_eq!(history.changes.len(), MAX_CHANGES as usize);
    }
}
