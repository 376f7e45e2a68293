//! Nodes that are not as they should be: gated, degraded, stale, restarted, panicking.

use fsm_metrics::NodeMetric;

use super::super::promql::{Expr, Select, count, series};
use super::{Alert, Fires, Quiet, Severity, WINDOW};

const NODE: &[&str] = &["instance", "supervisor_id", "path"];
const OF_A_NODE: &[(&str, &str)] =
    &[("instance", "edge-01:8080"), ("supervisor_id", "connection"), ("path", "")];

pub(super) fn alerts() -> Vec<Alert> {
    vec![circuit(), incident(), degraded(), stale(), templates(), restarts(), budget(), panics(), stops()]
}

fn of_connection(metric: NodeMetric) -> Select {
    named(series(metric))
}

fn named(select: Select) -> Select {
    select.with("supervisor_id", "connection").with("path", "")
}

fn grown(metric: NodeMetric, window: &str) -> Expr {
    series(metric).increase(window).sum_by(NODE)
}

fn circuit() -> Alert {
    let by = ["instance", "supervisor_id", "path", "circuit"];
    let open = |circuit: &str, values: &str| {
        of_connection(NodeMetric::CircuitOpen).with("circuit", circuit).fed(values)
    };
    Alert {
        name: "CircuitOpen",
        severity: Severity::Warning,
        expr: series(NodeMetric::CircuitOpen).now().sum_by(&by).above(0.0),
        hold: "1m",
        summary: "The {{ $labels.circuit }} circuit of {{ $labels.supervisor_id }} nodes is open on {{ $labels.instance }}",
        description: "Nodes of kind {{ $labels.supervisor_id }}{{ with $labels.path }} at {{ . }}{{ end }} that are not asked what to do, because their {{ $labels.circuit }} circuit is open: {{ $value }}.",
        fires: vec![
            Fires {
                series: vec![open("panic", "0 2x60"), open("infrastructure", "0x60")],
                at: "10m",
                labels: &[
                    ("instance", "edge-01:8080"),
                    ("supervisor_id", "connection"),
                    ("path", ""),
                    ("circuit", "panic"),
                ],
                says: "Nodes of kind connection that are not asked what to do, because their panic circuit is open: 2.",
            },
            Fires {
                series: vec![
                    series(NodeMetric::CircuitOpen)
                        .with("supervisor_id", "connection")
                        .with("path", "/edge-01/press-7")
                        .with("circuit", "infrastructure")
                        .fed("0 1x60"),
                ],
                at: "10m",
                labels: &[
                    ("instance", "edge-01:8080"),
                    ("supervisor_id", "connection"),
                    ("path", "/edge-01/press-7"),
                    ("circuit", "infrastructure"),
                ],
                says: "Nodes of kind connection at /edge-01/press-7 that are not asked what to do, because their infrastructure circuit is open: 1.",
            },
        ],
        quiet: vec![Quiet {
            when: "it was open for a moment",
            series: vec![open("panic", "0x17 1 0x60"), open("infrastructure", "0x60")],
        }],
    }
}

fn incident() -> Alert {
    let open = |values: &str| of_connection(NodeMetric::IncidentsOpen).fed(values);
    Alert {
        name: "InfrastructureIncident",
        severity: Severity::Critical,
        expr: series(NodeMetric::IncidentsOpen).now().sum_by(NODE).above(0.0),
        hold: "5m",
        summary: "Something that {{ $labels.supervisor_id }} nodes need can't be reached from {{ $labels.instance }}",
        description: "Incidents of shared infrastructure that have been open for 5 minutes: {{ $value }}.",
        fires: vec![Fires {
            series: vec![open("0 1x60")],
            at: "10m",
            labels: OF_A_NODE,
            says: "Incidents of shared infrastructure that have been open for 5 minutes: 1.",
        }],
        quiet: vec![Quiet { when: "it closed by itself", series: vec![open("0x14 1x5 0x60")] }],
    }
}

fn degraded() -> Alert {
    let nodes = |phase: &str, values: &str| {
        of_connection(NodeMetric::Workers).with("state", "Down").with("phase", phase).fed(values)
    };
    Alert {
        name: "ChildDegradedTooLong",
        severity: Severity::Warning,
        expr: series(NodeMetric::Workers).with("phase", "degraded").now().sum_by(NODE).above(0.0),
        hold: "10m",
        summary: "{{ $labels.supervisor_id }} nodes stay degraded on {{ $labels.instance }}",
        description: "Degraded nodes of kind {{ $labels.supervisor_id }}{{ with $labels.path }} at {{ . }}{{ end }}: {{ $value }}; for 10 minutes there was always one.",
        fires: vec![Fires {
            series: vec![nodes("degraded", "0 3x60"), nodes("running", "9x60")],
            at: "15m",
            labels: OF_A_NODE,
            says: "Degraded nodes of kind connection: 3; for 10 minutes there was always one.",
        }],
        quiet: vec![
            Quiet {
                when: "it recovers within minutes",
                series: vec![nodes("degraded", "0 1x10 0x8 1x10 0x60")],
            },
            Quiet {
                when: "nodes start and stop",
                series: vec![nodes("starting", "2x60"), nodes("stopped", "2x60")],
            },
        ],
    }
}

fn stale() -> Alert {
    let turned = |values: &str| of_connection(NodeMetric::ObservationStaleTotal).fed(values);
    let restarted = |values: &str| of_connection(NodeMetric::CollectorRestartsTotal).fed(values);
    let again = grown(NodeMetric::ObservationStaleTotal, "10m").above(2.0);
    let lasting = grown(NodeMetric::CollectorRestartsTotal, "10m").above(0.0);
    Alert {
        name: "StaleObservations",
        severity: Severity::Warning,
        expr: again.or(lasting),
        hold: "1m",
        summary: "{{ $labels.supervisor_id }} nodes on {{ $labels.instance }} can't be observed",
        description: "Observations of kind {{ $labels.supervisor_id }}{{ with $labels.path }} at {{ . }}{{ end }} that became too old to decide on, or collectors that had to be started again, in the last 10 minutes: {{ $value | printf \"%.0f\" }}.",
        fires: vec![
            Fires {
                series: vec![turned("0x10 1 2 3 4x60"), restarted("0x60")],
                at: "10m",
                labels: OF_A_NODE,
                says: "Observations of kind connection that became too old to decide on, or collectors that had to be started again, in the last 10 minutes: 4.",
            },
            Fires {
                series: vec![turned("0x10 1x60"), restarted("0x12 1x60")],
                at: "10m",
                labels: OF_A_NODE,
                says: "Observations of kind connection that became too old to decide on, or collectors that had to be started again, in the last 10 minutes: 1.",
            },
        ],
        quiet: vec![
            Quiet { when: "one was late once", series: vec![turned("0x10 1x60"), restarted("0x60")] },
            Quiet { when: "it was long ago", series: vec![turned("9x60"), restarted("3x60")] },
        ],
    }
}

fn templates() -> Alert {
    let errors = |values: &str| {
        of_connection(NodeMetric::TemplateRenderingErrorsTotal).with("error_type", "undefined").fed(values)
    };
    let rendered = |status: &str, values: &str| {
        named(count(NodeMetric::TemplateRenderingDuration)).with("status", status).fed(values)
    };
    let failed = series(NodeMetric::TemplateRenderingErrorsTotal).rate(WINDOW).sum_by(NODE);
    let all = count(NodeMetric::TemplateRenderingDuration).rate(WINDOW).sum_by(NODE);
    Alert {
        name: "TemplateErrors",
        severity: Severity::Warning,
        // What is right is rendered once, what is wrong is tried again: the share of a lasting error grows towards one.
        expr: failed.over(all).above(0.05),
        hold: "2m",
        summary: "Templates of {{ $labels.supervisor_id }} nodes can't be rendered on {{ $labels.instance }}",
        description: "{{ $value | humanizePercentage }} of the renders of kind {{ $labels.supervisor_id }}{{ with $labels.path }} at {{ . }}{{ end }} in the last 5 minutes gave no value; the limit is 5%.",
        fires: vec![Fires {
            series: vec![errors("0+1x60"), rendered("error", "0+1x60"), rendered("success", "0+3x60")],
            at: "10m",
            labels: OF_A_NODE,
            says: "25% of the renders of kind connection in the last 5 minutes gave no value; the limit is 5%.",
        }],
        quiet: vec![
            Quiet {
                when: "one of many in one reload",
                series: vec![errors("0 1x60"), rendered("error", "0 1x60"), rendered("success", "0 99x60")],
            },
            Quiet { when: "nothing is rendered", series: vec![errors("5x60"), rendered("success", "7x60")] },
        ],
    }
}

fn restarts() -> Alert {
    let restarted =
        |cause: &str, values: &str| of_connection(NodeMetric::RestartsTotal).with("cause", cause).fed(values);
    // What somebody asked for, in person or by a config, is no storm.
    let unwanted = series(NodeMetric::RestartsTotal).without("cause", &["config", "command"]);
    Alert {
        name: "RestartStorm",
        severity: Severity::Critical,
        expr: unwanted.increase(WINDOW).sum_by(NODE).above(5.0),
        hold: "1m",
        summary: "{{ $labels.supervisor_id }} nodes restart again and again on {{ $labels.instance }}",
        description: "Nodes of kind {{ $labels.supervisor_id }}{{ with $labels.path }} at {{ . }}{{ end }} restarted {{ $value | printf \"%.0f\" }} times in the last 5 minutes; the limit is 5.",
        fires: vec![Fires {
            series: vec![restarted("signal", "0+1x60"), restarted("collector", "0+1x60")],
            at: "10m",
            labels: OF_A_NODE,
            says: "Nodes of kind connection restarted 20 times in the last 5 minutes; the limit is 5.",
        }],
        quiet: vec![
            Quiet {
                when: "a new config restarts many",
                series: vec![restarted("config", "0x10 200x60"), restarted("command", "0+2x60")],
            },
            Quiet { when: "a few restart", series: vec![restarted("signal", "0 1 2 3x60")] },
        ],
    }
}

fn budget() -> Alert {
    let spent =
        |values: &str| of_connection(NodeMetric::RestartBudgetSpentTotal).with("cause", "signal").fed(values);
    Alert {
        name: "RestartBudgetSpent",
        severity: Severity::Warning,
        expr: grown(NodeMetric::RestartBudgetSpentTotal, "15m").above(0.0),
        hold: "",
        summary: "{{ $labels.supervisor_id }} nodes on {{ $labels.instance }} are restarted slowly now",
        description: "Restart budgets of kind {{ $labels.supervisor_id }}{{ with $labels.path }} at {{ . }}{{ end }} that were spent in the last 15 minutes: {{ $value | printf \"%.0f\" }}; such nodes are tried again every few minutes only.",
        fires: vec![Fires {
            series: vec![spent("0x10 1x60")],
            at: "10m",
            labels: OF_A_NODE,
            says: "Restart budgets of kind connection that were spent in the last 15 minutes: 1; such nodes are tried again every few minutes only.",
        }],
        quiet: vec![Quiet { when: "it was long ago", series: vec![spent("2x60")] }],
    }
}

fn panics() -> Alert {
    let by = ["instance", "supervisor_id", "path", "where"];
    let panicked = |values: &str| {
        of_connection(NodeMetric::PanicRecoveryTotal)
            .with("panic_type", "unwrap")
            .with("where", "next")
            .fed(values)
    };
    Alert {
        name: "WorkerPanics",
        severity: Severity::Warning,
        expr: series(NodeMetric::PanicRecoveryTotal).increase("10m").sum_by(&by).above(0.0),
        hold: "",
        summary: "Workers of kind {{ $labels.supervisor_id }} panic on {{ $labels.instance }}",
        description: "Panics of kind {{ $labels.supervisor_id }}{{ with $labels.path }} at {{ . }}{{ end }} that were caught in `{{ $labels.where }}` in the last 10 minutes: {{ $value | printf \"%.0f\" }}; each is a bug.",
        fires: vec![Fires {
            series: vec![panicked("0x10 1x60")],
            at: "10m",
            labels: &[
                ("instance", "edge-01:8080"),
                ("supervisor_id", "connection"),
                ("path", ""),
                ("where", "next"),
            ],
            says: "Panics of kind connection that were caught in `next` in the last 10 minutes: 1; each is a bug.",
        }],
        quiet: vec![Quiet { when: "it was long ago", series: vec![panicked("4x60")] }],
    }
}

fn stops() -> Alert {
    let forced = |values: &str| of_connection(NodeMetric::StopTimeoutsTotal).fed(values);
    Alert {
        name: "StopTimedOut",
        severity: Severity::Warning,
        expr: grown(NodeMetric::StopTimeoutsTotal, "15m").above(0.0),
        hold: "",
        summary: "{{ $labels.supervisor_id }} nodes on {{ $labels.instance }} had to be forced",
        description: "Nodes of kind {{ $labels.supervisor_id }}{{ with $labels.path }} at {{ . }}{{ end }} that did not stop within their stop timeout in the last 15 minutes: {{ $value | printf \"%.0f\" }}; what they held may not be given back.",
        fires: vec![Fires {
            series: vec![forced("0x10 2x60")],
            at: "10m",
            labels: OF_A_NODE,
            says: "Nodes of kind connection that did not stop within their stop timeout in the last 15 minutes: 2; what they held may not be given back.",
        }],
        quiet: vec![Quiet { when: "it was long ago", series: vec![forced("4x60")] }],
    }
}
