//! Visits: who is due is looked at, level by level, and why somebody becomes due.

use std::time::Duration;

use fsm_core::Moment;
use fsm_core::erase::Slot;

use super::arena::NONE;
use super::flags::Flags;
use super::wheel::Timer;
use super::{Engine, Stopwatch, TIMED, WARM};
use crate::event::EventKind;
use crate::planted::{self, Bug};

impl Engine {
    /// Visits the due nodes of one depth, family by family, reading the stopwatch once per family.
    pub(super) fn visit_level(&mut self, nodes: &[u32], stopwatch: &dyn Stopwatch, slowest: &mut (u64, u32)) {
        let mut at = 0;
        let mut before = stopwatch.nanos();
        let mut warm = 0;
        // Reading the clock costs a third of a visit: siblings share one reading unless somebody is known to be slow.
        let each = self.now < self.timed_until;
        while at < nodes.len() {
            let parent = self.arena.hot(nodes[at]).parent;
            let start = at;
            while at < nodes.len() && self.arena.hot(nodes[at]).parent == parent && (at == start || !each) {
                if at >= warm {
                    warm = (at + WARM).min(nodes.len());
                    self.warm(&nodes[at..warm]);
                }
                self.visit(nodes[at], stopwatch);
                at += 1;
            }
            let after = stopwatch.nanos();
            let took = after.saturating_sub(before) / (at - start) as u64;
            if took >= slowest.0 {
                *slowest = (took, nodes[start]);
            }
            if parent != NONE {
                self.note_spread(parent, before, after);
            }
            before = after;
        }
    }

    /// Touches what the visits of these nodes will read. Each visit waits for memory in several places, one after the other;
    /// these reads don't wait for each other.
    pub(super) fn warm(&self, nodes: &[u32]) {
        let (mut sum, mut family) = (0, NONE);
        for index in nodes {
            let hot = self.arena.hot(*index);
            sum += self.arena.touch(*index);
            if hot.slot != Slot::NONE {
                sum += self.kinds[hot.kind as usize].touch(hot.slot);
            }
            if hot.parent != family {
                family = hot.parent;
                sum += self.arena.touch_family(family);
            }
        }
        std::hint::black_box(sum);
    }

    /// One node's turn: derive → membership → gates → `next` or `stop` → apply → goals of children (S-2).
    pub(super) fn visit(&mut self, index: u32, stopwatch: &dyn Stopwatch) {
        let hot = self.arena.hot_mut(index);
        if hot.incarnation.get() == 0 || !hot.flags.take(Flags::DUE) {
            return;
        }
        self.report.visited += 1;
        self.retry_derive_in_time(index);
        self.restore_below_in_time(index);
        let hot = self.arena.hot(index);
        if hot.flags.has(Flags::DERIVE) && !self.leaves(index) {
            self.derive(index, stopwatch);
        }
        if self.arena.hot(index).flags.has(Flags::MEMBERS) {
            self.reconcile(index, stopwatch);
        }
        self.decide(index);
        if self.arena.hot(index).incarnation.get() != 0 && self.arena.cold(index).supervisor.is_some() {
            self.goals_of_children(index);
        }
    }

    /// A tick that took too long is counted, and an event names the slowest node of it: in the first such tick the first of the
    /// siblings that were slowest on average, from then on the very node (S-4).
    pub(super) fn overrun(&mut self, slowest: u32) {
        let took = Duration::from_nanos(self.report.nanos);
        if took > self.config.tick_interval / 10 {
            self.meter.overrun();
            self.timed_until = self.now + TIMED;
            if slowest != NONE && self.arena.hot(slowest).incarnation.get() != 0 {
                self.emit(slowest, EventKind::TickOverrun { took });
            }
        }
    }

    /// Puts a node on the due list, for the present cause.
    pub(super) fn mark(&mut self, index: u32) {
        let hot = self.arena.hot_mut(index);
        if planted::is(Bug::DirtyFlagLost) && hot.flags.has(Flags::DUE) {
            hot.flags.clear(Flags::MEMBERS);
            hot.flags.clear(Flags::DERIVE);
        }
        hot.flags.set(Flags::NEWS);
        self.mark_self(index);
    }

    /// The same when nothing is new but the node's own state.
    pub(super) fn mark_self(&mut self, index: u32) {
        let hot = self.arena.hot_mut(index);
        if !hot.flags.has(Flags::DUE) {
            hot.flags.set(Flags::DUE);
            let depth = hot.depth as usize;
            self.due.push(depth, index);
            self.arena.cold_mut(index).cause = self.cause;
        }
    }

    /// Marks the parent, because it sees something new of this node.
    pub(super) fn mark_parent(&mut self, index: u32) {
        let parent = self.arena.hot(index).parent;
        if parent != NONE {
            self.mark(parent);
        }
    }

    /// Books a visit at `at`, or earlier when one is booked already.
    pub(super) fn wake_by(&mut self, index: u32, at: Moment) {
        let node = self.arena.id(index);
        let hot = self.arena.hot_mut(index);
        if at < hot.wake_at {
            hot.wake_at = at;
            // The same moment as before is in the wheel already.
            if self.armed != (node, at) {
                self.wheel.arm(at, node, Timer::Wake);
            }
        }
    }

    pub(super) fn fire_timers(&mut self) {
        let mut fired = std::mem::take(&mut self.fired);
        self.wheel.advance(self.now, &mut fired);
        for entry in fired.drain(..) {
            if !self.arena.lives(entry.node) {
                continue;
            }
            let index = entry.node.index() as u32;
            match entry.timer {
                Timer::Wake => {
                    let hot = self.arena.hot_mut(index);
                    if hot.wake_at == entry.at {
                        hot.wake_at = Moment::FAR;
                        self.cause = self.cause.next();
                        self.mark(index);
                    }
                }
                Timer::Collect => {
                    let hot = self.arena.hot(index);
                    if hot.collect_at == entry.at && !hot.flags.has(Flags::COLLECTING) {
                        self.collect_due(index);
                    }
                }
                Timer::Fresh => self.fresh_due(index, entry.at),
            }
        }
        self.fired = fired;
    }
}
