//! The tree as an arena: hot fields apart from cold ones, places reused, incarnations never.

use std::sync::Arc;

use fsm_core::erase::{DynWorker, Slot, StateIndex};
use fsm_core::{
    ActionId, ActionReport, CauseId, ChildName, ChildSpec, ChildView, ChildrenCounts, ChildrenSource,
    ChildrenSpecs, DeriveError, Generation, Goal, Incarnation, Moment, NameHasher, NodeId, NodePath, PathOf,
    Phase, Policy, Reason, Target, Vars,
};
use fsm_metrics::ScopeId;
use indexmap::IndexMap;

use super::flags::Flags;
use crate::history::History;
use crate::planted::{self, Bug};

/// No parent.
pub(crate) const NONE: u32 = u32::MAX;

/// What ticks, timers and equal observations touch: one cache line.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(crate) struct Hot {
    pub(crate) incarnation: Incarnation,
    pub(crate) parent: u32,
    /// Grows along the siblings in declared order; gaps are fine.
    pub(crate) position: u32,
    pub(crate) slot: Slot,
    /// Where its samples go.
    pub(crate) scope: ScopeId,
    pub(crate) flags: Flags,
    pub(crate) kind: u16,
    pub(crate) depth: u16,
    pub(crate) state: StateIndex,
    /// The phase of its state.
    pub(crate) phase: Phase,
    /// The phase that everybody else believes.
    pub(crate) effective: Phase,
    pub(crate) goal: Goal,
    /// When the last believed observation was started and complete.
    pub(crate) started: Moment,
    pub(crate) taken: Moment,
    /// The armed deadlines; a timer entry with another moment is void.
    pub(crate) wake_at: Moment,
    pub(crate) collect_at: Moment,
}

/// What only visits touch: two cache lines that each one reads, and a third for what is new.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Cold {
    pub(crate) reason: Reason,

    pub(crate) supervisor: Option<Box<Supervisor>>,
    pub(crate) activity: Option<Box<Activity>>,
    pub(crate) trouble: Option<Box<Trouble>>,
    pub(crate) spec: Arc<ChildSpec>,
    pub(crate) entered_at: Moment,
    pub(crate) desired: Generation,
    pub(crate) starts: u32,
    /// Actions that ended in this state, and the failures in a row among them.
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    /// Moves in a row without any new input but its own state.
    pub(crate) moves: u8,
    /// States in a row that lasted less than an interval.
    pub(crate) flurry: u8,
    pub(crate) target: Target,

    /// What made it due last.
    pub(crate) cause: CauseId,
    pub(crate) history: History,
    /// The desired state under which the believed observation was taken; the present one unless `OUTDATED` is set.
    pub(crate) observed_under: Generation,
    /// Own variables over inherited ones.
    pub(crate) variables: Arc<Vars>,
    /// Overridden policy; none is the kind's.
    pub(crate) policy: Option<Arc<Policy>>,
    pub(crate) created_at: u64,
}

/// A node's memory is what a million of them cost, and its lines what a visit waits for.
const _: () = assert!(size_of::<Hot>() == 64 && size_of::<Option<Cold>>() == 192);

impl Cold {
    /// Its name among its siblings.
    pub(crate) fn name(&self) -> &ChildName {
        &self.spec.name
    }
}

/// What only nodes with children have.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    pub(crate) children: IndexMap<ChildName, NodeId, NameHasher>,
    /// The last good specs.
    pub(crate) specs: ChildrenSpecs,
    pub(crate) counts: ChildrenCounts,
    /// Children whose goal depends on siblings or on this node's state.
    pub(crate) gated: Vec<NodeId>,
    /// Children that removed themselves, with the spec that declared them then.
    pub(crate) tombstones: IndexMap<ChildName, Arc<ChildSpec>, NameHasher>,
    /// Children added at run time.
    pub(crate) dynamic: IndexMap<ChildName, Arc<ChildSpec>, NameHasher>,
    /// Where specs changed, when their names and their order did not.
    pub(crate) places: Option<Vec<u32>>,
    /// Some spec names a sibling.
    pub(crate) with_dependencies: bool,
    /// How many specs can't be used.
    pub(crate) faults: usize,
    /// A child ended its life.
    pub(crate) gone: bool,
    /// Whose goals depend on others is to be found anew.
    pub(crate) regate: bool,
    /// Children that are not at rest; a parent's `stop` waits for zero.
    pub(crate) awake: u32,
    pub(crate) spread: Spread,
}

impl Supervisor {
    /// Moves a child from one counter to another.
    pub(crate) fn recount(&mut self, before: Phase, now: Phase, rested: bool, rests: bool) {
        *self.counts.of(before) -= 1;
        *self.counts.of(now) += 1;
        self.awake = self.awake + u32::from(rested) - u32::from(rests);
    }
}

/// How deep and how long the present tick went below a supervisor (S-3).
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) tick: u64,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) depth: u16,
}

/// What only nodes that acted have.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    pub(crate) running: Option<Running>,
    pub(crate) last: Option<ActionReport>,
    /// Which state acted last, and when: coming back to it doesn't make it act sooner.
    pub(crate) acted: Option<(StateIndex, Moment)>,
    /// Observations started before this are not asked about.
    pub(crate) after: Moment,
    /// `stop` waits for an observation until then.
    pub(crate) patience: Moment,
}

/// An action in flight.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) id: ActionId,
    pub(crate) name: &'static str,
    pub(crate) since: Moment,
    pub(crate) cancelled: bool,
}

/// What only nodes in trouble have.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// Why its spec or config can't be used; the last good desired state goes on.
    pub(crate) invalid: Option<Arc<DeriveError>>,
    pub(crate) derive_retry: Option<Moment>,
    pub(crate) derive_failures: u32,
    /// Panics of derive, next and stop inside the window.
    pub(crate) panics: Vec<Moment>,
    /// `stop` panicked: not again before this.
    pub(crate) stop_retry: Option<Moment>,
    pub(crate) collector_restarts: u32,
    /// Told to stop by an operator (S-26).
    pub(crate) stopped_by: Option<Arc<str>>,
    /// A spec that can't be used, declared over the good one that goes on.
    pub(crate) refused: Option<Arc<ChildSpec>>,
    /// It stops after those that depend on it, but waits no longer than this.
    pub(crate) yield_until: Option<Moment>,
    /// When the node is forced.
    pub(crate) stop_deadline: Option<Moment>,
    /// The last look before removal ends at this moment at the latest.
    pub(crate) farewell: Option<Moment>,
    /// Restarts inside the window, and until when the new incarnation is held back.
    pub(crate) restarts: Vec<Moment>,
    /// Restarts since it was healthy for one window: the back-off grows with these, however slowly they come.
    pub(crate) streak: u32,
    /// The budget is spent until it was healthy for one window.
    pub(crate) spent: bool,
    /// When the budget of its children will be whole again: each restart of one moves it by a share of the window.
    pub(crate) below: Moment,
    /// That budget is spent until then.
    pub(crate) below_spent: bool,
    /// Since when it is healthy, while restarts are remembered.
    pub(crate) healthy_since: Option<Moment>,
    pub(crate) restart_at: Option<Moment>,
    /// `next` is not asked before this: it panicked, or it moved in circles.
    pub(crate) not_before: Moment,
    pub(crate) last_collect_error: Option<Arc<str>>,
    /// The freshness timer that counts, where the bounds of freshness changed; others are from before.
    pub(crate) fresh_at: Option<Moment>,
}

impl Trouble {
    /// What a new incarnation inherits: the budget, the operator's word, and that its newest spec can't be used.
    pub(crate) fn of_the_next_life(self) -> Self {
        Self {
            restarts: self.restarts,
            streak: self.streak,
            spent: self.spent,
            restart_at: self.restart_at,
            stopped_by: self.stopped_by,
            ..Self::default()
        }
    }
}

/// All nodes.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    hot: Vec<Hot>,
    cold: Vec<Option<Cold>>,
    free: Vec<u32>,
    next_incarnation: u32,
    len: usize,
}

impl Arena {
    pub(crate) fn insert(&mut self, mut hot: Hot, cold: Cold) -> NodeId {
        self.next_incarnation += 1;
        hot.incarnation = Incarnation::new(self.next_incarnation);
        self.len += 1;
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.hot.push(hot.clone());
                self.cold.push(None);
                u32::try_from(self.hot.len() - 1).expect("fewer than 2^32 nodes fit in memory")
            }
        };
        let id = NodeId::new(index, hot.incarnation);
        self.hot[index as usize] = hot;
        self.cold[index as usize] = Some(cold);
        id
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<Cold> {
        let cold = self.cold[index as usize].take()?;
        self.hot[index as usize].incarnation = Incarnation::new(0);
        self.free.push(index);
        self.len -= 1;
        Some(cold)
    }

    /// How many places there are, taken or free.
    pub(crate) const fn places(&self) -> usize {
        self.hot.len()
    }

    /// The node in this place starts another life.
    pub(crate) fn reincarnate(&mut self, index: u32) -> NodeId {
        self.next_incarnation += 1;
        self.hot[index as usize].incarnation = Incarnation::new(self.next_incarnation);
        self.id(index)
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether this incarnation lives.
    pub(crate) fn lives(&self, node: NodeId) -> bool {
        self.hot.get(node.index()).is_some_and(|hot| {
            hot.incarnation == node.incarnation()
                || planted::is(Bug::NoIncarnationCheck) && hot.incarnation.get() != 0
        })
    }

    pub(crate) fn hot(&self, index: u32) -> &Hot {
        &self.hot[index as usize]
    }

    pub(crate) fn hot_mut(&mut self, index: u32) -> &mut Hot {
        &mut self.hot[index as usize]
    }

    pub(crate) fn cold(&self, index: u32) -> &Cold {
        self.cold[index as usize].as_ref().expect("indices of living nodes only")
    }

    /// Reads a little of each line of a node that visits read.
    pub(crate) fn touch(&self, index: u32) -> usize {
        self.cold[index as usize].as_ref().map_or(0, |cold| cold.reason.text().len() + cold.moves as usize)
    }

    /// The same for what visits of its children read of a supervisor.
    pub(crate) fn touch_family(&self, index: u32) -> usize {
        let supervisor = self.cold.get(index as usize).and_then(|cold| cold.as_ref()?.supervisor.as_ref());
        supervisor.map_or(0, |s| s.spread.depth as usize + s.awake as usize)
    }

    pub(crate) fn cold_if_alive(&mut self, index: u32) -> Option<&mut Cold> {
        self.cold[index as usize].as_mut()
    }

    pub(crate) fn cold_mut(&mut self, index: u32) -> &mut Cold {
        self.cold[index as usize].as_mut().expect("indices of living nodes only")
    }

    pub(crate) fn id(&self, index: u32) -> NodeId {
        NodeId::new(index, self.hot(index).incarnation)
    }

    /// All living nodes, in arena order.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        self.hot
            .iter()
            .enumerate()
            .filter(|(_, hot)| hot.incarnation.get() != 0)
            .map(|(index, _)| index as u32)
    }

    pub(crate) fn path(&self, index: u32) -> NodePath {
        let mut names = Vec::with_capacity(self.hot(index).depth as usize + 1);
        let mut at = index;
        while at != NONE {
            names.push(self.cold(at).name());
            at = self.hot(at).parent;
        }
        NodePath::from_names(names.into_iter().rev())
    }

    /// The node at this path below `root`.
    pub(crate) fn find(&self, root: u32, path: &NodePath) -> Option<u32> {
        let mut segments = path.segments();
        if segments.next() != Some(self.cold(root).name().as_str()) {
            return None;
        }
        segments.try_fold(root, |at, name| {
            let child = self.cold(at).supervisor.as_ref()?.children.get(name)?;
            Some(child.index() as u32)
        })
    }
}

/// The tree as a visited node sees it: its children, and paths.
pub(crate) struct Family<'a> {
    pub(crate) arena: &'a Arena,
    pub(crate) kinds: &'a [Box<dyn DynWorker>],
    pub(crate) node: u32,
}

impl Family<'_> {
    fn view(&self, child: NodeId) -> Option<ChildView<'_>> {
        if !self.arena.lives(child) {
            return None;
        }
        let index = child.index() as u32;
        let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
        let state = match hot.slot {
            Slot::NONE => "",
            _ => self.kinds[hot.kind as usize].states()[hot.state.get()].name,
        };
        let mut view =
            ChildView::new(cold.name().as_str(), hot.effective, state, &cold.reason, cold.entered_at);
        view.stale = hot.flags.has(Flags::STALE);
        view.circuit_open = hot.flags.has(Flags::PANIC_OPEN);
        view.invalid = hot.flags.has(Flags::INVALID);
        Some(view)
    }

    fn supervisor(&self) -> Option<&Supervisor> {
        self.arena.cold(self.node).supervisor.as_deref()
    }
}

impl ChildrenSource for Family<'_> {
    fn get(&self, name: &str) -> Option<ChildView<'_>> {
        self.view(*self.supervisor()?.children.get(name)?)
    }
    fn at(&self, index: usize) -> Option<ChildView<'_>> {
        // A child that is gone but not swept yet is skipped by showing the next one that lives.
        let children = &self.supervisor()?.children;
        children.values().filter_map(|id| self.view(*id)).nth(index)
    }
}

impl PathOf for Family<'_> {
    fn path_of(&self, node: NodeId) -> NodePath {
        self.arena.path(node.index() as u32)
    }
}
