//! The engine: a tree of nodes, what reached them, what is due, and what to do about it. It decides; drivers do.
//!
//! It never awaits, spawns, reads a clock, draws a random number or touches a file. A tick costs what changed: `next` is
//! pure, so a node whose inputs have no new generation is not asked again.

mod act;
mod arena;
mod chance;
mod command;
mod create;
mod decide;
mod derive;
mod due;
mod fault;
mod flags;
mod goals;
mod incident;
mod inspect;
mod leave;
mod longest;
mod members;
mod needs;
mod observe;
mod specs;
mod spread;
mod tell;
mod update;
mod visit;
mod wheel;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::erase::{DynWorker, Slot};
use fsm_core::{
    ActionId, CauseId, ChildSpec, Generation, Identity, Incarnation, Moment, NodeId, NodePath, Policy,
    Registry, Vars,
};

use fsm_metrics::{Metrics, MetricsError, ScopeId, TickBatch, WorkerMetrics};
use indexmap::IndexMap;

use crate::effect::{Effect, Effects};
use crate::input::{CommandError, Input};
use crate::meter::Meter;
use arena::{Arena, Family, NONE};
use chance::{chance, jittered};
use due::Due;
use flags::Flags;
use needs::Needs;
use wheel::{Entry, Wheel};

pub(crate) use fault::panic_text;
pub use incident::IncidentView;
pub use inspect::{ActionView, NodeView, TreeEntry};
pub use leave::ShutdownReport;
pub use longest::{LongestStop, StopOf};

/// How the engine runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The pace of a state that acts, and the upper bound of reaction (S-1).
    pub tick_interval: Duration,
    /// Jitter and sampling are hashes of this, the path and the attempt; the driver chooses it.
    pub seed: u64,
    /// Wall-clock time at [`Moment::ZERO`], in milliseconds since 1970 UTC.
    pub epoch_ms: u64,
    /// Clean nodes are asked again by sampling, and a different answer is reported. On in debug builds and in simulation.
    pub check_purity: bool,
    /// Whether repeats of one event are folded (S-51). Whoever checks what happened wants to see each.
    pub fold_repeats: bool,
    /// How long a cancelled action may clean up before its future is dropped (A-5).
    pub cancel_grace: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            tick_interval: Duration::from_secs(1),
            seed: 0,
            epoch_ms: 0,
            check_purity: cfg!(debug_assertions),
            fold_repeats: true,
            cancel_grace: Duration::from_secs(5),
        }
    }
}

/// Measures the engine's own work. It feeds metrics and events only, never a decision.
pub trait Stopwatch {
    /// Nanoseconds since an arbitrary start. Stands still in the simulation.
    fn nanos(&self) -> u64;
}

/// A stopwatch that stands still.
impl Stopwatch for () {
    fn nanos(&self) -> u64 {
        0
    }
}

/// What one tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TickReport {
    /// Nodes that were due and looked at.
    pub visited: u64,
    /// Of these, how often `next` or `stop` was asked.
    pub evaluated: u64,
    /// How long it took, by the stopwatch.
    pub nanos: u64,
}

/// The tree and everything that decides about it.
///
/// ```
/// use fsm_core::{ChildSpec, Moment, Registry, Vars};
/// use fsm_supervisor::{Effects, Engine, EngineConfig, Input};
/// let mut engine = Engine::new(Registry::new(), EngineConfig::default());
/// let root = ChildSpec::try_new("edge-01", "no-such-kind").unwrap();
/// engine.handle(Input::Root { spec: root.into(), global: Vars::new().into() }, Moment::ZERO).unwrap();
/// engine.tick(Moment::ZERO, &mut Effects::new(), &());
/// let path = "/edge-01".parse().unwrap();
/// assert!(engine.node(&path).unwrap().reason.contains("no-such-kind"));
/// ```
pub struct Engine {
    config: EngineConfig,
    kinds: Vec<Box<dyn DynWorker>>,
    names: BTreeMap<&'static str, u16>,
    arena: Arena,
    root: Option<NodeId>,
    root_spec: Option<Arc<ChildSpec>>,
    global: Arc<Vars>,
    due: Due,
    wheel: Wheel,
    fired: Vec<Entry>,
    now: Moment,
    ticks: u64,
    next_action: ActionId,
    cause: CauseId,
    /// What is remembered of paths that are not in the tree at present; bounded.
    known: IndexMap<NodePath, Remembered>,
    /// What nodes need of the outside world.
    needs: Needs,
    stopping: Option<leave::Stopping>,
    folds: crate::fold::Folds,
    /// A tick took too long not long ago: until then each visit is timed, so that the slow one is known by name.
    timed_until: Moment,
    /// The visited node and the wake-up it had booked before its visit.
    armed: (NodeId, Moment),
    /// Supervisors that the present tick went below.
    spread: Vec<u32>,
    /// What the present tick did so far.
    report: TickReport,
    meter: Meter,
    /// What an apply touches, while somebody asks.
    touched: Option<Vec<(NodePath, Touched)>>,
    /// Effects that inputs caused between ticks.
    pending: Vec<Effect>,
}

/// What happened to a node that an apply touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    /// It was created.
    Created,
    /// It took another spec or desired state in place.
    Updated,
    /// It was told to leave.
    Leaving,
}

/// What outlives the incarnations of a path, and the process when a store keeps it ([`Engine::restore`]).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Remembered {
    /// Incarnations so far.
    pub starts: u32,
    /// When the path was first known, in milliseconds since 1970 UTC.
    pub created_at: u64,
    /// Told to stop by this operator (S-26).
    pub stopped_by: Option<Arc<str>>,
    /// Children added at run time (S-19).
    pub dynamic: Vec<Arc<ChildSpec>>,
}

impl Engine {
    /// An empty tree over these kinds that records nothing.
    #[must_use]
    pub fn new(registry: Registry, config: EngineConfig) -> Self {
        let (kinds, aliases) = registry.into_parts();
        Self::with_meter(kinds, aliases, config, Meter::off())
    }

    /// An empty tree over these kinds that records into these metrics.
    ///
    /// # Errors
    /// The kind whose metrics can't be registered, and why.
    pub fn try_new(
        registry: Registry,
        config: EngineConfig,
        metrics: &Metrics,
    ) -> Result<Self, (&'static str, MetricsError)> {
        let (kinds, aliases) = registry.into_parts();
        let meter = Meter::try_new(&kinds, metrics)?;
        Ok(Self::with_meter(kinds, aliases, config, meter))
    }

    fn with_meter(
        kinds: Vec<Box<dyn DynWorker>>,
        aliases: BTreeMap<&'static str, &'static str>,
        config: EngineConfig,
        meter: Meter,
    ) -> Self {
        let mut names: BTreeMap<&'static str, u16> =
            kinds.iter().enumerate().map(|(index, kind)| (kind.kind(), index as u16)).collect();
        for (alias, kind) in aliases {
            if let Some(index) = names.get(kind).copied() {
                names.insert(alias, index);
            }
        }
        Self {
            config,
            kinds,
            names,
            arena: Arena::default(),
            root: None,
            root_spec: None,
            global: Arc::default(),
            due: Due::default(),
            wheel: Wheel::new(),
            fired: Vec::new(),
            now: Moment::ZERO,
            ticks: 0,
            next_action: ActionId::default(),
            cause: CauseId::default(),
            known: IndexMap::new(),
            needs: Needs::default(),
            stopping: None,
            folds: crate::fold::Folds::default(),
            timed_until: Moment::ZERO,
            armed: (NodeId::new(NONE, Incarnation::new(0)), Moment::FAR),
            spread: Vec::new(),
            report: TickReport::default(),
            meter,
            touched: None,
            pending: Vec::new(),
        }
    }

    /// Gives back what a store kept of a path before its node is created: to be called before the first root. The driver of
    /// this crate has no durable store to read from yet; the simulation has.
    pub fn restore(&mut self, path: NodePath, what: Remembered) {
        self.known.insert(path, what);
    }

    /// Takes what reached the tree. Cheap: it marks nodes as due; the tick does the work. A late message is dropped.
    ///
    /// # Errors
    /// [`CommandError`] when the input is a command that can't be carried out.
    pub fn handle(&mut self, input: Input, now: Moment) -> Result<(), CommandError> {
        self.now = self.now.max(now);
        self.cause = self.cause.next();
        match input {
            Input::Observed { node, started, taken, generation, result } => {
                self.observed(node, started, taken, generation, result);
            }
            Input::Pushed { node, taken, value } => self.pushed(node, taken, value),
            Input::ActionStarted { node, id } => self.action_started(node, id),
            Input::ActionEnded { node, report } => self.action_ended(node, report),
            Input::ActionRefused { node, id, why } => self.action_refused(node, id, why),
            Input::Probed { key, number, result } => self.probed(&key, number, result),
            Input::Root { spec, global } => self.set_root(spec, global),
            Input::Command(command) => return self.command(command),
        }
        Ok(())
    }

    /// Asks for the memory that handling these inputs will read. Worth it for up to some dozens at a time: each input waits
    /// for its node's memory otherwise, one after the other; these reads don't wait for each other.
    pub fn foresee<'a>(&self, inputs: impl IntoIterator<Item = &'a Input>) {
        let living =
            inputs.into_iter().filter_map(Input::node).filter(|node| self.arena.lives(*node)).count();
        std::hint::black_box(living);
    }

    /// Visits every due node once, in (depth, declared order). What becomes due behind the cursor waits for the next call,
    /// which [`next_wake`](Self::next_wake) asks for at once.
    pub fn tick(&mut self, now: Moment, effects: &mut Effects, stopwatch: &dyn Stopwatch) -> TickReport {
        self.now = self.now.max(now);
        self.ticks += 1;
        self.report = TickReport::default();
        let began = stopwatch.nanos();
        self.fire_timers();
        self.start_probes();
        let mut slowest = (0, NONE);
        let mut depth = 0;
        while depth < self.due.depth() {
            let nodes = self.due.take(depth, &self.arena);
            self.visit_level(&nodes, stopwatch, &mut slowest);
            self.due.recycle(depth, nodes);
            depth += 1;
        }
        let ended = stopwatch.nanos();
        self.flush_spread();
        self.report.nanos = ended.saturating_sub(began);
        self.overrun(slowest.1);
        if self.config.check_purity {
            self.check_purity();
        }
        for event in self.folds.settle(self.now) {
            self.pending.push(Effect::Emit(event));
        }
        let wanted = self.pending.len();
        for effect in self.pending.drain(..) {
            effects.push(effect);
        }
        // A burst, such as the start of a big tree, doesn't hold its memory for ever.
        if self.pending.capacity() > BURST && wanted < self.pending.capacity() / 4 {
            self.pending.shrink_to(BURST);
        }
        self.meter.ticked(&self.report, self.arena.len());
        self.report
    }

    /// When to tick next: now while anything is due, else the earliest deadline, or never.
    #[must_use]
    pub fn next_wake(&self) -> Option<Moment> {
        if !self.due.is_empty() || !self.pending.is_empty() {
            return Some(self.now);
        }
        let folds = Some(self.folds.due()).filter(|at| *at != Moment::FAR);
        self.wheel.next().into_iter().chain(folds).chain(self.needs.next()).min()
    }

    /// How many nodes live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.arena.len()
    }

    /// Whether no node lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arena.len() == 0
    }

    /// Hands what was counted to the metrics. The driver calls it after its ticks.
    pub fn flush_metrics(&mut self) {
        self.meter.batch().flush(self.now);
    }

    /// The batch of samples, for what the driver itself records.
    pub fn samples(&mut self) -> &mut TickBatch {
        self.meter.batch()
    }

    /// Where the samples of a node go, and the names of its actions; none when it is gone.
    #[must_use]
    pub fn scope(&self, node: NodeId) -> Option<(ScopeId, &'static [&'static str])> {
        let living = self.arena.lives(node) && self.arena.hot(node.index() as u32).slot != Slot::NONE;
        living.then(|| {
            let hot = self.arena.hot(node.index() as u32);
            (hot.scope, self.kinds[hot.kind as usize].action_names())
        })
    }

    /// The sink for a node's own metrics; none when its kind declares none, or when nothing is recorded.
    #[must_use]
    pub fn own_metrics(&mut self, node: NodeId) -> Option<WorkerMetrics> {
        let (scope, _) = self.scope(node)?;
        if self.kinds[self.arena.hot(node.index() as u32).kind as usize].metrics().is_empty() {
            return None;
        }
        self.meter.batch().scope(scope).map(|scope| scope.worker_metrics())
    }

    /// From now on remember what is created, changed and told to leave.
    pub fn track(&mut self) {
        self.touched = Some(Vec::new());
    }

    /// What was created, changed and told to leave since [`track`](Self::track).
    pub fn tracked(&mut self) -> Vec<(NodePath, Touched)> {
        self.touched.take().unwrap_or_default()
    }

    fn touch(&mut self, index: u32, how: Touched) {
        if self.touched.is_some() {
            let path = self.arena.path(index);
            if let Some(touched) = &mut self.touched {
                touched.push((path, how));
            }
        }
    }

    /// Marks every node as due, as if all their inputs had changed. For benchmarks and for operators who mistrust the memory.
    pub fn invalidate_all(&mut self) {
        self.cause = self.cause.next();
        for index in 0..self.arena.places() as u32 {
            if self.arena.hot(index).incarnation.get() != 0 {
                self.mark(index);
            }
        }
    }

    /// The policy of a node.
    fn policy(&self, index: u32) -> &Policy {
        let hot = self.arena.hot(index);
        if hot.flags.has(Flags::OWN_POLICY)
            && let Some(policy) = &self.arena.cold(index).policy
        {
            return policy;
        }
        // A node of no known kind has no kind's policy.
        self.kinds.get(hot.kind as usize).map_or(const { &Policy::DEFAULT }, |kind| kind.policy())
    }

    fn state_name(&self, index: u32) -> &'static str {
        let hot = self.arena.hot(index);
        match hot.slot {
            Slot::NONE => "",
            _ => self.kinds[hot.kind as usize].states()[hot.state.get()].name,
        }
    }

    fn kind_name(&self, index: u32) -> &'static str {
        let hot = self.arena.hot(index);
        match hot.slot {
            Slot::NONE => "invalid",
            _ => self.kinds[hot.kind as usize].kind(),
        }
    }

    fn identity(&self, index: u32) -> Identity {
        let cold = self.arena.cold(index);
        Identity::new(
            self.arena.path(index),
            self.kind_name(index),
            self.arena.id(index),
            cold.created_at,
            cold.starts,
        )
    }

    fn family(&self, node: u32) -> Family<'_> {
        Family { arena: &self.arena, kinds: &self.kinds, node }
    }

    /// A number in 0..1 that depends on the seed, the path and an attempt only.
    fn chance(&self, index: u32, attempt: u64) -> f64 {
        chance(self.config.seed, self.arena.path(index).as_str(), attempt)
    }

    /// `base` doubled `failures - 1` times, at most `cap`, ±20 % (S-14).
    fn back_off(&self, index: u32, failures: u32, base: Duration, cap: Duration) -> Duration {
        jittered(failures, base, cap, self.chance(index, u64::from(failures)))
    }

    fn set_root(&mut self, spec: Arc<ChildSpec>, global: Arc<Vars>) {
        let global_changed = !Arc::ptr_eq(&self.global, &global) && self.global != global;
        if global_changed {
            self.global = global;
            let all: Vec<u32> = self.arena.indices().collect();
            for index in all {
                self.arena.hot_mut(index).flags.set(Flags::DERIVE);
                self.forgive(index);
                self.mark(index);
            }
        }
        self.change_root(spec);
    }
}

/// Time before a failed evaluation, derive or creation is tried again: 1 s doubling to 60 s (S-14, design of pace).
pub(crate) const BACK_OFF: Duration = Duration::from_secs(1);
/// The end of that doubling.
pub(crate) const BACK_OFF_CAP: Duration = Duration::from_secs(60);
/// So long after a slow tick each visit is timed by itself.
const TIMED: Duration = Duration::from_secs(60);
/// Moves in a row without any new input but the state itself, after which a node waits one interval.
pub(crate) const LIVELOCK_MOVES: u8 = 8;

/// The same for moves that others cause: far more than any start takes, and an end to two nodes that drive each other.
pub(crate) const FLURRY_MOVES: u8 = 64;

/// Room for so many effects is always kept: what a busy tick wants.
const BURST: usize = 4_096;

/// So many visits ahead memory is asked for: more than what one core can wait for at a time, less than its first cache holds.
const WARM: usize = 32;

/// The first generation of a desired state.
pub(crate) const FIRST: Generation = Generation::new(1);
