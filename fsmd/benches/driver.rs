//! P8 and P10: how soon a running tree answers, and what it takes while nothing happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bench_support::{Bench, Record, Samples, Unit, process_cpu_time};
use fsm_core::{ChildSpec, NodePath, Registry, Vars};
use fsm_supervisor::{DriverConfig, EventKind, EventReader, Handle};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};

#[path = "driver/kinds.rs"]
mod kinds;

use kinds::{Board, Gauge, GaugeState, Plant, PlantConfig, Seen};

/// So that collections that were started together don't run together any more, as in a plant that lives.
const WARM_UP: Duration = Duration::from_secs(5);
/// What one collection allocates at most: its task, its future, its contexts, its message.
const ALLOCATIONS: u64 = 14;

bench_support::count_allocations!();

fn main() {
    let bench = Bench::from_args();
    if !["P8", "P8-action", "P10"].iter().any(|id| bench.wants(id)) {
        return;
    }
    // As the daemon has them on the reference machine.
    let runtime =
        Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be started");
    let plant = runtime.block_on(async {
        let plant = Running::start(bench.size(10_000, 1_000)).await;
        sleep(if bench.quick() { Duration::from_secs(1) } else { WARM_UP }).await;
        plant
    });
    if bench.wants("P10") {
        plant.idle(&bench, &runtime);
    }
    if bench.wants("P8") || bench.wants("P8-action") {
        runtime.block_on(plant.answers(&bench));
    }
}

/// A tree of workers that collect each second what they know already.
struct Running {
    workers: usize,
    tree: Handle,
    board: Arc<Board>,
}

impl Running {
    async fn start(workers: usize) -> Self {
        let board = Arc::new(Board::new(workers));
        let mut kinds = Registry::new();
        kinds.register(Gauge(Arc::clone(&board))).expect("a name of its own");
        kinds.register(Plant).expect("a name of its own");
        let metrics = fsm_metrics::Metrics::try_new(Default::default(), &prometheus::Registry::new())
            .expect("a good config");
        let store = Arc::new(fsm_store::MemoryStore::new(Default::default()));
        let tree = fsm_supervisor::start(kinds, DriverConfig::default(), &metrics, store)
            .expect("the kinds' metrics fit");
        let root = ChildSpec::try_new("plant", "plant").expect("a good name");
        let root = root.with_typed_config(PlantConfig { workers });
        tree.apply(root, Vars::new()).await.expect("it runs");
        tree.until(|entries| {
            entries.len() == workers + 1 && entries.iter().all(|entry| entry.state == "Running")
        })
        .await
        .expect("it runs");
        Self { workers, tree, board }
    }

    /// CPU time of the whole process while nothing changes.
    fn idle(&self, bench: &Bench, runtime: &Runtime) {
        let counts = || (kinds::ASKED.load(Ordering::Relaxed), self.board.collected.load(Ordering::Relaxed));
        let before = counts();
        let second = || {
            let (cpu, began) = (process_cpu_time(), Instant::now());
            runtime.block_on(async { sleep(Duration::from_secs(1)).await });
            (process_cpu_time() - cpu).as_secs_f64() / began.elapsed().as_secs_f64()
        };
        let (samples, allocated) =
            bench_support::allocations(|| -> Samples { (0..bench.size(10, 3)).map(|_| second()).collect() });
        let (asked, collected) = (counts().0 - before.0, counts().1 - before.1);
        let seconds = samples.runs() as u64;
        assert!(collected * 10 > seconds * self.workers as u64 * 9, "only {collected} collections");
        Record::new("P10", format!("share of a core, {} idle workers collecting", self.workers), Unit::Ratio)
            .samples(&samples)
            .at_most(0.10)
            .gate_exactly("evaluations", asked, 0)
            .gate("allocations per collection", allocated.count / collected, ALLOCATIONS)
            .note(format!("{} collections/s", collected / seconds))
            .print();
    }

    /// From a pushed observation to its decision, and from the end of the action that it led to to the next one, while all
    /// others collect.
    async fn answers(&self, bench: &Bench) {
        let mut events = self.tree.events();
        let (mut pushed, mut acted) = (Vec::new(), Vec::new());
        let (rounds, each) = (bench.size(10, 3), bench.size(500, 100));
        let mut worker = 0;
        for round in 1..=rounds {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            for _ in 0..each {
                // Scattered, and none so often that its events are folded.
                worker = (worker + 6_151) % self.workers;
                let path = NodePath::try_new(format!("/plant/g{worker}")).expect("a good path");
                let level = u32::try_from(round).expect("few");
                let began = Instant::now();
                self.board.push(worker, Seen { level, noted: level - 1 });
                first.push(moved(&mut events, &path, GaugeState::Noting).await - began);
                let decided = moved(&mut events, &path, GaugeState::Running).await;
                second.push(decided.saturating_duration_since(self.board.acted(worker)));
            }
            pushed.push(p99(first));
            acted.push(p99(second));
        }
        let table = [
            ("P8", "a pushed observation to its decision", pushed),
            ("P8-action", "an action's end, through a new observation, to the next decision", acted),
        ];
        for (id, what, values) in table {
            let name = format!("{what}, p99 of {each}, {} workers", self.workers);
            let samples: Samples = values.into_iter().collect();
            Record::new(id, name, Unit::Nanoseconds).samples(&samples).at_most(1e6).print();
        }
    }
}

/// When this node was seen to move to this state.
async fn moved(events: &mut EventReader, path: &NodePath, state: GaugeState) -> Instant {
    loop {
        let event = events.next().await.expect("the tree runs");
        if event.path == *path
            && matches!(event.kind, EventKind::StateTransition { to, .. } if to == state.text())
        {
            return Instant::now();
        }
    }
}

fn p99(times: Vec<Duration>) -> f64 {
    let times: Samples = times.into_iter().map(|time| time.as_secs_f64() * 1e9).collect();
    times.percentile(99.0)
}
