//! The last executions of one node: their durations for percentiles, and which of them failed.

use std::time::Duration;

/// A ring of the last executions. An entry is a duration in nanoseconds, shifted by the bit that says whether it failed: both
/// are looked at together, and the memory of a window is what a node costs.
#[derive(Debug, Clone)]
pub(super) struct Window {
    ring: Box<[u64]>,
    next: usize,
    len: usize,
    failures: usize,
}

/// 292 years: longer durations count as this long.
const LONGEST: u64 = u64::MAX >> 1;

/// Duration in nanoseconds.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(LONGEST).min(LONGEST)
}

/// The position of a percentile among `n` sorted samples, by nearest rank in integers: the sample of rank ⌈p·n/100⌉, from 1.
/// With `n` = 0 there is none.
const fn position(percent: usize, n: usize) -> usize {
    let rank = (percent * n).div_ceil(100);
    if rank == 0 { 0 } else { rank - 1 }
}

impl Window {
    pub(super) fn new(size: usize) -> Self {
        Self { ring: vec![0; size].into(), next: 0, len: 0, failures: 0 }
    }

    pub(super) fn clear(&mut self) {
        (self.next, self.len, self.failures) = (0, 0, 0);
    }

    pub(super) fn push(&mut self, nanos: u64, failed: bool) {
        let size = self.ring.len();
        let place = &mut self.ring[self.next];
        if self.len == size {
            self.failures -= (*place & 1) as usize;
        } else {
            self.len += 1;
        }
        *place = nanos << 1 | u64::from(failed);
        self.failures += usize::from(failed);
        self.next = if self.next + 1 == size { 0 } else { self.next + 1 };
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Share of the executions in the window that failed.
    pub(super) fn failure_rate(&self) -> f64 {
        if self.len == 0 { 0.0 } else { self.failures as f64 / self.len as f64 }
    }

    /// One percentile in nanoseconds, without an allocation once `room` has grown to the window.
    pub(super) fn percentile(&self, percent: usize, room: &mut Vec<u64>) -> Option<u64> {
        self.durations(room);
        if room.is_empty() {
            return None;
        }
        Some(*room.select_nth_unstable(position(percent, self.len)).1)
    }

    /// The percentiles 50, 90 and 99 in nanoseconds.
    pub(super) fn percentiles(&self, room: &mut Vec<u64>) -> Option<[u64; 3]> {
        self.durations(room);
        room.sort_unstable();
        (!room.is_empty()).then(|| [50, 90, 99].map(|percent| room[position(percent, room.len())]))
    }

    fn durations(&self, room: &mut Vec<u64>) {
        room.clear();
        room.extend(self.ring[..self.len].iter().map(|entry| entry >> 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(size: usize, samples: impl Iterator<Item = u64>, expected: [u64; 3]) {
        let (mut window, mut room) = (Window::new(size), Vec::new());
        samples.for_each(|sample| window.push(sample, false));
        assert_eq!(window.percentiles(&mut room), Some(expected));
        for (percent, value) in [50, 90, 99].into_iter().zip(expected) {
            assert_eq!(window.percentile(percent, &mut room), Some(value));
        }
    }

    // spec: N-8
    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        check(100, 1..=1, [1, 1, 1]);
        check(100, 1..=2, [1, 2, 2]);
        check(100, 1..=10, [5, 9, 10]);
        check(100, 1..=20, [10, 18, 20]);
        check(100, 1..=100, [50, 90, 99]);
        check(1_000, 1..=1_000, [500, 900, 990]);
        check(100, (1..=100).rev(), [50, 90, 99]);
    }

    // spec: N-8
    #[test]
    fn the_window_rolls() {
        check(100, 1..=250, [200, 240, 249]);
        check(1, 1..=9, [9, 9, 9]);
    }

    // spec: N-8
    #[test]
    fn an_empty_window_has_no_percentiles() {
        let (mut window, mut room) = (Window::new(3), Vec::new());
        assert_eq!((window.percentiles(&mut room), window.percentile(99, &mut room)), (None, None));
        window.push(4, true);
        window.clear();
        assert_eq!((window.percentiles(&mut room), window.len()), (None, 0));
    }

    // spec: N-17
    #[test]
    fn failures_leave_the_window_with_their_executions() {
        let mut window = Window::new(4);
        [true, false, false, true, false, false, false].into_iter().for_each(|failed| window.push(1, failed));
        assert!((window.failure_rate() - 0.25).abs() < f64::EPSILON);
        window.push(1, false);
        assert!(window.failure_rate().abs() < f64::EPSILON);
    }

    // spec: N-14
    #[test]
    fn a_duration_that_is_too_long_counts_as_the_longest() {
        let mut window = Window::new(1);
        window.push(nanos(Duration::MAX), true);
        assert_eq!(window.percentiles(&mut Vec::new()), Some([LONGEST; 3]));
    }
}
