//! What is told of simulations: the same for the same seed, so no time of this machine is in it.

use std::fmt::Write as _;
use std::time::Duration;

use fsm_core::HumanDuration;
use fsm_testkit::simulate::{Failure, Report};

use crate::show::count;

/// One line about a run in which every rule held.
#[must_use]
pub fn held(seed: u64, report: &Report) -> String {
    format!("seed {seed}: every rule held: {}\n", told(report))
}

/// One line about all of them.
#[must_use]
pub fn total(from: u64, seeds: u64, report: &Report) -> String {
    format!(
        "ok: {} from {from}: {}\n",
        count(usize::try_from(seeds).unwrap_or(usize::MAX), "seed"),
        told(report)
    )
}

fn told(report: &Report) -> String {
    format!(
        "{} simulated, {}, {} of a rule, {}, slowest recovery {}",
        seconds(report.simulated),
        many(report.faults, "fault"),
        many(report.checks, "check"),
        many(report.ticks, "tick"),
        seconds(report.recovery),
    )
}

fn many(n: u64, what: &str) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX), what)
}

fn seconds(time: Duration) -> HumanDuration {
    HumanDuration::new(Duration::from_secs(time.as_secs()))
}

/// Lines of the trace that are shown.
const TAIL: usize = 40;

/// A rule that was broken: which, what led there, the shortest script that breaks it, and how to see it again.
#[must_use]
pub fn broken(failure: &Failure, again: &str) -> String {
    let mut text = format!("{} is broken with seed {}: {}\n\n", failure.rule, failure.seed, failure.what);
    let lines: Vec<&str> = failure.trace.lines().collect();
    let hidden = lines.len().saturating_sub(TAIL);
    if hidden > 0 {
        let _ = writeln!(text, "  … {hidden} lines before");
    }
    for line in &lines[hidden..] {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "\nThe shortest script that was found to break it:");
    for step in &failure.script.steps {
        let _ = writeln!(text, "  {step}");
    }
    if failure.script.is_empty() {
        let _ = writeln!(text, "  (nothing has to happen)");
    }
    let _ = writeln!(text, "\nTo see it again: {again}");
    text
}
