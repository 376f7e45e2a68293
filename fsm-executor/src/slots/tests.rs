//! The bookkeeping against a plain model, and its memory.

use std::collections::{BTreeMap, VecDeque};

use fsm_core::ActionId;
use proptest::prelude::*;

use super::*;

const RUNNERS: usize = 4;

fn config() -> ExecutorConfig {
    ExecutorConfig::default().with_concurrency(3).with_reserved_for_stop(1).with_max_waiting(4)
}

fn job(key: u8, priority: Priority) -> Box<Job<u8>> {
    Box::new(Job {
        node: None,
        action: ActionRef { key, id: ActionId::new(u64::from(key)), name: "test", tag: 0 },
        policy: ActionPolicy::new("test", Duration::from_secs(1)),
        priority,
        make: Box::new(|_| Box::pin(async { Ok(()) })),
        accepted: Moment::ZERO,
        started: None,
        attempts: 0,
        failed: None,
        run: 0,
    })
}

fn ending(now: Instant) -> Ending {
    Ending { drop_at: now, grace: Duration::ZERO, limit: None }
}

#[derive(Debug, Clone)]
enum Op {
    Enqueue(u8, bool),
    /// What the n-th busy runner does: end, fail and wait, be abandoned.
    Conclude(usize, u8),
    Cancel(u8),
    RetriesDue,
    ThreadBack(usize),
    Release(u8),
    HandOver(u8, u8),
    /// A wake-up that means nothing.
    Spurious(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..12_u8;
    prop_oneof![
        6 => (key.clone(), any::<bool>()).prop_map(|(key, stop)| Op::Enqueue(key, stop)),
        6 => (0..RUNNERS, 0..3_u8).prop_map(|(nth, how)| Op::Conclude(nth, how)),
        2 => key.clone().prop_map(Op::Cancel),
        2 => Just(Op::RetriesDue),
        1 => (0..4_usize).prop_map(Op::ThreadBack),
        1 => key.clone().prop_map(Op::Release),
        1 => (key.clone(), key).prop_map(|(from, to)| Op::HandOver(from, to)),
        1 => (0..RUNNERS).prop_map(Op::Spurious),
    ]
}

/// Runners as the real ones behave: woken, they take; having taken, they hold; having nothing, they wait to be woken.
struct World {
    slots: Slots<u8>,
    now: Instant,
    token: CancellationToken,
    holds: BTreeMap<usize, Box<Job<u8>>>,
    /// Key and run of abandoned threads.
    threads: Vec<(u8, u64)>,
    woken: VecDeque<usize>,
}

impl World {
    fn new() -> Self {
        let slots = Slots::new(config());
        let mut world = Self {
            slots,
            now: Instant::now(),
            token: CancellationToken::new(),
            holds: BTreeMap::new(),
            threads: Vec::new(),
            woken: (0..RUNNERS).collect(),
        };
        world.run_woken();
        world
    }

    fn run_woken(&mut self) {
        while let Some(runner) = self.woken.pop_front() {
            // A busy runner keeps the permit and looks again later; here it looks when it concludes.
            if self.holds.contains_key(&runner) {
                continue;
            }
            if let Next::Job(job) = self.slots.take(runner, &self.token) {
                self.holds.insert(runner, job);
            }
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Enqueue(key, stop) => {
                let priority = if stop { Priority::Stop } else { Priority::Normal };
                let free = self.slots.in_flight(key).is_none();
                let room = self.slots.stats().waiting < 4;
                match self.slots.enqueue(job(key, priority)) {
                    Ok(wake) => {
                        assert!(free && room);
                        self.woken.extend(wake);
                    }
                    Err((EnqueueError::Busy, _)) => assert!(!free),
                    Err((error, _)) => assert!(error == EnqueueError::QueueFull && free && !room),
                }
            }
            Op::Conclude(nth, how) => {
                let Some(runner) = self.holds.keys().nth(nth).copied() else { return };
                let job = self.holds.remove(&runner).expect("just found");
                let (key, run) = (job.action.key, job.run);
                match how {
                    0 => assert!(self.slots.end(key, run).is_some()),
                    1 => {
                        self.now += Duration::from_millis(1);
                        if self.slots.retry(job, self.now).is_err() {
                            assert!(self.slots.end(key, run).is_some());
                        }
                    }
                    _ => {
                        assert!(self.slots.abandon(key, run));
                        self.threads.push((key, run));
                    }
                }
                self.woken.push_back(runner);
            }
            Op::Cancel(key) => {
                let before = self.slots.in_flight(key).map(|slot| slot.stage);
                let found = self.slots.cancel(key, ending(self.now));
                match (before, found) {
                    (None, Found::Nothing) | (Some(SlotStage::Abandoned), Found::Abandoned) => {}
                    (Some(SlotStage::Running), Found::Running { .. }) => {
                        assert!(self.holds.values().any(|job| job.action.key == key));
                    }
                    (Some(stage), Found::Removed(_, removed)) => assert_eq!(stage, removed),
                    (before, _) => panic!("a slot that was {before:?} was cancelled as something else"),
                }
            }
            Op::RetriesDue => {
                while let Some((_, wake)) = self.slots.line_up_due(self.now) {
                    self.woken.extend(wake);
                }
            }
            Op::ThreadBack(nth) => {
                if nth < self.threads.len() {
                    let (key, run) = self.threads.remove(nth);
                    assert!(self.slots.returned(key, run));
                }
            }
            Op::Release(key) => {
                let abandoned =
                    self.slots.in_flight(key).is_some_and(|slot| slot.stage == SlotStage::Abandoned);
                assert_eq!(self.slots.release(key), abandoned);
            }
            Op::HandOver(from, to) => {
                let leaked = self.slots.leaked().len();
                self.slots.hand_over(from, to);
                assert_eq!(self.slots.leaked().len(), leaked);
            }
            Op::Spurious(runner) => self.woken.push_back(runner),
        }
        self.run_woken();
        self.check();
    }

    fn check(&self) {
        let stats = self.slots.stats();
        assert!(stats.running <= 3 && stats.running_reserved <= 1);
        assert_eq!(stats.running + stats.running_reserved, self.holds.len());
        assert_eq!(stats.leaked, self.threads.len());
        let waiting_in = |priority| {
            self.slots
                .slots
                .values()
                .filter(|slot| matches!(&slot.stage, Stage::Waiting(job) if job.priority == priority))
                .count()
        };
        let (pool, stop) = (waiting_in(Priority::Normal), waiting_in(Priority::Stop));
        assert_eq!(stats.waiting, pool + stop);
        // Whoever could run does: no wake-up was lost.
        assert!(stats.running == 3 || pool + stop == 0, "{stats:?}: a place is free and an action waits");
        assert!(stats.running_reserved == 1 || stop == 0, "{stats:?}: a reserved place is free");
    }
}

proptest! {
    // spec, J2
    #[test]
    fn places_and_slots_add_up_after_any_history(ops in prop::collection::vec(op(), 1..200)) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
        }
        // At the end of everything nothing is left.
        let waited = world.slots.close(ending(world.now));
        let waited_for = waited.iter().filter(|(_, stage)| *stage == SlotStage::Waiting).count();
        prop_assert!(waited_for <= 4 + RUNNERS);
        let swept = world.slots.sweep();
        prop_assert_eq!(swept.len(), world.holds.len());
        for (key, run) in std::mem::take(&mut world.threads) {
            prop_assert!(world.slots.returned(key, run));
        }
        prop_assert_eq!(world.slots.stats(), ExecutorStats { concurrency: 3, ..ExecutorStats::default() });
        prop_assert!(world.slots.slots.is_empty());
    }
}

// spec: J7
#[test]
fn cancelled_waiters_do_not_pile_up_behind_a_hanging_pool() {
    let mut slots = Slots::new(config());
    let token = CancellationToken::new();
    for key in 0..3 {
        assert!(slots.enqueue(job(key, Priority::Normal)).is_ok());
        assert!(matches!(slots.take(usize::from(key), &token), Next::Job(_)));
    }
    for priority in [Priority::Normal, Priority::Stop] {
        assert!(slots.enqueue(job(100, priority)).is_ok());
        for _ in 0..10_000 {
            assert!(slots.enqueue(job(101, priority)).is_ok());
            assert!(matches!(slots.cancel(101, ending(Instant::now())), Found::Removed(..)));
        }
        assert!(matches!(slots.cancel(100, ending(Instant::now())), Found::Removed(..)));
        assert!(slots.pool_line.len() + slots.stop_line.len() < 300);
    }
}

// spec: A-3
#[test]
fn thread_that_returns_in_the_moment_it_is_abandoned_is_not_leaked() {
    let mut slots = Slots::new(config());
    assert!(slots.enqueue(job(1, Priority::Normal)).is_ok());
    let Next::Job(job) = slots.take(0, &CancellationToken::new()) else { panic!("a place is free") };
    assert!(!slots.returned(1, job.run));
    assert!(!slots.abandon(1, job.run));
    assert!(slots.end(1, job.run).is_some());
    assert_eq!(slots.stats().leaked, 0);
}

// spec: A-5
#[test]
fn failure_that_crosses_a_cancel_is_not_retried() {
    let mut slots = Slots::new(config());
    let now = Instant::now();
    assert!(slots.enqueue(job(1, Priority::Normal)).is_ok());
    let Next::Job(job) = slots.take(0, &CancellationToken::new()) else { panic!("a place is free") };
    assert!(matches!(slots.cancel(1, ending(now)), Found::Running { .. }));
    assert!(slots.retry(job, now).is_err());
}
