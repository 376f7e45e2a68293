//! What the tests share: a kind, its metrics, and a reader of scrapes.

use std::collections::BTreeMap;
use std::time::Duration;

use fsm_core::{Moment, Outcome, Phase};
use fsm_metrics::{
    ActionMetrics, ChildChange, ChildHealth, Circuit, DropReason, ExecKind, ExecMetrics, ExecOutcome,
    ExecStatus, FlowErrorKind, FlowMetrics, FlowStage, Kind, KindShape, Metrics, MetricsConfig, Moved,
    ObservationResult, PanicPlace, PanicType, PollOutcome, PoolMetrics, ProcessExit, ReconcileResult,
    ReloadResult, RestartCause, RunMetrics, StoreMetrics, StoreRole, SubscriberMetrics, TemplateErrorType,
    TickBatch, ToolErrorKind,
};

pub(crate) const STATES: [(&str, Phase); 5] = [
    ("Stopped", Phase::Stopped),
    ("TryingToStart", Phase::Starting),
    ("Running", Phase::Running),
    ("Degraded", Phase::Degraded),
    ("TryingToStop", Phase::Stopping),
];
pub(crate) const STOPPED: usize = 0;
pub(crate) const TRYING: usize = 1;
pub(crate) const RUNNING: usize = 2;

pub(crate) fn metrics() -> Metrics {
    with(MetricsConfig::default())
}

pub(crate) fn with(config: MetricsConfig) -> Metrics {
    Metrics::try_new(config, &prometheus::Registry::new()).expect("an empty registry takes the catalogue")
}

pub(crate) fn shape(kind: &'static str) -> KindShape {
    KindShape::new(kind).with_states(STATES).with_actions(&["start", "stop"])
}

pub(crate) fn kind(metrics: &Metrics, name: &'static str) -> Kind {
    metrics.register(shape(name)).expect("a good shape")
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

/// A scrape as a map from a series, its labels in order, to its value.
pub(crate) fn parse(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut all = BTreeMap::new();
    for line in lines {
        let (series, value) = line.rsplit_once(' ').expect("a series and a value");
        let series = match series.split_once('{') {
            None => series.to_owned(),
            Some((name, labels)) => {
                let labels = labels.strip_suffix('}').expect("labels end with a brace");
                let mut labels: Vec<&str> =
                    labels.split_inclusive("\",").map(|l| l.trim_end_matches(',')).collect();
                labels.sort_unstable();
                format!("{name}{{{}}}", labels.join(","))
            }
        };
        let value = value.parse().expect("a number");
        assert_eq!(all.insert(series.clone(), value), None, "{series} is there twice");
    }
    all
}

/// The value of a series, written with its labels in alphabetic order.
pub(crate) fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    parse(&metrics.encode()).get(series).copied()
}

/// The names and labels of all series in which this text occurs.
pub(crate) fn series_with(metrics: &Metrics, part: &str) -> Vec<String> {
    parse(&metrics.encode()).into_keys().filter(|series| series.contains(part)).collect()
}

/// Everything that production code can record, once, for a node of this kind.
pub(crate) fn record_everything(metrics: &Metrics, batch: &mut TickBatch, kind: &Kind, path: &str) {
    let scope = batch.enter(kind, path);
    batch.entered(scope, Some(STOPPED), Phase::Stopped);
    for (from, to) in (0..STATES.len()).flat_map(|from| (0..STATES.len()).map(move |to| (from, to))) {
        let (from, to) = ((from, STATES[from].1), (to, STATES[to].1));
        batch.moved(scope, Moved { from, to, after: ms(2_500) });
    }
    batch.phase_changed(scope, Some(RUNNING), Phase::Running, Phase::Degraded);
    batch.children(scope, 3);
    batch.child_health(scope, ChildHealth::Stale);
    batch.reconciled(scope, ReconcileResult::Applied, ms(1));
    batch.children_changed(scope, ChildChange::Created, 3);
    batch.variables_propagated(scope, 3);
    batch.rendered(scope, Ok(()), ms(1));
    batch.rendered(scope, Err(TemplateErrorType::Fuel), ms(1));
    batch.propagated(scope, 2, ms(1));
    batch.observed(scope, ObservationResult::Changed, ms(7));
    batch.observation_used(scope, ms(30));
    batch.turned_stale(scope);
    batch.collector_restarted(scope);
    batch.collectors_leaked(scope, 1);
    batch.circuit(scope, Circuit::Infrastructure, true);
    batch.infrastructure_recovered(scope, ms(61_000));
    batch.incident(scope, true);
    batch.escalated(scope);
    batch.panicked(scope, PanicType::Index, PanicPlace::Next);
    batch.restarted(scope, RestartCause::Signal);
    batch.restart_budget_spent(scope, RestartCause::Signal);
    batch.stop_timed_out(scope);
    batch.tick(ms(1), true);
    batch.evaluated(1, 9);
    batch.hierarchy(3, 10);
    batch.config_generation(4);
    batch.config_reloaded(ReloadResult::Applied);
    act(&batch.scope(scope).expect("just entered").actions());
    batch.flush(Moment::ZERO);
    around(metrics, path);
}

fn act(actions: &ActionMetrics) {
    for action in 0..2 {
        actions.queued(action);
        actions.started(ms(3));
        actions.attempt_ended(action, Outcome::Timeout, ms(30_000));
        actions.retried(action);
        actions.attempt_ended(action, Outcome::Success, ms(40));
        actions.stuck(action);
        actions.leaked(action);
        actions.ended();
    }
    // One runs and one waits.
    actions.queued(0);
    actions.queued(0);
    actions.started(ms(3));
}

/// What is recorded around the nodes; the scopes are kept alive by forgetting them.
fn around(metrics: &Metrics, path: &str) {
    metrics.build_info("1.2.3", "abcdef0");
    let pool = PoolMetrics::new(metrics.pool("actions"));
    pool.in_use(5, 10);
    pool.waiting(2);
    let store = StoreMetrics::new(metrics.store());
    store.written(StoreRole::Observed, 12, ms(20));
    store.size(StoreRole::Observed, 4_096);
    let subscriber = SubscriberMetrics::new(metrics.subscriber("stream"));
    subscriber.dropped(3);
    let flow = FlowMetrics::new(metrics.flow(path));
    flow.messages_in.inc();
    flow.messages_out.inc();
    flow.bytes_in.add(128);
    flow.bytes_out.add(130);
    flow.retries.inc();
    flow.reconnects.inc();
    flow.in_flight.set(1.0);
    flow.lag_messages.set(2.0);
    flow.last_message_age.set(0.5);
    flow.buffer_bytes.set(512.0);
    flow.latency.observe_duration(ms(4));
    flow.dropped(DropReason::Filter, 1);
    flow.error(FlowStage::Output, FlowErrorKind::Timeout);
    std::mem::forget((pool, store, subscriber, flow));
}

/// Everything that is recorded of tools, processes and executions.
pub(crate) fn record_runs(metrics: &Metrics) {
    let runs = RunMetrics::new(metrics);
    let tool = runs.tool("label-printer/print");
    tool.begin(|| ms(40)).end(None);
    tool.begin(|| ms(60_000)).end(Some(ToolErrorKind::Timeout));
    tool.output(2_000);
    tool.used(ms(20), 4 << 20);
    tool.first_byte(ms(30));
    runs.processes().exited(ProcessExit::Signal(9));
    let executions = ExecMetrics::new(metrics.executions());
    executions.accepted(ExecKind::Task);
    executions.started(ExecKind::Task, ms(1)).finished(ExecStatus::Success);
    executions.answered(ExecKind::Task, ExecOutcome::Timeout, ms(60_000));
    executions.responded(ExecKind::Task, 408);
    let mut wait = executions.wait(|| ms(700));
    wait.polled();
    wait.end(PollOutcome::Completed);
    // One runs on.
    std::mem::forget((executions.started(ExecKind::Agent, ms(1)), runs));
}
