//! Drives the engine under virtual time: carries out its effects on the scripted world and checks invariants at each step.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fsm_core::erase::{ActionRun, CollectRun, Collected};
use fsm_core::{
    ActionError, ActionId, ActionReport, BoxFuture, ChildSpec, CollectError, Generation, Host, Identity,
    MetricSink, Moment, NoMetrics, NodeId, NodePath, Outcome, Policy, Registry, SeenAny, Vars,
};
use fsm_supervisor::{
    Change, CollectFailure, Command, CommandError, Effect, Effects, Engine, EngineConfig, Event, EventKind,
    Input, NodeView, Refusal,
};

use crate::check;
use crate::group::{Decl, Group};
use crate::mirror::Mirror;
use crate::unit::Unit;
use crate::world::{self, Act, Collect};

/// More ticks than this at one moment: the engine spins.
const SPIN: u32 = 500;

/// How long a probe takes.
const PROBE: Duration = Duration::from_millis(3);

/// An action, a collection or a probe under way.
pub(crate) enum Job {
    Collect { node: NodeId, started: Moment, generation: Generation, end: CollectEnd },
    Started { node: NodeId, id: ActionId },
    Act { node: NodeId, id: ActionId, started: Moment, name: &'static str, end: ActEnd },
    Probe { key: Arc<str>, number: u64 },
}

pub(crate) enum CollectEnd {
    Run(CollectRun),
    Timeout(Duration),
}

pub(crate) enum ActEnd {
    Run(ActionRun),
    Timeout,
    Cancelled,
    Refused,
}

impl Job {
    pub(crate) fn node(&self) -> Option<NodeId> {
        match self {
            Self::Collect { node, .. } | Self::Started { node, .. } | Self::Act { node, .. } => Some(*node),
            Self::Probe { .. } => None,
        }
    }
    pub(crate) fn is_collect(&self) -> bool {
        matches!(self, Self::Collect { .. })
    }
}

/// The engine, its clock and what it set going.
pub(crate) struct Rig {
    pub(crate) engine: Engine,
    pub(crate) now: Moment,
    pub(crate) jobs: BTreeMap<(Moment, u64), Job>,
    pub(crate) events: Vec<Event>,
    pub(crate) changes: Vec<Change>,
    /// What ticks did since the last look.
    pub(crate) evaluated: u64,
    pub(crate) visited: u64,
    pub(crate) ticks: u32,
    pub(crate) tree: check::Tree,
    seq: u64,
    collections: BTreeMap<NodePath, Vec<Moment>>,
    probes: BTreeMap<Arc<str>, Vec<Moment>>,
    executions: BTreeMap<NodePath, Vec<Moment>>,
}

/// Which kinds there are.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register(Unit).unwrap();
    registry.register(Group).unwrap();
    registry.register(Mirror).unwrap();
    let poll = |ms| Policy::DEFAULT.poll_every(Duration::from_millis(ms));
    registry.register_as("other", Policy::DEFAULT, Unit).unwrap();
    registry.register_as("fast", poll(50), Unit).unwrap();
    registry.register_as("pushed", Policy::DEFAULT.push(Duration::from_secs(60)), Unit).unwrap();
    registry
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn at(time: Duration) -> Moment {
    Moment::after_start(time)
}

impl Rig {
    /// An engine over this root; nothing has happened yet.
    pub(crate) fn new(root: &Decl) -> Self {
        Self::with_config(root, EngineConfig::default())
    }

    /// The same without sampling for purity: each question is one that the engine needed.
    pub(crate) fn counting(root: &Decl) -> Self {
        let mut config = EngineConfig::default();
        config.check_purity = false;
        Self::with_config(root, config)
    }

    /// The same after a minute of work, with nothing remembered of it.
    pub(crate) fn settled(root: &Decl) -> Self {
        let mut rig = Self::counting(root);
        rig.run(secs(60));
        rig.forget();
        rig
    }

    pub(crate) fn with_config(root: &Decl, config: EngineConfig) -> Self {
        Self::made(root, config, |_| {})
    }

    /// The same with an engine that is prepared before its first root.
    pub(crate) fn prepared(root: &Decl, prepare: impl FnOnce(&mut Engine)) -> Self {
        Self::made(root, EngineConfig::default(), prepare)
    }

    fn made(root: &Decl, mut config: EngineConfig, prepare: impl FnOnce(&mut Engine)) -> Self {
        world::reset();
        config.epoch_ms = 1_700_000_000_000;
        let mut rig = Self {
            engine: Engine::new(registry(), config),
            now: Moment::ZERO,
            jobs: BTreeMap::new(),
            events: Vec::new(),
            changes: Vec::new(),
            evaluated: 0,
            visited: 0,
            ticks: 0,
            tree: check::Tree::default(),
            seq: 0,
            collections: BTreeMap::new(),
            probes: BTreeMap::new(),
            executions: BTreeMap::new(),
        };
        prepare(&mut rig.engine);
        rig.declare(root);
        rig
    }

    /// The config says this now.
    pub(crate) fn declare(&mut self, root: &Decl) {
        self.declare_with(root, Vars::new());
    }

    pub(crate) fn declare_with(&mut self, root: &Decl, global: Vars) {
        let spec: Arc<ChildSpec> = root.spec().into();
        self.input(Input::Root { spec, global: global.into() });
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.engine.handle(input, self.now).unwrap();
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<(), CommandError> {
        self.engine.handle(Input::Command(command), self.now)
    }

    /// Lets time pass: each wake-up and each result in its turn.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.step_until(end, |_| false);
    }

    /// Lets at most an hour pass until this holds.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, done: impl FnMut(&Self) -> bool) {
        let end = self.now + secs(3_600);
        let reached = self.step_until(end, done);
        assert!(reached, "never came: {what}\n{}", self.show());
    }

    fn step_until(&mut self, end: Moment, mut done: impl FnMut(&Self) -> bool) -> bool {
        let mut at_once = 0;
        loop {
            if done(self) {
                return true;
            }
            let wake = self.engine.next_wake().unwrap_or(Moment::FAR).max(self.now);
            let job = self.jobs.first_key_value().map_or(Moment::FAR, |((at, _), _)| *at);
            let next = wake.min(job);
            if next > end {
                self.now = end;
                return done(self);
            }
            at_once = if next == self.now { at_once + 1 } else { 0 };
            assert!(at_once < SPIN, "the engine spins at {next:?}\n{}", self.show());
            self.now = next;
            while let Some(entry) = self.jobs.first_entry().filter(|entry| entry.key().0 <= next) {
                let job = entry.remove();
                self.finish(job);
            }
            if self.engine.next_wake().is_some_and(|wake| wake <= self.now) {
                self.tick();
            }
        }
    }

    /// One tick, its effects, and the invariants.
    pub(crate) fn tick(&mut self) {
        let mut effects = Effects::new();
        let report = self.engine.tick(self.now, &mut effects, &world::Worked);
        self.evaluated += report.evaluated;
        self.visited += report.visited;
        self.ticks += 1;
        let effects: Vec<Effect> = effects.drain().collect();
        // Without a visit the tree is as it was.
        if report.visited > 0 {
            self.tree = check::Tree::of(&self.engine);
        }
        check::effects(self, &effects);
        for effect in effects {
            self.carry_out(effect);
        }
        if report.visited > 0 {
            check::tree(self);
        }
    }

    fn later(&mut self, after: Duration, job: Job) {
        self.seq += 1;
        self.jobs.insert((self.now + after, self.seq), job);
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Collect { node, started, generation, timeout, identity, run, .. } => {
                self.collections.entry(identity.path.clone()).or_default().push(started);
                let (collect, takes) =
                    world::thing(identity.path.as_str(), |thing| (thing.collect, thing.collect_takes));
                let (after, end) = match collect {
                    Collect::Lost => (secs(86_400), CollectEnd::Timeout(timeout)),
                    Collect::Hangs => (timeout, CollectEnd::Timeout(timeout)),
                    Collect::Works | Collect::Fails | Collect::Panics => (takes, CollectEnd::Run(run)),
                };
                self.later(after, Job::Collect { node, started, generation, end });
            }
            Effect::CancelCollect { node } => {
                self.jobs.retain(|_, j| !(j.is_collect() && j.node() == Some(node)))
            }
            Effect::Execute { node, id, policy, identity, run, .. } => {
                self.execute(node, id, policy.timeout, policy.name, &identity, run);
            }
            Effect::Cancel { node, grace } => self.cancel(node, grace),
            Effect::Probe { infrastructure, number, .. } => {
                let key = infrastructure.key;
                self.probes.entry(Arc::clone(&key)).or_default().push(self.now);
                self.later(PROBE, Job::Probe { key, number });
            }
            Effect::End { node } => self.jobs.retain(|_, job| job.node() != Some(node)),
            Effect::Persist(change) => self.changes.push(change),
            Effect::Emit(event) => self.events.push(event),
            _ => unreachable!("every effect is carried out"),
        }
    }

    fn execute(
        &mut self,
        node: NodeId,
        id: ActionId,
        timeout: Duration,
        name: &'static str,
        identity: &Identity,
        run: ActionRun,
    ) {
        self.executions.entry(identity.path.clone()).or_default().push(self.now);
        let (act, takes) = world::thing(identity.path.as_str(), |thing| (thing.act, thing.act_takes));
        let (after, end) = match act {
            Act::Refused => (Duration::ZERO, ActEnd::Refused),
            Act::Hangs => (timeout, ActEnd::Timeout),
            Act::Works | Act::Pretends | Act::Fails | Act::FailsWithRetryAfter(_) | Act::Panics => {
                (takes, ActEnd::Run(run))
            }
        };
        if !matches!(end, ActEnd::Refused) {
            self.later(Duration::ZERO, Job::Started { node, id });
        }
        let started = self.now;
        self.later(after, Job::Act { node, id, started, name, end });
    }

    fn cancel(&mut self, node: NodeId, grace: Duration) {
        let path = self.tree.path_of(node);
        let takes = path.map_or(Duration::ZERO, |path| world::thing(&path, |thing| thing.cancel_takes));
        let place = self.jobs.iter().find_map(|(key, job)| match job {
            Job::Act { node: of, .. } if *of == node => Some(*key),
            Job::Act { .. } | Job::Started { .. } | Job::Collect { .. } | Job::Probe { .. } => None,
        });
        if let Some(Job::Act { node, id, started, name, .. }) =
            place.and_then(|place| self.jobs.remove(&place))
        {
            self.later(takes.min(grace), Job::Act { node, id, started, name, end: ActEnd::Cancelled });
        }
    }

    fn finish(&mut self, job: Job) {
        let now = self.now;
        match job {
            Job::Probe { key, number } => {
                let result = world::reach(&key);
                self.input(Input::Probed { key, number, result });
            }
            Job::Started { node, id } => self.input(Input::ActionStarted { node, id }),
            Job::Collect { node, started, generation, end } => {
                let result = match end {
                    CollectEnd::Timeout(after) => Err(CollectFailure::Timeout(after)),
                    CollectEnd::Run(run) => self.collect(run),
                };
                self.input(Input::Observed { node, started, taken: now, generation, result });
            }
            Job::Act { node, id, end: ActEnd::Refused, .. } => {
                self.input(Input::ActionRefused { node, id, why: Refusal::QueueFull });
            }
            Job::Act { node, id, started, name, end } => {
                let (outcome, error) = match end {
                    ActEnd::Run(run) => self.act(&run),
                    ActEnd::Timeout => (Outcome::Timeout, None),
                    ActEnd::Cancelled | ActEnd::Refused => (Outcome::Cancelled, None),
                };
                let mut report = ActionReport::new(id, name, outcome, started, now.since(started));
                report.retry_after = error.as_ref().and_then(ActionError::retry_after);
                report.error = error.map(|error| error.chain());
                self.input(Input::ActionEnded { node, report });
            }
        }
    }

    fn collect(&self, run: CollectRun) -> Result<Collected, CollectFailure> {
        let host: Arc<dyn Host> = Arc::new(TestHost { now: self.now });
        let polled: std::thread::Result<Result<Collected, CollectError>> =
            catch_unwind(AssertUnwindSafe(|| ready(run(host))));
        match polled {
            Ok(result) => result.map_err(CollectFailure::Error),
            Err(_) => Err(CollectFailure::Panic("scripted panic".into())),
        }
    }

    fn act(&self, run: &ActionRun) -> (Outcome, Option<ActionError>) {
        let host: Arc<dyn Host> = Arc::new(TestHost { now: self.now });
        match catch_unwind(AssertUnwindSafe(|| ready(run(1, host)))) {
            Ok(Ok(())) => (Outcome::Success, None),
            Ok(Err(error)) => (Outcome::Failure, Some(error)),
            Err(_) => (Outcome::Panic, None),
        }
    }

    /// The node at a path.
    #[track_caller]
    pub(crate) fn node(&self, path: &str) -> NodeView {
        let node = self.engine.node(&path.parse().unwrap());
        node.unwrap_or_else(|| panic!("no node {path}\n{}", self.show()))
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.engine.entry_at(&path.parse().unwrap()).is_some()
    }

    pub(crate) fn state(&self, path: &str) -> &'static str {
        self.engine.entry_at(&path.parse().unwrap()).map_or("gone", |entry| entry.state)
    }

    pub(crate) fn reason(&self, path: &str) -> String {
        self.engine.entry_at(&path.parse().unwrap()).map_or_else(String::new, |entry| entry.reason)
    }

    /// The moments at which collections of a path were started.
    pub(crate) fn collections(&self, path: &str) -> Vec<Moment> {
        let path: NodePath = path.parse().unwrap();
        self.collections.get(&path).cloned().unwrap_or_default()
    }

    /// The moments at which this was probed.
    pub(crate) fn probes(&self, key: &str) -> Vec<Moment> {
        self.probes.get(key).cloned().unwrap_or_default()
    }

    /// The moments at which actions of a path were handed over.
    pub(crate) fn executions(&self, path: &str) -> Vec<Moment> {
        let path: NodePath = path.parse().unwrap();
        self.executions.get(&path).cloned().unwrap_or_default()
    }

    /// The names of a node's events.
    pub(crate) fn names(&self, path: &str) -> Vec<&'static str> {
        self.events.iter().filter(|e| e.path.as_str() == path).map(|e| e.kind.name()).collect()
    }

    pub(crate) fn happened(&self, path: &str, kind: impl Fn(&EventKind) -> bool) -> usize {
        self.events.iter().filter(|e| e.path.as_str() == path && kind(&e.kind)).count()
    }

    /// Forgets what was counted and told.
    pub(crate) fn forget(&mut self) {
        self.events.clear();
        self.changes.clear();
        self.collections.clear();
        self.executions.clear();
        (self.evaluated, self.visited, self.ticks) = (0, 0, 0);
        world::take_done();
    }

    /// The tree as text, for failures.
    pub(crate) fn show(&self) -> String {
        let lines = self.engine.tree().into_iter().map(|e| {
            format!("{} {} {} {:?} {}: {}\n", e.path, e.incarnation, e.state, e.goal, e.phase, e.reason)
        });
        format!("at {:?}:\n{}", self.now.since(Moment::ZERO), lines.collect::<String>())
    }
}

/// The value of a future that is ready at once.
fn ready<T>(mut future: BoxFuture<'static, T>) -> T {
    match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("scripted jobs never wait"),
    }
}

struct TestHost {
    now: Moment,
}

impl Host for TestHost {
    fn now(&self) -> Moment {
        self.now
    }
    fn wall_ms(&self) -> u64 {
        self.now.as_nanos() / 1_000_000
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
