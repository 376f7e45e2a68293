//! Deadlines of all nodes in one hierarchical timing wheel: arming is a push, firing is a drain, nothing is ever cancelled.
//!
//! A fired entry is a hint, never a command: the engine compares it with the node's present deadline and drops it when the
//! node has moved on. So re-arming costs no search, and an observation need not touch the wheel at all.

use fsm_core::{Moment, NodeId};

/// Which of a node's deadlines an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Start a collection.
    Collect,
    /// Look whether the observation is still fresh.
    Fresh,
    /// Visit the node.
    Wake,
}

/// One armed deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Moment,
    pub(crate) node: NodeId,
    pub(crate) timer: Timer,
}

/// One slot of the finest level, as a power of two of nanoseconds: 2^20 ns ≈ 1 ms, the floor of what a driver's timer resolves.
const GRAIN_BITS: u32 = 20;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// 64^6 grains ≈ 2.3 years: farther deadlines wait in the last level and are looked at again.
const LEVELS: usize = 6;

/// The grain in which a moment fires, rounded up: nothing fires before its time.
const fn grain_of(at: Moment) -> u64 {
    at.as_nanos().saturating_add((1 << GRAIN_BITS) - 1) >> GRAIN_BITS
}

#[derive(Debug)]
struct Level {
    slots: Vec<Vec<Entry>>,
    occupied: u64,
}

/// The wheel. Entries fire in order of grain, within one grain in order of arming.
#[derive(Debug)]
pub(crate) struct Wheel {
    levels: Vec<Level>,
    /// The grain up to which everything was fired.
    current: u64,
    len: usize,
    /// Emptied slot buffers, handed out again so that a turning wheel doesn't allocate.
    spare: Vec<Vec<Entry>>,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        let level = || Level { slots: (0..SLOTS).map(|_| Vec::new()).collect(), occupied: 0 };
        Self { levels: (0..LEVELS).map(|_| level()).collect(), current: 0, len: 0, spare: Vec::new() }
    }

    /// Arms a deadline. One that is past fires with the next `advance`.
    pub(crate) fn arm(&mut self, at: Moment, node: NodeId, timer: Timer) {
        if at == Moment::FAR {
            return;
        }
        self.len += 1;
        self.place(Entry { at, node, timer });
    }

    fn place(&mut self, entry: Entry) {
        // Rounded up: nothing fires before its time.
        let grain =
            (entry.at.as_nanos().saturating_add((1 << GRAIN_BITS) - 1) >> GRAIN_BITS).max(self.current + 1);
        let distance = grain ^ self.current;
        let level = ((63 - distance.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1);
        let slot = ((grain >> (level * SLOT_BITS)) as usize) & (SLOTS - 1);
        let place = &mut self.levels[level as usize];
        if place.slots[slot].capacity() == 0
            && let Some(buffer) = self.spare.pop()
        {
            place.slots[slot] = buffer;
        }
        place.slots[slot].push(entry);
        place.occupied |= 1 << slot;
    }

    /// The moment at which `advance` has something to do; a lower bound of the earliest deadline.
    pub(crate) fn next(&self) -> Option<Moment> {
        if self.len == 0 {
            return None;
        }
        (0..LEVELS)
            .filter_map(|level| self.next_grain(level))
            .min()
            .map(|grain| Moment::from_nanos(grain << GRAIN_BITS))
    }

    /// The next grain at which a slot of this level is reached.
    fn next_grain(&self, level: usize) -> Option<u64> {
        let occupied = self.levels[level].occupied;
        if occupied == 0 {
            return None;
        }
        let shift = level as u32 * SLOT_BITS;
        let here = (self.current >> shift) as usize & (SLOTS - 1);
        // Slots after the present one come first, then those of the next turn.
        let ahead = (occupied.rotate_right(here as u32) & !1).trailing_zeros() as u64;
        let ahead = if ahead == 64 { SLOTS as u64 } else { ahead };
        Some(((self.current >> shift) + ahead) << shift)
    }

    /// Fires everything up to `now` into `fired`.
    pub(crate) fn advance(&mut self, now: Moment, fired: &mut Vec<Entry>) {
        let target = now.as_nanos() >> GRAIN_BITS;
        while self.len > 0 {
            let nexts: [Option<u64>; LEVELS] = std::array::from_fn(|level| self.next_grain(level));
            let Some(grain) = nexts.iter().flatten().min().copied().filter(|grain| *grain <= target) else {
                break;
            };
            // Every slot that begins here is emptied before the wheel stands here: a slot it stands on counts as passed.
            let mut emptied: [Vec<Entry>; LEVELS] = std::array::from_fn(|level| {
                if nexts[level] != Some(grain) {
                    return Vec::new();
                }
                let slot = (grain >> (level as u32 * SLOT_BITS)) as usize & (SLOTS - 1);
                self.levels[level].occupied &= !(1 << slot);
                std::mem::take(&mut self.levels[level].slots[slot])
            });
            self.current = grain;
            for buffer in emptied.iter_mut().rev() {
                for entry in buffer.drain(..) {
                    if grain_of(entry.at) <= grain {
                        self.len -= 1;
                        fired.push(entry);
                    } else {
                        self.place(entry);
                    }
                }
                self.keep(std::mem::take(buffer));
            }
        }
        self.current = self.current.max(target);
    }

    /// Keeps a buffer for reuse, unless enough are kept or more room than all entries need.
    fn keep(&mut self, buffer: Vec<Entry>) {
        let room = self.spare.iter().map(Vec::capacity).sum::<usize>() + buffer.capacity();
        if self.spare.len() < SLOTS && buffer.capacity() > 0 && room <= self.len.max(1 << 16) {
            self.spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsm_core::Incarnation;

    fn node(index: u32) -> NodeId {
        NodeId::new(index, Incarnation::new(1))
    }

    fn ms(ms: u64) -> Moment {
        Moment::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn entries_fire_once_never_early_and_within_a_grain() {
        let mut wheel = Wheel::new();
        let mut expected: Vec<(u64, u32)> = Vec::new();
        let mut x = 12345_u64;
        for index in 0..5_000_u32 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (x >> 33) % 400_000_000;
            wheel.arm(ms(at), node(index), Timer::Wake);
            expected.push((at, index));
        }
        let mut fired = Vec::new();
        let mut now = 0;
        let mut seen = Vec::new();
        while let Some(next) = wheel.next() {
            now = now.max(next.as_nanos());
            wheel.advance(Moment::from_nanos(now), &mut fired);
            for entry in fired.drain(..) {
                assert!(entry.at.as_nanos() <= now, "fired early");
                assert!(
                    now - entry.at.as_nanos() <= 2 << GRAIN_BITS,
                    "fired late by {}",
                    now - entry.at.as_nanos()
                );
                seen.push((entry.at.as_nanos() / 1_000_000, entry.node.index() as u32));
            }
        }
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected);
        assert_eq!(wheel.len, 0);
    }

    #[test]
    fn a_big_jump_fires_everything_in_order_of_time() {
        let mut wheel = Wheel::new();
        for (index, at) in [70, 5, 4_200, 64, 300_000].into_iter().enumerate() {
            wheel.arm(ms(at), node(index as u32), Timer::Fresh);
        }
        let mut fired = Vec::new();
        wheel.advance(ms(1_000_000), &mut fired);
        let times: Vec<u64> = fired.iter().map(|e| e.at.as_nanos() / 1_000_000).collect();
        assert_eq!(times, [5, 64, 70, 4_200, 300_000]);
        assert!(wheel.next().is_none());
    }

    #[test]
    fn a_past_deadline_fires_at_the_next_advance() {
        let mut wheel = Wheel::new();
        let mut fired = Vec::new();
        wheel.advance(ms(10_000), &mut fired);
        wheel.arm(ms(3), node(1), Timer::Wake);
        wheel.advance(ms(10_002), &mut fired);
        assert_eq!(fired.len(), 1);
    }

    #[test]
    fn far_is_never_armed() {
        let mut wheel = Wheel::new();
        wheel.arm(Moment::FAR, node(1), Timer::Wake);
        assert!(wheel.next().is_none());
    }
}
