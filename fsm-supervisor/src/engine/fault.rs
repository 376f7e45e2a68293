//! Panics and restarts: a failure stays with its node, and nothing is tried in a tight loop or given up for ever.

use std::any::Any;
use std::sync::Arc;

use fsm_core::erase::Slot;
use fsm_core::{DeriveError, DeriveErrorKind, Moment, Phase, Strategy};

use fsm_metrics::RestartCause;

use super::arena::NONE;
use super::flags::Flags;
use super::{BACK_OFF, BACK_OFF_CAP, Engine};
use crate::event::EventKind;
use crate::planted::{self, Bug};

/// The text of a caught panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> Arc<str> {
    match (panic.downcast_ref::<&'static str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => Arc::from(*text),
        (None, Some(text)) => Arc::from(text.as_str()),
        (None, None) => Arc::from("a panic without a text"),
    }
}

impl Engine {
    /// `derive`, `next` or `stop` panicked. Nothing of the node has changed yet, and nothing will but this.
    pub(super) fn panicked(&mut self, index: u32, place: &'static str, panic: &(dyn Any + Send)) {
        let text = panic_text(panic);
        let scope = self.arena.hot(index).scope;
        self.meter.panic(scope, place, panic);
        self.emit(index, EventKind::Panic { r#where: place, text: Arc::clone(&text) });
        let (maximum, window) = (self.policy(index).max_panics, self.policy(index).panic_window);
        let now = self.now;
        let trouble = self.arena.cold_mut(index).trouble.get_or_insert_default();
        trouble.panics.retain(|at| now.since(*at) < window);
        trouble.panics.push(now);
        let panics = trouble.panics.len();
        let wait = self.back_off(index, panics as u32, BACK_OFF, BACK_OFF_CAP);
        let at = now + wait;
        if panics >= maximum as usize && !self.arena.hot(index).flags.has(Flags::PANIC_OPEN) {
            self.arena.hot_mut(index).flags.set(Flags::PANIC_OPEN);
            self.meter.circuit(scope, true);
            self.emit(index, EventKind::CircuitOpened { panics });
            self.refresh(index);
            if self.strategy_over(index) != Strategy::OneForOne && place != "stop" {
                self.restart(index, RestartCause::Circuit);
            }
        }
        let trouble = self.arena.cold_mut(index).trouble.get_or_insert_default();
        match place {
            "derive" => {
                trouble.derive_retry = Some(at);
                let error = DeriveError::new(DeriveErrorKind::Other, format!("derive panicked: {text}"));
                self.set_invalid(index, error);
            }
            "stop" => {
                trouble.stop_retry = Some(at);
                self.hold(index, ("stop panicked: {}; it is asked again at {}", text, at));
            }
            _ => {
                trouble.not_before = at;
                self.hold(index, ("next panicked: {}; it is asked again at {}", text, at));
            }
        }
        self.wake_by(index, at);
    }

    /// Closes the panic circuit when its window is empty.
    pub(super) fn close_circuit_in_time(&mut self, index: u32) {
        if !self.arena.hot(index).flags.has(Flags::PANIC_OPEN) {
            return;
        }
        let closes = self.circuit_closes(index);
        if self.now >= closes {
            self.close_circuit(index);
        }
    }

    fn circuit_closes(&self, index: u32) -> Moment {
        if planted::is(Bug::CircuitStaysOpen) {
            return Moment::FAR;
        }
        let window = self.policy(index).panic_window;
        let last = self.arena.cold(index).trouble.as_ref().and_then(|t| t.panics.last().copied());
        last.map_or(Moment::ZERO, |last| last + window)
    }

    fn close_circuit(&mut self, index: u32) {
        let hot = self.arena.hot_mut(index);
        if !hot.flags.take(Flags::PANIC_OPEN) {
            return;
        }
        hot.flags.set(Flags::DERIVE);
        let scope = hot.scope;
        if let Some(trouble) = &mut self.arena.cold_mut(index).trouble {
            trouble.panics.clear();
            trouble.not_before = Moment::ZERO;
        }
        self.meter.circuit(scope, false);
        self.emit(index, EventKind::CircuitClosed);
        self.refresh(index);
        if self.arena.hot(index).goal == fsm_core::Goal::Run {
            self.mark(index);
        }
    }

    /// Books the next look that its troubles ask for, so that nothing waits for ever (J4).
    pub(super) fn wake_for_trouble(&mut self, index: u32) {
        let Some(trouble) = &self.arena.cold(index).trouble else { return };
        let mut at = trouble.derive_retry.unwrap_or(Moment::FAR);
        if trouble.not_before > self.now {
            at = at.min(trouble.not_before);
        }
        if trouble.below_spent {
            at = at.min(trouble.below);
        }
        if self.arena.hot(index).flags.has(Flags::PANIC_OPEN) {
            at = at.min(self.circuit_closes(index));
        }
        if at != Moment::FAR {
            self.wake_by(index, at);
        }
    }

    /// A derive that failed is due again.
    pub(super) fn retry_derive_in_time(&mut self, index: u32) {
        let now = self.now;
        let Some(trouble) = self.arena.cold_mut(index).trouble.as_mut() else { return };
        if trouble.derive_retry.is_some_and(|at| at <= now) {
            trouble.derive_retry = None;
            self.arena.hot_mut(index).flags.set(Flags::DERIVE);
        }
    }

    /// Its spec or variables changed, or an operator asks: back-offs end, and the panic circuit closes.
    pub(super) fn forgive(&mut self, index: u32) {
        self.close_circuit(index);
        self.arena.cold_mut(index).failures = 0;
        if let Some(trouble) = &mut self.arena.cold_mut(index).trouble {
            trouble.derive_retry = None;
            trouble.stop_retry = None;
            trouble.restart_at = None;
            trouble.not_before = Moment::ZERO;
            trouble.restarts.clear();
            trouble.streak = 0;
            trouble.spent = false;
            trouble.below = Moment::ZERO;
        }
        self.restore_below_in_time(index);
        if self.arena.hot_mut(index).flags.take(Flags::SPENT) {
            self.refresh(index);
        }
        if let Some(activity) = &mut self.arena.cold_mut(index).activity {
            activity.acted = None;
        }
    }

    /// Stops this incarnation and starts another one, later each time (S-21, S-22).
    pub(super) fn restart(&mut self, index: u32, cause: RestartCause) {
        if self.arena.hot(index).flags.has(Flags::LEAVING) {
            return;
        }
        let budget = self.policy(index).restart;
        let now = self.now;
        self.note_health(index, self.arena.hot(index).effective);
        let trouble = self.arena.cold_mut(index).trouble.get_or_insert_default();
        let was_spent = trouble.spent;
        // Once it is spent only a healthy run gives it back: probing is slow, so the window would be empty each time.
        if was_spent {
            if !trouble.restarts.is_empty() {
                trouble.restarts.remove(0);
            }
        } else {
            trouble.restarts.retain(|at| now.since(*at) < budget.window);
        }
        trouble.restarts.push(now);
        trouble.streak = trouble.streak.saturating_add(1);
        // The healthy run before this has been counted; it must not give back what is charged now.
        trouble.healthy_since = None;
        let streak = trouble.streak;
        let restarts = trouble.restarts.len();
        let charged = cause != RestartCause::Command;
        let spent = was_spent
            || restarts > budget.max_restarts as usize
            || charged && self.charge_above(index, cause)
            || charged && self.is_spent_above(index);
        let trouble = self.arena.cold_mut(index).trouble.get_or_insert_default();
        trouble.spent = spent;
        let back_off = if spent { budget.cap } else { self.back_off(index, streak, budget.base, budget.cap) };
        self.arena.cold_mut(index).trouble.get_or_insert_default().restart_at = Some(now + back_off);
        let scope = self.arena.hot(index).scope;
        self.meter.restart(scope, cause, spent);
        self.emit(index, EventKind::Restart { cause: cause.as_str(), back_off });
        if spent && !was_spent {
            self.emit(index, EventKind::BudgetSpent { restarts });
        }
        self.arena.hot_mut(index).flags.set(Flags::RESTARTING);
        self.arena.hot_mut(index).flags.put(Flags::SPENT, spent);
        self.leave(index);
        if cause != RestartCause::Command {
            self.restart_siblings(index, now + back_off);
        }
    }

    /// A restart is charged to the node's parent as well, where that has a budget for all its children together; says whether
    /// it is spent now. Then the failure goes on to who is above: the parent counts as degraded, and is charged for one (S-22).
    fn charge_above(&mut self, index: u32, cause: RestartCause) -> bool {
        let parent = self.arena.hot(index).parent;
        if parent == NONE {
            return false;
        }
        let budget = self.policy(parent).restart;
        let Some(allowed) = budget.max_restarts_below else { return false };
        let now = self.now;
        let trouble = self.arena.cold_mut(parent).trouble.get_or_insert_default();
        trouble.below = trouble.below.max(now) + budget.window / allowed.max(1);
        let spent = trouble.below.since(now) > budget.window || allowed == 0;
        if !spent || trouble.below_spent {
            return false;
        }
        trouble.below_spent = true;
        self.emit(parent, EventKind::BudgetSpent { restarts: allowed as usize });
        self.meter.budget_spent(self.arena.hot(parent).scope, cause);
        self.refresh(parent);
        // So that it books the moment when the budget is whole again.
        self.mark(parent);
        self.charge_above(parent, cause);
        true
    }

    fn is_spent_above(&self, index: u32) -> bool {
        let mut above = self.arena.hot(index).parent;
        while above != NONE {
            if self.arena.cold(above).trouble.as_ref().is_some_and(|trouble| trouble.below_spent) {
                return true;
            }
            above = self.arena.hot(above).parent;
        }
        false
    }

    /// The budget of its children is whole again when none of them was restarted for long enough.
    pub(super) fn restore_below_in_time(&mut self, index: u32) {
        let now = self.now;
        if let Some(trouble) = self.arena.cold_mut(index).trouble.as_mut()
            && trouble.below_spent
            && trouble.below <= now
        {
            trouble.below_spent = false;
            self.refresh(index);
        }
    }

    fn strategy_over(&self, index: u32) -> Strategy {
        let parent = self.arena.hot(index).parent;
        if parent == NONE { Strategy::OneForOne } else { self.policy(parent).strategy }
    }

    /// A failure takes siblings along when their parent's strategy says so (S-23); they come back with the failed one and
    /// are not charged for it.
    fn restart_siblings(&mut self, index: u32, at: Moment) {
        let strategy = self.strategy_over(index);
        if strategy == Strategy::OneForOne {
            return;
        }
        let (parent, place) = (self.arena.hot(index).parent, self.arena.hot(index).position);
        let Some(supervisor) = self.arena.cold(parent).supervisor.as_deref() else { return };
        let siblings: Vec<u32> = supervisor
            .children
            .values()
            .filter(|id| self.arena.lives(**id))
            .map(|id| id.index() as u32)
            .filter(|sibling| {
                let hot = self.arena.hot(*sibling);
                *sibling != index
                    && hot.slot != Slot::NONE
                    && !hot.flags.has(Flags::LEAVING)
                    && (strategy == Strategy::OneForAll || hot.position > place)
            })
            .collect();
        for sibling in siblings {
            self.arena.cold_mut(sibling).trouble.get_or_insert_default().restart_at = Some(at);
            self.meter.restart(self.arena.hot(sibling).scope, RestartCause::Strategy, false);
            let back_off = at.since(self.now);
            self.emit(sibling, EventKind::Restart { cause: RestartCause::Strategy.as_str(), back_off });
            self.arena.hot_mut(sibling).flags.set(Flags::RESTARTING);
            self.leave(sibling);
        }
    }

    /// A healthy run of one window gives the restart budget back (S-22).
    pub(super) fn note_health(&mut self, index: u32, before: Phase) {
        let window = self.policy(index).restart.window;
        let (now, effective) = (self.now, self.arena.hot(index).effective);
        let Some(trouble) = &mut self.arena.cold_mut(index).trouble else { return };
        if trouble.restarts.is_empty() {
            return;
        }
        let healthy_since = trouble.healthy_since.filter(|_| before == Phase::Running);
        let long_enough = |since| now.since(since) >= window || planted::is(Bug::BudgetResetEarly);
        if healthy_since.is_some_and(long_enough) {
            trouble.restarts.clear();
            trouble.streak = 0;
            trouble.spent = false;
        }
        trouble.healthy_since = (effective == Phase::Running).then(|| healthy_since.unwrap_or(now));
    }
}
