//! One run: the engine and the executor as they are, under virtual time, and every rule checked after each step.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use foldhash::fast::FixedState;
use fsm_core::erase::{ActionRun, CollectRun};
use fsm_core::{ActionId, ActionPolicy, ActionReport, Generation, Identity, Moment, NodeId, NodePath};
use fsm_executor::{Executor, ExecutorEvent, NoObserver, Priority, Request};
use fsm_supervisor::{CollectFailure, Effect, Effects, Engine, EngineConfig, Input, Refusal};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

mod steps;

use super::checks::Checks;
use super::host::{Shared, SimHost, lock};
use super::jobs::{self, latency};
use super::script::{Fault, Script};
use super::store::Journal;
use super::{Broken, Report, Stage, shown};

/// Ticks at one moment: more, and the engine spins.
const SPIN: u32 = 300;
/// What J5 gives a tree after the last fault.
const RECOVERY: Duration = Duration::from_secs(3_600);
/// Time for the tree to come up before anything goes wrong, where its nodes are to be known.
const SETTLE: Duration = Duration::from_secs(120);
/// Inputs that are kept, to come again too late.
const KEPT: usize = 64;

/// A rule and how it was broken.
pub(super) type Check = Result<(), (&'static str, String)>;

/// Faults of the moment: which, of which node, until when.
type Present = Arc<Mutex<BTreeMap<NodePath, Vec<(Fault, Moment)>>>>;

struct Collecting {
    started: Moment,
    task: AbortHandle,
    cancel: CancellationToken,
}

/// A copy of an input that was delivered.
#[derive(Clone)]
enum Old {
    Observed { node: NodeId, started: Moment, taken: Moment, generation: Generation, failure: CollectFailure },
    Ended { node: NodeId, report: ActionReport },
}

struct Run<'a> {
    stage: &'a Stage,
    seed: u64,
    shared: Arc<Shared>,
    engine: Engine,
    executor: Executor<NodeId>,
    present: Present,
    collecting: BTreeMap<NodeId, Collecting>,
    /// Probes of what nodes need, by the moment when they end.
    probing: BTreeMap<(Moment, u64), Arc<str>>,
    journal: Journal,
    old: Vec<Old>,
    variant: usize,
    checks: Checks,
    report: Report,
    trace: String,
    /// Ticks at the present moment.
    spin: (Moment, u32),
    stalled_until: Moment,
}

/// Runs a future on a runtime of its own whose time is virtual.
fn virtually<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O needs nothing from the machine").block_on(future)
}

/// The nodes of the tree when nothing goes wrong.
pub(super) fn paths(stage: &Stage, seed: u64) -> Result<Vec<NodePath>, Broken> {
    virtually(async {
        let mut run = Run::new(stage, seed);
        run.root();
        run.until(|run| run.shared.now() >= Moment::after_start(SETTLE))
            .await
            .map_err(|why| run.broken(why))?;
        Ok(run.engine.tree().into_iter().map(|entry| entry.path).collect())
    })
}

/// Plays a script, lets the tree recover, and shuts it down.
pub(super) fn play(stage: &Stage, seed: u64, script: &Script) -> Result<(Report, String), Broken> {
    virtually(async {
        let mut run = Run::new(stage, seed);
        match run.whole(script).await {
            Ok(()) => {
                run.report.checks = run.checks.count;
                run.report.simulated = run.shared.now().since(Moment::ZERO);
                Ok((run.report, run.trace))
            }
            Err(why) => Err(run.broken(why)),
        }
    })
}

fn engine(stage: &Stage, seed: u64) -> Engine {
    let mut config = EngineConfig::default();
    config.seed = seed;
    config.check_purity = true;
    config.fold_repeats = false;
    Engine::new((stage.registry)(), config)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what a blocking action does can't happen here")]
fn executor(stage: &Stage, seed: u64, shared: &Arc<Shared>) -> Executor<NodeId> {
    let inbox = Arc::clone(shared);
    let sink = Arc::new(move |event: ExecutorEvent<NodeId>| match event {
        ExecutorEvent::Started { action, .. } => {
            inbox.put(Input::ActionStarted { node: action.key, id: action.id });
        }
        ExecutorEvent::Ended(ended) => {
            inbox.put(Input::ActionEnded { node: ended.action.key, report: ended.report });
        }
        _ => {}
    });
    let clock = Arc::clone(shared);
    let now = Arc::new(move || clock.now());
    let config = stage.executor.with_seed(seed);
    Executor::try_new(config, now, sink, Arc::new(NoObserver)).expect("the pool of the stage can be made")
}

impl<'a> Run<'a> {
    fn new(stage: &'a Stage, seed: u64) -> Self {
        let shared = Arc::new(Shared::new());
        Self {
            stage,
            seed,
            engine: engine(stage, seed),
            executor: executor(stage, seed, &shared),
            shared,
            present: Present::default(),
            collecting: BTreeMap::new(),
            probing: BTreeMap::new(),
            journal: Journal::default(),
            old: Vec::new(),
            variant: 0,
            checks: Checks::default(),
            report: Report::default(),
            trace: String::new(),
            spin: (Moment::ZERO, 0),
            stalled_until: Moment::ZERO,
        }
    }

    fn broken(&self, (rule, what): (&'static str, String)) -> Broken {
        Broken { rule, what, trace: format!("{}{}", self.trace, self.checks.show()) }
    }

    /// The script, the recovery, the end.
    async fn whole(&mut self, script: &Script) -> Check {
        self.root();
        for step in &script.steps {
            let at = Moment::after_start(step.at);
            self.until(|run| run.shared.now() >= at).await?;
            self.note(&format!("-- {step}"));
            self.happen(&step.what).await?;
            self.report.faults += 1;
        }
        let began = self.shared.now();
        self.calm().await?;
        let limit = self.shared.now() + RECOVERY;
        self.until(|run| run.checks.has_recovered(&run.engine) || run.shared.now() >= limit).await?;
        self.report.recovery = self.shared.now().since(began);
        self.checks.recovered(&self.engine)?;
        self.note("-- recovered");
        self.shut_down().await
    }

    fn note(&mut self, what: &str) {
        let now = shown(self.shared.now().since(Moment::ZERO));
        let _ = writeln!(self.trace, "{now} {what}");
    }

    fn input(&mut self, input: Input) -> bool {
        self.engine.handle(input, self.shared.now()).is_ok()
    }

    fn root(&mut self) {
        let spec = Arc::clone(&self.stage.roots[self.variant]);
        self.input(Input::Root { spec, global: Arc::clone(&self.stage.global) });
    }

    /// Lets time pass until this holds.
    async fn until(&mut self, done: impl Fn(&Self) -> bool) -> Check {
        loop {
            self.work()?;
            if done(self) {
                return Ok(());
            }
            let now = self.shared.now();
            // A second is the longest sleep, so that what is waited for is seen in time.
            let wake = self.engine.next_wake().unwrap_or(Moment::FAR).min(now + Duration::from_secs(1));
            let probe = self.probing.keys().next().map_or(Moment::FAR, |(at, _)| *at);
            let wake = self.shared.instant(wake.min(probe).max(now));
            tokio::select! {
                // In order: what has come is taken before time goes on. Cancel-safe: the permit of `notified` is kept, and
                // a sleep has no state.
                biased;
                () = self.shared.news.notified() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Takes what has come and ticks until nothing is due.
    fn work(&mut self) -> Check {
        self.unstall();
        let mut inputs = self.shared.take();
        // Nodes come in another order with each seed; what is of one node stays in its order.
        let now = self.shared.now();
        inputs.sort_by_key(|input| dice(self.seed, (now.as_nanos(), input.node().map(NodeId::index))));
        for input in inputs {
            self.deliver(input)?;
        }
        self.end_probes(now);
        for question in self.shared.questions() {
            let _ = question.answer.send(self.engine.observation(&question.path));
        }
        while self.engine.next_wake().is_some_and(|at| at <= self.shared.now()) {
            self.tick()?;
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only inputs that end a job can come too late")]
    fn deliver(&mut self, input: Input) -> Check {
        match &input {
            Input::Observed { node, started, taken, generation, result } => {
                if self.collecting.get(node).is_some_and(|collecting| collecting.started == *started) {
                    self.collecting.remove(node);
                }
                let failure = CollectFailure::Panic("it came before".into());
                self.keep(Old::Observed {
                    node: *node,
                    started: *started,
                    taken: *taken,
                    generation: *generation,
                    failure,
                });
                if result.is_ok() {
                    self.checks.seen(*node, *started);
                }
            }
            Input::Pushed { node, taken, .. } => self.checks.seen(*node, *taken),
            Input::ActionEnded { node, report } => {
                self.keep(Old::Ended { node: *node, report: report.clone() });
                self.checks.acted(*node, self.shared.now());
            }
            _ => {}
        }
        self.input(input);
        Ok(())
    }

    fn end_probes(&mut self, now: Moment) {
        while let Some(probe) = self.probing.first_entry().filter(|probe| probe.key().0 <= now) {
            let ((_, number), key) = probe.remove_entry();
            let reached = (self.stage.reachable)(&key);
            let result = if reached { Ok(()) } else { Err("simulated: nobody is there".into()) };
            self.input(Input::Probed { key, number, result });
        }
    }

    fn keep(&mut self, old: Old) {
        if self.old.len() >= KEPT {
            self.old.remove(0);
        }
        self.old.push(old);
    }

    fn tick(&mut self) -> Check {
        let now = self.shared.now();
        self.spin = if self.spin.0 == now { (now, self.spin.1 + 1) } else { (now, 0) };
        if self.spin.1 > SPIN {
            return Err(("S-2", format!("the engine spins: {SPIN} ticks at one moment")));
        }
        let mut effects = Effects::new();
        let report = self.engine.tick(now, &mut effects, &());
        self.report.ticks += 1;
        let effects: Vec<Effect> = effects.drain().collect();
        let events: Vec<_> = effects
            .iter()
            .filter_map(|effect| if let Effect::Emit(event) = effect { Some(event.clone()) } else { None })
            .collect();
        for event in &events {
            self.note(&format!("{} {:?}", event.path, event.kind));
        }
        if report.visited > 0 {
            self.checks.look(&self.engine);
        }
        self.checks.events(&self.engine, &events, now)?;
        self.checks.effects(&effects)?;
        for effect in effects {
            self.carry_out(effect);
        }
        if report.visited > 0 {
            self.checks.tree(&self.engine, now)?;
            let at_work = |node: &NodeId| {
                self.collecting.contains_key(node) || self.executor.in_flight(*node).is_some()
            };
            self.checks.looked_at(&self.engine, now, at_work)?;
        }
        self.checks.alone(&lock(&self.shared.acting))?;
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Collect { node, started, generation, timeout, identity, run, .. } => {
                self.collect(node, started, generation, timeout, &identity, run);
            }
            Effect::CancelCollect { node } => self.cancel_collect(node),
            Effect::Execute { node, id, policy, stopping, identity, run } => {
                self.execute(node, id, policy, stopping, &identity, run);
            }
            Effect::Cancel { node, grace } => {
                self.executor.cancel(node, grace);
            }
            Effect::Probe { infrastructure, number, .. } => {
                let key = infrastructure.key;
                let at = self.shared.now() + latency(self.seed, ("probe", &*key, number));
                self.probing.insert((at, number), key);
            }
            Effect::End { node } => {
                self.cancel_collect(node);
                self.shared.end(node);
            }
            Effect::Persist(change) => self.journal.take(change),
            Effect::Emit(_) => {}
            _ => unreachable!("every effect is carried out"),
        }
    }

    fn cancel_collect(&mut self, node: NodeId) {
        if let Some(collecting) = self.collecting.remove(&node) {
            collecting.cancel.cancel();
            collecting.task.abort();
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the simulation is a driver: it owns the tasks it spawns")]
    fn collect(
        &mut self,
        node: NodeId,
        started: Moment,
        generation: Generation,
        within: Duration,
        identity: &Identity,
        run: CollectRun,
    ) {
        let cancel = CancellationToken::new();
        let host = SimHost { shared: Arc::clone(&self.shared), node, cancel: cancel.clone(), cleanups: None };
        let after = latency(self.seed, ("collect", identity.path.as_str(), started.as_nanos()));
        let fault = fault_of(&self.present, &identity.path, self.shared.now(), false);
        let shared = Arc::clone(&self.shared);
        let job = jobs::collect(run, host, after, within, fault);
        let task = tokio::spawn(async move {
            let result = job.await;
            let taken = shared.now();
            shared.put(Input::Observed { node, started, taken, generation, result });
        });
        self.collecting.insert(node, Collecting { started, task: task.abort_handle(), cancel });
    }

    fn execute(
        &mut self,
        node: NodeId,
        id: ActionId,
        policy: ActionPolicy,
        stopping: bool,
        identity: &Identity,
        run: ActionRun,
    ) {
        let path = identity.path.clone();
        let (present, clock, of) = (Arc::clone(&self.present), Arc::clone(&self.shared), path.clone());
        let fault = move || fault_of(&present, &of, clock.now(), true);
        let whose = (Arc::clone(&self.shared), node, path);
        let run = jobs::action(run, whose, self.seed, policy.timeout, fault);
        // On a thread of its own virtual time would not reach it.
        let policy = ActionPolicy { blocking: false, ..policy };
        let priority = if stopping { Priority::Stop } else { Priority::Normal };
        let request = Request { id, name: policy.name, policy, priority, tag: 0, node: None, run };
        if self.executor.enqueue(node, request).is_err() {
            self.shared.put(Input::ActionRefused { node, id, why: Refusal::Busy });
        }
    }
}

fn fault_of(present: &Present, path: &NodePath, now: Moment, of_actions: bool) -> Option<Fault> {
    let mut present = lock(present);
    let faults = present.get_mut(path)?;
    faults.retain(|(_, until)| *until > now);
    faults.iter().rev().map(|(fault, _)| *fault).find(|fault| fault.is_of_actions() == of_actions)
}

fn dice(seed: u64, what: impl Hash) -> u64 {
    FixedState::with_seed(seed).hash_one(what)
}
