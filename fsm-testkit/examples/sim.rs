//! Runs many seeds of the plant on all cores and says what was done and found: `cargo xtask sim --seeds N --from M`.

#![expect(clippy::unwrap_used, reason = "the plant is shared with the tests")]

#[path = "../tests/simulate/plant.rs"]
mod plant;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fsm_testkit::simulate::{Failure, Report};
use tokio::time::Instant;

/// So many failures are shown in full.
const SHOWN: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, seeds] = arguments.as_slice() else {
        eprintln!("usage: sim FROM SEEDS");
        return ExitCode::from(2);
    };
    let (Ok(from), Ok(seeds)) = (from.parse::<u64>(), seeds.parse::<u64>()) else {
        eprintln!("sim: `{from}` and `{seeds}` must be numbers: the first seed, and how many");
        return ExitCode::from(2);
    };
    let began = Instant::now();
    let (next, end) = (AtomicU64::new(from), from.saturating_add(seeds));
    let found: Mutex<(Report, Vec<Failure>)> = Mutex::default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let (mut own, plant) = (Report::default(), plant::plant());
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    match plant.run_seed(seed) {
                        Ok(report) => own = own.and(report),
                        Err(failure) => found.lock().unwrap().1.push(*failure),
                    }
                }
                let mut found = found.lock().unwrap();
                found.0 = found.0.and(own);
            });
        }
    });
    let (report, mut failures) = found.into_inner().unwrap();
    failures.sort_by_key(|failure| failure.seed);
    for failure in failures.iter().take(SHOWN) {
        println!("{failure}\nOr: cargo xtask sim --from {} --seeds 1\n", failure.seed);
    }
    if failures.len() > SHOWN {
        let seeds: Vec<String> = failures.iter().map(|failure| failure.seed.to_string()).collect();
        println!("all failing seeds: {}", seeds.join(" "));
    }
    let hours = report.simulated.as_secs() / 3_600;
    println!(
        "{seeds} seeds, {hours} hours simulated, {} faults, {} ticks, {} checks of a rule, {} failures, slowest recovery {} s, \
         in {:.1} s",
        report.faults,
        report.ticks,
        report.checks,
        failures.len(),
        report.recovery.as_secs(),
        began.elapsed().as_secs_f64(),
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
