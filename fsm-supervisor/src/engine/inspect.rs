//! What can be seen of the tree at any moment (S-50): plain values for the API, the command line and tests.

use std::sync::Arc;

use fsm_core::erase::Slot;
use fsm_core::{
    CauseId, ChildName, ChildrenCounts, Generation, Goal, Incarnation, Moment, NodeId, NodePath, Outcome,
    Phase, Policy, Sort, Vars,
};
use serde::Serialize;
use serde_json::Value;

use super::Engine;
use super::flags::Flags;
use crate::history::HistoryEntry;
use crate::input::{ActionRequestError, CommandError};

/// A node in one line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TreeEntry {
    /// Its path.
    pub path: NodePath,
    /// Its kind.
    pub kind: Arc<str>,
    /// Levels below the root.
    pub depth: u16,
    /// Its state; empty when it never had one.
    pub state: &'static str,
    /// What everybody believes of its health.
    pub phase: Phase,
    /// Why.
    pub reason: String,
    /// Since when it is in this state.
    pub since: Moment,
    /// What the engine wants of it.
    pub goal: Goal,
    /// Its spec, config or templates can't be used.
    pub invalid: bool,
    /// Its observation is too old to be believed.
    pub stale: bool,
    /// Its panic circuit is open.
    pub circuit_open: bool,
    /// What it needs of the outside world can't be reached.
    pub cut_off: bool,
    /// It was added at run time.
    pub dynamic: bool,
    /// Told to stop by this operator.
    pub stopped_by: Option<Arc<str>>,
    /// Which life of its path it is.
    pub incarnation: Incarnation,
    /// The action in flight.
    pub acting: Option<&'static str>,
}

/// An action as seen from outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ActionView {
    /// Its name.
    pub name: &'static str,
    /// When it was asked for, or started.
    pub since: Moment,
    /// How it ended; none while it runs.
    pub outcome: Option<Outcome>,
    /// Attempts made.
    pub attempts: u32,
    /// What went wrong.
    pub error: Option<Arc<str>>,
}

/// Everything about one node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NodeView {
    /// The node in one line.
    #[serde(flatten)]
    pub entry: TreeEntry,
    /// The sort of its state.
    pub sort: Option<Sort>,
    /// How often its path was started.
    pub starts: u32,
    /// The generation of its desired state.
    pub desired: Generation,
    /// The generation under which it was observed.
    pub observed_under: Option<Generation>,
    /// When the observation was taken.
    pub observed_at: Option<Moment>,
    /// What made it due last.
    pub cause: CauseId,
    /// Restarts inside the budget's window.
    pub restarts: usize,
    /// When something is looked at again, at the latest, if a deadline is booked.
    pub next_look: Option<Moment>,
    /// The config to reach.
    pub config: Value,
    /// Variables it sees.
    pub variables: Arc<Vars>,
    /// The last observation.
    pub observed: Option<Value>,
    /// Why the last collection failed, if it did.
    pub collect_error: Option<Arc<str>>,
    /// The action in flight, else the last one.
    pub action: Option<ActionView>,
    /// Its children by effective phase.
    pub children: Children,
    /// The rendered specs of its children, by name.
    pub children_specs: Value,
    /// Why its spec can't be used.
    pub error: Option<String>,
    /// The last decisions, oldest first.
    pub history: Vec<HistoryEntry>,
}

impl std::ops::Deref for NodeView {
    type Target = TreeEntry;
    fn deref(&self) -> &TreeEntry {
        &self.entry
    }
}

/// Children by effective phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Children {
    /// Effective phase Running.
    pub healthy: u32,
    /// Stopped.
    pub stopped: u32,
    /// Completed.
    pub completed: u32,
    /// All else.
    pub degraded: u32,
}

impl From<ChildrenCounts> for Children {
    fn from(counts: ChildrenCounts) -> Self {
        let ChildrenCounts { healthy, stopped, completed, degraded } = counts;
        Self { healthy, stopped, completed, degraded }
    }
}

impl Engine {
    /// The tree, parents before children, siblings in declared order.
    #[must_use]
    pub fn tree(&self) -> Vec<TreeEntry> {
        let mut entries = Vec::with_capacity(self.arena.len());
        let mut stack: Vec<u32> = self
            .root
            .iter()
            .filter(|root| self.arena.lives(**root))
            .map(|root| root.index() as u32)
            .collect();
        while let Some(index) = stack.pop() {
            entries.push(self.entry(index));
            if let Some(supervisor) = &self.arena.cold(index).supervisor {
                let living = supervisor.children.values().rev().filter(|id| self.arena.lives(**id));
                stack.extend(living.map(|id| id.index() as u32));
            }
        }
        entries
    }

    /// One node in one line.
    #[must_use]
    pub fn entry_at(&self, path: &NodePath) -> Option<TreeEntry> {
        self.find(path).ok().map(|index| self.entry(index))
    }

    /// Everything about one node.
    #[must_use]
    pub fn node(&self, path: &NodePath) -> Option<NodeView> {
        self.find(path).ok().map(|index| self.view(index))
    }

    /// The handle of the incarnation that lives at this path.
    #[must_use]
    pub fn id_of(&self, path: &NodePath) -> Option<NodeId> {
        self.find(path).ok().map(|index| self.arena.id(index))
    }

    /// The policy that a node runs under: its kind's, with what its spec overrides.
    #[must_use]
    pub fn policy_of(&self, path: &NodePath) -> Option<&Policy> {
        self.find(path).ok().map(|index| self.policy(index))
    }

    /// The names of the children that a node declares, in its order; also of those that are not there yet.
    #[must_use]
    pub fn declared_children(&self, path: &NodePath) -> Vec<ChildName> {
        let supervisor = self.find(path).ok().and_then(|index| self.arena.cold(index).supervisor.as_deref());
        supervisor.map_or_else(Vec::new, |s| s.specs.iter().map(|spec| spec.name.clone()).collect())
    }

    /// The last observation of a node, typed behind `Any`, and when it was taken (S-36).
    #[must_use]
    pub fn observation(&self, path: &NodePath) -> Option<fsm_core::SeenAny> {
        let index = self.find(path).ok()?;
        let hot = self.arena.hot(index);
        if hot.slot == Slot::NONE || !hot.flags.has(Flags::OBSERVED) {
            return None;
        }
        let value = self.kinds[hot.kind as usize].observed(hot.slot)?;
        Some(fsm_core::SeenAny { value: value.into_any(), taken: hot.taken })
    }

    /// An action of a node's kind, made from a request.
    ///
    /// # Errors
    /// [`ActionRequestError`]: no such node, one that can't act, an unknown action, or an input that doesn't fit.
    pub fn request_action(
        &self,
        path: &NodePath,
        name: &str,
        input: Value,
    ) -> Result<Box<dyn fsm_core::erase::DynAction>, ActionRequestError> {
        let index = self.find(path)?;
        let hot = self.arena.hot(index);
        if hot.slot == Slot::NONE {
            return Err(CommandError::NotNow { path: path.clone(), why: "its spec can't be used" }.into());
        }
        self.kinds[hot.kind as usize]
            .request(name, input)
            .map_err(|source| ActionRequestError::Request { path: path.clone(), source })
    }

    /// The action in flight of a node.
    #[must_use]
    pub fn acting(&self, path: &NodePath) -> Option<fsm_core::ActionId> {
        let index = self.find(path).ok()?;
        Some(self.arena.cold(index).activity.as_ref()?.running.as_ref()?.id)
    }

    fn entry(&self, index: u32) -> TreeEntry {
        let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
        TreeEntry {
            path: self.arena.path(index),
            kind: Arc::from(&*cold.spec.kind),
            depth: hot.depth,
            state: self.state_name(index),
            phase: hot.effective,
            reason: cold.reason.to_string(),
            since: cold.entered_at,
            goal: hot.goal,
            invalid: hot.flags.has(Flags::INVALID),
            stale: hot.flags.has(Flags::STALE),
            circuit_open: hot.flags.has(Flags::PANIC_OPEN),
            cut_off: hot.flags.has(Flags::CUT_OFF),
            dynamic: hot.flags.has(Flags::DYNAMIC),
            stopped_by: cold.trouble.as_ref().and_then(|t| t.stopped_by.clone()),
            incarnation: hot.incarnation,
            acting: self.running(index),
        }
    }

    fn view(&self, index: u32) -> NodeView {
        let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
        let made = hot.slot != Slot::NONE;
        let kind = &self.kinds.get(hot.kind as usize).filter(|_| made);
        let observed = hot.flags.has(Flags::OBSERVED);
        let trouble = cold.trouble.as_ref();
        let next_look = match (hot.flags.has(Flags::COLLECTING), hot.wake_at.min(hot.collect_at)) {
            (true, _) => Some(hot.wake_at).filter(|at| *at != Moment::FAR),
            (false, at) => Some(at).filter(|at| *at != Moment::FAR),
        };
        let next_look = next_look.into_iter().chain(self.next_probe(index)).min();
        let specs = cold.supervisor.as_ref().map(|s| {
            let specs = s.specs.iter().chain(s.dynamic.values());
            specs.map(|spec| (spec.name.to_string(), spec_view(spec))).collect::<serde_json::Map<_, _>>()
        });
        NodeView {
            entry: self.entry(index),
            sort: kind.map(|kind| kind.states()[hot.state.get()].sort),
            starts: cold.starts,
            desired: cold.desired,
            observed_under: observed.then(|| self.observed_under(index)),
            observed_at: observed.then_some(hot.taken),
            cause: cold.cause,
            restarts: trouble.map_or(0, |t| t.restarts.len()),
            next_look,
            config: match kind {
                Some(kind) => kind.config(hot.slot).to_value(),
                None => cold.spec.config.to_value(),
            },
            variables: Arc::clone(&cold.variables),
            observed: kind
                .filter(|_| observed)
                .and_then(|kind| kind.observed(hot.slot))
                .map(|o| o.to_value()),
            collect_error: trouble.and_then(|t| t.last_collect_error.clone()),
            action: self.action_view(index),
            children: cold.supervisor.as_ref().map_or_else(Children::default, |s| s.counts.into()),
            children_specs: specs.map_or(Value::Null, Value::Object),
            error: trouble
                .and_then(|t| t.invalid.as_ref())
                .map(|error| fsm_core::chain(&**error).to_string()),
            history: match kind {
                Some(kind) => {
                    let (states, actions) = (kind.states(), kind.action_names());
                    cold.history.iter().map(|kept| kept.entry(states, actions)).collect()
                }
                None => Vec::new(),
            },
        }
    }

    fn action_view(&self, index: u32) -> Option<ActionView> {
        let activity = self.arena.cold(index).activity.as_ref()?;
        match (&activity.running, &activity.last) {
            (Some(running), _) => Some(ActionView {
                name: running.name,
                since: running.since,
                outcome: None,
                attempts: 0,
                error: None,
            }),
            (None, Some(last)) => Some(ActionView {
                name: last.name,
                since: last.started,
                outcome: Some(last.outcome),
                attempts: last.attempts,
                error: last.error.clone(),
            }),
            (None, None) => None,
        }
    }
}

fn spec_view(spec: &fsm_core::ChildSpec) -> Value {
    let mut view = serde_json::json!({
        "kind": spec.kind,
        "enabled": spec.enabled,
        "config": spec.config.to_value(),
    });
    if !spec.variables.is_empty() {
        view["variables"] = serde_json::json!(spec.variables);
    }
    if !spec.depends_on().is_empty() {
        view["depends_on"] = serde_json::json!(spec.depends_on());
    }
    if let Some(fault) = &spec.fault {
        view["error"] = Value::String(fsm_core::chain(&**fault).to_string());
    }
    view
}
