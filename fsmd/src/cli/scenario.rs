//! `fsmd scenario`: lists the built-in scenarios, plays one or all of them, and says how they went.

use std::fmt::Write as _;
use std::time::Duration;

use fsm_templating::nearest;
use serde::Serialize;
use tokio::time::Instant;

use super::{Failure, Format};
use crate::scenario::{ALL, Played, Scenario, find, play};
use crate::show::{self, count};

/// What `scenario` was asked for.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) name: Option<String>,
    pub(super) list: bool,
    pub(super) trace: bool,
    pub(super) output: Format,
}

/// How a scenario went, for programs.
#[derive(Debug, Serialize)]
struct Went {
    name: &'static str,
    about: &'static str,
    ok: bool,
    /// Seconds of virtual time; none in real time.
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<String, Failure> {
    let wanted: Vec<&Scenario> = match &options.name {
        None => ALL.iter().collect(),
        Some(name) => vec![find(name).ok_or_else(|| unknown(name))?],
    };
    if options.list {
        return listed(&wanted, options.output);
    }
    quieten();
    let alone = options.name.is_some();
    let (mut text, mut all) = (String::new(), Vec::new());
    for scenario in wanted {
        let began = Instant::now();
        let played = play(scenario);
        let took = began.elapsed();
        if alone || options.trace || played.outcome.is_err() {
            told(&mut text, scenario, &played, options.trace);
        }
        verdict(&mut text, scenario, &played, took);
        let broken = played.outcome.as_ref().err().map(ToString::to_string);
        let (name, about, ok) = (scenario.name, scenario.about, broken.is_none());
        let virtual_seconds = (!scenario.is_in_real_time()).then(|| played.story.passed().as_secs_f64());
        all.push(Went { name, about, ok, virtual_seconds, broken });
    }
    let bad = all.iter().filter(|went| !went.ok).count();
    if !alone {
        let _ = writeln!(text, "{}, {bad} failed", count(all.len(), "scenario"));
    }
    let text = show::document(options.output, &all)?.unwrap_or(text);
    if bad == 0 { Ok(text) } else { Err(Failure::answered(text)) }
}

fn unknown(name: &str) -> Failure {
    let help = match nearest(name, ALL.iter().map(|scenario| scenario.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`fsmd scenario --list` shows all of them".into(),
    };
    Failure::new(format!("there is no scenario `{name}`")).help(help).usage()
}

fn listed(wanted: &[&Scenario], output: Format) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Listed {
        name: &'static str,
        about: &'static str,
    }
    let all: Vec<_> = wanted.iter().map(|one| Listed { name: one.name, about: one.about }).collect();
    let lines = all.iter().map(|one| format!("{:<18} {}\n", one.name, one.about));
    Ok(show::document(output, &all)?.unwrap_or_else(|| lines.collect()))
}

/// The steps of a scenario, or everything that happened when that is wanted or it went wrong.
fn told(text: &mut String, scenario: &Scenario, played: &Played, trace: bool) {
    let _ = writeln!(text, "{}: {}", scenario.name, scenario.about);
    let whole = trace || played.outcome.is_err();
    let lines = if whole { played.story.trace() } else { played.story.steps() };
    for line in lines.lines() {
        let _ = writeln!(text, "  {line}");
    }
}

/// The line that says how it went. Writing to a string can't fail.
fn verdict(text: &mut String, scenario: &Scenario, played: &Played, took: Duration) {
    let name = scenario.name;
    let passed = spoken(played.story.passed());
    let time = match scenario.is_in_real_time() {
        true => format!("real {passed}"),
        false => format!("virtual {passed} in {} ms", took.as_millis()),
    };
    let _ = match &played.outcome {
        Ok(()) => writeln!(text, "ok: {name} ({time})"),
        Err(broken) => writeln!(text, "failed: {name} ({time}): {broken}"),
    };
}

/// A duration as one says it: `3 min 20 s`.
fn spoken(time: Duration) -> String {
    let (hours, minutes, seconds) = (time.as_secs() / 3_600, time.as_secs() / 60 % 60, time.as_secs() % 60);
    match (hours, minutes) {
        (0, 0) => format!("{:.1} s", time.as_secs_f64()),
        (0, _) => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// Panics that a script asks for are part of the story, and nothing for the standard error.
fn quieten() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref::<&str>() != Some(&"as the script says") {
            usual(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_as_one_says_it() {
        for (ms, told) in [(0, "0.0 s"), (1_250, "1.2 s"), (200_000, "3 min 20 s"), (7_260_000, "2 h 1 min")]
        {
            assert_eq!(spoken(Duration::from_millis(ms)), told);
        }
    }
}
