//! Repeats of one event from one node are folded: the log says how often, not each time (S-51).

use std::collections::BTreeMap;
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
    folded: u32,
}

/// Who said what how often.
#[derive(Debug, Default)]
pub(crate) struct Folds {
    seen: BTreeMap<(NodePath, &'static str), Seen>,
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
        if self.seen.len() >= WATCHED {
            let now = event.at;
            self.seen.retain(|_, seen| now.since(seen.since) < WINDOW);
            if self.seen.len() >= WATCHED {
                self.seen.clear();
            }
        }
        let key = (event.path.clone(), event.kind.name());
        let seen = self.seen.entry(key).or_insert(Seen { since: event.at, count: 0, folded: 0 });
        if event.at.since(seen.since) >= WINDOW {
            event.folded = seen.folded;
            *seen = Seen { since: event.at, count: 1, folded: 0 };
            return Some(event);
        }
        seen.count += 1;
        if seen.count > FREE {
            seen.folded += 1;
            return None;
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsm_core::CauseId;

    fn event(at: u64) -> Event {
        let path = NodePath::try_new("/edge/press").unwrap();
        let at = Moment::after_start(Duration::from_secs(at));
        Event { at, cause: CauseId::new(1), path, kind: EventKind::ObservationFresh, folded: 0 }
    }

    // spec: S-51
    #[test]
    fn the_sixth_repeat_in_a_minute_is_folded_and_counted_later() {
        let mut folds = Folds::default();
        let passed = (0..10).filter_map(|s| folds.pass(event(s))).count();
        assert_eq!(passed, 5);
        assert_eq!(folds.pass(event(61)).unwrap().folded, 5);
    }
}
