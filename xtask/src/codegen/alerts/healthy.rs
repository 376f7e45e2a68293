//! A daemon that does a lot and is well, with the small troubles of every day: no alert has anything to say about it.

use anyhow::Result;
use fsm_metrics::{
    EngineMetric, ExecMetric, FlowMetric, NodeMetric, PoolMetric, StoreMetric, SubscriberMetric, ToolMetric,
};

use super::super::promql::{Sample, Select, at_most, count, series, up_fed};
use super::Series;
use super::engine::JOB;

/// When it is looked at, in the first hour.
pub(super) const LOOKS: [&str; 3] = ["1m", "20m", "55m"];

fn of_connection(select: Select) -> Select {
    select.with("supervisor_id", "connection").with("path", "")
}

fn node(metric: NodeMetric, values: &str) -> Result<Sample> {
    of_connection(series(metric)).fed(values)
}

fn flow(metric: FlowMetric) -> Select {
    series(metric).with("flow", "/edge-01/press-7/read")
}

fn tool(select: Select) -> Select {
    select.with("tool_id", "label/print")
}

fn series_of_tools() -> Series {
    vec![
        tool(count(ToolMetric::ExecuteSeconds)).with("outcome", "success").fed("0+20x240"),
        tool(count(ToolMetric::ExecuteSeconds)).with("outcome", "error").fed("0 1 1x238"),
        tool(at_most(ToolMetric::ExecuteSeconds, 30.0)).with("outcome", "success").fed("0+20x240"),
        tool(at_most(ToolMetric::ExecuteSeconds, 30.0)).with("outcome", "error").fed("0 1 1x238"),
        tool(series(ToolMetric::ErrorsTotal)).with("error_kind", "tool").fed("0 1 1x238"),
        tool(series(ToolMetric::TimeoutsTotal)).fed("0x240"),
        series(ExecMetric::StartedTotal).with("kind", "task").fed("0+10x240"),
        series(ExecMetric::FinishedTotal).with("kind", "task").with("status", "success").fed("0+20x240"),
        series(ExecMetric::FinishedTotal).with("kind", "task").with("status", "failure").fed("0 1 1x238"),
        series(ExecMetric::ErrorsTotal).with("kind", "task").with("code", "404").fed("0+1x240"),
        series(ExecMetric::ErrorsTotal).with("kind", "task").with("code", "429").fed("0x240"),
        series(ExecMetric::ErrorsTotal).with("kind", "task").with("code", "500").fed("0x240"),
    ]
}

fn series_of_nodes() -> Series {
    let attempts = |status: &str, values: &str| {
        let all = of_connection(count(NodeMetric::ActionExecutionDuration));
        all.with("action_type", "connect").with("status", status).fed(values)
    };
    let circuit = |name| of_connection(series(NodeMetric::CircuitOpen)).with("circuit", name).fed("0x240");
    let workers = |phase, values: &str| {
        of_connection(series(NodeMetric::Workers)).with("state", "Up").with("phase", phase).fed(values)
    };
    let rendered = of_connection(count(NodeMetric::TemplateRenderingDuration)).with("status", "success");
    let errors =
        of_connection(series(NodeMetric::TemplateRenderingErrorsTotal)).with("error_type", "undefined");
    let moves = of_connection(series(NodeMetric::StateTransitionsTotal));
    let panics = of_connection(series(NodeMetric::PanicRecoveryTotal)).with("panic_type", "unwrap");
    vec![
        circuit("panic"),
        circuit("infrastructure"),
        workers("running", "9x240"),
        // One of them reconnects now and then, for less than a minute.
        workers("degraded", "0x40 1 0x80 1 0x118"),
        node(NodeMetric::IncidentsOpen, "0x240"),
        node(NodeMetric::ObservationStaleTotal, "0x50 1x190"),
        node(NodeMetric::CollectorRestartsTotal, "0x240"),
        rendered.fed("0+1x240"),
        errors.fed("0x240"),
        of_connection(series(NodeMetric::RestartsTotal)).with("cause", "signal").fed("0x60 1x180"),
        of_connection(series(NodeMetric::RestartsTotal)).with("cause", "config").fed("0x60 50x180"),
        of_connection(series(NodeMetric::RestartBudgetSpentTotal)).with("cause", "signal").fed("0x240"),
        panics.with("where", "next").fed("0x240"),
        node(NodeMetric::StopTimeoutsTotal, "0x240"),
        moves.with("from_state", "Up").with("to_state", "Down").fed("0+1x240"),
        attempts("success", "0+2x240"),
        attempts("failure", "0x50 1x190"),
        of_connection(series(NodeMetric::ActionLeaked)).with("action_type", "connect").fed("0x240"),
        node(NodeMetric::CollectorsLeaked, "0x240"),
    ]
}

fn series_of_the_daemon() -> Series {
    let write = |select: Select| select.with("role", "observed").fed("0+5x240");
    let dropped = |reason, values: &str| flow(FlowMetric::DroppedTotal).with("reason", reason).fed(values);
    vec![
        up_fed(JOB, "1x240"),
        count(EngineMetric::TickDuration).fed("0+30x240"),
        series(EngineMetric::TickOverrunTotal).fed("0x30 1x210"),
        series(EngineMetric::ConfigReloadTotal).with("result", "applied").fed("0x60 1x180"),
        series(EngineMetric::ConfigReloadTotal).with("result", "refused").fed("0x240"),
        series(EngineMetric::ConfigReloadTotal).with("result", "failed").fed("0x240"),
        write(series(StoreMetric::StoreChangesTotal)),
        write(count(StoreMetric::StoreWriteDuration)),
        write(at_most(StoreMetric::StoreWriteDuration, 1.0)),
        series(SubscriberMetric::EventsDroppedTotal).with("subscriber", "stream").fed("0x240"),
        series(PoolMetric::WorkerPoolUtilization).with("pool_name", "actions").fed("0.3x240"),
        series(PoolMetric::WorkerPoolQueueSize).with("pool_name", "actions").fed("0x240"),
        flow(FlowMetric::MessagesInTotal).fed("0+100x240"),
        dropped("filter", "0+10x240"),
        dropped("error", "0x240"),
        flow(FlowMetric::LagMessages).fed("0x240"),
        flow(FlowMetric::LastMessageAge).fed("1x240"),
        flow(FlowMetric::ReconnectsTotal).fed("0x60 1x180"),
    ]
}

/// All its series.
pub(super) fn series_of_all() -> Series {
    [series_of_tools(), series_of_nodes(), series_of_the_daemon()].into_iter().flatten().collect()
}
