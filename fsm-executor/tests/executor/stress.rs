//! Many keys, many threads, every kind of action: each accepted action ends exactly once and nothing is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fsm_core::{ActionError, ActionPolicy, RetryPolicy};
use fsm_executor::{ExecutorConfig, ExecutorEvent, Priority, Request};

use crate::support::{Gauge, Rig, id, ms};

const KEYS: u32 = 64;
const ROUNDS: u64 = 200;

/// One of ten behaviours, by number.
fn action(number: u64, gauge: &Gauge, inside: &Arc<Vec<AtomicU32>>, key: u32) -> Request {
    let retry = RetryPolicy { retries: 2, base: Duration::from_micros(50), cap: ms(1) };
    let policy = ActionPolicy::new("stress", ms(2)).with_retry(retry);
    let policy = if number.is_multiple_of(11) { policy.blocking() } else { policy };
    let (gauge, inside) = (gauge.clone(), Arc::clone(inside));
    let request = Request::new(id(number), policy, move |attempt| {
        let (gauge, inside) = (gauge.clone(), Arc::clone(&inside));
        async move {
            let _inside = Inside::enter(gauge, inside, key);
            match number % 10 {
                0 => tokio::task::yield_now().await,
                1 => return Err(ActionError::transient("again")),
                2 => return Err(ActionError::permanent("no")),
                3 => std::panic::panic_any("stress"),
                4 => std::future::pending().await,
                5 => attempt.cancel.cancelled().await,
                // tidy: allow(sleep-in-test): one of the behaviours, nothing is waited for by it
                6 => tokio::time::sleep(Duration::from_micros(number % 300)).await,
                _ => {}
            }
            Ok(())
        }
    });
    let priority = if number.is_multiple_of(5) { Priority::Stop } else { Priority::Normal };
    request.with_priority(priority)
}

struct Inside(Gauge, Arc<Vec<AtomicU32>>, u32);

impl Inside {
    fn enter(gauge: Gauge, inside: Arc<Vec<AtomicU32>>, key: u32) -> Self {
        assert_eq!(
            inside[key as usize].fetch_add(1, Ordering::SeqCst),
            0,
            "two actions of key {key} at once"
        );
        gauge.enter();
        Self(gauge, inside, key)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.leave();
        self.1[self.2 as usize].fetch_sub(1, Ordering::SeqCst);
    }
}

// spec
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_accepted_action_ends_exactly_once() {
    std::panic::set_hook(Box::new(|info| {
        // The panics of this test are part of it; others are worth their text.
        if info.payload().downcast_ref::<&str>() != Some(&"stress") {
            eprintln!("{info}");
        }
    }));
    let config = ExecutorConfig::default().with_concurrency(6).with_reserved_for_stop(2).with_max_waiting(32);
    let mut rig = Rig::new(config);
    let gauge = Gauge::default();
    let inside: Arc<Vec<AtomicU32>> = Arc::new((0..KEYS).map(|_| AtomicU32::new(0)).collect());
    let mut drivers = tokio::task::JoinSet::new();
    for driver in 0..4_u64 {
        let (executor, gauge, inside) = (Arc::clone(&rig.executor), gauge.clone(), Arc::clone(&inside));
        drivers.spawn(async move {
            let mut accepted = Vec::new();
            for round in 0..ROUNDS {
                for key in 0..KEYS {
                    let number = (round * u64::from(KEYS) + u64::from(key)) * 4 + driver;
                    if executor.enqueue(key, action(number, &gauge, &inside, key)).is_ok() {
                        accepted.push(number);
                    }
                    if number.is_multiple_of(7) {
                        executor.cancel(key ^ 1, Duration::from_micros(number % 500));
                    }
                }
                tokio::task::yield_now().await;
            }
            accepted
        });
    }
    let mut accepted: Vec<u64> = drivers.join_all().await.into_iter().flatten().collect();
    let report = rig.executor.shutdown(ms(10_000)).await;
    assert_eq!(report.unfinished, vec![]);
    let mut ends = BTreeMap::<u64, u32>::new();
    let mut events = rig.so_far().await;
    // A thread that a busy machine didn't schedule in time was abandoned; it comes back.
    while rig.executor.stats().leaked > 0 {
        events.push(rig.next().await);
    }
    events.extend(rig.so_far().await);
    // Abandoned ones gave their places back while they were still inside.
    let mut places = 6 + 2;
    for event in events {
        if let ExecutorEvent::Ended(ended) = event {
            *ends.entry(ended.action.id.get()).or_default() += 1;
            places += usize::from(ended.leaked);
        }
    }
    accepted.sort_unstable();
    assert!(accepted.len() > 500, "only {} of them were accepted", accepted.len());
    assert_eq!(ends.keys().copied().collect::<Vec<_>>(), accepted);
    assert!(ends.values().all(|times| *times == 1));
    assert!(gauge.most() <= places, "{} at once in {places} places", gauge.most());
    assert_eq!((gauge.now(), rig.executor.stats().running), (0, 0));
}
