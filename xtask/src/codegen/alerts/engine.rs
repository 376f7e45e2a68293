//! The daemon as a whole: whether it is there, ticks in time, takes its config and can store.

use anyhow::Result;
use fsm_metrics::{EngineMetric, NodeMetric, StoreMetric, SubscriberMetric};

use super::super::promql::{Sample, at_most, count, series, up, up_fed};
use super::{Alert, Fires, Quiet, Severity, WINDOW};

/// What deploy/prometheus/prometheus.yml calls the scrape of the daemons.
pub(super) const JOB: &str = "fsmd";
const DAEMON: &[&str] = &["instance"];
const OF_A_DAEMON: &[(&str, &str)] = &[("instance", "edge-01:8080")];

pub(super) fn alerts() -> Vec<Alert> {
    vec![down(), tick(), reload(), store(), slow_store(), events()]
}

fn down() -> Alert {
    Alert {
        name: "DaemonDown",
        severity: Severity::Critical,
        expr: up(JOB).below(1.0).or_none(up(JOB)),
        hold: "1m",
        summary: "No metrics come from the daemon {{ $labels.instance }}",
        description: "Prometheus has not reached {{ with $labels.instance }}{{ . }}{{ else }}any daemon{{ end }} for a minute: it is down, can't be reached, or is not scraped.",
        fires: vec![
            Fires {
                series: vec![up_fed(JOB, "1x5 0x60")],
                at: "10m",
                labels: &[("instance", "edge-01:8080"), ("job", "fsmd")],
                says: "Prometheus has not reached edge-01:8080 for a minute: it is down, can't be reached, or is not scraped.",
            },
            Fires {
                series: vec![up_fed("another", "1x60")],
                at: "10m",
                labels: &[("instance", ""), ("job", "fsmd")],
                says: "Prometheus has not reached any daemon for a minute: it is down, can't be reached, or is not scraped.",
            },
        ],
        quiet: vec![Quiet { when: "it restarts", series: vec![up_fed(JOB, "1x18 0 1x60")] }],
    }
}

fn tick() -> Alert {
    let overruns = series(EngineMetric::TickOverrunTotal).rate(WINDOW).sum_by(DAEMON);
    let ticks = count(EngineMetric::TickDuration).rate(WINDOW).sum_by(DAEMON);
    let ticked = |values: &str| count(EngineMetric::TickDuration).fed(values);
    let overran = |values: &str| series(EngineMetric::TickOverrunTotal).fed(values);
    Alert {
        name: "TickSlow",
        severity: Severity::Warning,
        expr: overruns.over(ticks).above(0.05),
        hold: "5m",
        summary: "The engine of {{ $labels.instance }} ticks slowly",
        description: "{{ $value | humanizePercentage }} of the ticks in the last 5 minutes took longer than a tenth of the tick interval; the limit is 5%.",
        fires: vec![Fires {
            series: vec![ticked("0+30x60"), overran("0+3x60")],
            at: "15m",
            labels: OF_A_DAEMON,
            says: "10% of the ticks in the last 5 minutes took longer than a tenth of the tick interval; the limit is 5%.",
        }],
        quiet: vec![
            Quiet { when: "one tick in fifty is slow", series: vec![ticked("0+50x60"), overran("0+1x60")] },
            Quiet {
                when: "a mass change made one slow",
                series: vec![ticked("0+30x60"), overran("0x10 4x60")],
            },
        ],
    }
}

fn reload() -> Alert {
    let bad = series(EngineMetric::ConfigReloadTotal).with_any("result", &["refused", "failed"]);
    let reloaded = |result: &str, values: &str| {
        series(EngineMetric::ConfigReloadTotal).with("result", result).fed(values)
    };
    Alert {
        name: "ConfigReloadFailed",
        severity: Severity::Warning,
        expr: bad.increase("30m").sum_by(&["instance", "result"]).above(0.0),
        hold: "",
        summary: "{{ $labels.instance }} did not take its new config",
        description: "Reloads of the last 30 minutes with the result `{{ $labels.result }}`: {{ $value | printf \"%.0f\" }}. The config before is still in force.",
        fires: vec![Fires {
            series: vec![reloaded("refused", "0x10 1x60"), reloaded("applied", "0x60")],
            at: "10m",
            labels: &[("instance", "edge-01:8080"), ("result", "refused")],
            says: "Reloads of the last 30 minutes with the result `refused`: 1. The config before is still in force.",
        }],
        quiet: vec![Quiet {
            when: "reloads are applied, or change nothing",
            series: vec![
                reloaded("applied", "0+1x60"),
                reloaded("unchanged", "0+1x60"),
                reloaded("refused", "3x60"),
            ],
        }],
    }
}

fn written(values: &str) -> Result<Sample> {
    series(StoreMetric::StoreChangesTotal).with("role", "observed").fed(values)
}

fn moved(values: &str) -> Result<Sample> {
    series(NodeMetric::StateTransitionsTotal)
        .with("supervisor_id", "connection")
        .with("path", "")
        .with("from_state", "Up")
        .with("to_state", "Down")
        .fed(values)
}

fn keeper(phase: &str, values: &str) -> Result<Sample> {
    series(NodeMetric::Workers)
        .with("supervisor_id", "persistence")
        .with("path", "")
        .with("state", "Degraded")
        .with("phase", phase)
        .fed(values)
}

fn store() -> Alert {
    let keeper_says =
        series(NodeMetric::Workers).with("supervisor_id", "persistence").with("phase", "degraded");
    let moves = series(NodeMetric::StateTransitionsTotal).increase("10m").sum_by(DAEMON).above(0.0);
    let writes = series(StoreMetric::StoreChangesTotal).increase("10m").sum_by(DAEMON).below(1.0);
    Alert {
        name: "StoreFailing",
        severity: Severity::Critical,
        // Whoever has no keeper sees it by what is missing: a node that moves is written.
        expr: keeper_says.now().sum_by(DAEMON).above(0.0).or(moves.and(writes)),
        hold: "2m",
        summary: "The store of {{ $labels.instance }} fails",
        description: "The store's keeper is degraded, or nodes moved and nothing was written for 10 minutes ({{ $value | humanize }}): what happens now is lost at a restart.",
        fires: vec![
            Fires {
                series: vec![keeper("degraded", "0x5 1x60")],
                at: "10m",
                labels: OF_A_DAEMON,
                says: "The store's keeper is degraded, or nodes moved and nothing was written for 10 minutes (1): what happens now is lost at a restart.",
            },
            Fires {
                series: vec![moved("0+1x60"), written("50x60")],
                at: "15m",
                labels: OF_A_DAEMON,
                says: "The store's keeper is degraded, or nodes moved and nothing was written for 10 minutes (20): what happens now is lost at a restart.",
            },
        ],
        quiet: vec![
            Quiet {
                when: "moves are written",
                series: vec![moved("0+1x60"), written("0+1x60"), keeper("running", "1x60")],
            },
            Quiet { when: "nothing moves", series: vec![moved("7x60"), written("7x60")] },
        ],
    }
}

/// A write is promised within 50 ms; one that takes a second is twenty times that.
const SLOW_WRITE: f64 = 1.0;

fn slow_store() -> Alert {
    let quick = at_most(StoreMetric::StoreWriteDuration, SLOW_WRITE).rate(WINDOW).sum_by(DAEMON);
    let all = count(StoreMetric::StoreWriteDuration).rate(WINDOW).sum_by(DAEMON);
    let within = |values: &str| {
        at_most(StoreMetric::StoreWriteDuration, SLOW_WRITE).with("role", "observed").fed(values)
    };
    let wrote = |values: &str| count(StoreMetric::StoreWriteDuration).with("role", "observed").fed(values);
    Alert {
        name: "StoreSlow",
        severity: Severity::Warning,
        expr: quick.over(all).missing_to_one().above(0.05),
        hold: "5m",
        summary: "The store of {{ $labels.instance }} is slow",
        description: "{{ $value | humanizePercentage }} of the writes in the last 5 minutes took longer than 1 s; the limit is 5%.",
        fires: vec![Fires {
            series: vec![wrote("0+4x60"), within("0+3x60")],
            at: "15m",
            labels: OF_A_DAEMON,
            says: "25% of the writes in the last 5 minutes took longer than 1 s; the limit is 5%.",
        }],
        quiet: vec![Quiet { when: "writes are quick", series: vec![wrote("0+4x60"), within("0+4x60")] }],
    }
}

fn events() -> Alert {
    let dropped =
        |values: &str| series(SubscriberMetric::EventsDroppedTotal).with("subscriber", "stream").fed(values);
    Alert {
        name: "EventsDropped",
        severity: Severity::Warning,
        expr: series(SubscriberMetric::EventsDroppedTotal)
            .increase("10m")
            .sum_by(&["instance", "subscriber"])
            .above(0.0),
        hold: "5m",
        summary: "{{ $labels.subscriber }} of {{ $labels.instance }} loses events",
        description: "Events that {{ $labels.subscriber }} lost in the last 10 minutes because it lagged: {{ $value | printf \"%.0f\" }}.",
        fires: vec![Fires {
            series: vec![dropped("0+10x60")],
            at: "20m",
            labels: &[("instance", "edge-01:8080"), ("subscriber", "stream")],
            says: "Events that stream lost in the last 10 minutes because it lagged: 200.",
        }],
        quiet: vec![Quiet { when: "it was long ago", series: vec![dropped("300x60")] }],
    }
}
