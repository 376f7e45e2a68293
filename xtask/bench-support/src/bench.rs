//! What a benchmark was asked to do: quick or full, which cases, and how to time one.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use crate::Samples;

/// The request that a benchmark binary received on its command line.
///
/// `cargo xtask bench` passes `--quick` for the short form that CI runs and the ids of the wanted cases.
#[derive(Clone, Debug, Default)]
pub struct Bench {
    quick: bool,
    wanted: Vec<String>,
    pub(crate) instructions_of: Option<String>,
}

impl Bench {
    /// Reads the command line of the process. Flags of `cargo bench` that mean nothing here are ignored.
    pub fn from_args() -> Self {
        Self::parse(std::env::args_os().skip(1))
    }

    fn parse(args: impl Iterator<Item = OsString>) -> Self {
        let mut bench = Self::default();
        let mut args = args.map(|arg| arg.to_string_lossy().into_owned());
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--quick" => bench.quick = true,
                "--instructions" => bench.instructions_of = args.next(),
                flag if flag.starts_with('-') => {}
                _ => bench.wanted.push(arg),
            }
        }
        bench
    }

    /// Whether the short form is wanted: small sizes, few runs, the same gates.
    pub fn quick(&self) -> bool {
        self.quick
    }

    /// `full`, or `quick` in the short form: for sizes and numbers of runs.
    pub fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// Whether the case with this id should run.
    pub fn wants(&self, id: &str) -> bool {
        match &self.instructions_of {
            Some(only) => only == id,
            None => self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted == id),
        }
    }

    /// Times `work` in `runs` runs (a tenth of it in the short form, at least 3) of `per_run` calls
    /// after one warm-up run; the samples are nanoseconds per call.
    pub fn time<T>(&self, runs: usize, per_run: u32, mut work: impl FnMut() -> T) -> Samples {
        let runs = if self.quick { (runs / 10).max(3) } else { runs.max(1) };
        let mut run = || {
            let ((), elapsed) = elapsed(|| {
                for _ in 0..per_run {
                    std::hint::black_box(work());
                }
            });
            elapsed.as_secs_f64() * 1e9 / f64::from(per_run)
        };
        run();
        (0..runs).map(|_| run()).collect()
    }
}

/// Runs `work` once and says how long it took.
pub(crate) fn elapsed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time, never paused time")]
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Bench {
        Bench::parse(args.iter().map(OsString::from))
    }

    #[test]
    fn flags_of_cargo_bench_are_not_case_ids() {
        let bench = parse(&["--bench", "--quick", "P1"]);
        assert!(bench.quick());
        assert!(bench.wants("P1"));
        assert!(!bench.wants("P2"));
    }

    #[test]
    fn without_ids_every_case_runs() {
        let bench = parse(&["--bench"]);
        assert!(bench.wants("P1"));
        assert_eq!(bench.size(10, 1), 10);
    }

    #[test]
    fn counting_instructions_runs_only_the_counted_case() {
        let bench = parse(&["--quick", "--instructions", "P2"]);
        assert!(bench.wants("P2"));
        assert!(!bench.wants("P1"));
    }

    #[test]
    fn the_quick_form_keeps_at_least_three_runs() {
        assert_eq!(parse(&["--quick"]).time(10, 1, || 1).runs(), 3);
        assert_eq!(parse(&[]).time(10, 2, || 1).runs(), 10);
    }
}
