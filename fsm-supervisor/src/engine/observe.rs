//! Observations: when to look, what to believe, when to stop believing it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::erase::{Collected, JobSpec, Slot};
use fsm_core::{CollectError, CollectMode, Generation, Goal, Moment, NodeId};

use fsm_metrics::ObservationResult;

use super::Engine;
use super::flags::Flags;
use super::wheel::Timer;
use crate::effect::{Effect, What};
use crate::event::EventKind;
use crate::input::CollectFailure;

/// First back-off between collector restarts; it grows by itself each time: 2, 4, 6 s (S-31).
const COLLECTOR_BACK_OFF: Duration = Duration::from_secs(2);

impl Engine {
    /// Whether anybody wants to know: a node at rest that is not to run is not looked at.
    pub(super) fn collects(&self, index: u32) -> bool {
        let hot = self.arena.hot(index);
        hot.slot != Slot::NONE
            && (hot.goal == Goal::Run || !self.is_at_rest(index))
            && hot.flags.has(Flags::OBSERVES)
    }

    /// Starts the rhythm of collections if it doesn't beat.
    pub(super) fn keep_collecting(&mut self, index: u32) {
        let hot = self.arena.hot(index);
        if !hot.flags.has(Flags::COLLECTING) && hot.collect_at == Moment::FAR {
            self.start_collecting(index, self.now);
        }
    }

    /// Looks now, whatever is under way: what was started before doesn't count any more (S-34, A-6).
    pub(super) fn collect_again(&mut self, index: u32) {
        let mut started = self.now;
        let hot = self.arena.hot(index);
        if hot.flags.has(Flags::COLLECTING) {
            // Never the moment of the one that is dropped: its result must not pass for this one's.
            started = started.max(hot.collect_at + Duration::from_nanos(1));
            let node = self.arena.id(index);
            self.pending.push(Effect::CancelCollect { node });
        }
        self.start_collecting(index, started);
    }

    /// The collection timer fired.
    pub(super) fn collect_due(&mut self, index: u32) {
        self.arena.hot_mut(index).collect_at = Moment::FAR;
        if !self.collects(index) {
            return;
        }
        let hot = self.arena.hot(index);
        if let CollectMode::Push { heartbeat } = self.policy(index).collect {
            let quiet_until = hot.taken + heartbeat;
            if hot.flags.has(Flags::OBSERVED) && quiet_until > self.now {
                self.collect_at(index, quiet_until);
                return;
            }
        }
        self.start_collecting(index, self.now);
    }

    fn start_collecting(&mut self, index: u32, started: Moment) {
        let now = self.now;
        let (timeout, blocking, stale_after) = {
            let policy = self.policy(index);
            (policy.collect_timeout(), policy.blocking_collect, policy.stale_after())
        };
        let identity = Arc::new(self.identity(index));
        let generation = self.arena.cold(index).desired;
        let (kind, slot) = (self.arena.hot(index).kind as usize, self.arena.hot(index).slot);
        let job = JobSpec { identity: Arc::clone(&identity), generation };
        let run = self.kinds[kind].collect_run(slot, job);
        let node = self.arena.id(index);
        let hot = self.arena.hot_mut(index);
        hot.flags.set(Flags::COLLECTING);
        hot.collect_at = started;
        if !hot.flags.take(Flags::FRESH_ARMED) {
            if !hot.flags.has(Flags::OBSERVED) {
                hot.taken = now;
            }
            self.arm_fresh(index, now + stale_after);
        }
        self.arena.hot_mut(index).flags.set(Flags::FRESH_ARMED);
        self.pending.push(Effect::Collect { node, started, generation, timeout, blocking, identity, run });
    }

    fn collect_at(&mut self, index: u32, at: Moment) {
        let node = self.arena.id(index);
        self.arena.hot_mut(index).collect_at = at;
        self.wheel.arm(at, node, Timer::Collect);
    }

    /// A collection ended. A late one, or one from before a change of the desired state, is dropped.
    pub(super) fn observed(
        &mut self,
        node: NodeId,
        started: Moment,
        taken: Moment,
        generation: Generation,
        result: Result<Collected, CollectFailure>,
    ) {
        if !self.arena.lives(node) {
            return;
        }
        let index = node.index() as u32;
        let hot = self.arena.hot_mut(index);
        if !hot.flags.has(Flags::COLLECTING) || hot.collect_at != started {
            return;
        }
        hot.flags.clear(Flags::COLLECTING);
        hot.collect_at = Moment::FAR;
        let leaves = hot.goal == Goal::Remove;
        if leaves && self.said_farewell(index) {
            // The last look before removal: taken, and nothing follows.
            self.believe(index, started, taken, result);
            self.mark(index);
            return;
        }
        // A push that came meanwhile is newer than what this look found.
        let hot = self.arena.hot(index);
        let overtaken = hot.flags.has(Flags::OBSERVED) && started < hot.taken;
        // While nothing is outdated no desired state changed: the quiet path reads nothing cold.
        if hot.flags.has(Flags::OUTDATED) && self.arena.cold(index).desired != generation {
            self.start_collecting(index, self.now);
            return;
        }
        let first = !self.arena.hot(index).flags.has(Flags::OBSERVED);
        let mut interval = self.policy(index).interval().unwrap_or_default();
        if first {
            // Those that were started together don't look together for ever.
            interval = interval.mul_f64(0.5 + 0.5 * self.chance(index, 0));
        }
        let at = (started + interval).max(self.now);
        self.collect_at(index, at);
        if !overtaken {
            self.believe(index, started, taken, result);
        }
    }

    fn believe(
        &mut self,
        index: u32,
        started: Moment,
        taken: Moment,
        result: Result<Collected, CollectFailure>,
    ) {
        let scope = self.arena.hot(index).scope;
        let took = taken.since(started);
        match result {
            Ok(Collected::Same) => {
                self.meter.observation(scope, ObservationResult::Unchanged, took);
                self.seen(index, started, taken, false);
            }
            Ok(Collected::Similar(value) | Collected::Changed(value)) => {
                let Some(changed) = self.accept(index, value) else {
                    let error = CollectError::new("the collector gave a value of another type");
                    self.not_seen(index, CollectFailure::Error(error), took);
                    return;
                };
                self.meter.observation(
                    scope,
                    if changed { ObservationResult::Changed } else { ObservationResult::Unchanged },
                    took,
                );
                self.seen(index, started, taken, changed);
            }
            Err(failure) => self.not_seen(index, failure, took),
        }
    }

    /// A task pushed an observation.
    pub(super) fn pushed(&mut self, node: NodeId, taken: Moment, value: Arc<dyn Any + Send + Sync>) {
        if !self.arena.lives(node) || self.arena.hot(node.index() as u32).slot == Slot::NONE {
            return;
        }
        let index = node.index() as u32;
        if taken < self.arena.hot(index).taken && self.arena.hot(index).flags.has(Flags::OBSERVED) {
            return;
        }
        let Some(changed) = self.accept(index, value) else { return };
        let scope = self.arena.hot(index).scope;
        self.meter.observation(
            scope,
            if changed { ObservationResult::Changed } else { ObservationResult::Unchanged },
            Duration::ZERO,
        );
        self.seen(index, taken, taken, changed);
    }

    /// Puts a value into its cell; says whether a decision can differ, or nothing when the cell refused it (I16).
    fn accept(&mut self, index: u32, value: Arc<dyn Any + Send + Sync>) -> Option<bool> {
        let (kind, slot) = (self.arena.hot(index).kind as usize, self.arena.hot(index).slot);
        let changed = self.kinds[kind].accept(slot, value)?;
        if changed && let Some(value) = self.kinds[kind].observed(slot) {
            self.persist(index, What::Observed { value });
        }
        Some(changed)
    }

    /// A believable observation is there: is it an input?
    fn seen(&mut self, index: u32, started: Moment, taken: Moment, changed: bool) {
        let hot = self.arena.hot_mut(index);
        hot.started = started;
        hot.taken = taken;
        let first = !hot.flags.has(Flags::OBSERVED);
        hot.flags.set(Flags::OBSERVED);
        // The common case of an idle node ends here: nothing cold was touched.
        let quiet = [Flags::STALE, Flags::AWAIT, Flags::ACTIVE, Flags::TROUBLED, Flags::OUTDATED];
        if first || changed || hot.flags.any(&quiet) {
            self.seen_with_news(index, started, changed, first);
        }
    }

    fn seen_with_news(&mut self, index: u32, started: Moment, changed: bool, first: bool) {
        let age = self.now.since(self.arena.hot(index).taken);
        let too_old = age >= self.policy(index).stale_after();
        let cold = self.arena.cold_mut(index);
        cold.observed_under = cold.desired;
        if let Some(trouble) = &mut cold.trouble {
            trouble.collector_restarts = 0;
            trouble.last_collect_error = None;
        }
        let after = cold.activity.as_ref().map_or(Moment::ZERO, |a| a.after);
        let hot = self.arena.hot_mut(index);
        hot.flags.clear(Flags::TROUBLED);
        // The first one under another desired state is an input, equal or not.
        let mut news = hot.flags.take(Flags::OUTDATED) || changed || first;
        if hot.flags.has(Flags::AWAIT) {
            // So is the first one that was started after an action; before that none is.
            news = started >= after;
            hot.flags.put(Flags::AWAIT, !news);
        } else {
            news |= hot.flags.has(Flags::ACTIVE) && started >= after && !hot.flags.has(Flags::ACTING);
        }
        let stale = hot.flags.has(Flags::STALE);
        if stale && !too_old {
            hot.flags.clear(Flags::STALE);
            self.emit(index, EventKind::ObservationFresh);
            self.refresh(index);
            news = true;
        } else if first && too_old && !stale {
            self.grow_stale(index, age);
        }
        if news {
            self.mark(index);
        }
    }

    fn not_seen(&mut self, index: u32, failure: CollectFailure, took: Duration) {
        let scope = self.arena.hot(index).scope;
        let (looked, text): (_, Arc<str>) = match failure {
            CollectFailure::Error(error) => (ObservationResult::Error, error.chain()),
            CollectFailure::Timeout(after) => (
                ObservationResult::Timeout,
                format!("no answer within {}", fsm_core::HumanDuration::new(after)).into(),
            ),
            CollectFailure::Panic(text) => {
                self.meter.panic_text(scope, &text);
                self.emit(index, EventKind::Panic { r#where: "collect", text: Arc::clone(&text) });
                (ObservationResult::Error, format!("the collector panicked: {text}").into())
            }
        };
        self.meter.observation(scope, looked, took);
        let trouble = self.arena.cold_mut(index).trouble.get_or_insert_default();
        let news = trouble.last_collect_error.as_ref() != Some(&text);
        trouble.last_collect_error = Some(text);
        let hot = self.arena.hot_mut(index);
        hot.flags.set(Flags::TROUBLED);
        self.suspect(index);
        let hot = self.arena.hot(index);
        if news && (!hot.flags.has(Flags::OBSERVED) || hot.flags.has(Flags::STALE)) {
            // So that the reason for waiting names it.
            self.mark(index);
        }
    }

    /// How often a node is looked at, and when what was seen grows stale and its collector is given up.
    pub(super) fn rhythm(&self, index: u32) -> (Option<Duration>, (Duration, Duration)) {
        let policy = self.policy(index);
        (policy.interval(), (policy.stale_after(), policy.collector_timeout()))
    }

    /// Other bounds of freshness apply from now on: the timer that is armed would be too late, or too early.
    pub(super) fn check_fresh_anew(&mut self, index: u32) {
        if self.arena.hot(index).flags.has(Flags::FRESH_ARMED) {
            self.arena.hot_mut(index).flags.set(Flags::FRESH_MOVED);
            self.arena.cold_mut(index).trouble.get_or_insert_default().fresh_at = Some(self.now);
            // Its collector did nothing wrong so far: it has the time of one look.
            let patience = self.now + self.policy(index).collect_timeout();
            self.check_fresh(index, patience);
        }
    }

    /// A freshness timer fired. Only where the bounds of freshness changed may another one have taken its place.
    pub(super) fn fresh_due(&mut self, index: u32, at: Moment) {
        let is_newest = |newest: Moment| newest == at;
        if !self.arena.hot(index).flags.has(Flags::FRESH_MOVED)
            || self.arena.cold(index).trouble.as_ref().and_then(|t| t.fresh_at).is_none_or(is_newest)
        {
            self.check_fresh(index, Moment::ZERO);
        }
    }

    fn arm_fresh(&mut self, index: u32, at: Moment) {
        let node = self.arena.id(index);
        if self.arena.hot(index).flags.has(Flags::FRESH_MOVED)
            && let Some(trouble) = &mut self.arena.cold_mut(index).trouble
        {
            trouble.fresh_at = Some(at);
        }
        self.wheel.arm(at, node, Timer::Fresh);
    }

    /// Compares, then arms for when it could matter next. The collector isn't given up before `patience`.
    fn check_fresh(&mut self, index: u32, patience: Moment) {
        let (stale_after, collector_timeout) = {
            let policy = self.policy(index);
            (policy.stale_after(), policy.collector_timeout())
        };
        if !self.collects(index) {
            self.arena.hot_mut(index).flags.clear(Flags::FRESH_ARMED);
            return;
        }
        let hot = self.arena.hot(index);
        let taken = hot.taken;
        let age = self.now.since(taken);
        if age < stale_after {
            self.arm_fresh(index, taken + stale_after);
            return;
        }
        if hot.flags.has(Flags::OBSERVED) && !hot.flags.has(Flags::STALE) {
            self.cause = self.cause.next();
            self.grow_stale(index, age);
            self.mark(index);
        }
        let give_up = (taken + collector_timeout).max(patience);
        if self.now < give_up {
            self.arm_fresh(index, give_up);
            return;
        }
        self.restart_collector(index);
    }

    fn grow_stale(&mut self, index: u32, age: Duration) {
        let hot = self.arena.hot_mut(index);
        hot.flags.set(Flags::STALE);
        let scope = hot.scope;
        self.meter.stale(scope);
        self.emit(index, EventKind::ObservationStale { age });
        self.refresh(index);
    }

    /// The collector gave nothing for too long: cancel it and start it again, later each time; then restart the node (S-31).
    fn restart_collector(&mut self, index: u32) {
        let (maximum, timeout) = {
            let policy = self.policy(index);
            (policy.max_collector_restarts, policy.collect_timeout())
        };
        let node = self.arena.id(index);
        let trouble = self.arena.cold_mut(index).trouble.get_or_insert_default();
        if trouble.collector_restarts >= maximum {
            trouble.collector_restarts = 0;
            self.arena.hot_mut(index).flags.clear(Flags::FRESH_ARMED);
            self.restart(index, fsm_metrics::RestartCause::Collector);
            return;
        }
        trouble.collector_restarts += 1;
        let restart = trouble.collector_restarts;
        debug_assert!(restart <= maximum, "I1: collector restarts within their maximum");
        let back_off = COLLECTOR_BACK_OFF * restart;
        if self.arena.hot_mut(index).flags.take(Flags::COLLECTING) {
            self.pending.push(Effect::CancelCollect { node });
        }
        let scope = self.arena.hot(index).scope;
        self.meter.collector_restart(scope);
        self.emit(index, EventKind::CollectorRestarted { restart });
        let at = self.now + back_off;
        self.collect_at(index, at);
        self.arm_fresh(index, at + timeout);
    }
}
