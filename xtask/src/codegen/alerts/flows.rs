//! Data flows that stand still, lose messages or can't keep their connections.

use fsm_metrics::FlowMetric;

use super::super::promql::{Select, series};
use super::{Alert, Fires, Quiet, Severity, WINDOW};

const FLOW: &[&str] = &["instance", "flow"];
const OF_A_FLOW: &[(&str, &str)] = &[("instance", "edge-01:8080"), ("flow", "/edge-01/press-7/read")];

pub(super) fn alerts() -> Vec<Alert> {
    vec![stalled(), dropping(), reconnecting()]
}

fn of_read(metric: FlowMetric) -> Select {
    series(metric).with("flow", "/edge-01/press-7/read")
}

fn stalled() -> Alert {
    let waiting = |values: &str| of_read(FlowMetric::LagMessages).fed(values);
    let age = |values: &str| of_read(FlowMetric::LastMessageAge).fed(values);
    let old = series(FlowMetric::LastMessageAge).now().max_by(FLOW).above(300.0);
    Alert {
        name: "FlowStalled",
        severity: Severity::Critical,
        // A quiet source is no stall: something has to wait.
        expr: old.and(series(FlowMetric::LagMessages).now().sum_by(FLOW).above(0.0)),
        hold: "1m",
        summary: "Flow {{ $labels.flow }} of {{ $labels.instance }} stands still",
        description: "Messages wait, and the last one passed {{ $value | humanizeDuration }} ago.",
        fires: vec![Fires {
            series: vec![waiting("12x60"), age("0+30x60")],
            at: "15m",
            labels: OF_A_FLOW,
            says: "Messages wait, and the last one passed 15m 0s ago.",
        }],
        quiet: vec![
            Quiet { when: "the source is quiet", series: vec![waiting("0x60"), age("0+30x60")] },
            Quiet { when: "it lags, but messages pass", series: vec![waiting("0+9x60"), age("2x60")] },
        ],
    }
}

fn dropping() -> Alert {
    let lost = series(FlowMetric::DroppedTotal).with_any("reason", &["error", "overflow", "expired"]);
    let taken = |values: &str| of_read(FlowMetric::MessagesInTotal).fed(values);
    let dropped =
        |reason: &str, values: &str| of_read(FlowMetric::DroppedTotal).with("reason", reason).fed(values);
    Alert {
        name: "FlowLosesMessages",
        severity: Severity::Warning,
        expr: lost
            .rate(WINDOW)
            .sum_by(FLOW)
            .over(series(FlowMetric::MessagesInTotal).rate(WINDOW).sum_by(FLOW))
            .above(0.01),
        hold: "5m",
        summary: "Flow {{ $labels.flow }} of {{ $labels.instance }} loses messages",
        description: "{{ $value | humanizePercentage }} of the messages of the last 5 minutes were dropped because of errors, a full buffer or their age; the limit is 1%.",
        fires: vec![Fires {
            series: vec![taken("0+100x60"), dropped("overflow", "0+3x60"), dropped("error", "0+2x60")],
            at: "15m",
            labels: OF_A_FLOW,
            says: "5% of the messages of the last 5 minutes were dropped because of errors, a full buffer or their age; the limit is 1%.",
        }],
        quiet: vec![Quiet {
            when: "it filters as it is told",
            series: vec![
                taken("0+100x60"),
                dropped("filter", "0+50x60"),
                dropped("deadband", "0+40x60"),
                dropped("error", "3x60"),
            ],
        }],
    }
}

fn reconnecting() -> Alert {
    let connected = |values: &str| of_read(FlowMetric::ReconnectsTotal).fed(values);
    Alert {
        name: "FlowReconnecting",
        severity: Severity::Warning,
        expr: series(FlowMetric::ReconnectsTotal).increase("10m").sum_by(FLOW).above(5.0),
        hold: "2m",
        summary: "Flow {{ $labels.flow }} of {{ $labels.instance }} can't keep its connection",
        description: "Connections that were made again in the last 10 minutes: {{ $value | printf \"%.0f\" }}; the limit is 5.",
        fires: vec![Fires {
            series: vec![connected("0+1x60")],
            at: "15m",
            labels: OF_A_FLOW,
            says: "Connections that were made again in the last 10 minutes: 20; the limit is 5.",
        }],
        quiet: vec![Quiet { when: "the broker restarted once", series: vec![connected("0x10 2x60")] }],
    }
}
