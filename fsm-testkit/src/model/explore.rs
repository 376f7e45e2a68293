//! The exploration: breadth first from the initial states over everything that the environment can do.

use std::collections::{BTreeMap, BTreeSet};

use fsm_core::{ChildName, Outcome, Phase, Reason, Sort, State, Target, Worker};
use indexmap::IndexMap;

use super::situation::{Situation, UNSEEN};
use super::space::Space;
use super::{ChildCase, ModelError};
use crate::graph::{Graph, Target as EdgeTarget};

/// A question that panicked so often isn't asked again: each panic is printed, and one would do.
const PANICS: usize = 3;

/// What a state answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) step: Stepped,
    pub(crate) reason: Reason,
    /// Nanoseconds from now to the wake-up that it booked.
    pub(crate) wake: Option<u64>,
}

/// A step, as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stepped {
    Stay,
    /// To another state.
    Move(u8),
    Act {
        action: u8,
        /// The action with its data.
        shown: String,
    },
    Remove,
    Restart,
}

/// How a situation came out of the one before.
#[derive(Debug, Clone)]
pub(super) enum Via {
    Start,
    /// By the answer: a move, a restart, a removal.
    Answer,
    /// An action ended, and this was seen.
    Ended(Outcome, u8),
    Sees(u8),
    Config,
    ToldToStop,
    ToldToRun,
    Waited,
    Child(ChildName, ChildCase),
}

/// One situation that was reached.
pub(super) struct Node {
    pub(super) from: u32,
    pub(super) via: Via,
    /// None where nobody asks: no observation yet, or children that are still up.
    pub(super) answer: Option<Result<Answer, String>>,
}

/// Everything that was reached.
pub(super) struct Explored {
    pub(super) nodes: IndexMap<Situation, Node, foldhash::fast::FixedState>,
    /// Transitions of the cooperative world, by place.
    pub(super) friendly: Vec<(u32, u32)>,
    pub(super) transitions: u64,
}

/// What a situation leads to.
struct Next {
    to: Situation,
    via: Via,
    /// In the cooperative world, too.
    friendly: bool,
}

/// What the world may show, per config, worked out once.
struct Shown {
    by_itself: Vec<u8>,
    at_any_time: Vec<u8>,
}

impl Explored {
    pub(super) fn try_new<W: Worker>(space: &Space<'_, W>) -> Result<Self, ModelError> {
        let mut explored = Self { nodes: IndexMap::default(), friendly: Vec::new(), transitions: 0 };
        let count = u8::try_from(space.configs.len()).expect("few configs: checked before");
        let shown: Vec<Shown> = (0..count)
            .map(|config| Shown {
                by_itself: space.shown_by_itself(config),
                at_any_time: space.shown_at_any_time(config),
            })
            .collect();
        for config in 0..count {
            explored.reach(u32::MAX, Next { to: initial(space, config), via: Via::Start, friendly: false });
        }
        let mut place = 0;
        let mut next = Vec::new();
        let mut panics: BTreeMap<(u8, bool), usize> = BTreeMap::new();
        while place < explored.nodes.len() {
            let at = *explored.nodes.get_index(place).expect("just counted").0;
            let panicked = panics.entry((at.state, at.stop)).or_default();
            let answer = match *panicked < PANICS {
                true => is_asked(space, at).then(|| space.ask(at)),
                false => Some(Err("as before".into())),
            };
            *panicked += usize::from(matches!(answer, Some(Err(_))));
            successors(
                space,
                &shown,
                at,
                answer.as_ref().and_then(|answer| answer.as_ref().ok()),
                &mut next,
            )?;
            explored.nodes[place].answer = answer;
            let from = u32::try_from(place).expect("situations are limited");
            for next in next.drain(..) {
                explored.reach(from, next);
            }
            if explored.nodes.len() > space.model.limit {
                return Err(ModelError::TooLarge { kind: W::KIND, limit: space.model.limit });
            }
            place += 1;
        }
        Ok(explored)
    }

    fn reach(&mut self, from: u32, next: Next) {
        let entry = self.nodes.entry(next.to);
        let to = u32::try_from(entry.index()).expect("situations are limited");
        entry.or_insert(Node { from, via: next.via, answer: None });
        self.transitions += 1;
        if next.friendly {
            self.friendly.push((from, to));
        }
    }

    /// Situations with what was answered there.
    pub(super) fn answers(&self) -> impl Iterator<Item = (u32, Situation, &Answer)> {
        let all = self.nodes.iter().zip(0..);
        all.filter_map(|((at, node), place)| Some((place, *at, node.answer.as_ref()?.as_ref().ok()?)))
    }

    /// The same situation, somewhere else: where a situation leads by the worker's own doing.
    pub(super) fn place_of(&self, at: &Situation) -> Option<u32> {
        self.nodes.get_index_of(at).and_then(|place| u32::try_from(place).ok())
    }

    /// What the states do, as a picture.
    pub(super) fn graph<W: Worker>(&self, space: &Space<'_, W>) -> Graph {
        let mut graph = Graph::new::<W>();
        let initial: BTreeSet<u8> = space.configs.iter().map(|config| config.initial).collect();
        graph.begin(initial);
        for (_, at, answer) in self.answers() {
            match &answer.step {
                Stepped::Stay => {}
                Stepped::Move(to) => graph.edge(at.state, EdgeTarget::State(*to), at.stop, &answer.reason),
                Stepped::Act { action, .. } => graph.acts(at.state, space.action_name(*action)),
                Stepped::Remove => graph.edge(at.state, EdgeTarget::Removed, at.stop, &answer.reason),
                Stepped::Restart => graph.edge(at.state, EdgeTarget::Restarted, at.stop, &answer.reason),
            }
        }
        graph.sort();
        graph
    }
}

fn initial<W: Worker>(space: &Space<'_, W>, config: u8) -> Situation {
    let derived = &space.configs[usize::from(config)];
    Situation {
        state: derived.initial,
        stop: derived.target == Target::Stopped,
        config,
        seen: UNSEEN,
        current: true,
        last: None,
        attempts: 0,
        failures: 0,
        entered: 0,
        acted: 0,
        waits: 0,
        children: space.children_held(config),
    }
}

/// Whether the engine asks here: `next` with an observation only, `stop` when the children are at rest.
fn is_asked<W: Worker>(space: &Space<'_, W>, at: Situation) -> bool {
    if at.stop { space.children_rest(at) } else { space.observed(at.seen).is_some() }
}

/// Whether a node that is told to leave is gone here (S-20).
pub(super) fn is_gone<W: Worker>(space: &Space<'_, W>, at: Situation) -> bool {
    at.stop && space.state(at.state).phase().is_at_rest() && space.children_rest(at)
}

/// Whether a node that is told to run does.
pub(super) fn is_well<W: Worker>(space: &Space<'_, W>, at: Situation) -> bool {
    let state = space.state(at.state);
    !at.stop
        && (matches!(state.phase(), Phase::Running | Phase::Completed)
            || space.model.rests_in.contains(&state))
}

fn successors<W: Worker>(
    space: &Space<'_, W>,
    shown: &[Shown],
    at: Situation,
    answer: Option<&Answer>,
    out: &mut Vec<Next>,
) -> Result<(), ModelError> {
    let mut add = |to: Situation, via: Via, friendly: bool| {
        if to != at {
            out.push(Next { to, via, friendly });
        }
    };
    let shown = &shown[usize::from(at.config)];
    let is_passive = space.state(at.state).sort() == Sort::Passive;
    if let Some(answer) = answer {
        match &answer.step {
            Stepped::Stay => {
                if let Some(nanos) = answer.wake.filter(|nanos| *nanos > 0) {
                    add(at.later(nanos), Via::Waited, true);
                }
            }
            Stepped::Move(state) => add(at.moved(*state), Via::Answer, true),
            Stepped::Act { action, .. } => ends(space, at, *action, &mut add)?,
            Stepped::Remove => add(Situation { stop: true, ..at }, Via::Answer, false),
            Stepped::Restart => {
                add(Situation { stop: at.stop, ..initial(space, at.config) }, Via::Answer, true)
            }
        }
    }
    add(at.much_later(), Via::Waited, true);
    if space.observes() {
        for seen in &shown.at_any_time {
            // The first look may show anything; told to stop, nothing is promised to whoever sees nothing.
            let friendly = match (at.seen, at.stop) {
                (UNSEEN, stop) => !stop,
                (now, _) if now == *seen => true,
                // A passive state waits for others to change the world; a trying one is to change it.
                (_, false) if is_passive => true,
                (_, _) => shown.by_itself.contains(seen),
            };
            add(at.sees(*seen), Via::Sees(*seen), friendly);
        }
        if at.seen != UNSEEN && !at.current {
            add(at.sees(at.seen), Via::Sees(at.seen), true);
        }
        if at.stop && at.seen != UNSEEN {
            add(Situation { seen: UNSEEN, ..at }, Via::Sees(UNSEEN), false);
        }
    }
    for (config, place) in space.configs.iter().zip(0..) {
        if place != at.config && !space.needs_restart(place, at.config) {
            let stop = at.stop || config.target == Target::Stopped;
            let children = space.children_under(place, at.children);
            let current = at.seen == UNSEEN;
            add(Situation { config: place, stop, children, current, ..at }, Via::Config, false);
        }
    }
    if at.stop {
        if space.configs[usize::from(at.config)].target == Target::Running {
            add(Situation { stop: false, ..at }, Via::ToldToRun, false);
        }
    } else {
        add(Situation { stop: true, ..at }, Via::ToldToStop, false);
    }
    space.children_moves(at, |children, name, case| {
        add(Situation { children, ..at }, Via::Child(name.clone(), case), !case.invalid && !case.stale);
    });
    Ok(())
}

/// The ends that an action can have.
fn ends<W: Worker>(
    space: &Space<'_, W>,
    at: Situation,
    action: u8,
    add: &mut impl FnMut(Situation, Via, bool),
) -> Result<(), ModelError> {
    let after = space.shown_after(action, at.config);
    if after.is_empty() && space.observes() {
        let config = space.configs[usize::from(at.config)].label;
        return Err(ModelError::NothingAfter { action: space.action_name(action), config });
    }
    let is_blind = at.seen == UNSEEN;
    for outcome in &space.model.outcomes {
        let ended = at.acted(action, *outcome, space.model.failures);
        let succeeded = *outcome == Outcome::Success;
        // Nothing may have come of it; for who sees nothing that is all there is to know.
        add(ended, Via::Ended(*outcome, at.seen), succeeded && is_blind);
        if !is_blind {
            for seen in &after {
                add(ended.sees(*seen), Via::Ended(*outcome, *seen), succeeded);
            }
        }
    }
    Ok(())
}
