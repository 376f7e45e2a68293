//! The counter counts what a benchmark's gate relies on, in a process that installed it.

bench_support::count_allocations!();

// One test, because the count is of the whole process and the harness runs tests on threads.
#[test]
fn allocations_reallocations_and_live_bytes_are_counted() {
    let (kept, allocated) = bench_support::allocations(|| Vec::<u8>::with_capacity(4096));
    assert!(allocated.count >= 1 && allocated.bytes >= 4096 && allocated.live >= 4096, "{allocated:?}");

    let before = bench_support::live_bytes();
    drop(kept);
    assert!(bench_support::live_bytes() + 4096 <= before);

    let (grown, allocated) = bench_support::allocations(|| {
        let mut grown = Vec::<u8>::with_capacity(1);
        grown.reserve_exact(10_000);
        grown
    });
    assert!(allocated.count >= 2 && allocated.live >= 10_000, "{allocated:?}");
    drop(grown);

    let numbers = [1_u64, 2, 3];
    let (sum, allocated) = bench_support::allocations(|| numbers.iter().sum::<u64>());
    assert_eq!((sum, allocated.count, allocated.live), (6, 0, 0));
}
