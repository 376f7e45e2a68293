//! The model made ready: configs derived, children known, and the one place where a worker's states are asked.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{
    Action, ActionId, ActionReport, ChildName, ChildSpec, ChildView, ChildrenCounts, ChildrenSource,
    ChildrenView, Condition, Config, Dependency, DeriveContext, Generation, Identity, Incarnation, Moment,
    NodeId, NodePath, Observation, Outcome, PathOf, Phase, Reason, Snapshot, SnapshotCore, StartWhen, State,
    Step, StopSnapshot, Target, UserSpec, VariableBundle, Whoami, Worker,
};
use indexmap::IndexSet;

use super::explore::{Answer, Stepped};
use super::situation::{LONG, Situation, UNSEEN};
use super::{ChildCase, Model, ModelError};

/// Two years after the driver's start: there is room for "long ago" before it.
const NOW: Moment = Moment::from_nanos(2 * LONG);
/// Places are bytes, and some bytes mean something else.
const MOST: usize = 200;
/// A child whose place in the list isn't declared by this config.
const ABSENT: u8 = u8::MAX;

/// A model whose configs are derived.
pub(super) struct Space<'m, W: Worker> {
    pub(super) model: &'m Model<W>,
    pub(super) configs: Vec<Derived<W>>,
    /// Every child of any config, with its cases.
    pub(super) children: Vec<(ChildName, Vec<ChildCase>)>,
    /// What a kind without observation is shown.
    unit: Option<W::Observed>,
    /// Combinations of children's cases, each a place per child.
    vectors: RefCell<IndexSet<Box<[u8]>>>,
    actions: RefCell<IndexSet<&'static str>>,
}

/// A config and what the worker makes of it.
pub(super) struct Derived<W: Worker> {
    pub(super) label: &'static str,
    spec: UserSpec<W::Config>,
    pub(super) config: Arc<W::Config>,
    pub(super) initial: u8,
    pub(super) target: Target,
    rules: Vec<Rule>,
}

/// What a config says of one child.
struct Rule {
    /// Its place among all children.
    child: usize,
    enabled: bool,
    invalid: bool,
    start_when: StartWhen,
    depends_on: Vec<Dependency>,
}

const CHILD_REASON: Reason = Reason::new("as the model says");

/// The children of one situation.
struct Family<'a> {
    list: Vec<(&'a str, ChildCase)>,
}

impl ChildrenSource for Family<'_> {
    fn get(&self, name: &str) -> Option<ChildView<'_>> {
        self.at(self.list.iter().position(|(child, _)| *child == name)?)
    }
    fn at(&self, index: usize) -> Option<ChildView<'_>> {
        static REASON: Reason = CHILD_REASON;
        let (name, case) = self.list.get(index)?;
        let mut view = ChildView::new(name, case.phase, case.state, &REASON, Moment::ZERO);
        (view.invalid, view.stale) = (case.invalid, case.stale);
        Some(view)
    }
}

struct ModelPath;

impl PathOf for ModelPath {
    fn path_of(&self, _node: NodeId) -> NodePath {
        NodePath::try_new("/model/case").expect("a fixed good path")
    }
}

impl<'m, W: Worker> Space<'m, W> {
    pub(super) fn try_new(model: &'m Model<W>) -> Result<Self, ModelError> {
        let kind = W::KIND;
        let unit: Option<W::Observed> = serde_json::from_value(serde_json::Value::Null).ok();
        let observes = W::POLICY.interval().is_some();
        if model.configs.is_empty() {
            return Err(ModelError::NoConfig { kind });
        }
        if model.observations.is_empty() && (observes || unit.is_none()) {
            return Err(ModelError::NoObservation { kind });
        }
        for (what, count) in [("configs", model.configs.len()), ("observations", model.observations.len())] {
            if count > MOST {
                return Err(ModelError::TooMany { kind, what, count });
            }
        }
        let names = W::Action::NAMES;
        let spoken = model.after.iter().map(|(action, _)| action).chain(&model.stop_may);
        if let Some(action) = spoken.into_iter().find(|action| !names.contains(action)) {
            return Err(ModelError::NoSuchAction { kind, action, known: names });
        }
        let mut space = Self {
            model,
            configs: Vec::new(),
            children: Vec::new(),
            unit: unit.filter(|_| model.observations.is_empty()),
            vectors: RefCell::default(),
            actions: RefCell::new(names.iter().copied().collect()),
        };
        for (label, config) in &model.configs {
            let derived = space.derive(label, config)?;
            space.configs.push(derived);
        }
        for (child, _) in &model.children {
            if !space.children.iter().any(|(name, _)| name.as_str() == child) {
                let known = space.children.iter().map(|(name, _)| name.to_string()).collect();
                return Err(ModelError::NoSuchChild { kind, child: child.clone(), known });
            }
        }
        Ok(space)
    }

    fn derive(&mut self, label: &'static str, config: &Arc<W::Config>) -> Result<Derived<W>, ModelError> {
        let node = NodeId::new(1, Incarnation::new(1));
        let identity = Identity::new(ModelPath.path_of(node), W::KIND, node, 0, 1);
        let variables =
            VariableBundle { internal: identity.internal(), ..VariableBundle::clone(&self.model.variables) };
        let spec = UserSpec { config: Arc::clone(config), variables: variables.clone() };
        let desired = W::derive_desired_state(&spec, &DeriveContext::new(&variables, None, &()))
            .map_err(|source| ModelError::Derive { kind: W::KIND, config: label, source })?;
        let specs = desired.children_specs.iter().flat_map(|specs| specs.iter());
        let rules: Vec<Rule> = specs.map(|spec| self.rule(spec)).collect();
        if self.children.len() > MOST {
            let (kind, what, count) = (W::KIND, "children", self.children.len());
            return Err(ModelError::TooMany { kind, what, count });
        }
        let (initial, target) = (place::<W>(W::initial_state(&spec)), desired.state);
        Ok(Derived { label, initial, target, rules, config: desired.config, spec })
    }

    fn rule(&mut self, spec: &ChildSpec) -> Rule {
        let known = self.children.iter().position(|(name, _)| *name == spec.name);
        let child = known.unwrap_or_else(|| {
            let told = self.model.children.iter().find(|(name, _)| name == spec.name.as_str());
            let mut cases = match told {
                Some((_, cases)) => cases.clone(),
                None => Phase::ALL.iter().map(|phase| ChildCase::new(phase.as_str(), *phase)).collect(),
            };
            // Whatever a child believes of itself: it may be stale, and it may be impossible.
            let stale = cases.iter().find(|case| case.phase == Phase::Running);
            let stale = stale.map(|case| ChildCase { phase: Phase::Degraded, stale: true, ..*case });
            cases.extend(stale);
            cases.push(ChildCase::INVALID);
            self.children.push((spec.name.clone(), cases));
            self.children.len() - 1
        });
        let start_when = spec.extras.as_ref().map_or(StartWhen::Always, |extras| extras.start_when.clone());
        Rule {
            child,
            enabled: spec.enabled,
            invalid: spec.fault.is_some(),
            start_when,
            depends_on: spec.depends_on().to_vec(),
        }
    }

    /// Whether the kind is shown observations.
    pub(super) const fn observes(&self) -> bool {
        self.unit.is_none()
    }

    pub(super) fn state(&self, place: u8) -> W::State {
        W::State::ALL[usize::from(place)]
    }

    pub(super) fn observed(&self, seen: u8) -> Option<&W::Observed> {
        match seen {
            UNSEEN => self.unit.as_ref(),
            seen => self.model.observations.get(usize::from(seen)).map(|(_, value)| value),
        }
    }

    pub(super) fn action(&self, name: &'static str) -> u8 {
        let (place, _) = self.actions.borrow_mut().insert_full(name);
        u8::try_from(place).expect("an action's name is one of NAMES, which are few")
    }

    pub(super) fn action_name(&self, action: u8) -> &'static str {
        self.actions.borrow()[usize::from(action)]
    }

    /// Observations for which this holds under a config.
    fn where_shown(&self, config: u8, shown: impl Fn(&W::Config, &W::Observed) -> bool) -> Vec<u8> {
        let config = &*self.configs[usize::from(config)].config;
        let all = self.model.observations.iter().zip(0..);
        all.filter(|((_, seen), _)| shown(config, seen)).map(|(_, place)| place).collect()
    }

    /// What a cooperative world shows after an action.
    pub(super) fn shown_after(&self, action: u8, config: u8) -> Vec<u8> {
        let name = self.action_name(action);
        let told: Vec<_> = self.model.after.iter().filter(|(action, _)| *action == name).collect();
        self.where_shown(config, |config, seen| told.iter().any(|(_, shows)| shows(config, seen)))
    }

    /// What a cooperative world shows without an action.
    pub(super) fn shown_by_itself(&self, config: u8) -> Vec<u8> {
        match &self.model.by_itself {
            Some(shows) => self.where_shown(config, shows),
            None => self.where_shown(config, |config, seen| {
                !self.model.after.iter().any(|(_, shows)| shows(config, seen))
            }),
        }
    }

    pub(super) fn shown_at_any_time(&self, config: u8) -> Vec<u8> {
        match &self.model.at_any_time {
            Some(shows) => self.where_shown(config, shows),
            None => self.where_shown(config, |_, _| true),
        }
    }

    /// Whether a change between two configs ends the incarnation.
    pub(super) fn needs_restart(&self, new: u8, old: u8) -> bool {
        let config = |place: u8| &*self.configs[usize::from(place)].spec.config;
        config(new).needs_restart(config(old))
    }

    /// All children of a config, held in Stopped; those that can't be made are invalid.
    pub(super) fn children_held(&self, config: u8) -> u32 {
        let mut vector = vec![ABSENT; self.children.len()];
        for rule in &self.configs[usize::from(config)].rules {
            vector[rule.child] = self.held(rule);
        }
        self.vector(vector)
    }

    /// The children of another config: those that are in both go on as they are.
    pub(super) fn children_under(&self, config: u8, children: u32) -> u32 {
        let before = self.vectors.borrow()[children as usize].clone();
        let mut vector = vec![ABSENT; self.children.len()];
        for rule in &self.configs[usize::from(config)].rules {
            let old = before[rule.child];
            vector[rule.child] = if old == ABSENT || rule.invalid { self.held(rule) } else { old };
        }
        self.vector(vector)
    }

    fn held(&self, rule: &Rule) -> u8 {
        let cases = &self.children[rule.child].1;
        let fits = |case: &ChildCase| if rule.invalid { case.invalid } else { case.phase == Phase::Stopped };
        // A child without a state at rest begins in its first one.
        cases.iter().position(fits).and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
    }

    fn vector(&self, vector: Vec<u8>) -> u32 {
        let (place, _) = self.vectors.borrow_mut().insert_full(vector.into());
        u32::try_from(place).expect("situations are limited, and so are their children")
    }

    /// The children of a situation with their names, in declared order.
    pub(super) fn family(&self, at: Situation) -> Vec<(&str, ChildCase)> {
        let vectors = self.vectors.borrow();
        let vector = &vectors[at.children as usize];
        let rules = self.configs[usize::from(at.config)].rules.iter();
        let child = |rule: &Rule| {
            let (name, cases) = &self.children[rule.child];
            (name.as_str(), cases[usize::from(vector[rule.child])])
        };
        rules.map(child).collect()
    }

    pub(super) fn children_rest(&self, at: Situation) -> bool {
        self.family(at).iter().all(|(_, case)| case.is_at_rest())
    }

    /// Where the children may be next, each by itself: as far as their parent's state, their own conditions and the goal
    /// let them run.
    pub(super) fn children_moves(&self, at: Situation, mut moved: impl FnMut(u32, &ChildName, ChildCase)) {
        if self.children.is_empty() {
            return;
        }
        let state = self.state(at.state);
        let family = self.family(at);
        let config = &self.configs[usize::from(at.config)];
        for (rule, (_, now)) in config.rules.iter().zip(&family) {
            if rule.invalid {
                continue;
            }
            let met = rule.depends_on.iter().all(|dependency| is_met(dependency, &family));
            let holds = rule.depends_on.iter().any(|dependency| dependency.stop_when_unmet);
            let may_run = !at.stop
                && rule.enabled
                && rule.start_when.holds(state.name(), state.phase())
                && (met || !(holds || now.phase == Phase::Stopped));
            let (name, cases) = &self.children[rule.child];
            for (case, place) in cases.iter().zip(0..) {
                let fits = match case.phase {
                    Phase::Stopped => true,
                    // On its way; what is at rest stays so.
                    Phase::Stopping => may_run || !now.phase.is_at_rest(),
                    Phase::Starting | Phase::Running | Phase::Degraded | Phase::Completed => may_run,
                };
                if fits && case != now {
                    let mut vector = self.vectors.borrow()[at.children as usize].clone();
                    vector[rule.child] = place;
                    moved(self.vector(vector.into()), name, *case);
                }
            }
        }
    }

    /// Asks `next` or `stop`; a panic is its text.
    pub(super) fn ask(&self, at: Situation) -> Result<Answer, String> {
        let name = ChildName::try_new("case").expect("a fixed good name");
        let target: &W::Config = &self.configs[usize::from(at.config)].config;
        let observed = self.observed(at.seen);
        let mut counts = ChildrenCounts::default();
        let family = Family { list: self.family(at) };
        for (_, case) in &family.list {
            *counts.of(case.phase) += 1;
        }
        let report = at.last.map(|last| {
            let ended = NOW - Duration::from_nanos(at.acted);
            let name = self.action_name(last.action);
            let mut report = ActionReport::new(ActionId::new(1), name, last.outcome, ended, Duration::ZERO);
            report.error = (last.outcome != Outcome::Success).then(|| Arc::from("as the model says"));
            report
        });
        let generation = Generation::new(u64::from(at.current));
        let core = SnapshotCore {
            whoami: Whoami::new(&name, W::KIND, NodeId::new(1, Incarnation::new(1)), 1, &ModelPath),
            now: NOW,
            wake: Cell::new(None),
            children: ChildrenView::new(counts, &family),
            last_action: report.as_ref(),
            attempts: u32::from(at.attempts),
            failures: u32::from(at.failures),
            retry_after: None,
            entered_at: NOW - Duration::from_nanos(at.entered),
            observation: (at.seen != UNSEEN).then(|| Observation::new(NOW, NOW, generation)),
            desired: Generation::new(1),
        };
        let state = self.state(at.state);
        let decision = catch_unwind(AssertUnwindSafe(|| match (at.stop, observed) {
            (true, observed) => Some(state.stop(&StopSnapshot::new(&core, target, observed))),
            (false, Some(observed)) => Some(state.next(&Snapshot::new(&core, target, observed))),
            // The engine never asks then (S-5), and neither does the exploration.
            (false, None) => None,
        }));
        let decision = match decision {
            Ok(Some(decision)) => decision,
            Ok(None) => return Err("asked without an observation".into()),
            Err(panic) => return Err(text_of(&*panic)),
        };
        let (step, reason) = decision.into_parts();
        let step = match step {
            Step::Stay => Stepped::Stay,
            Step::Move(to) if to == state => Stepped::Stay,
            Step::Move(to) => Stepped::Move(place::<W>(to)),
            Step::Act(action) => {
                Stepped::Act { action: self.action(action.name()), shown: format!("{action:?}") }
            }
            Step::Remove => Stepped::Remove,
            Step::Restart => Stepped::Restart,
        };
        let wake = core.wake.get().map(|wake| wake.as_nanos().saturating_sub(NOW.as_nanos()));
        Ok(Answer { step, reason, wake })
    }
}

fn is_met(dependency: &Dependency, family: &[(&str, ChildCase)]) -> bool {
    let sibling = family.iter().find(|(name, _)| *name == dependency.child.as_str());
    sibling.is_some_and(|(_, case)| match dependency.condition {
        Condition::Started => case.phase != Phase::Stopped,
        Condition::Healthy => case.phase == Phase::Running,
        Condition::Completed => case.phase == Phase::Completed,
    })
}

fn place<W: Worker>(state: W::State) -> u8 {
    let place = W::State::ALL.iter().position(|known| *known == state).expect("ALL holds every state");
    u8::try_from(place).expect("at most 256 states")
}

pub(super) fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".into())
}
