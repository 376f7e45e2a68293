//! The executor under thousands of interleavings of its tasks: nothing is lost, told twice or stuck, whoever runs when.
//!
//! Time passes as the scheduler likes: a timeout or a back-off may be over at any moment, or never.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{ActionError, ActionId, ActionPolicy, Moment, Outcome, RetryPolicy};
use fsm_executor::{
    Cancel, EnqueueError, Executor, ExecutorConfig, ExecutorEvent, NoObserver, Priority, Request,
};
use shuttle::future::{block_on, spawn, yield_now};

/// Interleavings per rule: a few seconds of them. Each mistake that was tried was found within the first hundred.
const TRIES: usize = 2_000;
/// An action of the pool waits for so many turns of others.
const TURNS: usize = 2;

/// What was told of one action: how often it started, and its ends.
type Life = (u32, Vec<Outcome>);

/// What was told, by action.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<BTreeMap<u64, Life>>>);

impl Told {
    fn take(&self, event: &ExecutorEvent<u32>) {
        let mut told = self.0.lock().unwrap();
        if let ExecutorEvent::Started { action, .. } = event {
            told.entry(action.id.get()).or_default().0 += 1;
        } else if let ExecutorEvent::Ended(ended) = event {
            told.entry(ended.action.id.get()).or_default().1.push(ended.report.outcome);
        }
    }

    fn ends(&self, id: u64) -> Vec<Outcome> {
        self.0.lock().unwrap().get(&id).map(|(_, ends)| ends.clone()).unwrap_or_default()
    }

    fn starts(&self, id: u64) -> u32 {
        self.0.lock().unwrap().get(&id).map_or(0, |(starts, _)| *starts)
    }
}

fn executor(places: usize) -> (Arc<Executor<u32>>, Told) {
    let told = Told::default();
    let sink = {
        let told = told.clone();
        Arc::new(move |event: ExecutorEvent<u32>| told.take(&event))
    };
    let config = ExecutorConfig::default().with_concurrency(places).with_reserved_for_stop(1);
    let executor = Executor::try_new(config, Arc::new(|| Moment::ZERO), sink, Arc::new(NoObserver)).unwrap();
    (Arc::new(executor), told)
}

/// Counts who is inside, and the most at a time.
#[derive(Clone, Default)]
struct Inside(Arc<(AtomicUsize, AtomicUsize)>);

struct Leaves(Inside);

impl Inside {
    fn enter(&self) -> Leaves {
        let inside = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(inside, Ordering::SeqCst);
        Leaves(self.clone())
    }
    fn now(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }
    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn action(id: u64, inside: &Inside, fails: bool) -> Request {
    let retry = if fails { RetryPolicy { retries: 1, ..RetryPolicy::DEFAULT } } else { RetryPolicy::NEVER };
    let policy = ActionPolicy::new("try", Duration::from_secs(3_600)).with_retry(retry);
    let inside = inside.clone();
    Request::new(ActionId::new(id), policy, move |_| {
        let inside = inside.clone();
        async move {
            let _leaves = inside.enter();
            for _ in 0..TURNS {
                yield_now().await;
            }
            if fails { Err(ActionError::transient("again")) } else { Ok(()) }
        }
    })
}

// spec
#[test]
fn every_accepted_action_ends_once_and_never_more_run_than_there_are_places() {
    shuttle::check_random(
        || {
            block_on(async {
                let (executor, told) = executor(2);
                let inside = Inside::default();
                let askers: Vec<_> = (0..3_u64)
                    .map(|asker| {
                        let (executor, inside) = (Arc::clone(&executor), inside.clone());
                        spawn(async move {
                            let mut accepted = Vec::new();
                            for round in 0..2 {
                                let id = asker * 10 + round;
                                // Two askers share a key: one of them may find it busy.
                                let request = action(id, &inside, id % 10 == 1);
                                match executor.enqueue(u32::try_from(asker / 2).unwrap(), request) {
                                    Ok(()) => accepted.push(id),
                                    Err(error) => assert_eq!(error, EnqueueError::Busy),
                                }
                                yield_now().await;
                            }
                            accepted
                        })
                    })
                    .collect();
                let mut accepted = Vec::new();
                for asker in askers {
                    accepted.extend(asker.await.unwrap());
                }
                let report = executor.shutdown(Duration::from_secs(86_400)).await;
                assert!(report.is_clean(), "{report:?}");
                for id in accepted {
                    assert_eq!(told.ends(id).len(), 1, "action {id}: {:?}", told.ends(id));
                    assert!(told.starts(id) <= 1, "action {id} started {} times", told.starts(id));
                }
                assert!(inside.most() <= 3, "{} at once", inside.most());
                assert_eq!(inside.now(), 0);
            });
        },
        TRIES,
    );
}

// spec: A-2 (nobody sleeps while there is work and a place)
#[test]
fn what_waits_runs_without_anybody_else_coming() {
    shuttle::check_random(
        || {
            block_on(async {
                let (executor, told) = executor(1);
                let inside = Inside::default();
                for id in 0..3_u32 {
                    executor.enqueue(id, action(u64::from(id), &inside, false)).unwrap();
                }
                // A lost wake-up would be a deadlock, which the scheduler reports.
                while (0..3).any(|id| told.ends(id).is_empty()) {
                    yield_now().await;
                }
                assert_eq!(executor.stats().running + executor.stats().waiting, 0);
                drop(executor.shutdown(Duration::ZERO).await);
            });
        },
        TRIES,
    );
}

// spec
#[test]
fn a_cancel_meets_an_action_anywhere_and_it_ends_once() {
    shuttle::check_random(
        || {
            block_on(async {
                let (executor, told) = executor(1);
                let inside = Inside::default();
                executor.enqueue(1, action(1, &inside, true)).unwrap();
                executor.enqueue(2, action(2, &inside, false)).unwrap();
                let canceller = {
                    let executor = Arc::clone(&executor);
                    spawn(async move {
                        yield_now().await;
                        [executor.cancel(1, Duration::ZERO), executor.cancel(2, Duration::from_secs(5))]
                    })
                };
                let found = canceller.await.unwrap();
                while told.ends(1).is_empty() || told.ends(2).is_empty() {
                    yield_now().await;
                }
                for (id, found) in [1, 2].into_iter().zip(found) {
                    let [end] = told.ends(id)[..] else { panic!("action {id}: {:?}", told.ends(id)) };
                    if matches!(found, Cancel::Ended) {
                        assert_eq!(end, Outcome::Cancelled, "action {id} was waiting");
                        assert_eq!(executor.in_flight(u32::try_from(id).unwrap()), None);
                    }
                }
                // The slots are free again.
                executor.enqueue(1, action(3, &inside, false)).unwrap();
                while told.ends(3).is_empty() {
                    yield_now().await;
                }
                drop(executor.shutdown(Duration::from_secs(86_400)).await);
            });
        },
        TRIES,
    );
}

// spec
#[test]
fn a_shutdown_meets_those_who_ask_and_what_was_accepted_has_ended_when_it_returns() {
    shuttle::check_random(
        || {
            block_on(async {
                let (executor, told) = executor(1);
                let inside = Inside::default();
                let asker = {
                    let (executor, inside) = (Arc::clone(&executor), inside.clone());
                    spawn(async move {
                        let mut accepted = Vec::new();
                        for id in 0..4_u32 {
                            let request = action(u64::from(id), &inside, id == 2);
                            let request =
                                if id == 3 { request.with_priority(Priority::Stop) } else { request };
                            match executor.enqueue(id, request) {
                                Ok(()) => accepted.push(u64::from(id)),
                                Err(error) => assert_eq!(error, EnqueueError::ShuttingDown),
                            }
                            yield_now().await;
                        }
                        accepted
                    })
                };
                yield_now().await;
                let report = executor.shutdown(Duration::from_secs(86_400)).await;
                assert!(report.is_clean(), "{report:?}");
                assert_eq!(inside.now(), 0, "nothing goes on after it");
                for id in asker.await.unwrap() {
                    assert_eq!(told.ends(id).len(), 1, "action {id}: {:?}", told.ends(id));
                }
            });
        },
        TRIES,
    );
}
