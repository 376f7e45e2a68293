//! The rules that hold after every step of every run.

use std::collections::BTreeMap;

use fsm_core::{Goal, Moment, NodeId, NodePath, Outcome, Phase};
use fsm_supervisor::{Effect, Engine, Event, EventKind, TreeEntry};

use super::run::Check;

/// No wait may be longer than this, with the jitter of its back-off (J4).
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(370);
/// A node remembers so many decisions (S-50).
const HISTORY: usize = 64;
/// A doubled back-off is at least so much longer than the one before, whatever the jitter of both (S-14: ±20 %).
const GROWS: f64 = 1.3;
/// So much of the cap is the cap, with its jitter.
const AT_CAP: f64 = 0.79;

/// What is known of the tree from what it told.
#[derive(Default)]
pub(super) struct Checks {
    /// How many rules were checked.
    pub(super) count: u64,
    entries: Vec<TreeEntry>,
    alive: BTreeMap<u32, NodePath>,
    lives: BTreeMap<NodePath, Life>,
    /// By node: when an observation that came was started, and when the last action ended.
    seen: BTreeMap<NodeId, Moment>,
    acted: BTreeMap<NodeId, Moment>,
}

/// The present life of a path, and its restarts.
#[derive(Default)]
struct Life {
    phase: Option<Phase>,
    forced: bool,
    acting: bool,
    last_back_off: Option<std::time::Duration>,
    healthy_since: Option<Moment>,
}

impl Checks {
    /// The tree as it is now.
    pub(super) fn look(&mut self, engine: &Engine) {
        self.entries = engine.tree();
        self.alive = self.entries.iter().map(|e| (e.incarnation.get(), e.path.clone())).collect();
    }

    pub(super) fn seen(&mut self, node: NodeId, started: Moment) {
        let seen = self.seen.entry(node).or_insert(started);
        *seen = (*seen).max(started);
    }

    pub(super) fn acted(&mut self, node: NodeId, now: Moment) {
        self.acted.insert(node, now);
    }

    /// The process is another one: nothing is known any more.
    pub(super) fn died(&mut self) {
        *self = Self { count: self.count, ..Self::default() };
    }

    /// An operator or a config spoke: back-offs may begin anew.
    pub(super) fn forgiven(&mut self) {
        for life in self.lives.values_mut() {
            life.last_back_off = None;
        }
    }

    /// What happened to each node is in order.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only some events are part of a rule")]
    pub(super) fn events(&mut self, engine: &Engine, events: &[Event], now: Moment) -> Check {
        for event in events {
            self.count += 1;
            let path = &event.path;
            let life = self.lives.entry(path.clone()).or_default();
            match &event.kind {
                removed_or_created @ (EventKind::NodeCreated { .. } | EventKind::NodeRemoved) => {
                    let rested = matches!(life.phase, None | Some(Phase::Stopped | Phase::Completed));
                    if !rested && !life.forced {
                        let phase = life.phase;
                        return broken("S-20", format!("{path} went before it stopped: it was {phase:?}"));
                    }
                    // Who leaves with somebody above it comes back as somebody new; a restart is a creation alone.
                    let restarts = matches!(removed_or_created, EventKind::NodeCreated { .. });
                    let last_back_off = life.last_back_off.filter(|_| restarts);
                    *life = Life { last_back_off, ..Life::default() };
                }
                EventKind::StateTransition { phase, from, to, .. } => {
                    life.phase = Some(*phase);
                    let entry = self.entries.iter().find(|e| e.path == *path);
                    if entry.is_some_and(|e| e.cut_off && e.goal == Goal::Run) {
                        return broken(
                            "S-41",
                            format!("{path} went from {from} to {to} while it is cut off"),
                        );
                    }
                    let running = entry.is_some_and(|e| e.goal == Goal::Run);
                    let node = engine.id_of(path).filter(|_| running);
                    if node.is_some_and(|node| self.is_outdated(node)) {
                        return broken(
                            "A-6",
                            format!("{path} went from {from} to {to} on what was seen before"),
                        );
                    }
                }
                EventKind::StopTimedOut { .. } => life.forced = true,
                EventKind::ActionStarted { .. } => life.acting = true,
                EventKind::ActionEnded { outcome, .. } => {
                    // One that was refused or cancelled while it waited never started.
                    let began = std::mem::take(&mut life.acting);
                    if *outcome == Outcome::Success && !began {
                        return broken("A-5", format!("{path}: an action ended that had not begun"));
                    }
                }
                EventKind::Restart { cause, back_off } if *cause != "command" && *cause != "strategy" => {
                    let healthy = life.healthy_since.is_some_and(|since| now.since(since) >= WINDOW);
                    let before = life.last_back_off.filter(|_| !healthy);
                    let cap = engine.policy_of(path).map_or(*back_off, |policy| policy.restart.cap);
                    let grew = before.is_none_or(|before| *back_off >= before.mul_f64(GROWS));
                    if !grew && *back_off < cap.mul_f64(AT_CAP) {
                        return broken(
                            "S-22",
                            format!("{path}: its back-off went from {before:?} to {back_off:?}"),
                        );
                    }
                    life.last_back_off = Some(*back_off);
                }
                // What workers scripted for simulations panic with; any other panic is the engine's own or a worker's fault.
                EventKind::Panic { r#where, text } if !text.contains("simulated") => {
                    return broken("S-42", format!("{path} panicked in {}: {text}", r#where));
                }
                EventKind::PurityViolation { first, then } => {
                    return broken("S-2", format!("{path} gave two answers: `{first}` and `{then}`"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What a tick wants done is for living nodes, and no action is asked for on old data.
    pub(super) fn effects(&mut self, effects: &[Effect]) -> Check {
        for (place, effect) in effects.iter().enumerate() {
            let (node, acts) = if let Effect::Collect { node, .. } = effect {
                (*node, None)
            } else if let Effect::Execute { node, stopping, identity, .. } = effect {
                (*node, Some((*stopping, identity)))
            } else {
                continue;
            };
            self.count += 2;
            let ends = |e: &Effect| matches!(e, Effect::End { node: of } if *of == node);
            if !self.alive.contains_key(&node.incarnation().get()) && !effects[place..].iter().any(ends) {
                return broken("J3", format!("a node that is gone wants something: {node:?}"));
            }
            let Some((stopping, identity)) = acts else { continue };
            if !stopping && self.is_outdated(node) {
                return broken(
                    "A-6",
                    format!("{} acts again on what was seen before its last action ended", identity.path),
                );
            }
        }
        Ok(())
    }

    /// Whether nothing was seen of a node since its last action ended.
    fn is_outdated(&self, node: NodeId) -> bool {
        let (acted, seen) = (self.acted.get(&node), self.seen.get(&node));
        acted.is_some_and(|acted| seen.is_none_or(|seen| seen < acted))
    }

    /// J1, S-35, S-50 and J7 in the tree as a whole.
    pub(super) fn tree(&mut self, engine: &Engine, now: Moment) -> Check {
        self.count += 4 * self.entries.len() as u64;
        if self.entries.len() != engine.len() || self.alive.len() != engine.len() {
            return broken("J1", format!("{} nodes, {} in the tree", engine.len(), self.entries.len()));
        }
        let mut counts: BTreeMap<NodePath, [u32; 4]> = BTreeMap::new();
        let mut paths: BTreeMap<&NodePath, ()> = BTreeMap::new();
        for entry in &self.entries {
            if paths.insert(&entry.path, ()).is_some() {
                return broken("J1", format!("two nodes at {}", entry.path));
            }
            if entry.reason.is_empty() {
                return broken("S-52", format!("{} has no reason", entry.path));
            }
            if entry.cut_off && matches!(entry.phase, Phase::Starting | Phase::Running) {
                return broken("S-41", format!("{} is cut off, and others believe that it runs", entry.path));
            }
            let life = self.lives.entry(entry.path.clone()).or_default();
            let healthy = entry.phase == Phase::Running;
            life.healthy_since = healthy.then(|| life.healthy_since.unwrap_or(now));
            if let Some(parent) = entry.path.parent() {
                let place = match entry.phase {
                    Phase::Running => 0,
                    Phase::Stopped => 1,
                    Phase::Completed => 2,
                    Phase::Starting | Phase::Degraded | Phase::Stopping => 3,
                };
                counts.entry(parent).or_default()[place] += 1;
            }
        }
        for (path, expected) in counts {
            let Some(view) = engine.node(&path) else { return broken("J1", format!("{path} is nowhere")) };
            let c = view.children;
            if [c.healthy, c.stopped, c.completed, c.degraded] != expected {
                return broken("S-35", format!("the counts of {path} are {c:?}, its children {expected:?}"));
            }
            if view.history.len() > HISTORY {
                return broken("J7", format!("{path} remembers {} decisions", view.history.len()));
            }
        }
        Ok(())
    }

    /// J4: who is not where it should be is looked at again, and not too late.
    pub(super) fn looked_at(
        &mut self,
        engine: &Engine,
        now: Moment,
        at_work: impl Fn(&NodeId) -> bool,
    ) -> Check {
        if engine.next_wake().is_some_and(|wake| wake <= now) {
            return Ok(());
        }
        for (place, entry) in self.entries.iter().enumerate() {
            self.count += 1;
            // One that was never made waits for another spec.
            let never_made = entry.invalid && entry.state.is_empty() && entry.goal != Goal::Remove;
            let node = engine.id_of(&entry.path);
            if is_there(entry) || never_made || node.is_some_and(|node| at_work(&node)) {
                continue;
            }
            let below = |other: &&TreeEntry| other.depth > entry.depth;
            let soon = |path: &NodePath| {
                let looked = engine.node(path).and_then(|view| view.next_look);
                looked.is_some_and(|at| at != Moment::FAR && at.since(now) <= LONGEST_WAIT)
            };
            // One that an operator stopped, or that is held back before a restart, is where it should be, and yet its parent
            // may not be well without it.
            let held_back = |child: &TreeEntry| {
                child.stopped_by.is_some() || child.goal == Goal::Stop && soon(&child.path)
            };
            let awaited = |child: &TreeEntry| !is_there(child) || held_back(child);
            let child_awaited = self.entries[place + 1..].iter().take_while(below).any(awaited);
            // One that is held waits for a sibling or its parent, who are looked at themselves.
            let parent = entry.path.parent();
            let relative =
                |other: &&TreeEntry| other.path.parent() == parent || Some(&other.path) == parent.as_ref();
            let relative_awaited = entry.goal == Goal::Stop
                && self
                    .entries
                    .iter()
                    .filter(relative)
                    .any(|other| other.path != entry.path && !is_there(other));
            if !(soon(&entry.path) || child_awaited || relative_awaited) {
                let looked = engine.node(&entry.path).and_then(|view| view.next_look);
                return broken("J4", format!("nobody looks at {} again: next look {looked:?}", entry.path));
            }
        }
        Ok(())
    }

    /// J2: no path acts twice at a time.
    pub(super) fn alone(&mut self, acting: &BTreeMap<NodePath, (u32, u32)>) -> Check {
        self.count += acting.len() as u64;
        match acting.iter().find(|(_, (_, most))| *most > 1) {
            Some((path, (_, most))) => broken("J2", format!("{most} actions of {path} at a time")),
            None => Ok(()),
        }
    }

    /// Whether everybody is where it should be.
    pub(super) fn has_recovered(&self, engine: &Engine) -> bool {
        engine.tree().iter().all(|e| is_there(e) && !e.invalid)
    }

    /// J5: the tree became what is declared, in the declared order.
    pub(super) fn recovered(&mut self, engine: &Engine) -> Check {
        self.count += 2;
        self.look(engine);
        if let Some(entry) = self.entries.iter().find(|e| !is_there(e) || e.invalid) {
            return broken(
                "J5",
                format!("{} is {} an hour after the last fault: {}", entry.path, entry.state, entry.reason),
            );
        }
        for entry in &self.entries {
            let declared = engine.declared_children(&entry.path);
            let children =
                self.entries.iter().filter(|child| child.path.parent().as_ref() == Some(&entry.path));
            let present: Vec<_> = children.filter(|c| !c.dynamic).map(|c| c.path.name().to_owned()).collect();
            if !declared.iter().map(fsm_core::ChildName::as_str).eq(present.iter().map(String::as_str)) {
                return broken(
                    "S-15",
                    format!("children of {}: {present:?}, declared {declared:?}", entry.path),
                );
            }
        }
        Ok(())
    }

    /// The tree as a text, to see whether anything changed.
    pub(super) fn picture(&self, engine: &Engine) -> String {
        format!("{:?} {:?}", engine.next_wake(), engine.tree())
    }

    /// The tree for people.
    pub(super) fn show(&self) -> String {
        let lines = self
            .entries
            .iter()
            .map(|e| format!("   {} {} {:?} {}: {}\n", e.path, e.state, e.goal, e.phase, e.reason));
        format!("the tree:\n{}", lines.collect::<String>())
    }
}

/// A healthy run of this long begins the budget anew (S-22).
const WINDOW: std::time::Duration = std::time::Duration::from_secs(60);

fn is_there(entry: &TreeEntry) -> bool {
    match entry.goal {
        Goal::Run => matches!(entry.phase, Phase::Running | Phase::Completed),
        Goal::Stop => matches!(entry.phase, Phase::Stopped | Phase::Completed),
        Goal::Remove => false,
    }
}

fn broken(rule: &'static str, what: String) -> Check {
    Err((rule, what))
}
