//! Executions that are refused, fail, or find the daemon itself unable.

use anyhow::Result;
use fsm_metrics::ExecMetric;

use super::super::promql::{Sample, series};
use super::{Alert, Fires, Quiet, Severity, WINDOW};

const KIND: &[&str] = &["instance", "kind"];
const OF_A_TASK: &[(&str, &str)] = &[("instance", "edge-01:8080"), ("kind", "task")];

pub(super) fn alerts() -> Vec<Alert> {
    vec![refused(), failing(), unable()]
}

fn answered(code: &str, values: &str) -> Result<Sample> {
    series(ExecMetric::ErrorsTotal).with("kind", "task").with("code", code).fed(values)
}

fn ended(status: &str, values: &str) -> Result<Sample> {
    series(ExecMetric::FinishedTotal).with("kind", "task").with("status", status).fed(values)
}

fn refused() -> Alert {
    let refused = series(ExecMetric::ErrorsTotal).with("code", "429").increase(WINDOW).sum_by(KIND);
    Alert {
        name: "ExecutionQueueFull",
        severity: Severity::Warning,
        expr: refused.above(0.0),
        hold: "5m",
        summary: "Executions ({{ $labels.kind }}) are refused on {{ $labels.instance }}: the queue is full",
        description: "{{ $value | humanize }} requests ({{ $labels.kind }}) were refused in the last 5 minutes because the queue is full.",
        fires: vec![Fires {
            series: vec![answered("429", "0+2x60")],
            at: "15m",
            labels: OF_A_TASK,
            says: "20 requests (task) were refused in the last 5 minutes because the queue is full.",
        }],
        quiet: vec![Quiet {
            when: "it was full once, and requests are refused for other reasons",
            series: vec![answered("429", "0 0 3x60"), answered("404", "0+5x60")],
        }],
    }
}

fn failing() -> Alert {
    let by = |all: super::super::promql::Select| all.rate("15m").sum_by(KIND);
    let failed = series(ExecMetric::FinishedTotal).with_any("status", &["failure", "timeout"]);
    let enough = series(ExecMetric::FinishedTotal).increase("15m").sum_by(KIND).at_least(20.0);
    Alert {
        name: "ExecutionsFailing",
        severity: Severity::Warning,
        expr: by(failed).over(by(series(ExecMetric::FinishedTotal))).above(0.25).and(enough),
        hold: "5m",
        summary: "Executions ({{ $labels.kind }}) fail on {{ $labels.instance }}",
        description: "{{ $value | humanizePercentage }} of the executions ({{ $labels.kind }}) in the last 15 minutes failed or timed out; the limit is 25%.",
        fires: vec![Fires {
            series: vec![ended("success", "0+1x60"), ended("failure", "0+1x60")],
            at: "20m",
            labels: OF_A_TASK,
            says: "50% of the executions (task) in the last 15 minutes failed or timed out; the limit is 25%.",
        }],
        quiet: vec![
            Quiet {
                when: "a fifth fails",
                series: vec![ended("success", "0+4x60"), ended("failure", "0+1x60")],
            },
            Quiet {
                when: "they are cancelled",
                series: vec![ended("success", "0+1x60"), ended("cancelled", "0+4x60")],
            },
            Quiet { when: "few were asked for", series: vec![ended("failure", "0 1 2 3 4 5x60")] },
        ],
    }
}

fn unable() -> Alert {
    let unable =
        series(ExecMetric::ErrorsTotal).with_any("code", &["500", "503"]).increase(WINDOW).sum_by(KIND);
    Alert {
        name: "ExecutionApiFailing",
        severity: Severity::Critical,
        expr: unable.above(0.0),
        hold: "2m",
        summary: "{{ $labels.instance }} can't execute what it is asked for ({{ $labels.kind }})",
        description: "{{ $value | humanize }} requests ({{ $labels.kind }}) in the last 5 minutes were answered with 500 or 503: the daemon or its store failed, not the execution.",
        fires: vec![Fires {
            series: vec![answered("500", "0+1x60")],
            at: "10m",
            labels: OF_A_TASK,
            says: "10 requests (task) in the last 5 minutes were answered with 500 or 503: the daemon or its store failed, not the execution.",
        }],
        quiet: vec![Quiet {
            when: "executions fail, or are asked for wrongly",
            series: vec![answered("422", "0+5x60"), answered("400", "0+5x60"), answered("500", "7x60")],
        }],
    }
}
