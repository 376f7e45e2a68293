//! Recording allocates nothing. One test in a binary of its own, because the count is that of the whole process.

use std::time::Duration;

use fsm_core::{MetricSink, MetricSpec, Moment, Outcome, Phase};
use fsm_metrics::{
    DropReason, FlowMetrics, KindShape, Metrics, MetricsConfig, Moved, ObservationResult, PanicPlace,
    PanicType, PoolMetrics, ReconcileResult, TickBatch,
};

bench_support::count_allocations!();

const OWN: &[MetricSpec] = &[
    MetricSpec::counter("polls_total", "Polls."),
    MetricSpec::gauge("queue", "", "Entries in the queue."),
    MetricSpec::histogram("poll_seconds", "seconds", "How long a poll took.", &[0.1, 1.0]),
    MetricSpec::counter("answers_total", "Answers.").with_labels(&["code"]),
];

// spec: M-2, P23
#[test]
fn recording_and_flushing_allocate_nothing() {
    let metrics =
        Metrics::try_new(MetricsConfig::default(), &prometheus::Registry::new()).expect("free names");
    let states = [("Stopped", Phase::Stopped), ("Running", Phase::Running), ("Degraded", Phase::Degraded)];
    let shape = KindShape::new("bridge").with_states(states).with_actions(&["start"]).with_metrics(OWN);
    let kind = metrics.register(shape).expect("a good shape");
    let mut batch = TickBatch::new(&metrics);
    let scope = batch.enter(&kind, "/a");
    let node = batch.scope(scope).expect("just entered");
    let (actions, own) = (node.actions(), node.worker_metrics());
    let (flow, pool) = (FlowMetrics::new(metrics.flow("/a")), PoolMetrics::new(metrics.pool("actions")));
    own.add(3, &["200"], 1.0);
    let took = Duration::from_millis(3);

    let mut record = || {
        for tick in 0..100_u64 {
            for from in 0..3 {
                for to in 0..3 {
                    let (from, to) = ((from, states[from].1), (to, states[to].1));
                    batch.moved(scope, Moved { from, to, after: took });
                }
            }
            for result in [ObservationResult::Changed, ObservationResult::Timeout] {
                batch.observed(scope, result, took);
            }
            batch.observation_used(scope, took);
            batch.phase_changed(scope, None, Phase::Degraded, Phase::Stopped);
            batch.reconciled(scope, ReconcileResult::Partial, took);
            batch.panicked(scope, PanicType::Index, PanicPlace::Stop);
            batch.propagated(scope, 3, took);
            batch.tick(took, true);
            batch.evaluated(1, 1);
            batch.hierarchy(3, 1);
            batch.flush(Moment::from_nanos(tick));

            actions.queued(0);
            actions.started(took);
            actions.attempt_ended(0, Outcome::Panic, took);
            actions.ended();
            own.add(0, &[], 1.0);
            own.set(1, &[], 4.0);
            own.observe(2, &[], 0.3);
            own.add(3, &["200"], 1.0);
            flow.messages_in.inc();
            flow.in_flight.set(2.0);
            flow.latency.observe_duration(took);
            flow.dropped(DropReason::Filter, 1);
            pool.in_use(3, 10);
        }
    };
    // The thread of the test harness may allocate beside one run, but hardly beside each.
    let runs = [(); 5].map(|()| bench_support::allocations(&mut record).1);
    let least = runs.iter().map(|run| (run.count, run.bytes)).min();
    assert_eq!(least, Some((0, 0)), "{runs:?}");
    assert!(metrics.encode().contains("fsm_nodes_evaluated_total 500"), "it did record");
}
