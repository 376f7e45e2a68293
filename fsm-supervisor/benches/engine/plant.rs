//! A tree under a bare driver: collections are run at once, everything else the engine wants is dropped.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bench_support::thread_cpu_time;
use fsm_core::erase::Collected;
use fsm_core::{
    BoxFuture, ChildConfig, ChildName, ChildSpec, Generation, Host, MetricSink, Moment, NoMetrics, NodeId,
    NodePath, Registry, SeenAny, Vars,
};
use fsm_supervisor::{CollectFailure, Command, Effect, Effects, Engine, EngineConfig, Input, TickReport};
use serde_json::json;

use crate::kinds::{Entry, HEARTBEAT, Line, LineConfig, Seen, Sensor, TOLD, sensor};

/// The engine is one thread that never waits: its CPU time is its time, whoever else is on the machine.
fn nanos_since(start: Duration) -> f64 {
    (thread_cpu_time() - start).as_secs_f64() * 1e9
}

fn name(text: String) -> ChildName {
    ChildName::try_new(text).expect("a valid name")
}

/// A root over this config.
pub(crate) fn root(config: LineConfig) -> Arc<ChildSpec> {
    ChildSpec { config: ChildConfig::typed(config), ..ChildSpec::new(name("plant".into()), "line") }.into()
}

fn sensors(count: usize, stride: usize) -> Vec<(ChildName, u32)> {
    (0..count).map(|n| (name(format!("s{}", n * stride % count)), 1)).collect()
}

/// Sensors right below the root, in an order that the stride gives.
pub(crate) fn flat_config(count: usize, stride: usize) -> LineConfig {
    LineConfig { sensors: sensors(count, stride), ..LineConfig::default() }
}

/// Sensors that are told, right below the root.
pub(crate) fn told(count: usize) -> Arc<ChildSpec> {
    let sensors = (0..count).map(|n| (name(format!("s{n}")), TOLD)).collect();
    root(LineConfig { sensors, ..LineConfig::default() })
}

pub(crate) fn flat(count: usize, stride: usize) -> Arc<ChildSpec> {
    root(flat_config(count, stride))
}

/// Lines of sensors.
pub(crate) fn tree(lines: usize, each: usize) -> Arc<ChildSpec> {
    let numbered = u32::try_from(each).expect("few on one line");
    let line = |n| (name(format!("line-{n}")), LineConfig { numbered, ..LineConfig::default() });
    root(LineConfig { lines: (0..lines).map(line).collect(), ..LineConfig::default() })
}

/// Lines in lines, with sensors at the bottom and on the way.
pub(crate) fn deep(depth: usize, workers: usize) -> Arc<ChildSpec> {
    let each = workers / depth;
    let mut config = flat_config(each, 1);
    for level in 1..depth {
        let lines = vec![(name(format!("line-{level}")), config)];
        config = LineConfig { sensors: sensors(each, 1), lines, ..LineConfig::default() };
    }
    root(config)
}

/// Sensors with configs as templates render them.
pub(crate) fn raw(count: usize) -> Arc<ChildSpec> {
    let entry = |n: usize| {
        let name = name(format!("s{n}"));
        let config = json!(sensor(&name, 1));
        Entry { name, kind: "sensor".into(), config, fingerprint: n as u64 + 1 }
    };
    root(LineConfig { children: (0..count).map(entry).collect(), ..LineConfig::default() })
}

/// The engine and what its driver knows.
pub(crate) struct Plant {
    engine: Engine,
    now: Moment,
    effects: Effects,
    host: Arc<dyn Host>,
    pub(crate) sensors: Vec<NodeId>,
    collecting: Vec<(NodeId, Moment, Generation)>,
}

impl Plant {
    /// A tree that runs.
    pub(crate) fn start(root: &Arc<ChildSpec>) -> Self {
        let mut registry = Registry::new();
        registry.register(Sensor).expect("registered once").register(Line).expect("registered once");
        registry.register_as("heartbeat", HEARTBEAT, Sensor).expect("registered once");
        let mut config = EngineConfig::default();
        config.check_purity = false;
        let mut plant = Self {
            engine: Engine::new(registry, config),
            now: Moment::ZERO,
            effects: Effects::new(),
            host: Arc::new(BareHost),
            sensors: Vec::new(),
            collecting: Vec::new(),
        };
        plant.declare(root);
        plant.settle();
        plant
    }

    pub(crate) fn declare(&mut self, root: &Arc<ChildSpec>) {
        static NO_VARIABLES: std::sync::OnceLock<Arc<Vars>> = std::sync::OnceLock::new();
        let global = Arc::clone(NO_VARIABLES.get_or_init(Arc::default));
        self.input(Input::Root { spec: Arc::clone(root), global });
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(input, self.now).expect("a good input");
    }

    /// Ticks until nothing is due at this moment; collections are run at once.
    pub(crate) fn settle(&mut self) {
        loop {
            self.engine.tick(self.now, &mut self.effects, &());
            let mut inputs = Vec::new();
            for effect in self.effects.drain() {
                if let Effect::Collect { node, started, generation, run, .. } = effect {
                    self.sensors.push(node);
                    let mut future = run(Arc::clone(&self.host));
                    if let Poll::Ready(result) =
                        Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()))
                    {
                        let result = result.map_err(CollectFailure::Error);
                        inputs.push(Input::Observed { node, started, taken: self.now, generation, result });
                    }
                }
            }
            let idle = inputs.is_empty();
            for input in inputs {
                self.input(input);
            }
            if idle && self.engine.next_wake().is_none_or(|wake| wake > self.now) {
                return;
            }
        }
    }

    /// Gives back what only the start needed.
    pub(crate) fn shrink(&mut self) {
        self.effects = Effects::new();
        self.sensors.shrink_to_fit();
    }

    pub(crate) fn running(&self) -> usize {
        self.engine.tree().iter().filter(|entry| entry.state == "Running").count()
    }

    pub(crate) fn tick(&mut self) -> TickReport {
        self.engine.tick(self.now, &mut self.effects, &())
    }

    pub(crate) fn push(&mut self, node: NodeId, level: u32) {
        self.input(Input::Pushed { node, taken: self.now, value: Arc::new(Seen { level }) });
    }

    pub(crate) fn timed_tick(&mut self) -> (TickReport, f64) {
        let start = thread_cpu_time();
        let report = self.tick();
        let took = nanos_since(start);
        self.effects.drain().for_each(drop);
        (report, took)
    }

    pub(crate) fn timed_declare(&mut self, root: &Arc<ChildSpec>) -> (TickReport, f64) {
        let start = thread_cpu_time();
        self.declare(root);
        let report = self.tick();
        let took = nanos_since(start);
        self.settle();
        (report, took)
    }

    /// Evaluates everything once; nanoseconds for all.
    pub(crate) fn force(&mut self) -> f64 {
        let start = thread_cpu_time();
        self.engine.invalidate_all();
        let report = self.tick();
        let took = nanos_since(start);
        assert!(report.evaluated >= self.engine.len() as u64 - 1, "all were asked");
        took
    }

    /// Starts all collections that are due in the next second; then equal results come; nanoseconds for all results.
    pub(crate) fn observe_equal(&mut self, nodes: &[NodeId]) -> f64 {
        let begin = self.now;
        // A little more than the interval: the wheel fires within two of its grains.
        self.now = begin + Duration::from_millis(1_003);
        self.tick();
        self.collecting.clear();
        for effect in self.effects.drain() {
            if let Effect::Collect { node, started, generation, .. } = effect {
                self.collecting.push((node, started, generation));
            }
        }
        assert!(self.collecting.len() >= nodes.len(), "all are looked at each second");
        // In bundles, as the driver takes them.
        let mut bundle = Vec::with_capacity(32);
        // After a million frees the allocator has work left that it does at the next large request: not the observations'.
        drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 16)));
        let start = thread_cpu_time();
        for collected in self.collecting.chunks(32) {
            bundle.extend(collected.iter().map(|(node, started, generation)| Input::Observed {
                node: *node,
                started: *started,
                taken: self.now,
                generation: *generation,
                result: Ok(Collected::Same),
            }));
            self.engine.foresee(&bundle);
            for input in bundle.drain(..) {
                self.engine.handle(input, self.now).expect("a good input");
            }
        }
        nanos_since(start)
    }

    /// One second in which each node is told what it knows, in a hundred groups, each at its moment; what the ticks did and how
    /// long they took, and how long being told took.
    pub(crate) fn living_second(&mut self) -> (u64, f64, f64) {
        const GROUPS: usize = 100;
        let (mut evaluated, mut timers, mut told) = (0, 0.0, 0.0);
        let value: Arc<dyn std::any::Any + Send + Sync> = Arc::new(Seen { level: 0 });
        for group in 0..GROUPS {
            self.now = self.now + Duration::from_secs(1) / GROUPS as u32;
            let start = thread_cpu_time();
            evaluated += self.tick().evaluated;
            timers += nanos_since(start);
            let start = thread_cpu_time();
            let size = self.sensors.len() / GROUPS;
            for node in &self.sensors[group * size..(group + 1) * size] {
                let input = Input::Pushed { node: *node, taken: self.now, value: Arc::clone(&value) };
                self.engine.handle(input, self.now).expect("a good input");
            }
            told += nanos_since(start);
            self.effects.drain().for_each(drop);
        }
        (evaluated, timers, told)
    }

    /// From the command to the report, in nanoseconds.
    pub(crate) fn shut_down(&mut self) -> f64 {
        let start = thread_cpu_time();
        self.input(Input::Command(Command::Shutdown { within: Duration::from_secs(30) }));
        while self.engine.shutdown_report().is_none() {
            self.tick();
            self.effects.drain().for_each(drop);
        }
        nanos_since(start)
    }
}

struct BareHost;

impl Host for BareHost {
    fn now(&self) -> Moment {
        Moment::ZERO
    }
    fn wall_ms(&self) -> u64 {
        0
    }
    fn sleep(&self, _time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
    fn cancelled(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
    fn is_cancelled(&self) -> bool {
        false
    }
    fn spawn(&self, _name: &'static str, _task: BoxFuture<'static, ()>) {}
    fn on_cancel(&self, _cleanup: BoxFuture<'static, ()>) {}
    fn push(&self, _observed: Arc<dyn std::any::Any + Send + Sync>) {}
    fn observed(&self, _path: &NodePath) -> BoxFuture<'static, Option<SeenAny>> {
        Box::pin(std::future::ready(None))
    }
    fn task_panics(&self) -> Vec<(&'static str, Arc<str>)> {
        Vec::new()
    }
    fn metrics(&self) -> &dyn MetricSink {
        &NoMetrics
    }
}
