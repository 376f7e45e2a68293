//! Measures the measuring: what counting and timing cost, and an example of every kind of gate.

use bench_support::{Bench, Record, Unit};

bench_support::count_allocations!();

fn main() {
    let bench = Bench::from_args();
    if bench.wants("bench-support") {
        let sum = |numbers: &mut Vec<u64>| {
            std::hint::black_box(numbers.iter().sum::<u64>());
        };
        let instructions = bench.instructions("bench-support", || (0..1_000).collect(), sum);
        let mut numbers: Vec<u64> = (0..1_000).collect();
        let ((), allocated) = bench_support::allocations(|| sum(&mut numbers));
        let record = Record::new("bench-support", "sum of 1 000 numbers", Unit::Nanoseconds)
            .samples(&bench.time(30, 1_000, || sum(&mut numbers)))
            .at_most(1_000.0)
            .gate("allocations", allocated.count, 0);
        // Five instructions per number and a call's worth of frame: vectorised code needs far fewer.
        match instructions {
            Some(count) => record.gate("instructions", count, 5_100).print(),
            None => record.note("valgrind is not installed: instructions not counted").print(),
        }
    }
}
