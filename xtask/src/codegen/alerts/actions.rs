//! Actions that fail, wait or can't be ended.

use fsm_metrics::{NodeMetric, PoolMetric};

use super::super::promql::{Select, count, series};
use super::{Alert, Fires, Quiet, Severity};

const ACTION: &[&str] = &["instance", "supervisor_id", "path", "action_type"];
const OF_AN_ACTION: &[(&str, &str)] = &[
    ("instance", "edge-01:8080"),
    ("supervisor_id", "connection"),
    ("path", ""),
    ("action_type", "connect"),
];
/// Fewer attempts in the window make no ratio.
const ENOUGH_ATTEMPTS: f64 = 10.0;

pub(super) fn alerts() -> Vec<Alert> {
    vec![saturated(), failing(), leaked(), collectors()]
}

fn of_connect(select: Select) -> Select {
    select.with("supervisor_id", "connection").with("path", "").with("action_type", "connect")
}

fn saturated() -> Alert {
    let used =
        |values: &str| series(PoolMetric::WorkerPoolUtilization).with("pool_name", "actions").fed(values);
    let waiting =
        |values: &str| series(PoolMetric::WorkerPoolQueueSize).with("pool_name", "actions").fed(values);
    let full = series(PoolMetric::WorkerPoolUtilization).now().at_least(0.8);
    Alert {
        name: "ActionPoolSaturated",
        severity: Severity::Warning,
        // Two places of twelve are kept for actions that stop something, so a full pool is not at one.
        expr: full.and(series(PoolMetric::WorkerPoolQueueSize).now().above(0.0)),
        hold: "5m",
        summary: "The pool {{ $labels.pool_name }} of {{ $labels.instance }} is full and actions wait",
        description: "{{ $value | humanizePercentage }} of the places of pool {{ $labels.pool_name }} have been taken for 5 minutes while actions wait for one.",
        fires: vec![Fires {
            series: vec![used("0.83x60"), waiting("0+1x60")],
            at: "10m",
            labels: &[("instance", "edge-01:8080"), ("job", "fsmd"), ("pool_name", "actions")],
            says: "83% of the places of pool actions have been taken for 5 minutes while actions wait for one.",
        }],
        quiet: vec![
            Quiet { when: "it is full and nobody waits", series: vec![used("1x60"), waiting("0x60")] },
            Quiet {
                when: "it is full for a moment",
                series: vec![used("0.2x10 1x4 0.2x60"), waiting("0x10 5x4 0x60")],
            },
        ],
    }
}

fn failing() -> Alert {
    let attempts = |status: &str, values: &str| {
        of_connect(count(NodeMetric::ActionExecutionDuration)).with("status", status).fed(values)
    };
    let all = || count(NodeMetric::ActionExecutionDuration);
    let failed = all().with_any("status", &["failure", "timeout", "panic"]).rate("15m").sum_by(ACTION);
    let enough = all().increase("15m").sum_by(ACTION).at_least(ENOUGH_ATTEMPTS);
    Alert {
        name: "ActionsFailing",
        severity: Severity::Warning,
        expr: failed.over(all().rate("15m").sum_by(ACTION)).above(0.5).and(enough),
        hold: "5m",
        summary: "Action {{ $labels.action_type }} of {{ $labels.supervisor_id }} nodes fails on {{ $labels.instance }}",
        description: "{{ $value | humanizePercentage }} of the attempts of {{ $labels.action_type }} of kind {{ $labels.supervisor_id }}{{ with $labels.path }} at {{ . }}{{ end }} in the last 15 minutes failed; the limit is 50%.",
        fires: vec![Fires {
            series: vec![
                attempts("success", "0+1x60"),
                attempts("failure", "0+2x60"),
                attempts("timeout", "0+1x60"),
            ],
            at: "20m",
            labels: OF_AN_ACTION,
            says: "75% of the attempts of connect of kind connection in the last 15 minutes failed; the limit is 50%.",
        }],
        quiet: vec![
            Quiet {
                when: "every third fails and is tried again",
                series: vec![attempts("success", "0+2x60"), attempts("failure", "0+1x60")],
            },
            Quiet {
                when: "they are cancelled",
                series: vec![attempts("success", "0+1x60"), attempts("cancelled", "0+5x60")],
            },
            Quiet { when: "few are tried", series: vec![attempts("failure", "0 1 2 3x60")] },
        ],
    }
}

fn leaked() -> Alert {
    let leaked = |values: &str| of_connect(series(NodeMetric::ActionLeaked)).fed(values);
    Alert {
        name: "ActionLeaked",
        severity: Severity::Critical,
        expr: series(NodeMetric::ActionLeaked).now().sum_by(ACTION).above(0.0),
        hold: "1m",
        summary: "Action {{ $labels.action_type }} of {{ $labels.supervisor_id }} nodes hangs on {{ $labels.instance }}",
        description: "Attempts of {{ $labels.action_type }} of kind {{ $labels.supervisor_id }}{{ with $labels.path }} at {{ . }}{{ end }} that were given up at three times their timeout and still run: {{ $value }}; their nodes can't act.",
        fires: vec![Fires {
            series: vec![leaked("0x10 1x60")],
            at: "10m",
            labels: OF_AN_ACTION,
            says: "Attempts of connect of kind connection that were given up at three times their timeout and still run: 1; their nodes can't act.",
        }],
        quiet: vec![Quiet { when: "it ended just after", series: vec![leaked("0x10 1x1 0x60")] }],
    }
}

fn collectors() -> Alert {
    let leaked = |values: &str| {
        series(NodeMetric::CollectorsLeaked).with("supervisor_id", "connection").with("path", "").fed(values)
    };
    let node = ["instance", "supervisor_id", "path"];
    Alert {
        name: "CollectorsLeaked",
        severity: Severity::Warning,
        expr: series(NodeMetric::CollectorsLeaked).now().sum_by(&node).above(0.0),
        hold: "5m",
        summary: "Collectors of {{ $labels.supervisor_id }} nodes hang on {{ $labels.instance }}",
        description: "Collectors of kind {{ $labels.supervisor_id }}{{ with $labels.path }} at {{ . }}{{ end }} that were given up and still hold a thread: {{ $value }}.",
        fires: vec![Fires {
            series: vec![leaked("0 4x60")],
            at: "10m",
            labels: &[("instance", "edge-01:8080"), ("supervisor_id", "connection"), ("path", "")],
            says: "Collectors of kind connection that were given up and still hold a thread: 4.",
        }],
        quiet: vec![Quiet { when: "they end after all", series: vec![leaked("0x10 4x5 0x60")] }],
    }
}
