//! Who holds which slot, who waits in which order, who may run: the bookkeeping behind one lock, without waiting or calling out.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use foldhash::fast::FixedState;
use fsm_core::{ActionPolicy, Moment, NodePath};
use indexmap::IndexMap;
use indexmap::map::Entry;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::request::Run;
use crate::{ActionRef, EnqueueError, ExecutorConfig, Priority, SlotKey};

mod idle;
mod line;
#[cfg(test)]
mod tests;

use idle::Idle;
use line::Line;

/// An accepted action, on its way between slot and runner.
pub(crate) struct Job<K> {
    pub(crate) action: ActionRef<K>,
    pub(crate) policy: ActionPolicy,
    pub(crate) priority: Priority,
    pub(crate) node: Option<NodePath>,
    pub(crate) make: Run,
    pub(crate) accepted: Moment,
    /// When it first got a place.
    pub(crate) started: Option<Moment>,
    /// Attempts that got a place so far.
    pub(crate) attempts: u32,
    /// Why the last attempt failed.
    pub(crate) failed: Option<Arc<str>>,
    /// Numbers all accepted actions; 0 until accepted.
    pub(crate) run: u64,
}

/// How a running action is to end after a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// When its future is dropped.
    pub(crate) drop_at: Instant,
    /// How long its clean-up may take.
    pub(crate) grace: Duration,
    /// When its clean-up is over in any case.
    pub(crate) limit: Option<Instant>,
}

impl Ending {
    /// A later cancel can only hurry the end.
    fn hurry(self, other: Self) -> Self {
        let limit = match (self.limit, other.limit) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { drop_at: self.drop_at.min(other.drop_at), grace: self.grace.min(other.grace), limit }
    }
}

/// Which kind of place an attempt holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Pool,
    Reserved,
}

enum Stage<K> {
    /// In one of the lines.
    Waiting(Box<Job<K>>),
    /// With a runner.
    Running { runner: usize, place: Place, token: CancellationToken, ending: Option<Ending>, returned: bool },
    /// Waits for its next attempt, without a place.
    BackOff { job: Box<Job<K>>, until: Instant },
    /// Its thread would not end.
    Abandoned,
}

pub(crate) struct Slot<K> {
    action: ActionRef<K>,
    run: u64,
    accepted: Moment,
    attempts: u32,
    stage: Stage<K>,
}

/// What a slot is busy with, as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotStage {
    /// It waits for a place.
    Waiting,
    /// An attempt runs.
    Running,
    /// It waits for its next attempt.
    BackOff,
    /// It was abandoned and has not ended.
    Abandoned,
}

/// What holds a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlight<K> {
    /// Which action.
    pub action: ActionRef<K>,
    /// When it was accepted.
    pub since: Moment,
    /// What it is doing.
    pub stage: SlotStage,
    /// Attempts that got a place so far.
    pub attempts: u32,
}

/// The load of an executor at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ExecutorStats {
    /// Actions that wait for a place.
    pub waiting: usize,
    /// Attempts that hold a place of the pool.
    pub running: usize,
    /// Attempts that hold a place reserved for stopping.
    pub running_reserved: usize,
    /// Actions that wait for a retry.
    pub backing_off: usize,
    /// Abandoned actions that are still at work.
    pub leaked: usize,
    /// Places of the pool.
    pub concurrency: usize,
}

/// What a runner does next.
pub(crate) enum Next<K> {
    Job(Box<Job<K>>),
    Idle,
    Closed,
}

/// What `cancel` found, and what is left to do without the lock.
pub(crate) enum Found<K> {
    Nothing,
    Abandoned,
    Removed(Box<Job<K>>, SlotStage),
    Running { runner: usize, token: CancellationToken },
}

pub(crate) struct Slots<K> {
    config: ExecutorConfig,
    slots: IndexMap<K, Slot<K>, FixedState>,
    pool_line: Line<K>,
    stop_line: Line<K>,
    back_off: BTreeMap<(Instant, u64), K>,
    /// Abandoned runs by number, with the slot each still holds.
    leaked: BTreeMap<u64, (ActionRef<K>, Option<K>)>,
    running: usize,
    running_reserved: usize,
    idle: Idle,
    next_number: u64,
    closed: bool,
}

impl<K: SlotKey> Slots<K> {
    pub(crate) fn new(config: ExecutorConfig) -> Self {
        Self {
            config,
            slots: IndexMap::with_hasher(FixedState::with_seed(config.seed)),
            pool_line: Line::new(),
            stop_line: Line::new(),
            back_off: BTreeMap::new(),
            leaked: BTreeMap::new(),
            running: 0,
            running_reserved: 0,
            idle: Idle::default(),
            next_number: 1,
            closed: false,
        }
    }

    /// Takes the key's slot and a position in line; answers which runner to wake.
    /// A refused job comes back, to be dropped without the lock.
    pub(crate) fn enqueue(
        &mut self,
        mut job: Box<Job<K>>,
    ) -> Result<Option<usize>, (EnqueueError, Box<Job<K>>)> {
        if self.closed {
            return Err((EnqueueError::ShuttingDown, job));
        }
        let full = self.waiting() >= self.config.max_waiting;
        let Entry::Vacant(vacant) = self.slots.entry(job.action.key) else {
            return Err((EnqueueError::Busy, job));
        };
        if full {
            return Err((EnqueueError::QueueFull, job));
        }
        let number = self.next_number;
        self.next_number += 1;
        job.run = number;
        let (key, priority) = (job.action.key, job.priority);
        vacant.insert(Slot {
            action: job.action,
            run: number,
            accepted: job.accepted,
            attempts: 0,
            stage: Stage::Waiting(job),
        });
        Ok(self.line_up(key, number, number, priority))
    }

    /// Puts an action at the end of its line; answers which runner to wake.
    fn line_up(&mut self, key: K, run: u64, ticket: u64, priority: Priority) -> Option<usize> {
        match priority {
            Priority::Normal => self.pool_line.push(ticket, run, key),
            Priority::Stop => self.stop_line.push(ticket, run, key),
        }
        let free = self.running < self.config.concurrency
            || (priority == Priority::Stop && self.running_reserved < self.config.reserved_for_stop);
        if free { self.idle.pop() } else { None }
    }

    /// Gives the runner the next action that may run, or notes that it is idle.
    pub(crate) fn take(&mut self, runner: usize, token: &CancellationToken) -> Next<K> {
        let Some((place, priority)) = self.next_place() else {
            if self.closed {
                return Next::Closed;
            }
            self.idle.add(runner);
            return Next::Idle;
        };
        self.idle.remove(runner);
        let line = match priority {
            Priority::Normal => &mut self.pool_line,
            Priority::Stop => &mut self.stop_line,
        };
        let key = line.pop().expect("next_place answers only for a line with a live head");
        let slot = self.slots.get_mut(&key).expect("a live entry of a line has a slot");
        slot.attempts += 1;
        let running = Stage::Running { runner, place, token: token.clone(), ending: None, returned: false };
        let Stage::Waiting(mut job) = mem::replace(&mut slot.stage, running) else {
            unreachable!("a live entry of a line is waiting")
        };
        job.attempts = slot.attempts;
        match place {
            Place::Pool => self.running += 1,
            Place::Reserved => self.running_reserved += 1,
        }
        Next::Job(job)
    }

    /// Stopping takes the reserved places first. For the others both lines compete in the order of arrival: stopping many nodes
    /// doesn't starve the rest.
    fn next_place(&mut self) -> Option<(Place, Priority)> {
        let slots = &self.slots;
        let live = |key: &K, run: u64| {
            slots.get(key).is_some_and(|slot| slot.run == run && matches!(slot.stage, Stage::Waiting(_)))
        };
        let stop = self.stop_line.head(live);
        if stop.is_some() && self.running_reserved < self.config.reserved_for_stop {
            return Some((Place::Reserved, Priority::Stop));
        }
        if self.running >= self.config.concurrency {
            return None;
        }
        match (self.pool_line.head(live), stop) {
            (None, None) => None,
            (Some(_), None) => Some((Place::Pool, Priority::Normal)),
            (None, Some(_)) => Some((Place::Pool, Priority::Stop)),
            (Some(pool), Some(stop)) if pool < stop => Some((Place::Pool, Priority::Normal)),
            (Some(_), Some(_)) => Some((Place::Pool, Priority::Stop)),
        }
    }

    fn give_back(&mut self, place: Place) {
        match place {
            Place::Pool => self.running -= 1,
            Place::Reserved => self.running_reserved -= 1,
        }
    }

    /// Ends an action and takes the next one in the same step. The slot is handed out so that it is dropped without the lock.
    pub(crate) fn end_and_take(
        &mut self,
        key: K,
        run: u64,
        runner: usize,
        token: &CancellationToken,
    ) -> (Option<Slot<K>>, Next<K>) {
        (self.end(key, run), self.take(runner, token))
    }

    /// Frees slot and place of a running action.
    pub(crate) fn end(&mut self, key: K, run: u64) -> Option<Slot<K>> {
        let Entry::Occupied(slot) = self.slots.entry(key) else { return None };
        let Stage::Running { place, .. } = slot.get().stage else { return None };
        if slot.get().run != run {
            return None;
        }
        let slot = slot.swap_remove();
        self.give_back(place);
        Some(slot)
    }

    /// Gives the place of a running action back and keeps its slot until the next attempt. The job comes back if it was
    /// cancelled meanwhile. Else the answer is whether this retry is now the next one.
    pub(crate) fn retry(&mut self, job: Box<Job<K>>, until: Instant) -> Result<bool, Box<Job<K>>> {
        let (key, run) = (job.action.key, job.run);
        let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.run == run) else { return Err(job) };
        let Stage::Running { place, ending: None, .. } = slot.stage else { return Err(job) };
        slot.stage = Stage::BackOff { job, until };
        self.give_back(place);
        self.back_off.insert((until, run), key);
        Ok(self.next_retry() == Some(until))
    }

    /// When the next retry is due.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.back_off.first_key_value().map(|((until, _), _)| *until)
    }

    /// Puts one action whose back-off is over back in line; answers it with the runner to wake.
    pub(crate) fn line_up_due(&mut self, now: Instant) -> Option<(ActionRef<K>, Option<usize>)> {
        let entry = self.back_off.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((_, run), key) = entry.remove_entry();
        let slot = self.slots.get_mut(&key).expect("an action in back-off keeps its slot");
        let Stage::BackOff { job, .. } = mem::replace(&mut slot.stage, Stage::Abandoned) else {
            unreachable!("an entry of the back-off leaves together with its stage")
        };
        let (action, priority) = (slot.action, job.priority);
        slot.stage = Stage::Waiting(job);
        let ticket = self.next_number;
        self.next_number += 1;
        Some((action, self.line_up(key, run, ticket, priority)))
    }

    /// Cancels what holds the key's slot.
    pub(crate) fn cancel(&mut self, key: K, by: Ending) -> Found<K> {
        let Some(slot) = self.slots.get_mut(&key) else { return Found::Nothing };
        match &mut slot.stage {
            Stage::Abandoned => Found::Abandoned,
            Stage::Running { runner, token, ending, .. } => {
                *ending = Some(ending.map_or(by, |old| old.hurry(by)));
                Found::Running { runner: *runner, token: token.clone() }
            }
            Stage::Waiting(_) | Stage::BackOff { .. } => self.remove(key),
        }
    }

    fn remove(&mut self, key: K) -> Found<K> {
        let Some(slot) = self.slots.swap_remove(&key) else { return Found::Nothing };
        match slot.stage {
            Stage::Waiting(job) => {
                let slots = &self.slots;
                let live = |key: &K, run: u64| slots.get(key).is_some_and(|slot| slot.run == run);
                match job.priority {
                    Priority::Normal => self.pool_line.forget_one(live),
                    Priority::Stop => self.stop_line.forget_one(live),
                }
                Found::Removed(job, SlotStage::Waiting)
            }
            Stage::BackOff { job, until } => {
                self.back_off.remove(&(until, job.run));
                Found::Removed(job, SlotStage::BackOff)
            }
            Stage::Running { .. } | Stage::Abandoned => Found::Nothing,
        }
    }

    /// How the running action is to end, if it was cancelled.
    pub(crate) fn ending(&self, key: K, run: u64) -> Option<Ending> {
        match self.slots.get(&key).filter(|slot| slot.run == run)?.stage {
            Stage::Running { ending, .. } => ending,
            Stage::Waiting(_) | Stage::BackOff { .. } | Stage::Abandoned => None,
        }
    }

    /// Gives up on a blocking attempt: the place is free, the slot is not. False when its thread came back in this moment.
    pub(crate) fn abandon(&mut self, key: K, run: u64) -> bool {
        let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.run == run) else { return false };
        let Stage::Running { place, returned: false, .. } = slot.stage else { return false };
        slot.stage = Stage::Abandoned;
        let action = slot.action;
        self.give_back(place);
        self.leaked.insert(run, (action, Some(key)));
        true
    }

    /// The thread of a blocking attempt came back. True when the attempt had been abandoned: its slot is free now.
    pub(crate) fn returned(&mut self, key: K, run: u64) -> bool {
        if let Some((_, held)) = self.leaked.remove(&run) {
            if let Some(key) = held {
                self.slots.swap_remove(&key);
            }
            return true;
        }
        if let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.run == run)
            && let Stage::Running { returned, .. } = &mut slot.stage
        {
            *returned = true;
        }
        false
    }

    /// Frees the slot of an abandoned action whose thread is still at work.
    pub(crate) fn release(&mut self, key: K) -> bool {
        let Some(slot) = self.slots.get(&key) else { return false };
        if !matches!(slot.stage, Stage::Abandoned) {
            return false;
        }
        if let Some((_, held)) = self.leaked.get_mut(&slot.run) {
            *held = None;
        }
        self.slots.swap_remove(&key);
        true
    }

    /// Moves the slot of an abandoned action to another key.
    pub(crate) fn hand_over(&mut self, from: K, to: K) -> bool {
        let abandoned = |slot: &Slot<K>| matches!(slot.stage, Stage::Abandoned);
        if self.slots.contains_key(&to) || !self.slots.get(&from).is_some_and(abandoned) {
            return false;
        }
        let Some(mut slot) = self.slots.swap_remove(&from) else { return false };
        slot.action.key = to;
        self.leaked.insert(slot.run, (slot.action, Some(to)));
        self.slots.insert(to, slot);
        true
    }

    /// Takes nothing new, cancels everything; answers what waited and is out now.
    pub(crate) fn close(&mut self, by: Ending) -> Vec<(Box<Job<K>>, SlotStage)> {
        self.closed = true;
        let keys: Vec<K> = self.slots.keys().copied().collect();
        let found = keys.into_iter().map(|key| self.cancel(key, by));
        found
            .filter_map(
                |found| if let Found::Removed(job, stage) = found { Some((job, stage)) } else { None },
            )
            .collect()
    }

    /// Takes out what still runs after its runner was aborted.
    pub(crate) fn sweep(&mut self) -> Vec<Slot<K>> {
        let keys: Vec<K> = self.slots.keys().copied().collect();
        keys.into_iter().filter_map(|key| self.end(key, self.slots.get(&key)?.run)).collect()
    }

    pub(crate) fn in_flight(&self, key: K) -> Option<InFlight<K>> {
        self.slots.get(&key).map(Slot::in_flight)
    }

    pub(crate) fn leaked(&self) -> Vec<ActionRef<K>> {
        self.leaked.values().map(|(action, _)| *action).collect()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    fn waiting(&self) -> usize {
        self.pool_line.live() + self.stop_line.live()
    }

    pub(crate) fn stats(&self) -> ExecutorStats {
        ExecutorStats {
            waiting: self.waiting(),
            running: self.running,
            running_reserved: self.running_reserved,
            backing_off: self.back_off.len(),
            leaked: self.leaked.len(),
            concurrency: self.config.concurrency,
        }
    }
}

impl<K: SlotKey> Slot<K> {
    pub(crate) fn in_flight(&self) -> InFlight<K> {
        let stage = match self.stage {
            Stage::Waiting(_) => SlotStage::Waiting,
            Stage::Running { .. } => SlotStage::Running,
            Stage::BackOff { .. } => SlotStage::BackOff,
            Stage::Abandoned => SlotStage::Abandoned,
        };
        InFlight { action: self.action, since: self.accepted, stage, attempts: self.attempts }
    }
}
