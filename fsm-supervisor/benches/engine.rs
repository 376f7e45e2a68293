//! P1–P7, P9 and P12 of the engine: what a tick, a worker and a change cost.

use bench_support::{Bench, Record, Samples, Unit};
use fsm_core::NodeId;

#[path = "engine/kinds.rs"]
mod kinds;
#[path = "engine/plant.rs"]
mod plant;

use plant::Plant;

bench_support::count_allocations!();

fn main() {
    let bench = Bench::from_args();
    if bench.wants("P3") {
        // Before the million: what they leave behind in the allocator would scatter these over all its memory.
        let small = bench.size(10_000, 1_000);
        forced(&bench, &mut Plant::start(&plant::tree(10, small / 10)), "P3", small, 80.0);
    }
    if ["P1", "P2", "P3", "P4", "P12"].iter().any(|id| bench.wants(id)) {
        million(&bench);
    }
    if bench.wants("P3") {
        shuffled(&bench);
    }
    if ["TRACES", "TRACES-with", "TRACES-without"].iter().any(|id| bench.wants(id)) {
        traces_off(&bench);
    }
    if bench.wants("P12") {
        living_second(&bench);
    }
    if bench.wants("P5") {
        creation(&bench);
    }
    if bench.wants("P6") || bench.wants("P7") {
        apply(&bench);
    }
    if bench.wants("P9") {
        stop(&bench);
    }
}

/// The cases over one resident tree of a million workers.
fn million(bench: &Bench) {
    // Fewer would weigh the fixed parts of an engine, not its workers.
    let (lines, each) = (bench.size(1_000, 100), bench.size(1_000, 500));
    let workers = lines * each;
    let before = bench_support::live_bytes();
    let mut plant = Plant::start(&plant::tree(lines, each));
    plant.shrink();
    // What the bare driver remembers of each sensor is not the engine's.
    let ids = plant.sensors.capacity() * size_of::<NodeId>();
    let live = bench_support::live_bytes() - before - ids as u64;
    if bench.wants("P4") {
        Record::new("P4", format!("live heap per idle worker, {workers} workers"), Unit::Bytes)
            .value(live as f64 / workers as f64)
            .at_most(1_024.0)
            // The gate holds what is reached; a small tree has more room left over in its tables.
            .gate("bytes", live / workers as u64, bench.size(945, 1_030) as u64)
            .print();
    }
    if bench.wants("P1") {
        idle_tick(bench, &mut plant, workers);
    }
    if bench.wants("P2") {
        changed(bench, &mut plant, workers);
    }
    if bench.wants("P3") {
        forced(bench, &mut plant, "P3-large", workers, 150.0);
    }
    if bench.wants("P12") {
        equal(bench, &mut plant);
    }
}

fn idle_tick(bench: &Bench, plant: &mut Plant, workers: usize) {
    let mut evaluated = 0;
    let ((), allocated) = bench_support::allocations(|| {
        for _ in 0..100 {
            evaluated += plant.tick().evaluated;
        }
    });
    let samples = bench.time(100, 100, || plant.tick());
    Record::new("P1", format!("tick with nothing changed, {workers} workers"), Unit::Nanoseconds)
        .samples(&samples)
        .at_most(10_000.0)
        .gate_exactly("evaluations", evaluated, 0)
        .gate("allocations", allocated.count, 0)
        .print();
}

/// Nodes that lie far apart, other ones in each round.
fn scattered(round: usize, workers: usize, ids: &[NodeId]) -> impl Iterator<Item = NodeId> {
    (0..100).map(move |n| ids[(round * 7_919 + n * 104_729 + n * n * 31) % workers.min(ids.len())])
}

fn changed(bench: &Bench, plant: &mut Plant, workers: usize) {
    let ids = plant.sensors.clone();
    // Larger than the caches of the reference machine.
    let mut flush = vec![1_u8; bench.size(128 << 20, 1 << 20)];
    let mut evaluated = Vec::new();
    let samples: Samples = (0..bench.size(50, 5))
        .map(|round| {
            let picked: std::collections::BTreeSet<NodeId> = scattered(round, workers, &ids).collect();
            for node in &picked {
                plant.push(*node, 1 + round as u32);
            }
            for byte in flush.iter_mut().step_by(64) {
                *byte = byte.wrapping_add(1);
            }
            let (report, took) = plant.timed_tick();
            evaluated.push((report.evaluated, picked.len() as u64));
            took
        })
        .collect();
    let surplus = evaluated.iter().map(|(evaluated, picked)| evaluated.abs_diff(*picked)).max().unwrap_or(1);
    Record::new("P2", format!("tick in which 100 of {workers} changed, cold caches"), Unit::Nanoseconds)
        .samples(&samples)
        .at_most(150_000.0)
        .gate_exactly("evaluations beyond the changed ones", surplus, 0)
        .print();
}

fn forced(bench: &Bench, plant: &mut Plant, id: &str, workers: usize, limit: f64) {
    plant.force();
    let mut allocations = u64::MAX;
    let samples: Samples = (0..bench.size(15, 3))
        .map(|_| {
            let (took, allocated) = bench_support::allocations(|| plant.force());
            allocations = allocations.min(allocated.count);
            took / workers as f64
        })
        .collect();
    Record::new(id, format!("forced evaluation of all, {workers} workers, per worker"), Unit::Nanoseconds)
        .samples(&samples)
        .at_most(limit)
        .gate("allocations", allocations, 0)
        .print();
}

/// A tick in the span that the driver puts around it, while nobody listens to spans, against the same tick without. What the
/// exporter of spans adds to a build is not on this way at all.
fn traces_off(bench: &Bench) {
    let plant = || {
        let mut plant = Plant::start(&plant::tree(10, 100));
        for node in plant.sensors.clone().into_iter().step_by(10) {
            plant.push(node, 1);
        }
        plant
    };
    let with = bench.instructions("TRACES-with", plant, |plant| {
        let span = tracing::trace_span!(
            target: fsm_metrics::trace::TARGET,
            parent: None,
            "supervisor.tick",
            visited = tracing::field::Empty,
        );
        let report = span.in_scope(|| plant.tick());
        if !span.is_disabled() {
            span.record("visited", report.visited);
        }
    });
    let without = bench.instructions("TRACES-without", plant, |plant| {
        plant.tick();
    });
    let (Some(with), Some(without)) = (with, without) else { return };
    Record::new(
        "TRACES",
        "instructions of a tick in a span that nobody hears, 100 of 1 000 changed",
        Unit::Count,
    )
    .value(with as f64)
    .gate("per mille more than without the span", with.saturating_sub(without) * 1_000 / without, 5)
    .print();
}

fn shuffled(bench: &Bench) {
    let workers = bench.size(1_000_000, 1_000);
    let mut plant = Plant::start(&plant::flat(workers, 1));
    // A stride that shares no factor with the size visits all in an order that no cache foresees.
    plant.declare(&plant::flat(workers, 611_953));
    plant.settle();
    forced(bench, &mut plant, "P3-shuffled", workers, 500.0);
}

/// One second of a million workers that are told each second what they know already; an observation that says so.
fn living_second(bench: &Bench) {
    let workers = bench.size(1_000_000, 1_000);
    let mut plant = Plant::start(&plant::told(workers));
    // Once round, so that timers are spread as they are in a plant that lives.
    for _ in 0..12 {
        plant.living_second();
    }
    let (mut evaluated, mut pushed) = (0, Vec::new());
    let timers: Samples = (0..bench.size(11, 3))
        .map(|_| {
            let (asked, timers, told) = plant.living_second();
            evaluated += asked;
            pushed.push(told / workers as f64);
            timers
        })
        .collect();
    Record::new("P12", format!("a living idle second of {workers} workers, its timers"), Unit::Nanoseconds)
        .samples(&timers)
        .at_most(20e6)
        .gate_exactly("evaluations", evaluated, 0)
        .print();
    Record::new("P12-pushed", "an equal value that is pushed", Unit::Nanoseconds)
        .samples(&pushed.into_iter().collect())
        .at_most(100.0)
        .print();
}

/// An equal observation of each of many workers, in the order in which they were asked for.
fn equal(bench: &Bench, plant: &mut Plant) {
    let ids = plant.sensors.clone();
    let each: Samples =
        (0..bench.size(11, 3)).map(|_| plant.observe_equal(&ids) / ids.len() as f64).collect();
    Record::new("P12-equal", "an equal observation", Unit::Nanoseconds).samples(&each).at_most(100.0).print();
}

fn creation(bench: &Bench) {
    for (id, children, limit) in
        [("P5", bench.size(10_000, 1_000), 150e6), ("P5-large", bench.size(100_000, 2_000), 1.5e9)]
    {
        let root = plant::raw(children);
        let samples: Samples = (0..bench.size(5, 2))
            .map(|_| {
                let before = bench_support::process_cpu_time();
                let plant = Plant::start(&root);
                let took = bench_support::process_cpu_time() - before;
                assert_eq!(plant.running(), children + 1, "all run");
                took.as_secs_f64() * 1e9
            })
            .collect();
        Record::new(
            id,
            format!("{children} children from rendered configs to all running"),
            Unit::Nanoseconds,
        )
        .samples(&samples)
        .at_most(limit)
        .print();
    }
}

fn apply(bench: &Bench) {
    let children = bench.size(100_000, 2_000);
    let mut plant = Plant::start(&plant::flat(children, 1));
    let mut visited = 0;
    let same: Samples = (0..bench.size(11, 3))
        .map(|_| {
            let again = plant::flat(children, 1);
            let (report, took) = plant.timed_declare(&again);
            visited += report.visited;
            took
        })
        .collect();
    Record::new("P6", format!("re-apply an unchanged config of {children} children"), Unit::Nanoseconds)
        .samples(&same)
        .at_most(50e6)
        .gate_exactly("nodes visited", visited, 0)
        .print();
    let mut evaluated = 0;
    let runs = bench.size(11, 3);
    let one: Samples = (0..runs)
        .map(|round| {
            let mut config = plant::flat_config(children, 1);
            config.change(children / 2, round as u32 + 2);
            let root = plant::root(config);
            let (report, took) = plant.timed_declare(&root);
            evaluated += report.visited;
            took
        })
        .collect();
    Record::new(
        "P7",
        format!("change 1 of {children} children: parsed config to applied"),
        Unit::Nanoseconds,
    )
    .samples(&one)
    .at_most(10e6)
    // The parent and the child.
    .gate("visits", evaluated / runs as u64, 2)
    .print();
}

fn stop(bench: &Bench) {
    let workers = bench.size(10_000, 1_000);
    let samples: Samples = (0..bench.size(9, 3))
        .map(|_| {
            let mut plant = Plant::start(&plant::deep(8, workers));
            plant.shut_down()
        })
        .collect();
    Record::new("P9", format!("graceful stop of {workers} workers, depth 8"), Unit::Nanoseconds)
        .samples(&samples)
        .at_most(100e6)
        .print();
}
