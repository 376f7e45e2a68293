//! Runs a tree in the production engine and the production executor under virtual time, from one seed, with everything going
//! wrong that can: what holds here for thousands of seeds holds in the field (K-1 … K-4).
//!
//! ```
//! use fsm_core::{ChildSpec, Registry};
//! use fsm_testkit::simulate::{Stage, simulate};
//! # use fsm_testkit::simulate::doc::{Lamp, Street};
//!
//! let simulation = simulate(|| {
//!     // A world per run: what workers keep outside of the engine must not leak from one run into the next.
//!     let street = Street::default();
//!     let kinds = street.clone();
//!     let registry = move || {
//!         let mut registry = Registry::new();
//!         registry.register(Lamp(kinds.clone())).expect("one kind");
//!         registry
//!     };
//!     Stage::new(registry, ChildSpec::try_new("street", "lamp").expect("a good name"))
//!         .disturb("the bulb burns out", move |_| street.burn_out())
//! });
//! let report = simulation.seed(7).run().expect("it holds");
//! assert!(report.faults > 0 && report.checks > 100);
//! ```
//!
//! Workers run as they are, on a single thread and with tokio's time paused, so they may sleep and spawn, but not do I/O: give
//! them a world in memory. A failing seed prints a shrunk [`Script`] that runs as a test with [`Simulation::replay`].

mod checks;
pub mod doc;
mod faults;
mod host;
mod jobs;
mod run;
mod script;
mod shrink;
mod store;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fsm_core::{ChildSpec, HumanDuration, NodePath, Registry, Vars};
use fsm_executor::ExecutorConfig;

pub use faults::Faults;
pub use script::{Fault, Happening, Order, Script, ScriptError, Step};

/// Something that may happen to the world, with a number that the seed chooses.
type Disturbance = (&'static str, Box<dyn Fn(u64)>);

/// What one run plays with: the kinds, the tree, and what can happen to both.
pub struct Stage {
    registry: Box<dyn Fn() -> Registry>,
    roots: Vec<Arc<ChildSpec>>,
    global: Arc<Vars>,
    extras: Vec<(NodePath, ChildSpec)>,
    disturbances: Vec<Disturbance>,
    calm: Box<dyn Fn()>,
    reachable: Box<dyn Fn(&str) -> bool>,
    executor: ExecutorConfig,
}

impl Stage {
    /// A stage of these kinds and this tree. The kinds are made again when the process is killed and started anew; what they
    /// share is the world that survives.
    pub fn new(registry: impl Fn() -> Registry + 'static, root: ChildSpec) -> Self {
        Self {
            registry: Box::new(registry),
            roots: vec![Arc::new(root)],
            global: Arc::default(),
            extras: Vec::new(),
            disturbances: Vec::new(),
            calm: Box::new(|| {}),
            reachable: Box::new(|_key| true),
            executor: ExecutorConfig::default(),
        }
    }

    /// With these global variables.
    #[must_use]
    pub fn global(mut self, variables: Vars) -> Self {
        self.global = Arc::new(variables);
        self
    }

    /// Another config that the tree may get; in the end it always gets the first one back.
    #[must_use]
    pub fn variant(mut self, root: ChildSpec) -> Self {
        self.roots.push(Arc::new(root));
        self
    }

    /// A child that may be added to this node at run time, and removed.
    #[must_use]
    pub fn extra(mut self, parent: NodePath, child: ChildSpec) -> Self {
        self.extras.push((parent, child));
        self
    }

    /// Something that may happen to the world; it gets a number that the seed chooses.
    #[must_use]
    pub fn disturb(mut self, name: &'static str, change: impl Fn(u64) + 'static) -> Self {
        self.disturbances.push((name, Box::new(change)));
        self
    }

    /// Undoes all disturbances: after it the tree must be able to become what is declared.
    #[must_use]
    pub fn calm(mut self, calm: impl Fn() + 'static) -> Self {
        self.calm = Box::new(calm);
        self
    }

    /// Says whether what workers need of the outside world can be reached now, by the key of their
    /// [`Infrastructure`](fsm_core::Infrastructure); by default everything can. Mended by [`calm`](Self::calm).
    #[must_use]
    pub fn reachable(mut self, reachable: impl Fn(&str) -> bool + 'static) -> Self {
        self.reachable = Box::new(reachable);
        self
    }

    /// With another pool of actions.
    #[must_use]
    pub fn executor(mut self, config: ExecutorConfig) -> Self {
        self.executor = config;
        self
    }
}

/// A simulation: a stage per run, and how much happens on it.
pub struct Simulation {
    stage: Box<dyn Fn() -> Stage>,
    seed: u64,
    faults: Faults,
    shrinking: usize,
    /// The nodes that there are when nothing goes wrong, found once.
    paths: OnceLock<Vec<NodePath>>,
}

/// A simulation of what this makes; it is called once per run.
pub fn simulate(stage: impl Fn() -> Stage + 'static) -> Simulation {
    Simulation {
        stage: Box::new(stage),
        seed: 0,
        faults: Faults::mix(),
        shrinking: SHRINKING,
        paths: OnceLock::new(),
    }
}

impl Simulation {
    /// With this seed, which decides everything that is left to chance.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// With this mix of faults.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// With at most so many runs to shrink the script of a failure; by default 300.
    #[must_use]
    pub fn shrinking(mut self, runs: usize) -> Self {
        self.shrinking = runs;
        self
    }

    /// Runs the script that the seed makes.
    ///
    /// # Errors
    /// [`Failure`] names the rule that was broken, with a shrunk script.
    pub fn run(&self) -> Result<Report, Box<Failure>> {
        self.run_seed(self.seed)
    }

    /// The same for another seed: for many of them one simulation is quicker than one each.
    ///
    /// # Errors
    /// [`Failure`] as for [`run`](Self::run).
    pub fn run_seed(&self, seed: u64) -> Result<Report, Box<Failure>> {
        let script = self.script(seed)?;
        self.play(seed, &script)
            .map(|(report, _)| report)
            .map_err(|broken| self.failure(seed, &script, broken))
    }

    /// The same, with the trace: everything that happened, line by line. Equal seeds give equal traces, byte for byte (J6).
    ///
    /// # Errors
    /// [`Failure`] as for [`run`](Self::run).
    pub fn trace(&self) -> Result<(Report, String), Box<Failure>> {
        let script = self.script(self.seed)?;
        self.play(self.seed, &script).map_err(|broken| self.failure(self.seed, &script, broken))
    }

    /// Runs a script as it was printed.
    ///
    /// # Errors
    /// [`Failure`] when a rule is broken, or a line is no step.
    pub fn replay(&self, script: &str) -> Result<Report, Box<Failure>> {
        let script: Script = script.parse().map_err(|error: ScriptError| {
            let what = error.to_string();
            Box::new(Failure {
                seed: self.seed,
                rule: "script",
                what,
                script: Script::default(),
                trace: String::new(),
            })
        })?;
        let seed = self.seed;
        self.play(seed, &script)
            .map(|(report, _)| report)
            .map_err(|broken| self.failure(seed, &script, broken))
    }

    /// The script that the seed makes.
    fn script(&self, seed: u64) -> Result<Script, Box<Failure>> {
        if self.paths.get().is_none() {
            let quiet = Script::default();
            // Which nodes there are depends on no seed.
            let seen = run::paths(&(self.stage)(), 0).map_err(|broken| self.failure(0, &quiet, broken))?;
            let _ = self.paths.set(seen);
        }
        let stage = (self.stage)();
        let paths = self.paths.get().map_or(&[][..], Vec::as_slice);
        Ok(self.faults.script(seed, &stage, paths))
    }

    fn play(&self, seed: u64, script: &Script) -> Result<(Report, String), Broken> {
        run::play(&(self.stage)(), seed, script)
    }

    /// Shrinks the script as long as the same rule is broken.
    fn failure(&self, seed: u64, script: &Script, broken: Broken) -> Box<Failure> {
        let still =
            |shorter: &Script| self.play(seed, shorter).err().filter(|other| other.rule == broken.rule);
        let (script, shrunk) = shrink::shrink(script, self.shrinking, still);
        let broken = shrunk.unwrap_or(broken);
        Box::new(Failure { seed, rule: broken.rule, what: broken.what, script, trace: broken.trace })
    }
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// Time that passed in the simulation.
    pub simulated: Duration,
    /// Steps of the script.
    pub faults: u64,
    /// Rules that were checked.
    pub checks: u64,
    /// Ticks of the engine.
    pub ticks: u64,
    /// How long the tree took to become what is declared after the last fault.
    pub recovery: Duration,
}

impl Report {
    /// Both together; the recovery is the longer one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            simulated: self.simulated + other.simulated,
            faults: self.faults + other.faults,
            checks: self.checks + other.checks,
            ticks: self.ticks + other.ticks,
            recovery: self.recovery.max(other.recovery),
        }
    }
}

/// A rule that was broken in a run.
pub(crate) struct Broken {
    pub(crate) rule: &'static str,
    pub(crate) what: String,
    pub(crate) trace: String,
}

/// A rule was broken. `Display` says which, shows the end of the trace, and a test that repeats it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The id of the rule: an invariant or a requirement.
    pub rule: &'static str,
    /// How it was broken.
    pub what: String,
    /// The shortest script found that breaks it.
    pub script: Script,
    /// What happened under that script.
    pub trace: String,
}

/// Runs that shrinking may cost: enough for scripts of a few dozen steps.
const SHRINKING: usize = 300;
/// Lines of the trace that a failure shows.
const TAIL: usize = 40;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is broken with seed {}: {}", self.rule, self.seed, self.what)?;
        let lines: Vec<&str> = self.trace.lines().collect();
        let hidden = lines.len().saturating_sub(TAIL);
        if hidden > 0 {
            writeln!(f, "… {hidden} lines before")?;
        }
        lines[hidden..].iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "\nTo repeat it:\n")?;
        writeln!(
            f,
            "#[test]\nfn seed_{}_breaks_{}() {{",
            self.seed,
            self.rule.to_lowercase().replace('-', "_")
        )?;
        writeln!(f, "    let script = \"\\")?;
        for step in &self.script.steps {
            writeln!(f, "        {step}\\n\\")?;
        }
        writeln!(f, "    \";")?;
        writeln!(f, "    if let Err(failure) = simulation().seed({}).replay(script) {{", self.seed)?;
        writeln!(f, "        panic!(\"{{failure}}\");\n    }}\n}}")
    }
}

/// The same as `Display`: it is what `unwrap` shows.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

/// A time as it stands in traces.
pub(crate) fn shown(time: Duration) -> HumanDuration {
    HumanDuration::new(time)
}
