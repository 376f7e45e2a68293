//! Tools that fail, hang or are slow. Ratios per tool: an absolute rate says nothing of a tool that runs twice an hour.

use fsm_metrics::ToolMetric;

use super::super::promql::{Expr, Sample, at_most, count, series};
use super::{Alert, Fires, Quiet, Severity, WINDOW};
use anyhow::Result;

const TOOL: &[&str] = &["tool_id"];
/// Fewer calls in the window make no ratio: one failure of five would be 20 %.
const ENOUGH_CALLS: f64 = 20.0;

pub(super) fn alerts() -> Vec<Alert> {
    vec![errors(), timeouts(), slow()]
}

fn calls() -> Expr {
    count(ToolMetric::ExecuteSeconds).rate(WINDOW).sum_by(TOOL)
}

fn enough_calls() -> Expr {
    count(ToolMetric::ExecuteSeconds).increase(WINDOW).sum_by(TOOL).at_least(ENOUGH_CALLS)
}

fn ended(outcome: &str, values: &str) -> Result<Sample> {
    count(ToolMetric::ExecuteSeconds).with("tool_id", "label/print").with("outcome", outcome).fed(values)
}

fn failed(kind: &str, values: &str) -> Result<Sample> {
    series(ToolMetric::ErrorsTotal).with("tool_id", "label/print").with("error_kind", kind).fed(values)
}

fn timed_out(values: &str) -> Result<Sample> {
    series(ToolMetric::TimeoutsTotal).with("tool_id", "label/print").fed(values)
}

fn errors() -> Alert {
    // Timeouts have their own alert, and who cancels a call knows about it.
    let errors = series(ToolMetric::ErrorsTotal).without("error_kind", &["timeout", "cancelled"]);
    Alert {
        name: "HighToolErrorRate",
        severity: Severity::Warning,
        expr: errors.rate(WINDOW).sum_by(TOOL).over(calls()).above(0.1).and(enough_calls()),
        hold: "2m",
        summary: "Tool {{ $labels.tool_id }} fails often",
        description: "{{ $value | humanizePercentage }} of the calls of {{ $labels.tool_id }} in the last 5 minutes ended in an error; the limit is 10%.",
        fires: vec![Fires {
            series: vec![
                ended("success", "0+8x60"),
                ended("error", "0+2x60"),
                failed("tool", "0+1x60"),
                failed("wait", "0+1x60"),
            ],
            at: "10m",
            labels: &[("tool_id", "label/print")],
            says: "20% of the calls of label/print in the last 5 minutes ended in an error; the limit is 10%.",
        }],
        quiet: vec![
            Quiet {
                when: "9 % of the calls fail",
                series: vec![ended("success", "0+10x60"), ended("error", "0+1x60"), failed("tool", "0+1x60")],
            },
            Quiet {
                when: "all calls fail, but they are few",
                series: vec![ended("error", "0+1x60"), failed("tool", "0+1x60")],
            },
            Quiet {
                when: "calls are cancelled or time out",
                series: vec![
                    ended("success", "0+8x60"),
                    ended("cancelled", "0+4x60"),
                    failed("cancelled", "0+4x60"),
                    ended("timeout", "0+4x60"),
                    failed("timeout", "0+4x60"),
                ],
            },
        ],
    }
}

fn timeouts() -> Alert {
    let timeouts = series(ToolMetric::TimeoutsTotal).rate(WINDOW).sum_by(TOOL);
    Alert {
        name: "ToolTimeoutSpike",
        severity: Severity::Warning,
        expr: timeouts.over(calls()).above(0.05).and(enough_calls()),
        hold: "2m",
        summary: "Tool {{ $labels.tool_id }} runs into its timeout",
        description: "{{ $value | humanizePercentage }} of the calls of {{ $labels.tool_id }} in the last 5 minutes were still running at their deadline; the limit is 5%.",
        fires: vec![Fires {
            series: vec![ended("success", "0+9x60"), ended("timeout", "0+1x60"), timed_out("0+1x60")],
            at: "10m",
            labels: &[("tool_id", "label/print")],
            says: "10% of the calls of label/print in the last 5 minutes were still running at their deadline; the limit is 5%.",
        }],
        quiet: vec![
            Quiet {
                when: "4 % of the calls time out",
                series: vec![ended("success", "0+24x60"), ended("timeout", "0+1x60"), timed_out("0+1x60")],
            },
            Quiet {
                when: "all calls time out, but they are few",
                series: vec![ended("timeout", "0+1x60"), timed_out("0+1x60")],
            },
        ],
    }
}

/// A call that takes longer is slow for whoever waits for it; one of the bounds.
const SLOW: f64 = 30.0;

fn slow() -> Alert {
    let quick = at_most(ToolMetric::ExecuteSeconds, SLOW).rate(WINDOW).sum_by(TOOL);
    let within = |values: &str| {
        at_most(ToolMetric::ExecuteSeconds, SLOW)
            .with("tool_id", "label/print")
            .with("outcome", "success")
            .fed(values)
    };
    Alert {
        name: "SlowToolExecution",
        severity: Severity::Warning,
        // A share of the calls: a quantile can't exceed the last finite bound, however slow they get.
        expr: quick.over(calls()).missing_to_one().above(0.05),
        hold: "5m",
        summary: "Tool {{ $labels.tool_id }} is slow",
        description: "{{ $value | humanizePercentage }} of the calls of {{ $labels.tool_id }} in the last 5 minutes took longer than 30 s; the limit is 5%.",
        fires: vec![Fires {
            series: vec![ended("success", "0+4x60"), within("0+3x60")],
            at: "15m",
            labels: &[("tool_id", "label/print")],
            says: "25% of the calls of label/print in the last 5 minutes took longer than 30 s; the limit is 5%.",
        }],
        quiet: vec![
            Quiet { when: "all calls are quick", series: vec![ended("success", "0+4x60"), within("0+4x60")] },
            Quiet { when: "nothing is called", series: vec![ended("success", "40x60"), within("20x60")] },
        ],
    }
}
