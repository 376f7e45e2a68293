//! Actions: one in flight per node, paced, believed only by the observation that follows.

use std::sync::Arc;

use fsm_core::erase::{DynAction, JobSpec, Slot};
use fsm_core::{ActionId, ActionReport, Moment, NodeId, Outcome, Reason};

use super::arena::Running;
use super::flags::Flags;
use super::{BACK_OFF, BACK_OFF_CAP, Engine};
use crate::effect::Effect;
use crate::event::EventKind;
use crate::input::{CommandError, Refusal};
use crate::planted::{self, Bug};

impl Engine {
    /// When this node may act next: a state acts once per interval; after failures with back-off, or as the other side said.
    pub(super) fn not_before(&self, index: u32) -> Option<Moment> {
        let cold = self.arena.cold(index);
        let activity = cold.activity.as_ref()?;
        let (state, acted_at) = activity.acted?;
        if state != self.arena.hot(index).state {
            return None;
        }
        let paced = acted_at + self.config.tick_interval;
        let Some(last) = activity.last.as_ref().filter(|_| cold.failures > 0) else { return Some(paced) };
        let wait = match last.retry_after {
            Some(wait) => wait,
            None => self.back_off(index, cold.failures, BACK_OFF, BACK_OFF_CAP),
        };
        Some(paced.max(last.ended() + wait))
    }

    /// The worker asks for an action.
    pub(super) fn request(&mut self, index: u32, action: Box<dyn DynAction>, reason: Reason, stopping: bool) {
        if let Some(at) = self.not_before(index).filter(|at| *at > self.now) {
            // Asked again at that moment: `next` is pure, so nothing is lost by not keeping the action.
            self.explain(index, reason);
            self.wake_by(index, at);
            return;
        }
        self.give_reason(index, reason);
        self.start_action(index, action, stopping);
    }

    fn start_action(&mut self, index: u32, action: Box<dyn DynAction>, stopping: bool) -> ActionId {
        let now = self.now;
        self.next_action = self.next_action.next();
        let id = self.next_action;
        let name = action.name();
        let policy = self.policy(index).action(name);
        let identity = Arc::new(self.identity(index));
        let job = JobSpec { identity: Arc::clone(&identity), generation: self.arena.cold(index).desired };
        let (kind, slot, state) = {
            let hot = self.arena.hot(index);
            (hot.kind, hot.slot, hot.state)
        };
        let run = self.kinds[kind as usize].action_run(slot, action, job);
        let activity = self.arena.cold_mut(index).activity.get_or_insert_default();
        debug_assert!(activity.running.is_none(), "J2: one action in flight per node");
        activity.running = Some(Running { id, name, since: now, cancelled: false });
        activity.acted = Some((state, now));
        self.remember(index, Some(name));
        let hot = self.arena.hot_mut(index);
        hot.flags.set(Flags::ACTING);
        let node = self.arena.id(index);
        self.pending.push(Effect::Execute { node, id, policy, stopping, identity, run });
        self.emit(index, EventKind::ActionQueued { action: name });
        self.hold(index, ("acting: {} since {}", name, now));
        id
    }

    /// An operator asks for an action.
    pub(super) fn act_on_request(
        &mut self,
        index: u32,
        action: Box<dyn DynAction>,
    ) -> Result<(), CommandError> {
        let path = self.arena.path(index);
        if let Some(running) = self.running(index) {
            return Err(CommandError::Busy { path, action: running });
        }
        if self.arena.hot(index).slot == Slot::NONE {
            return Err(CommandError::NotNow { path, why: "its spec can't be used" });
        }
        if self.arena.hot(index).goal != fsm_core::Goal::Run {
            return Err(CommandError::NotNow { path, why: "it is stopped or stopping" });
        }
        self.start_action(index, action, false);
        Ok(())
    }

    /// The name of the action in flight.
    pub(super) fn running(&self, index: u32) -> Option<&'static str> {
        self.arena.cold(index).activity.as_ref()?.running.as_ref().map(|r| r.name)
    }

    /// Whether this is the action in flight of a living node; a result of any other is dropped.
    fn is_running(&self, node: NodeId, id: ActionId) -> bool {
        self.arena.lives(node)
            && self
                .arena
                .cold(node.index() as u32)
                .activity
                .as_ref()
                .and_then(|a| a.running.as_ref())
                .is_some_and(|r| r.id == id || planted::is(Bug::LateResultAccepted))
    }

    pub(super) fn action_started(&mut self, node: NodeId, id: ActionId) {
        if self.is_running(node, id)
            && let Some(action) = self.running(node.index() as u32)
        {
            self.emit(node.index() as u32, EventKind::ActionStarted { action });
        }
    }

    pub(super) fn action_ended(&mut self, node: NodeId, report: ActionReport) {
        if !self.is_running(node, report.id) {
            return;
        }
        let index = node.index() as u32;
        let now = self.now;
        let observes = self.arena.hot(index).flags.has(Flags::OBSERVES);
        let patience = now + self.policy(index).collect_timeout();
        self.emit(
            index,
            EventKind::ActionEnded {
                action: report.name,
                outcome: report.outcome,
                duration: report.duration,
                error: report.error.clone(),
            },
        );
        if report.outcome == Outcome::Panic {
            let scope = self.arena.hot(index).scope;
            self.meter.action_panic(scope, report.error.as_deref().unwrap_or_default());
        }
        if matches!(report.outcome, Outcome::Failure | Outcome::Timeout) {
            self.suspect(index);
        }
        let cold = self.arena.cold_mut(index);
        cold.attempts += 1;
        match report.outcome {
            Outcome::Success => cold.failures = 0,
            Outcome::Failure | Outcome::Timeout | Outcome::Panic => cold.failures += 1,
            Outcome::Cancelled => {}
        }
        let (name, outcome) = (report.name, report.outcome);
        let activity = cold.activity.get_or_insert_default();
        activity.running = None;
        activity.last = Some(report);
        activity.after = now;
        activity.patience = patience;
        self.arena.hot_mut(index).flags.clear(Flags::ACTING);
        self.hold(index, ("{} ended with {}", name, outcome.as_str()));
        self.remember(index, Some(name));
        if observes && !planted::is(Bug::OldObservationAccepted) {
            self.arena.hot_mut(index).flags.set(Flags::AWAIT);
            let reason = self.await_reason(index);
            self.hold(index, reason);
            self.collect_again(index);
        }
        self.mark(index);
    }

    pub(super) fn action_refused(&mut self, node: NodeId, id: ActionId, why: Refusal) {
        if !self.is_running(node, id) {
            return;
        }
        let index = node.index() as u32;
        if let Some(activity) = &mut self.arena.cold_mut(index).activity {
            activity.running = None;
        }
        self.arena.hot_mut(index).flags.clear(Flags::ACTING);
        self.hold(index, why.as_str());
        let at = self.now + self.config.tick_interval;
        self.wake_by(index, at);
    }

    /// Cancels the action in flight, once.
    pub(super) fn cancel_action(&mut self, index: u32) {
        let grace = self.config.cancel_grace;
        let node = self.arena.id(index);
        if let Some(running) = self.arena.cold_mut(index).activity.as_mut().and_then(|a| a.running.as_mut())
            && !running.cancelled
        {
            running.cancelled = true;
            self.pending.push(Effect::Cancel { node, grace });
        }
    }
}
