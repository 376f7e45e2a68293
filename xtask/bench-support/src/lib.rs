//! What a benchmark needs to count allocations, live bytes, instructions and CPU time, and to report them.
//!
//! A benchmark is a `[[bench]]` target with `harness = false`. It measures cases and prints one
//! `BENCH {json}` line per case; `cargo xtask bench` runs the targets, checks the gates and makes one table.
//!
//! ```
//! use bench_support::{Bench, Record, Unit};
//!
//! bench_support::count_allocations!();
//!
//! fn main() {
//!     let bench = Bench::from_args();
//!     if bench.wants("P1") {
//!         let numbers: Vec<usize> = (0..bench.size(1_000_000, 1_000)).collect();
//!         let (sum, allocated) = bench_support::allocations(|| numbers.iter().sum::<usize>());
//!         std::hint::black_box(sum);
//!         Record::new("P1", "sum of a slice", Unit::Nanoseconds)
//!             .samples(&bench.time(30, 1, || numbers.iter().sum::<usize>()))
//!             .at_most(10_000.0)
//!             .gate("allocations", allocated.count, 0)
//!             .print();
//!     }
//! }
//! ```
//!
//! Gates hold what noise can't move (allocations, bytes, evaluations, instructions): they fail
//! `cargo xtask ci`. Times are compared with their target in the table and never fail anything.

mod allocations;
mod bench;
mod format;
mod instructions;
mod record;
mod samples;
mod usage;

pub use allocations::{Allocations, allocations, live_bytes};
pub use bench::Bench;
pub use format::Unit;
pub use record::{Bound, Gate, PREFIX, Ratio, Record, Target};
pub use samples::Samples;
pub use usage::{Usage, process_cpu_time, thread_cpu_time};

#[doc(hidden)]
pub use stats_alloc as __stats_alloc;
