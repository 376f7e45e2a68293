//! For tests of workers: ask `next` and `stop` about any situation without an engine.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    ActionReport, ChildName, ChildView, ChildrenCounts, ChildrenSource, ChildrenView, Decision,
    DeriveContext, DeriveError, DesiredState, Generation, Identity, Incarnation, Moment, NodeId, NodePath,
    Observation, Outcome, PathOf, Phase, Reason, Snapshot, SnapshotCore, State, Step, StopSnapshot, UserSpec,
    VariableBundle, Whoami, Worker,
};

/// A situation that a worker's states can be asked about.
///
/// A table of a worker `Door` reads like
/// `Case::<Door>::new(config).observed(ajar).next(Closed).moves_to(Open).because("ajar")`.
pub struct Case<W: Worker> {
    config: W::Config,
    observed: Option<W::Observed>,
    variables: VariableBundle,
    children: Children,
    last_action: Option<ActionReport>,
    attempts: u32,
    failures: u32,
    retry_after: Option<Moment>,
    entered_at: Moment,
    now: Moment,
    starts: u32,
    is_current: bool,
}

/// What a state answered.
pub struct Answer<W: Worker> {
    /// The decision.
    pub decision: Decision<W>,
    /// The wake-up it booked by `reached`.
    pub wake: Option<Moment>,
}

/// Ten years after the driver's start: there is room for "long ago" before it.
const NOW: Moment = Moment::from_nanos(315_360_000_000_000_000);

#[derive(Default)]
struct Children {
    list: Vec<Child>,
}

struct Child {
    name: ChildName,
    phase: Phase,
    state: &'static str,
    flags: Flags,
}

/// What is wrong with a child, beside its state.
#[derive(Clone, Copy, Default)]
struct Flags {
    stale: bool,
    circuit_open: bool,
    invalid: bool,
}

const CHILD_REASON: Reason = Reason::new("as the case says");

impl ChildrenSource for Children {
    fn get(&self, name: &str) -> Option<ChildView<'_>> {
        let at = self.list.iter().position(|child| child.name.as_str() == name)?;
        self.at(at)
    }
    fn at(&self, index: usize) -> Option<ChildView<'_>> {
        static REASON: Reason = CHILD_REASON;
        let child = self.list.get(index)?;
        let mut view = ChildView::new(child.name.as_str(), child.phase, child.state, &REASON, Moment::ZERO);
        let Flags { stale, circuit_open, invalid } = child.flags;
        (view.stale, view.circuit_open, view.invalid) = (stale, circuit_open, invalid);
        Some(view)
    }
}

struct CasePath;

impl PathOf for CasePath {
    fn path_of(&self, _node: NodeId) -> NodePath {
        case_path()
    }
}

fn case_path() -> NodePath {
    NodePath::try_new("/test/case").expect("a fixed good path")
}

impl<W: Worker> Case<W> {
    /// A node with this config, without observation, children or past actions, that entered its state just now.
    pub fn new(config: W::Config) -> Self {
        Self {
            config,
            observed: None,
            variables: VariableBundle::default(),
            children: Children::default(),
            last_action: None,
            attempts: 0,
            failures: 0,
            retry_after: None,
            entered_at: NOW,
            now: NOW,
            starts: 1,
            is_current: true,
        }
    }

    /// With this observation, taken under the present desired state.
    #[must_use]
    pub fn observed(mut self, observed: W::Observed) -> Self {
        self.observed = Some(observed);
        self
    }

    /// The observation was taken under an earlier desired state.
    #[must_use]
    pub fn outdated(mut self) -> Self {
        self.is_current = false;
        self
    }

    /// With a child in this state.
    ///
    /// # Panics
    /// When the name is no [`ChildName`].
    #[must_use]
    pub fn child(self, name: &str, phase: Phase, state: &'static str) -> Self {
        self.with_child(name, phase, state, Flags::default())
    }

    /// With a child that can't be made: it is Degraded and has no state.
    ///
    /// # Panics
    /// When the name is no [`ChildName`].
    #[must_use]
    pub fn invalid_child(self, name: &str) -> Self {
        self.with_child(name, Phase::Degraded, "", Flags { invalid: true, ..Flags::default() })
    }

    /// With a child in this state whose observation is too old to be believed: it is Degraded.
    ///
    /// # Panics
    /// When the name is no [`ChildName`].
    #[must_use]
    pub fn stale_child(self, name: &str, state: &'static str) -> Self {
        self.with_child(name, Phase::Degraded, state, Flags { stale: true, ..Flags::default() })
    }

    /// With a child in this state one of whose circuits is open: it is Degraded.
    ///
    /// # Panics
    /// When the name is no [`ChildName`].
    #[must_use]
    pub fn cut_off_child(self, name: &str, state: &'static str) -> Self {
        self.with_child(name, Phase::Degraded, state, Flags { circuit_open: true, ..Flags::default() })
    }

    fn with_child(mut self, name: &str, phase: Phase, state: &'static str, flags: Flags) -> Self {
        let name = ChildName::try_new(name).expect("a case's child has a good name");
        self.children.list.push(Child { name, phase, state, flags });
        self
    }

    /// The state was entered this long ago.
    #[must_use]
    pub fn in_state_for(mut self, time: Duration) -> Self {
        self.entered_at = self.now - time;
        self
    }

    /// The last action ended like this, just now.
    #[must_use]
    pub fn after(mut self, action: &'static str, outcome: Outcome) -> Self {
        let mut report =
            ActionReport::new(crate::ActionId::new(1), action, outcome, self.now, Duration::from_millis(1));
        if outcome != Outcome::Success {
            report.error = Some("as the case says".into());
            self.failures += 1;
        }
        self.attempts += 1;
        self.last_action = Some(report);
        self
    }

    /// The last action ended this long ago. Say so behind [`after`](Self::after).
    #[must_use]
    pub fn acted_ago(mut self, time: Duration) -> Self {
        if let Some(report) = &mut self.last_action {
            report.started = self.now - time;
        }
        self
    }

    /// So many actions ended in this state, the last `failures` of them as failures.
    #[must_use]
    pub fn attempts(mut self, attempts: u32, failures: u32) -> Self {
        (self.attempts, self.failures) = (attempts, failures);
        self
    }

    /// So many actions ended in this state, all of them failures.
    #[must_use]
    pub fn failures(mut self, failures: u32) -> Self {
        self.attempts = failures;
        self.failures = failures;
        self
    }

    /// This path was started so often.
    #[must_use]
    pub fn starts(mut self, starts: u32) -> Self {
        self.starts = starts;
        self
    }

    /// With these variables for `derive`.
    #[must_use]
    pub fn variables(mut self, variables: VariableBundle) -> Self {
        self.variables = variables;
        self
    }

    /// Asks `next`.
    ///
    /// # Panics
    /// When the case has no observation and the kind's `Observed` isn't made of nothing: the engine never asks then (S-5).
    pub fn next(&self, state: W::State) -> Answer<W> {
        let unit: Option<W::Observed> = serde_json::from_value(serde_json::Value::Null).ok();
        let observed = self
            .observed
            .as_ref()
            .or(unit.as_ref())
            .expect("`next` is asked only with an observation: give the case one");
        self.ask(|core| state.next(&Snapshot::new(core, &self.config, observed)))
    }

    /// Asks `stop`.
    pub fn stop(&self, state: W::State) -> Answer<W> {
        self.ask(|core| state.stop(&StopSnapshot::new(core, &self.config, self.observed.as_ref())))
    }

    fn ask(&self, decide: impl Fn(&SnapshotCore<'_>) -> Decision<W>) -> Answer<W> {
        let name = ChildName::try_new("case").expect("a fixed good name");
        let node = NodeId::new(1, Incarnation::new(1));
        let mut counts = ChildrenCounts::default();
        for child in &self.children.list {
            *counts.of(child.phase) += 1;
        }
        let taken = self.now;
        let generation = if self.is_current { Generation::new(1) } else { Generation::new(0) };
        let core = SnapshotCore {
            whoami: Whoami::new(&name, W::KIND, node, self.starts, &CasePath),
            now: self.now,
            wake: Cell::new(None),
            children: ChildrenView::new(counts, &self.children),
            last_action: self.last_action.as_ref(),
            attempts: self.attempts,
            failures: self.failures,
            retry_after: self.retry_after,
            entered_at: self.entered_at,
            observation: self.observed.as_ref().map(|_| Observation::new(taken, taken, generation)),
            desired: Generation::new(1),
        };
        let decision = decide(&core);
        Answer { decision, wake: core.wake.get() }
    }

    /// Asks `derive_desired_state`.
    ///
    /// # Errors
    /// Those of the worker.
    pub fn derive(self) -> Result<DesiredState<W::Config>, DeriveError> {
        let identity =
            Identity::new(case_path(), W::KIND, NodeId::new(1, Incarnation::new(1)), 0, self.starts);
        let variables = VariableBundle { internal: identity.internal(), ..self.variables };
        let spec = UserSpec { config: Arc::new(self.config), variables: variables.clone() };
        W::derive_desired_state(&spec, &DeriveContext::new(&variables, None, &()))
    }
}

impl<W: Worker> Answer<W> {
    /// The decision is to stay.
    ///
    /// # Panics
    /// When it isn't.
    #[track_caller]
    pub fn stays(self) -> Self {
        assert!(matches!(self.decision.step(), Step::Stay), "expected to stay, got {self:?}");
        self.has_a_reason()
    }

    /// The decision is to move to this state.
    ///
    /// # Panics
    /// When it isn't.
    #[track_caller]
    pub fn moves_to(self, state: W::State) -> Self {
        assert!(
            matches!(self.decision.step(), Step::Move(s) if *s == state),
            "expected {state:?}, got {self:?}"
        );
        self.has_a_reason()
    }

    /// The decision is to run the action with this name.
    ///
    /// # Panics
    /// When it isn't.
    #[track_caller]
    pub fn acts(self, action: &str) -> Self {
        use crate::Action;
        assert!(
            matches!(self.decision.step(), Step::Act(a) if a.name() == action),
            "expected {action}, got {self:?}"
        );
        self.has_a_reason()
    }

    /// The decision is to leave the tree.
    ///
    /// # Panics
    /// When it isn't.
    #[track_caller]
    pub fn removes(self) -> Self {
        assert!(matches!(self.decision.step(), Step::Remove), "expected removal, got {self:?}");
        self.has_a_reason()
    }

    /// The decision is to start over.
    ///
    /// # Panics
    /// When it isn't.
    #[track_caller]
    pub fn restarts(self) -> Self {
        assert!(matches!(self.decision.step(), Step::Restart), "expected a restart, got {self:?}");
        self.has_a_reason()
    }

    /// The reason reads like this.
    ///
    /// # Panics
    /// When it doesn't contain `part`.
    #[track_caller]
    pub fn because(self, part: &str) -> Self {
        let reason = self.decision.reason().to_string();
        assert!(reason.contains(part), "expected a reason with `{part}`, got `{reason}`");
        self
    }

    /// A wake-up is booked this long after the state was entered or later.
    ///
    /// # Panics
    /// When none is booked.
    #[track_caller]
    pub fn wakes(self) -> Self {
        assert!(self.wake.is_some(), "expected a booked wake-up, got none with {self:?}");
        self
    }

    #[track_caller]
    fn has_a_reason(self) -> Self {
        assert!(
            !self.decision.reason().to_string().trim().is_empty(),
            "a decision without a reason: {self:?}"
        );
        self
    }
}

impl<W: Worker> fmt::Debug for Answer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, wake {:?}", self.decision, self.wake)
    }
}
