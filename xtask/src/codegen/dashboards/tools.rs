//! Runs of tools: how long, how often in vain, how their processes end.

use fsm_metrics::{Metric as _, ProcessMetric, ToolMetric};

use super::super::grafana::{Dashboard, Panel, Row, STEP, Variable, WINDOW};
use super::super::promql::{Expr, Select, count, quantile, series, total};
use super::instance;

/// What can be chosen.
const BY: &[&str] = &["instance", "tool_id"];

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "runtime-tools",
        title: "fsm: runs of tools",
        says: "How long registered tools take, how often they fail or run into their timeout, and what they cost.",
        variables: vec![
            instance(),
            Variable { label: "tool_id", title: "Tool", of: ToolMetric::ErrorsTotal.def() },
        ],
        rows: vec![
            Row { title: "How long", panels: vec![latency(), first_byte(), slow()] },
            Row { title: "How they end", panels: vec![timeouts(), calls(), errors(), outcomes(), exits()] },
            Row { title: "What they cost", panels: vec![output(), cpu(), memory()] },
        ],
    }
}

fn chosen(all: Select) -> Select {
    all.chosen(BY)
}

fn per_tool(share: f64, metric: ToolMetric) -> Expr {
    quantile(share, metric, chosen, WINDOW, &["tool_id"])
}

fn latency() -> Panel {
    Panel::lines("s", "p95 latency by tool", "From the call to its end, whatever way it ended.")
        .full()
        .shows("{{tool_id}}", per_tool(0.95, ToolMetric::ExecuteSeconds))
}

fn first_byte() -> Panel {
    Panel::lines("s", "p95 time to the first byte", "From the call to the first byte on stdout.")
        .shows("{{tool_id}}", per_tool(0.95, ToolMetric::FirstByteSeconds))
}

fn slow() -> Panel {
    Panel::lines(
        "s",
        "Mean latency by tool",
        "The mean moves with every call, a quantile only with its own share of them.",
    )
    .shows(
        "{{tool_id}}",
        chosen(total(ToolMetric::ExecuteSeconds))
            .rate(WINDOW)
            .sum_by(&["tool_id"])
            .over(chosen(count(ToolMetric::ExecuteSeconds)).rate(WINDOW).sum_by(&["tool_id"])),
    )
}

fn timeouts() -> Panel {
    let share = chosen(series(ToolMetric::TimeoutsTotal))
        .rate(WINDOW)
        .sum_by(&[])
        .over(chosen(count(ToolMetric::ExecuteSeconds)).rate(WINDOW).sum_by(&[]));
    // ToolTimeoutSpike calls at 5 %.
    Panel::number("percentunit", "Timeout rate", "Share of calls that were still running at their deadline.")
        .limits(0.01, 0.05)
        .shows("timeouts", share)
}

fn calls() -> Panel {
    Panel::number("cps", "Calls", "Calls that ended, per second.")
        .shows("calls", chosen(count(ToolMetric::ExecuteSeconds)).rate(WINDOW).sum_by(&[]))
}

fn errors() -> Panel {
    Panel::stacked("cps", "Error rate by kind", "Calls that ended without success, per second.")
        .shows("{{error_kind}}", chosen(series(ToolMetric::ErrorsTotal)).rate(WINDOW).sum_by(&["error_kind"]))
}

fn outcomes() -> Panel {
    Panel::stacked("cps", "Calls by outcome", "Every call has one outcome.")
        .shows("{{outcome}}", chosen(count(ToolMetric::ExecuteSeconds)).rate(WINDOW).sum_by(&["outcome"]))
}

fn exits() -> Panel {
    let ends = series(ProcessMetric::ExitsTotal).chosen(&["instance"]);
    Panel::heatmap(
        "Process exits",
        "Every process that was reaped, killed ones included: its code or the signal.",
    )
    .shows("{{status}} {{code}}{{signal}}", ends.increase(STEP).sum_by(&["status", "code", "signal"]))
}

fn output() -> Panel {
    Panel::lines("bytes", "Output size p99", "Bytes on stdout of calls whose output was read to its end.")
        .shows("{{tool_id}}", per_tool(0.99, ToolMetric::OutputBytes))
}

fn cpu() -> Panel {
    Panel::lines("s", "p95 CPU time of a run", "User and system time of all processes of a run.")
        .shows("{{tool_id}}", per_tool(0.95, ToolMetric::CpuSeconds))
}

fn memory() -> Panel {
    Panel::lines("bytes", "p95 peak memory of a run", "The most that one process of a run held.")
        .shows("{{tool_id}}", per_tool(0.95, ToolMetric::PeakRssBytes))
}
