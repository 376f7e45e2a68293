//! P23, M-5 and N: what recording, flushing, a scrape and statistics of nodes cost.

use std::time::Duration;

use bench_support::{Bench, Record, Unit};
use fsm_core::{MetricSink, MetricSpec, Moment, Outcome, Phase};
use fsm_metrics::{
    ErrorCategory, ExecKind, ExecMetrics, ExecOutcome, ExecStatus, FlowMetrics, Kind, KindShape, Metrics,
    MetricsConfig, Moved, NodeMetricsCollector, NodeMetricsConfig, ObservationResult, ProcessExit,
    ReconcileResult, RunMetrics, ScopeId, TickBatch, ToolErrorKind,
};

bench_support::count_allocations!();

const STATES: [(&str, Phase); 6] = [
    ("Stopped", Phase::Stopped),
    ("TryingToStart", Phase::Starting),
    ("Idle", Phase::Running),
    ("Active", Phase::Running),
    ("Degraded", Phase::Degraded),
    ("TryingToStop", Phase::Stopping),
];
const OWN: &[MetricSpec] = &[MetricSpec::gauge("queue", "", "Entries in the queue.")];
const KINDS: [&str; 5] = ["application", "bridge", "connection", "dataflow", "device_simulator"];
const TOOK: Duration = Duration::from_millis(3);

struct World {
    metrics: Metrics,
    batch: TickBatch,
    kinds: Vec<Kind>,
    scopes: Vec<ScopeId>,
}

/// Ten thousand workers of five kinds, each kind with everything that a busy one records.
fn world() -> World {
    let metrics =
        Metrics::try_new(MetricsConfig::default(), &prometheus::Registry::new()).expect("free names");
    let mut batch = TickBatch::new(&metrics);
    let shape =
        |kind| KindShape::new(kind).with_states(STATES).with_actions(&["start", "stop"]).with_metrics(OWN);
    let kinds: Vec<Kind> =
        KINDS.iter().map(|kind| metrics.register(shape(*kind)).expect("a good shape")).collect();
    let mut scopes = Vec::new();
    for node in 0..10_000 {
        scopes.push(batch.enter(&kinds[node % kinds.len()], "/edge/node"));
    }
    for scope in &scopes[..kinds.len()] {
        for (from, to) in [(0, 1), (1, 2), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (3, 5), (5, 0), (1, 5)] {
            let (from, to) = ((from, STATES[from].1), (to, STATES[to].1));
            batch.moved(*scope, Moved { from, to, after: TOOK });
        }
        batch.observed(*scope, ObservationResult::Changed, TOOK);
        batch.observation_used(*scope, TOOK);
        batch.reconciled(*scope, ReconcileResult::Applied, TOOK);
        batch.rendered(*scope, Ok(()), TOOK);
        batch.propagated(*scope, 2, TOOK);
        let actions = batch.scope(*scope).expect("entered").actions();
        for action in 0..2 {
            actions.queued(action);
            actions.started(TOOK);
            actions.attempt_ended(action, Outcome::Success, TOOK);
            actions.attempt_ended(action, Outcome::Failure, TOOK);
            actions.ended();
        }
    }
    batch.tick(TOOK, false);
    batch.flush(Moment::ZERO);
    World { metrics, batch, kinds, scopes }
}

fn cost(bench: &Bench, name: &str, target: f64, mut record: impl FnMut()) {
    let ((), allocated) = bench_support::allocations(&mut record);
    Record::new("P23", name, Unit::Nanoseconds)
        .samples(&bench.time(30, 100_000, record))
        .at_most(target)
        .gate("allocations", allocated.count, 0)
        .print();
}

fn main() {
    let bench = Bench::from_args();
    if bench.wants("P23") {
        record_on_handles(&bench);
        record_in_a_tick(&bench);
    }
    if bench.wants("M-5") {
        scrape(&bench);
    }
    if bench.wants("N") {
        statistics(&bench);
    }
}

/// Nodes as many as a collector keeps, and names as long as paths are.
fn statistics(bench: &Bench) {
    let names: Vec<String> =
        (0..10_000).map(|node| format!("/plant/area-{}/press-{node}/read", node % 10)).collect();
    let collector = |config| NodeMetricsCollector::try_new(config).expect("a good config");
    let known = collector(NodeMetricsConfig::default());
    names.iter().for_each(|name| known.record_success(name, TOOK));
    let record = |case: &str, target: Option<f64>, mut record: Box<dyn FnMut() + '_>| {
        // The window fills first: what is measured is a record that takes the place of another.
        (0..200).for_each(|_| record());
        let ((), allocated) = bench_support::allocations(&mut record);
        let mut row = Record::new("N", case, Unit::Nanoseconds)
            .samples(&bench.time(30, 100_000, &mut record))
            .gate("allocations", allocated.count, 0);
        if let Some(target) = target {
            row = row.at_most(target);
        }
        row.print();
    };
    let one = &names[7];
    record("a success of one node", Some(200.0), Box::new(|| known.record_success(one, TOOK)));
    let failure = || known.record_failure(one, TOOK, None, Some(ErrorCategory::Timeout));
    record("a failure of one node", Some(200.0), Box::new(failure));
    let mut at = 0;
    let next = || {
        at = (at + 7_919) % names.len();
        known.record_success(&names[at], TOOK);
    };
    record("a success of one of 10 000 nodes, cold", None, Box::new(next));
    let watched = NodeMetricsConfig::default()
        .with_failure_rate(0.5)
        .with_windowed_failure_rate(0.5)
        .with_latency_ms(1e6)
        .with_callback(|_| {});
    let watched = collector(watched);
    let success = || watched.record_success(one, TOOK);
    record("a success of one node, three thresholds", None, Box::new(success));

    let each = u32::try_from(bench.size(1_000_000, 10_000)).expect("small");
    let both = bench.time(10, 1, || {
        std::thread::scope(|scope| {
            for name in &names[..2] {
                let known = &known;
                scope.spawn(move || (0..each).for_each(|_| known.record_success(name, TOOK)));
            }
        });
    });
    let per_record: Vec<f64> = Vec::from(both).into_iter().map(|run| run / f64::from(each)).collect();
    Record::new("N", "a success while another thread records", Unit::Nanoseconds)
        .samples(&per_record.into())
        .note("time of a thread per record; one lock")
        .print();
}

fn record_on_handles(bench: &Bench) {
    let World { metrics, batch, scopes, .. } = world();
    let flow = FlowMetrics::new(metrics.flow("/a"));
    cost(bench, "counter", 25.0, || flow.messages_in.inc());
    cost(bench, "gauge", 25.0, || flow.in_flight.set(3.0));
    cost(bench, "histogram", 60.0, || flow.latency.observe(0.02));
    let own = batch.scope(scopes[0]).expect("entered").worker_metrics();
    cost(bench, "a worker's own gauge", 25.0, || own.set(0, &[], 3.0));
    let actions = batch.scope(scopes[0]).expect("entered").actions();
    cost(bench, "all of one action", 1_000.0, || {
        actions.queued(1);
        actions.started(TOOK);
        actions.attempt_ended(1, Outcome::Success, TOOK);
        actions.ended();
    });
}

fn record_in_a_tick(bench: &Bench) {
    let World { metrics, mut batch, kinds, scopes } = world();
    cost(bench, "equal observation, in a tick's fields", 60.0, || {
        batch.observed(scopes[7], ObservationResult::Unchanged, TOOK);
    });
    batch.flush(Moment::ZERO);
    cost(bench, "flush of a tick that recorded nothing", 5.0, || batch.flush(Moment::ZERO));
    let mut node = 0;
    let tick = |batch: &mut TickBatch| {
        for _ in 0..100 {
            node = (node + 7) % scopes.len();
            let (from, to) = ((2, Phase::Running), (3, Phase::Running));
            batch.observation_used(scopes[node], TOOK);
            batch.moved(scopes[node], Moved { from, to, after: TOOK });
        }
        batch.flush(Moment::ZERO);
    };
    let mut tick = tick;
    let ((), allocated) = bench_support::allocations(|| tick(&mut batch));
    Record::new("P23", "tick in which 100 of 10 000 move, metrics only", Unit::Nanoseconds)
        .samples(&bench.time(30, 1_000, || tick(&mut batch)))
        .gate("allocations", allocated.count, 0)
        .print();
    drop((metrics, kinds));
}

fn scrape(bench: &Bench) {
    let World { metrics, batch, scopes, .. } = world();
    let owns: Vec<_> =
        scopes.iter().map(|scope| batch.scope(*scope).expect("entered").worker_metrics()).collect();
    owns.iter().for_each(|own| own.set(0, &[], 1.0));
    let runs = run_everything(&metrics);
    let mut text = String::new();
    let samples = bench.time(50, 10, || {
        text.clear();
        metrics.encode_into(&mut text);
    });
    Record::new("M-5", "scrape of 10 000 workers of five kinds", Unit::Nanoseconds)
        .samples(&samples)
        .at_most(2e6)
        .gate("bytes", text.len() as u64, 200_000)
        .note(format!("{} lines", text.lines().count()))
        .print();
    drop(runs);
}

/// A tool that does all that tools do, and executions of all kinds, as a daemon that runs them shows them.
fn run_everything(metrics: &Metrics) -> (RunMetrics, ExecMetrics) {
    let (runs, executions) = (RunMetrics::new(metrics), ExecMetrics::new(metrics.executions()));
    let tool = runs.tool("label-printer/print");
    tool.begin(|| TOOK).end(None);
    tool.begin(|| TOOK).end(Some(ToolErrorKind::Timeout));
    tool.output(2_000);
    tool.used(TOOK, 4 << 20);
    tool.first_byte(TOOK);
    runs.processes().exited(ProcessExit::Code(0));
    for kind in [ExecKind::Task, ExecKind::Agent, ExecKind::Workflow] {
        executions.accepted(kind);
        executions.started(kind, TOOK).finished(ExecStatus::Success);
        executions.answered(kind, ExecOutcome::Success, TOOK);
        executions.responded(kind, 404);
    }
    (runs, executions)
}
