//! How deep and how long a tick went below each supervisor (S-3): noted once per family, not per node.

use super::Engine;
use super::arena::NONE;

impl Engine {
    /// A family below `parent` was visited between two readings of the stopwatch.
    pub(super) fn note_spread(&mut self, parent: u32, began: u64, ended: u64) {
        let tick = self.ticks;
        let (mut at, mut depth) = (parent, 1);
        while at != NONE {
            let above = self.arena.hot(at).parent;
            let Some(supervisor) = self.arena.cold_if_alive(at).and_then(|cold| cold.supervisor.as_mut())
            else {
                break;
            };
            let spread = &mut supervisor.spread;
            if spread.tick != tick {
                *spread = super::arena::Spread { tick, began, ended, depth };
                self.spread.push(at);
            }
            spread.depth = spread.depth.max(depth);
            spread.ended = ended;
            at = above;
            depth += 1;
        }
    }

    /// Hands what was noted to the meter.
    pub(super) fn flush_spread(&mut self) {
        let mut spread = std::mem::take(&mut self.spread);
        for index in spread.drain(..) {
            let scope = self.arena.hot(index).scope;
            if let Some(supervisor) =
                self.arena.cold_if_alive(index).and_then(|cold| cold.supervisor.as_ref())
            {
                let noted = supervisor.spread;
                self.meter.spread(scope, noted.depth, noted.ended.saturating_sub(noted.began));
            }
        }
        self.spread = spread;
    }
}
