//! The model check (K-6): every situation that a worker can get into, asked once, and what must hold of the answers.

mod checks;
mod error;
mod explore;
mod finding;
mod listed;
mod report;
mod situation;
mod space;

use std::fmt;
use std::sync::Arc;

use fsm_core::{Outcome, Phase, State, VariableBundle, Vars, Worker};

use crate::graph::Graph;
use explore::Explored;
use space::Space;

pub use error::ModelError;
pub use finding::{Check, Finding};
pub use report::Report;

/// Situations explored at most, unless the model says otherwise: some seconds of a test that isn't optimised.
const LIMIT: usize = 500_000;

type Predicate<W> = Box<dyn Fn(&<W as Worker>::Config, &<W as Worker>::Observed) -> bool>;

/// A model of the worker `W` and its world, to be filled by the methods of [`Model`].
#[must_use]
pub fn model_check<W: Worker>() -> Model<W> {
    Model {
        configs: Vec::new(),
        variables: VariableBundle::default(),
        observations: Vec::new(),
        after: Vec::new(),
        by_itself: None,
        at_any_time: None,
        children: Vec::new(),
        outcomes: vec![Outcome::Success, Outcome::Failure],
        failures: 1,
        rests_in: Vec::new(),
        stop_may: Vec::new(),
        exceptions: Vec::new(),
        limit: LIMIT,
    }
}

/// A finite picture of what a worker can be told and can see, and of the world that its actions change.
///
/// **Inputs.** Its states are asked in every combination of the listed configs and observations that can come about, with
/// actions that ended well and badly, just now and long ago, and with children in every phase. Time is followed from one
/// booked wake-up to the next, and to "longer ago than any deadline".
///
/// **The environment** may show any listed observation at any time ([`at_any_time`](Self::at_any_time) narrows that), change
/// the config, change the goal, let actions fail, and move children as far as their parent lets them run.
///
/// **The cooperative world** is the friendly part of it: actions succeed and then show what [`after`](Self::after) says;
/// what no action brings about comes [by itself](Self::by_itself). A passive state that is told to run may wait for anything;
/// a trying one, and whoever is told to stop, gets on by its own actions. Removal and a healthy state must be reachable
/// in this world from every situation that the environment can lead to.
///
/// Labels of configs and observations are Rust expressions, so that what is found reads as a test; [`listed!`](crate::listed)
/// makes them.
pub struct Model<W: Worker> {
    configs: Vec<(&'static str, Arc<W::Config>)>,
    variables: VariableBundle,
    observations: Vec<(&'static str, W::Observed)>,
    after: Vec<(&'static str, Predicate<W>)>,
    by_itself: Option<Predicate<W>>,
    at_any_time: Option<Predicate<W>>,
    children: Vec<(String, Vec<ChildCase>)>,
    outcomes: Vec<Outcome>,
    failures: u8,
    rests_in: Vec<W::State>,
    stop_may: Vec<&'static str>,
    exceptions: Vec<(Check, &'static str)>,
    limit: usize,
}

/// One way in which a parent may see a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildCase {
    /// Its effective phase.
    pub phase: Phase,
    /// The name of its state.
    pub state: &'static str,
    /// Its spec can't be used.
    pub invalid: bool,
    /// Its observation is too old.
    pub stale: bool,
}

impl ChildCase {
    /// A child in this state.
    #[must_use]
    pub const fn new(state: &'static str, phase: Phase) -> Self {
        Self { phase, state, invalid: false, stale: false }
    }

    /// A child that can't be made.
    pub(crate) const INVALID: Self = Self { phase: Phase::Degraded, state: "", invalid: true, stale: false };

    pub(crate) const fn is_at_rest(self) -> bool {
        self.phase.is_at_rest() || self.invalid
    }
}

impl<W: Worker> Model<W> {
    /// Configs to try. A change from one to another is tried at any time.
    #[must_use]
    pub fn configs(mut self, configs: impl IntoIterator<Item = (&'static str, W::Config)>) -> Self {
        self.configs.extend(configs.into_iter().map(|(label, config)| (label, Arc::new(config))));
        self
    }

    /// What may be observed: one of each sort that decisions tell apart. Not for kinds without observation.
    #[must_use]
    pub fn observations(
        mut self,
        observations: impl IntoIterator<Item = (&'static str, W::Observed)>,
    ) -> Self {
        self.observations.extend(observations);
        self
    }

    /// Once `action` has succeeded, a cooperative world shows an observation like this.
    #[must_use]
    pub fn after(
        mut self,
        action: &'static str,
        shows: impl Fn(&W::Config, &W::Observed) -> bool + 'static,
    ) -> Self {
        self.after.push((action, Box::new(shows)));
        self
    }

    /// What a cooperative world shows without any action. By default what no action shows.
    #[must_use]
    pub fn by_itself(mut self, shows: impl Fn(&W::Config, &W::Observed) -> bool + 'static) -> Self {
        self.by_itself = Some(Box::new(shows));
        self
    }

    /// What the environment may show at any time, asked for or not. By default everything.
    #[must_use]
    pub fn at_any_time(mut self, shows: impl Fn(&W::Config, &W::Observed) -> bool + 'static) -> Self {
        self.at_any_time = Some(Box::new(shows));
        self
    }

    /// Variables for the derive.
    #[must_use]
    pub fn variables(mut self, user: Vars) -> Self {
        self.variables.user = Arc::new(user);
        self
    }

    /// The child of this name goes through the states of kind `C`: the product of both is explored. Children of which
    /// nothing is said go through all phases.
    #[must_use]
    pub fn child<C: Worker>(self, name: &str) -> Self {
        let states = C::State::ALL.iter().map(|state| (state.name(), state.phase()));
        self.child_states(name, states)
    }

    /// The same for a child whose kind isn't at hand.
    #[must_use]
    pub fn child_states(
        mut self,
        name: &str,
        states: impl IntoIterator<Item = (&'static str, Phase)>,
    ) -> Self {
        let states = states.into_iter().map(|(state, phase)| ChildCase::new(state, phase)).collect();
        self.children.push((name.to_owned(), states));
        self
    }

    /// How actions may end; by default with success or failure. For workers that tell a timeout from a failure.
    #[must_use]
    pub fn outcomes(mut self, outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        self.outcomes = outcomes.into_iter().collect();
        self
    }

    /// Failures in a row are counted up to this many; 1 by default. For workers that give up after so many.
    #[must_use]
    pub fn failures(mut self, count: u8) -> Self {
        self.failures = count.max(1);
        self
    }

    /// States that are meant to be final while the goal is to run, though they are neither Running nor Completed.
    #[must_use]
    pub fn rests_in(mut self, states: impl IntoIterator<Item = W::State>) -> Self {
        self.rests_in.extend(states);
        self
    }

    /// An action that starting states ask for and that `stop` may ask for all the same, such as a last flush.
    #[must_use]
    pub fn stop_may(mut self, action: &'static str) -> Self {
        self.stop_may.push(action);
        self
    }

    /// Leaves a check out, for this reason; the report says so.
    #[must_use]
    pub fn except(mut self, check: Check, reason: &'static str) -> Self {
        self.exceptions.push((check, reason));
        self
    }

    /// Situations explored at most before the check gives up.
    #[must_use]
    pub fn limit(mut self, situations: usize) -> Self {
        self.limit = situations;
        self
    }

    /// Explores the model and checks it.
    ///
    /// # Errors
    /// [`ModelError::Found`] with what is wrong with the worker; the others say what is wrong with the model.
    pub fn check(&self) -> Result<Report, ModelError> {
        let begun = tokio::time::Instant::now();
        let space = Space::try_new(self)?;
        let explored = Explored::try_new(&space)?;
        let findings = checks::all(&space, &explored);
        if findings.is_empty() {
            Ok(Report::new(&space, &explored, begun.elapsed()))
        } else {
            Err(ModelError::Found { kind: W::KIND, findings })
        }
    }

    /// The same for a test: prints the report.
    ///
    /// # Panics
    /// With everything that was found, as tests to paste.
    #[track_caller]
    pub fn assert(&self) -> Report {
        match self.check() {
            Ok(report) => {
                println!("{report}");
                report
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// What the states do, drawn without checking it.
    ///
    /// # Errors
    /// As [`check`](Self::check), but never [`ModelError::Found`].
    pub fn graph(&self) -> Result<Graph, ModelError> {
        let space = Space::try_new(self)?;
        let explored = Explored::try_new(&space)?;
        Ok(explored.graph(&space))
    }
}

impl<W: Worker> fmt::Debug for Model<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("kind", &W::KIND).finish_non_exhaustive()
    }
}
