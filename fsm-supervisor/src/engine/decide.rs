//! A node's decision: gates first, then `next` or `stop`, then what the answer asks for.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fsm_core::erase::{DynDecision, DynStep, Slot, StateIndex};
use fsm_core::{
    ChildrenView, Generation, Goal, Moment, Observation, Phase, Reason, SnapshotCore, Sort, Whoami,
};

use super::flags::Flags;
use super::{Engine, FLURRY_MOVES, LIVELOCK_MOVES};
use crate::event::EventKind;
use crate::planted::{self, Bug};

/// Which of the two questions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    Next,
    Stop { with_observation: bool },
}

impl Engine {
    /// Gates, question, answer.
    pub(super) fn decide(&mut self, index: u32) {
        self.aim(index);
        if self.arena.hot_mut(index).flags.take(Flags::NEWS) {
            self.arena.cold_mut(index).moves = 0;
        }
        let booked = std::mem::replace(&mut self.arena.hot_mut(index).wake_at, Moment::FAR);
        self.armed = (self.arena.id(index), booked);
        if self.arena.hot(index).slot == Slot::NONE {
            self.decide_without_a_cell(index);
        } else {
            self.close_circuit_in_time(index);
            match self.arena.hot(index).goal {
                Goal::Run => self.run(index),
                Goal::Stop | Goal::Remove => self.wind_down(index),
            }
        }
    }

    fn decide_without_a_cell(&mut self, index: u32) {
        if self.arena.hot(index).goal == Goal::Remove {
            self.rest(index);
        } else {
            self.hold_invalid(index);
        }
    }

    fn hold_invalid(&mut self, index: u32) {
        let error = self.arena.cold(index).trouble.as_ref().and_then(|t| t.invalid.clone());
        let text = error.map_or_else(|| Arc::from("no usable config"), |error| fsm_core::chain(&*error));
        self.hold(index, ("invalid: {}", text));
        self.wake_for_trouble(index);
    }

    fn run(&mut self, index: u32) {
        if self.collects(index) {
            self.keep_collecting(index);
        }
        if let Some(reason) = self.gate(index) {
            self.hold(index, reason);
            self.wake_for_trouble(index);
            return;
        }
        self.ask(index, Question::Next);
        self.wake_for_trouble(index);
    }

    /// Why `next` is not asked now, if it isn't.
    fn gate(&self, index: u32) -> Option<Reason> {
        let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
        let flags = hot.flags;
        if flags.has(Flags::PANIC_OPEN) {
            let panics = cold.trouble.as_ref().map_or(0, |t| t.panics.len());
            return Some(Reason::from(("panic circuit open after {} panics", panics)));
        }
        if !flags.has(Flags::DERIVED) {
            let error = cold.trouble.as_ref().and_then(|t| t.invalid.clone());
            return Some(match error {
                Some(error) => Reason::from(("invalid: {}", fsm_core::chain(&*error))),
                None => Reason::new("waiting to be derived"),
            });
        }
        if let Some(running) = cold.activity.as_ref().and_then(|a| a.running.as_ref()) {
            return Some(Reason::from(("acting: {} since {}", running.name, running.since)));
        }
        if flags.has(Flags::CUT_OFF) {
            return Some(self.cut_off_reason(index));
        }
        if flags.has(Flags::OBSERVES) {
            if !flags.has(Flags::OBSERVED) {
                let error = cold.trouble.as_ref().and_then(|t| t.last_collect_error.clone());
                return Some(match error {
                    Some(error) => Reason::from(("waiting for first observation: {}", error)),
                    None => Reason::new("waiting for first observation"),
                });
            }
            if flags.has(Flags::STALE) {
                let error = cold.trouble.as_ref().and_then(|t| t.last_collect_error.clone());
                let error = error.unwrap_or_else(|| Arc::from("no answer"));
                return Some(Reason::from(("observation is stale, taken {}: {}", hot.taken, error)));
            }
            if flags.has(Flags::AWAIT) {
                return Some(self.await_reason(index));
            }
        }
        let not_before = cold.trouble.as_ref().map_or(Moment::ZERO, |t| t.not_before);
        // The reason that led here stands until then.
        (self.now < not_before).then(|| cold.reason.clone())
    }

    pub(super) fn await_reason(&self, index: u32) -> Reason {
        match self.arena.cold(index).activity.as_ref().and_then(|a| a.last.as_ref()) {
            Some(last) => Reason::from((
                "waiting for an observation after {} ended with {}",
                last.name,
                last.outcome.as_str(),
            )),
            None => Reason::new("waiting for an observation"),
        }
    }

    fn wind_down(&mut self, index: u32) {
        let flags = self.arena.hot(index).flags;
        if self.is_at_rest(index) && !flags.has(Flags::ACTING) {
            self.rest(index);
            return;
        }
        if let Some(child) = self.first_awake_child(index) {
            let name = Arc::clone(self.arena.cold(child).name().shared());
            self.hold(index, ("waiting for child {} to stop", name));
            return;
        }
        if let Some(sibling) = self.first_awake_dependent(index) {
            if self.collects(index) {
                self.keep_collecting(index);
            }
            let name = Arc::clone(self.arena.cold(sibling).name().shared());
            self.hold(index, ("waiting for {} to stop, which depends on it", name));
            return;
        }
        if planted::is(Bug::StaleBlocksStop) && flags.has(Flags::STALE) {
            return self.hold(index, "observation is stale");
        }
        if planted::is(Bug::RemovedBeforeStopped) && self.arena.hot(index).goal == Goal::Remove {
            return self.finish(index);
        }
        let deadline = self.stop_deadline(index);
        if self.now >= deadline {
            self.force(index);
            self.rest(index);
            return;
        }
        self.wake_by(index, deadline);
        if flags.has(Flags::ACTING) {
            self.cancel_action(index);
            let name = self
                .arena
                .cold(index)
                .activity
                .as_ref()
                .and_then(|a| a.running.as_ref())
                .map_or("", |r| r.name);
            self.hold(index, ("waiting for the cancelled action {} to end", name));
            return;
        }
        if self.collects(index) {
            self.keep_collecting(index);
        }
        let patience = self.arena.cold(index).activity.as_ref().map_or(Moment::ZERO, |a| a.patience);
        if flags.has(Flags::AWAIT) && self.now < patience {
            let reason = self.await_reason(index);
            self.hold(index, reason);
            self.wake_by(index, patience);
            return;
        }
        let retry =
            self.arena.cold(index).trouble.as_ref().and_then(|t| t.stop_retry).unwrap_or(Moment::ZERO);
        if self.now < retry {
            self.wake_by(index, retry);
            return;
        }
        let with_observation = flags.has(Flags::OBSERVED) && !flags.has(Flags::AWAIT);
        self.ask(index, Question::Stop { with_observation });
    }

    /// Asks, inside the panic boundary, and carries out the answer.
    fn ask(&mut self, index: u32, question: Question) {
        self.report.evaluated += 1;
        let hot = self.arena.hot(index);
        if hot.flags.has(Flags::OBSERVED) {
            self.meter.observation_used(hot.scope, self.now, hot.taken);
        }
        let (answer, wake) = self.question(index, question);
        match answer {
            Ok(decision) => {
                if let Some(wake) = wake {
                    self.wake_by(index, wake);
                }
                self.arena.hot_mut(index).flags.clear(Flags::HELD);
                if let Some(decision) = decision {
                    self.apply(index, decision, question);
                }
            }
            Err(panic) => {
                let place = if question == Question::Next { "next" } else { "stop" };
                self.panicked(index, place, &*panic);
            }
        }
    }

    /// One question to the worker's state; no decision when it stays for the same reason. Pure: nothing of the engine changes.
    fn question(
        &self,
        index: u32,
        question: Question,
    ) -> (std::thread::Result<Option<DynDecision>>, Option<Moment>) {
        let (hot, cold) = (self.arena.hot(index), self.arena.cold(index));
        let kind = &self.kinds[hot.kind as usize];
        let family = self.family(index);
        let counts = cold.supervisor.as_ref().map_or_else(Default::default, |s| s.counts);
        let last_action = cold.activity.as_ref().and_then(|a| a.last.as_ref());
        let observed = hot.flags.has(Flags::OBSERVED);
        let core = SnapshotCore {
            whoami: Whoami::new(cold.name(), kind.kind(), self.arena.id(index), cold.starts, &family),
            now: self.now,
            wake: Cell::new(None),
            children: ChildrenView::new(counts, &family),
            last_action,
            attempts: cold.attempts,
            failures: cold.failures,
            retry_after: self.not_before(index).filter(|at| *at > self.now),
            entered_at: cold.entered_at,
            observation: observed
                .then(|| Observation::new(hot.started, hot.taken, self.observed_under(index))),
            desired: cold.desired,
        };
        // What is wrong with a spec stands in the place of the state's reason.
        let before = (!hot.flags.has(Flags::INVALID)).then_some(&cold.reason);
        let answer = catch_unwind(AssertUnwindSafe(|| match question {
            Question::Next => kind.next(hot.slot, hot.state, &core, before),
            Question::Stop { with_observation } => {
                Some(kind.stop(hot.slot, hot.state, &core, with_observation))
            }
        }));
        (answer, core.wake.get())
    }

    /// The desired state under which the believed observation was taken.
    pub(super) fn observed_under(&self, index: u32) -> Generation {
        let cold = self.arena.cold(index);
        let outdated = self.arena.hot(index).flags.has(Flags::OUTDATED);
        if outdated { cold.observed_under } else { cold.desired }
    }

    fn apply(&mut self, index: u32, decision: DynDecision, question: Question) {
        let DynDecision { step, reason } = decision;
        match step {
            DynStep::Stay => self.stay(index, reason),
            DynStep::Move(state) if state == self.arena.hot(index).state => self.stay(index, reason),
            DynStep::Move(state) => self.enter(index, state, reason),
            DynStep::Act(action) => self.request(index, action, reason, question != Question::Next),
            DynStep::Remove => {
                self.arena.hot_mut(index).flags.set(Flags::SELF_REMOVED);
                self.explain(index, reason);
                self.leave(index);
            }
            DynStep::Restart => {
                self.explain(index, reason);
                self.restart(index, fsm_metrics::RestartCause::Signal);
            }
        }
    }

    fn stay(&mut self, index: u32, reason: Reason) {
        if self.arena.hot(index).flags.has(Flags::INVALID) {
            // What is wrong with its spec matters more than why it stays.
            let error = self.arena.cold(index).trouble.as_ref().and_then(|t| t.invalid.clone());
            if let Some(error) = error {
                self.explain(
                    index,
                    Reason::from((
                        "invalid, runs on its last good desired state: {}",
                        fsm_core::chain(&*error),
                    )),
                );
                return;
            }
        }
        self.explain(index, reason);
    }

    /// The node moves to another state.
    fn enter(&mut self, index: u32, state: StateIndex, reason: Reason) {
        let now = self.now;
        let hot = self.arena.hot(index);
        let (kind, from) = (hot.kind, hot.state);
        let states = self.kinds[kind as usize].states();
        let (from_info, info) = (states[from.get()], states[state.get()]);
        let in_state = now.since(self.arena.cold(index).entered_at);
        let (scope, effective) = (hot.scope, hot.effective);
        self.meter.moved(scope, (from, state), effective, in_state);
        let hot = self.arena.hot_mut(index);
        hot.state = state;
        hot.phase = info.phase;
        hot.flags.put(Flags::ACTIVE, info.sort != Sort::Passive);
        if info.phase != Phase::Stopped {
            hot.flags.set(Flags::STARTED);
        }
        let cold = self.arena.cold_mut(index);
        // States that last less than an interval, whoever causes the moves: a parent and a child can drive each other.
        let brief = in_state < self.config.tick_interval;
        cold.flurry = if brief { cold.flurry.saturating_add(1) } else { 0 };
        cold.entered_at = now;
        cold.attempts = 0;
        cold.failures = 0;
        cold.moves = cold.moves.saturating_add(1);
        let circles = cold.moves >= LIVELOCK_MOVES || cold.flurry >= FLURRY_MOVES;
        let text: Arc<str> = reason.to_string().into();
        cold.reason = reason;
        self.remember(index, None);
        self.refresh(index);
        self.persist_state(index);
        self.emit(
            index,
            EventKind::StateTransition {
                from: from_info.name,
                to: info.name,
                phase: info.phase,
                reason: text,
            },
        );
        self.mark_parent(index);
        if self.arena.cold(index).supervisor.as_ref().is_some_and(|s| !s.gated.is_empty()) {
            self.arena.hot_mut(index).flags.set(Flags::GOALS);
        }
        if circles {
            let until = now + self.config.tick_interval;
            let cold = self.arena.cold_mut(index);
            (cold.moves, cold.flurry) = (0, 0);
            cold.trouble.get_or_insert_default().not_before = until;
            self.emit(index, EventKind::Livelock { state: info.name });
            self.wake_by(index, until);
        } else {
            self.mark_self(index);
        }
    }

    /// The engine's own reason stands in the place of the state's.
    pub(super) fn hold(&mut self, index: u32, reason: impl Into<Reason>) {
        self.arena.hot_mut(index).flags.set(Flags::HELD);
        self.give_reason(index, reason.into());
    }

    /// Works out what others believe of this node, and tells the parent when it changed.
    pub(super) fn refresh(&mut self, index: u32) {
        let hot = self.arena.hot(index);
        let flags = hot.flags;
        let gated = flags.any(&[Flags::STALE, Flags::PANIC_OPEN, Flags::INVALID, Flags::CUT_OFF])
            || self.arena.cold(index).trouble.as_ref().is_some_and(|trouble| trouble.below_spent);
        let effective = if flags.has(Flags::FORCED) {
            Phase::Stopped
        } else if hot.slot == Slot::NONE || (flags.has(Flags::INVALID) && !flags.has(Flags::DERIVED)) {
            Phase::Degraded
        } else {
            match hot.phase {
                Phase::Starting | Phase::Running if gated => Phase::Degraded,
                Phase::Stopped if flags.has(Flags::SPENT) && !self.is_told_to_stop(index) => Phase::Degraded,
                own @ (Phase::Stopped
                | Phase::Starting
                | Phase::Running
                | Phase::Degraded
                | Phase::Stopping
                | Phase::Completed) => own,
            }
        };
        let awake_below = self.arena.cold(index).supervisor.as_ref().is_some_and(|s| s.awake > 0);
        let rests = self.is_at_rest(index) && !awake_below;
        let (before, rested) = (hot.effective, flags.has(Flags::RESTS));
        if before == effective && rests == rested {
            return;
        }
        let hot = self.arena.hot_mut(index);
        hot.effective = effective;
        hot.flags.put(Flags::RESTS, rests);
        let parent = hot.parent;
        if before != effective {
            let (scope, state) = (hot.scope, (hot.slot != Slot::NONE).then_some(hot.state));
            self.meter.phase(scope, state, before, effective);
        }
        if before != effective {
            self.note_health(index, before);
            if effective == Phase::Degraded {
                self.suspect(index);
            }
        }
        if parent == super::arena::NONE {
            return;
        }
        if let Some(supervisor) = &mut self.arena.cold_mut(parent).supervisor {
            supervisor.recount(before, effective, rested, rests);
        }
        if rests != rested {
            self.wake_dependencies(index);
            // Whether the parent rests depends on whether anybody below it is awake.
            self.refresh(parent);
        }
        if before != effective {
            let stale = self.arena.hot(index).flags.has(Flags::STALE);
            let invalid = self.arena.hot(index).flags.has(Flags::INVALID);
            self.meter.health(self.arena.hot(parent).scope, effective, stale, invalid);
        }
        self.mark(parent);
    }

    /// Whether nothing of this node is alive any more.
    pub(super) fn is_at_rest(&self, index: u32) -> bool {
        let hot = self.arena.hot(index);
        hot.slot == Slot::NONE || hot.flags.has(Flags::FORCED) || hot.phase.is_at_rest()
    }

    /// Counts the children of one supervisor anew: a counter that drifts is found where it drifts (design of views).
    pub(super) fn recount(&self, index: u32) {
        let hot = self.arena.hot(index);
        if hot.incarnation.get() == 0 {
            return;
        }
        let Some(supervisor) = self.arena.cold(index).supervisor.as_deref() else { return };
        let (mut counts, mut awake) = (fsm_core::ChildrenCounts::default(), 0);
        for child in supervisor.children.values().filter(|id| self.arena.lives(**id)) {
            let hot = self.arena.hot(child.index() as u32);
            *counts.of(hot.effective) += 1;
            awake += u32::from(!hot.flags.has(Flags::RESTS));
        }
        assert_eq!((counts, awake), (supervisor.counts, supervisor.awake), "the counters of a view drift");
    }

    /// Asks one clean node again, and reports when it answers differently.
    pub(super) fn check_purity(&mut self) {
        let places = self.arena.places();
        if places == 0 {
            return;
        }
        let mixed = (self.ticks ^ self.config.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let index = (mixed % places as u64) as u32;
        if cfg!(debug_assertions) {
            self.recount(index);
        }
        let hot = self.arena.hot(index);
        // A deadline within a grain of the wheel may be reached without having fired.
        let soon = self.now + std::time::Duration::from_millis(3);
        if hot.incarnation.get() == 0
            || hot.slot == Slot::NONE
            || hot.goal != Goal::Run
            || hot.wake_at <= soon
            || hot.flags.any(&[Flags::DUE, Flags::HELD, Flags::INVALID, Flags::LEAVING])
            || self.gate(index).is_some()
        {
            return;
        }
        let (answer, _) = self.question(index, Question::Next);
        let Ok(Some(decision)) = answer else { return };
        let moved = match decision.step {
            DynStep::Move(state) => state != self.arena.hot(index).state,
            DynStep::Stay | DynStep::Act(_) => false,
            DynStep::Remove | DynStep::Restart => true,
        };
        let first = self.arena.cold(index).reason.clone();
        if moved || !first.same_text(&decision.reason) {
            let (first, then) = (first.to_string().into(), decision.reason.to_string().into());
            self.emit(index, EventKind::PurityViolation { first, then });
        }
    }
}
