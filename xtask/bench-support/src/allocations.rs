//! Counts what the whole process allocates, because 0 allocations is a promise that noise can't move.

use stats_alloc::{INSTRUMENTED_SYSTEM, Stats};

/// Installs the counting allocator in this binary; without it every count is 0.
///
/// It is a macro and not a side effect of linking, because counting costs about ten nanoseconds per
/// allocation: a benchmark that compares throughput with a peer leaves it out.
#[macro_export]
macro_rules! count_allocations {
    () => {
        #[global_allocator]
        static COUNTING: &$crate::__stats_alloc::StatsAlloc<::std::alloc::System> =
            &$crate::__stats_alloc::INSTRUMENTED_SYSTEM;
    };
}

/// What was allocated while a closure ran, on every thread of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocations {
    /// Calls to the allocator that may have returned new memory: allocations and reallocations.
    pub count: u64,
    /// Bytes asked for by those calls.
    pub bytes: u64,
    /// Bytes that were still in use at the end, less those in use at the start; negative if more was freed.
    pub live: i64,
}

/// Runs `work` and counts what the process allocated meanwhile.
///
/// # Panics
/// If the binary did not install the counter with [`count_allocations!`]: a count that is always 0
/// would be a gate that can't fail.
pub fn allocations<T>(work: impl FnOnce() -> T) -> (T, Allocations) {
    assert_counting();
    let before = INSTRUMENTED_SYSTEM.stats();
    let value = work();
    let after = INSTRUMENTED_SYSTEM.stats();
    let change = after - before;
    let count = change.allocations + change.reallocations;
    let grown =
        i64::try_from(live(&after)).unwrap_or(i64::MAX) - i64::try_from(live(&before)).unwrap_or(i64::MAX);
    (value, Allocations { count: count as u64, bytes: change.bytes_allocated as u64, live: grown })
}

/// Bytes that the program holds on the heap now, as it asked for them (without the allocator's own overhead).
///
/// # Panics
/// If the binary did not install the counter with [`count_allocations!`].
pub fn live_bytes() -> u64 {
    assert_counting();
    live(&INSTRUMENTED_SYSTEM.stats())
}

// The counters of a reallocation are folded into bytes_allocated and bytes_deallocated by stats_alloc.
fn live(stats: &Stats) -> u64 {
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated) as u64
}

fn assert_counting() {
    drop(std::hint::black_box(Box::new(0_u8)));
    assert!(
        INSTRUMENTED_SYSTEM.stats().allocations > 0,
        "this benchmark counts allocations without a counter: add `bench_support::count_allocations!();` to it"
    );
}
