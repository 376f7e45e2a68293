//! The execution API: what is asked for, how long it takes, what is refused.

use fsm_metrics::{ExecMetric, Metric as _};

use super::super::grafana::{Dashboard, Panel, Row, STEP, Variable, WINDOW};
use super::super::promql::{Expr, Select, count, quantile, series};
use super::instance;

/// What can be chosen.
const BY: &[&str] = &["instance", "kind"];

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "execution-overview",
        title: "fsm: executions",
        says: "Tasks, agent runs and workflows that were asked for over the API: latency, load, waits and refusals.",
        variables: vec![
            instance(),
            Variable { label: "kind", title: "Kind", of: ExecMetric::FinishedTotal.def() },
        ],
        rows: vec![
            Row { title: "Synchronous requests", panels: vec![latency(), timeouts(), outcomes()] },
            Row { title: "Load", panels: vec![started(), ratio(), in_flight(), queue(), finished()] },
            Row { title: "Workflows", panels: vec![waits(), polls(), poll_outcomes()] },
            Row { title: "Errors", panels: vec![errors()] },
        ],
    }
}

fn chosen(all: Select) -> Select {
    all.chosen(BY)
}

fn latency() -> Panel {
    let of = |share| quantile(share, ExecMetric::SyncLatency, chosen, WINDOW, &["kind"]);
    Panel::lines("s", "Latency by kind", "From the request to its answer.")
        .full()
        .shows("{{kind}} p50", of(0.5))
        .shows("{{kind}} p95", of(0.95))
        .shows("{{kind}} p99", of(0.99))
}

fn per_kind(metric: ExecMetric) -> Expr {
    chosen(series(metric)).rate(WINDOW).sum_by(&["kind"])
}

fn requests() -> Expr {
    chosen(count(ExecMetric::SyncLatency)).rate(WINDOW).sum_by(&["kind"])
}

fn timeouts() -> Panel {
    Panel::lines("percentunit", "Timeout ratio", "Share of synchronous requests that ended in a timeout.")
        .shows("{{kind}}", per_kind(ExecMetric::TimeoutsTotal).over(requests()))
}

fn outcomes() -> Panel {
    Panel::stacked("reqps", "Requests by outcome", "Synchronous requests, per second.").shows(
        "{{kind}} {{outcome}}",
        chosen(count(ExecMetric::SyncLatency)).rate(WINDOW).sum_by(&["kind", "outcome"]),
    )
}

fn started() -> Panel {
    Panel::lines("reqps", "Async start rate", "Asynchronous starts that were accepted.")
        .shows("{{kind}}", per_kind(ExecMetric::StartedTotal))
}

fn ratio() -> Panel {
    Panel::lines("none", "Async-to-sync ratio", "Asynchronous starts for each synchronous request.")
        .shows("{{kind}}", per_kind(ExecMetric::StartedTotal).over(requests()))
}

fn in_flight() -> Panel {
    Panel::lines("short", "In flight", "Executions that run.")
        .width(8)
        .shows("{{kind}}", chosen(series(ExecMetric::InFlight)).now().sum_by(&["kind"]))
}

fn queue() -> Panel {
    Panel::lines("s", "p95 wait for a place", "From the acceptance of an execution to its start.")
        .width(8)
        .shows("{{kind}}", quantile(0.95, ExecMetric::QueueWait, chosen, WINDOW, &["kind"]))
}

fn finished() -> Panel {
    Panel::stacked("cps", "Ended by status", "Executions that ended, per second.").width(8).shows(
        "{{kind}} {{status}}",
        chosen(series(ExecMetric::FinishedTotal)).rate(WINDOW).sum_by(&["kind", "status"]),
    )
}

fn here(all: Select) -> Select {
    all.chosen(&["instance"])
}

fn waits() -> Panel {
    Panel::lines(
        "s",
        "Workflow wait p95",
        "How long a synchronous request waited for the end of its workflow.",
    )
    .width(8)
    .shows("p95", quantile(0.95, ExecMetric::SyncPollDuration, here, WINDOW, &[]))
}

fn polls() -> Panel {
    let looks = here(series(ExecMetric::SyncPollsTotal)).rate(WINDOW).sum_by(&[]);
    let waits = here(count(ExecMetric::SyncPollDuration)).rate(WINDOW).sum_by(&[]);
    Panel::lines(
        "none",
        "Polls per workflow",
        "Looks at the record for each wait: completion wakes the waiter, so there are few.",
    )
    .width(8)
    .shows("polls", looks.over(waits))
}

fn poll_outcomes() -> Panel {
    Panel::stacked("cps", "Polls by outcome", "Looks at the record, by how their wait ended.")
        .width(8)
        .shows("{{outcome}}", here(series(ExecMetric::SyncPollsTotal)).rate(WINDOW).sum_by(&["outcome"]))
}

fn errors() -> Panel {
    Panel::heatmap("Error rate by kind and status code", "Requests that were answered with 400 or above.")
        .full()
        .shows(
            "{{kind}} {{code}}",
            chosen(series(ExecMetric::ErrorsTotal)).increase(STEP).sum_by(&["kind", "code"]),
        )
}
