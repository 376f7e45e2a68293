//! Repeats of one event from one node are folded: the log says how often, not each time (S-51).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use fsm_core::{Moment, NodePath};

use crate::event::{Event, EventKind};

/// So many repeats pass before folding starts.
const FREE: u32 = 5;
/// Repeats are counted inside this time.
const WINDOW: Duration = Duration::from_secs(60);
/// So many (node, event) pairs are watched; the oldest windows go first, so that memory is bounded (J7).
const WATCHED: usize = 4_096;

#[derive(Debug)]
struct Seen {
    since: Moment,
    count: u32,
    /// The newest of those folded, told with their number when the window ends, and how many they are.
    last: Option<Box<Event>>,
    folded: u32,
}

impl Seen {
    const fn new(since: Moment) -> Self {
        Self { since, count: 1, last: None, folded: 0 }
    }
}

/// Who said what how often.
#[derive(Debug)]
pub(crate) struct Folds {
    seen: BTreeMap<(NodePath, [&'static str; 3]), Seen>,
    /// When the first window in which something was folded ends; a lower bound.
    due: Moment,
}

impl Default for Folds {
    fn default() -> Self {
        Self { seen: BTreeMap::new(), due: Moment::FAR }
    }
}

impl Folds {
    /// The event, with the number of those folded before it; or nothing when it is folded itself.
    pub(crate) fn pass(&mut self, mut event: Event) -> Option<Event> {
        // What an operator did is never folded (U-84).
        if let EventKind::Command { .. } | EventKind::OverrideSet { .. } | EventKind::OverrideCleared { .. } =
            event.kind
        {
            return Some(event);
        }
        self.make_room(event.at);
        let seen = match self.seen.entry(key(&event)) {
            Entry::Occupied(seen) => seen.into_mut(),
            Entry::Vacant(place) => {
                place.insert(Seen::new(event.at));
                return Some(event);
            }
        };
        if event.at.since(seen.since) >= WINDOW {
            event.folded = seen.folded;
            *seen = Seen::new(event.at);
            return Some(event);
        }
        seen.count += 1;
        if seen.count <= FREE {
            return Some(event);
        }
        seen.folded += 1;
        self.due = self.due.min(seen.since + WINDOW);
        seen.last = Some(Box::new(event));
        None
    }

    /// When `settle` has something to tell, at the earliest.
    pub(crate) const fn due(&self) -> Moment {
        self.due
    }

    /// Events of bursts that ended: the last of each, with the number of those folded into it.
    pub(crate) fn settle(&mut self, now: Moment) -> Vec<Event> {
        if now < self.due {
            return Vec::new();
        }
        self.due = Moment::FAR;
        let mut told = Vec::new();
        for seen in self.seen.values_mut() {
            let Some(last) = &seen.last else { continue };
            if now.since(seen.since) < WINDOW {
                self.due = self.due.min(seen.since + WINDOW);
                continue;
            }
            told.push(Event { folded: seen.folded - 1, ..Event::clone(last) });
            *seen = Seen::new(now);
        }
        told.sort_by_key(|event| event.at);
        told
    }

    /// Forgets windows that are over once too many are watched, and all if that doesn't help.
    fn make_room(&mut self, now: Moment) {
        if self.seen.len() >= WATCHED {
            self.seen.retain(|_, seen| seen.last.is_some() || now.since(seen.since) < WINDOW);
            if self.seen.len() >= WATCHED {
                self.seen.retain(|_, seen| seen.last.is_some());
            }
            if self.seen.len() >= WATCHED {
                self.seen.clear();
            }
        }
    }
}

/// What makes two events the same one: a cycle of three states is three events.
fn key(event: &Event) -> (NodePath, [&'static str; 3]) {
    let (first, second) = if let EventKind::StateTransition { from, to, .. } = &event.kind {
        (*from, *to)
    } else if let EventKind::ActionQueued { action }
    | EventKind::ActionStarted { action }
    | EventKind::ActionEnded { action, .. } = &event.kind
    {
        (*action, "")
    } else {
        ("", "")
    };
    (event.path.clone(), [event.kind.name(), first, second])
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsm_core::{CauseId, Phase};

    fn of(at: u64, kind: EventKind) -> Event {
        let path = NodePath::try_new("/edge/press").unwrap();
        let at = Moment::after_start(Duration::from_secs(at));
        Event { at, cause: CauseId::new(1), path, kind, folded: 0 }
    }

    fn event(at: u64) -> Event {
        of(at, EventKind::ObservationFresh)
    }

    // spec: S-51
    #[test]
    fn the_sixth_repeat_in_a_minute_is_folded_and_counted_later() {
        let mut folds = Folds::default();
        let passed = (0..10).filter_map(|s| folds.pass(event(s))).count();
        assert_eq!(passed, 5);
        assert_eq!(folds.pass(event(61)).unwrap().folded, 5);
    }

    // spec: S-51
    #[test]
    fn a_burst_that_ends_is_told_when_its_minute_is_over() {
        let mut folds = Folds::default();
        let at = |s| Moment::after_start(Duration::from_secs(s));
        assert_eq!((0..5).filter_map(|s| folds.pass(event(s))).count(), 5);
        assert_eq!(folds.due(), Moment::FAR);
        assert_eq!((5..9).filter_map(|s| folds.pass(event(s))).count(), 0);
        assert_eq!(folds.due(), at(60));
        assert!(folds.settle(at(59)).is_empty());
        let told = folds.settle(at(60));
        assert_eq!(told.iter().map(|e| (e.at, e.folded)).collect::<Vec<_>>(), [(at(8), 3)]);
        assert!(folds.settle(at(600)).is_empty());
        assert_eq!(folds.due(), Moment::FAR);
    }

    // spec: S-51
    #[test]
    fn different_moves_of_one_node_are_different_events() {
        let mut folds = Folds::default();
        let mut go = |from, to| {
            folds.pass(of(
                1,
                EventKind::StateTransition { from, to, phase: Phase::Running, reason: "".into() },
            ))
        };
        let passed = (0..5).filter(|_| go("A", "B").is_some() && go("B", "A").is_some()).count();
        assert_eq!(passed, 5);
        assert!(go("A", "B").is_none() && go("B", "C").is_some());
    }
}
