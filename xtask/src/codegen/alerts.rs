//! The alerts of `deploy/prometheus/alerts.yml`, and for each the series on which it has to fire and those on which it must not.

mod actions;
mod engine;
mod executions;
mod flows;
mod healthy;
mod nodes;
mod page;
mod tools;
mod yaml;

use anyhow::Result;

use super::Output;
use super::promql::{Expr, Sample};

pub(super) use page::markdown;

/// Where the rules are.
const RULES: &str = "deploy/prometheus/alerts.yml";
/// Where their unit tests are.
const TESTS: &str = "deploy/prometheus/alerts.test.yml";
/// The window of most rates: long enough for ten scrapes, short enough to be about now.
const WINDOW: &str = "5m";

/// How soon somebody has to look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// Today.
    Warning,
    /// Now.
    Critical,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One alert.
struct Alert {
    name: &'static str,
    severity: Severity,
    expr: Expr,
    /// For how long it has to be so; empty for at once.
    hold: &'static str,
    summary: &'static str,
    description: &'static str,
    fires: Vec<Fires>,
    /// Series that look similar and are none of its business.
    quiet: Vec<Quiet>,
}

type Series = Vec<Result<Sample>>;

/// Series on which it fires.
struct Fires {
    /// Half a minute apart.
    series: Series,
    at: &'static str,
    /// Those of the alert itself, without its severity.
    labels: &'static [(&'static str, &'static str)],
    /// The description with its numbers.
    says: &'static str,
}

/// Series on which it stays silent.
struct Quiet {
    when: &'static str,
    series: Series,
}

/// Alerts that are evaluated together.
struct Group {
    name: &'static str,
    alerts: Vec<Alert>,
}

fn groups() -> Vec<Group> {
    vec![
        Group { name: "fsm-tools", alerts: tools::alerts() },
        Group { name: "fsm-executions", alerts: executions::alerts() },
        Group { name: "fsm-nodes", alerts: nodes::alerts() },
        Group { name: "fsm-actions", alerts: actions::alerts() },
        Group { name: "fsm-engine", alerts: engine::alerts() },
        Group { name: "fsm-flows", alerts: flows::alerts() },
    ]
}

impl Alert {
    /// `HighToolErrorRate` is explained in `docs/runbooks/high-tool-error-rate.md`.
    fn runbook(&self) -> String {
        let mut name = String::new();
        for (at, letter) in self.name.char_indices() {
            if at > 0 && letter.is_uppercase() {
                name.push('-');
            }
            name.extend(letter.to_lowercase());
        }
        format!("docs/runbooks/{name}.md")
    }
}

/// The rules and their unit tests.
pub(super) fn files() -> Result<Vec<Output>> {
    let groups = groups();
    let rules = Output { path: RULES.into(), text: yaml::rules(&groups)? };
    let tests = Output { path: TESTS.into(), text: yaml::tests(groups)? };
    Ok(vec![rules, tests])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    fn all() -> impl Iterator<Item = Alert> {
        groups().into_iter().flat_map(|group| group.alerts)
    }

    #[test]
    fn each_alert_has_its_runbook_and_each_runbook_its_alert() {
        let wanted: BTreeSet<String> = all().map(|alert| alert.runbook()).collect();
        let folder = root().join("docs/runbooks");
        let found: BTreeSet<String> = (std::fs::read_dir(folder).expect("the folder is there"))
            .map(|entry| format!("docs/runbooks/{}", entry.expect("readable").file_name().to_string_lossy()))
            .collect();
        assert_eq!(found, wanted);
        for alert in all() {
            let text = std::fs::read_to_string(root().join(alert.runbook())).expect("it is there");
            for part in [
                "## What it means",
                "## What users feel",
                "## First look",
                "## Causes",
                "## What to do",
                "## How it clears",
            ] {
                assert!(text.contains(part), "{} lacks `{part}`", alert.runbook());
            }
            assert!(text.contains(alert.name), "{} doesn't name its alert", alert.runbook());
            assert!(
                text.contains("fsmd ") || text.contains("/v1/"),
                "{} says not where to look first",
                alert.runbook()
            );
        }
    }

    #[test]
    fn every_alert_that_was_asked_for_is_there() {
        let names: Vec<&str> = all().map(|alert| alert.name).collect();
        for name in [
            "HighToolErrorRate",
            "ToolTimeoutSpike",
            "SlowToolExecution",
            "CircuitOpen",
            "ChildDegradedTooLong",
            "StaleObservations",
            "ActionPoolSaturated",
            "TickSlow",
            "TemplateErrors",
            "RestartStorm",
        ] {
            assert!(names.contains(&name), "{name}");
        }
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each name once");
    }

    #[test]
    fn descriptions_have_numbers_and_say_what_they_are_about() {
        for alert in all() {
            assert!(alert.description.contains("{{ $value") || alert.name == "DaemonDown", "{}", alert.name);
            assert!(alert.description.ends_with('.') && !alert.summary.ends_with('.'), "{}", alert.name);
            assert!(!alert.fires.is_empty() && !alert.quiet.is_empty(), "{} is not tested", alert.name);
        }
    }

    #[track_caller]
    fn promtool(args: &[&str]) {
        let mut promtool = Command::new("promtool");
        let said = promtool.current_dir(root()).args(args).output();
        let said = said.expect("promtool is in the package `prometheus` of the distribution: install that");
        let text =
            String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "promtool {}:\n{text}", args.join(" "));
    }

    #[test]
    fn promtool_accepts_the_rules() {
        promtool(&["check", "rules", "--lint=all", "--lint-fatal", RULES]);
    }

    #[test]
    fn every_alert_fires_when_it_should_and_is_silent_on_healthy_series() {
        promtool(&["test", "rules", TESTS]);
    }
}
