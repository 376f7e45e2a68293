//! Attempts after the first one: A-4.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{ActionError, Outcome, RetryPolicy};
use fsm_executor::Request;
use tokio::time::Instant;

use crate::support::{Rig, id, ms, noop, policy};

type Starts = Arc<Mutex<Vec<Instant>>>;

/// An action that fails in each attempt below `good`, and notes when its attempts start.
fn fails_until(good: u32, starts: &Starts, error: fn() -> ActionError) -> Request {
    let starts = Arc::clone(starts);
    Request::new(id(9), policy().with_retry(RetryPolicy::DEFAULT), move |attempt| {
        starts.lock().expect("not poisoned").push(Instant::now());
        async move { if attempt.number < good { Err(error()) } else { Ok(()) } }
    })
}

fn gaps(starts: &Starts) -> Vec<Duration> {
    starts.lock().expect("not poisoned").windows(2).map(|pair| pair[1] - pair[0]).collect()
}

// spec: A-4
#[tokio::test(start_paused = true)]
async fn failing_action_has_three_more_attempts_with_growing_bounds() {
    let mut rig = Rig::with_places(10);
    let all: Vec<Starts> = (0..200).map(|_| Starts::default()).collect();
    for (key, starts) in (0..).zip(&all) {
        rig.enqueue(key, fails_until(u32::MAX, starts, || ActionError::transient("refused")));
    }
    let mut longest = [Duration::ZERO; 3];
    for _ in &all {
        let ended = loop {
            if let fsm_executor::ExecutorEvent::Ended(ended) = rig.next().await {
                break ended;
            }
        };
        assert_eq!((ended.report.outcome, ended.report.attempts), (Outcome::Failure, 4));
        assert_eq!(ended.report.error.as_deref(), Some("refused"));
        let gaps = gaps(&all[ended.action.key as usize]);
        assert_eq!(gaps.len(), 3);
        for (longest, gap) in longest.iter_mut().zip(gaps) {
            *longest = gap.max(*longest);
        }
    }
    // tokio's timer rounds up to a millisecond.
    for (longest, bound) in longest.into_iter().zip([101, 201, 401]) {
        assert!(longest <= ms(bound) && longest > ms(bound) * 3 / 4, "{longest:?} of {bound} ms");
    }
}

// spec: A-4
#[tokio::test(start_paused = true)]
async fn retry_that_succeeds_ends_in_success() {
    let mut rig = Rig::with_places(1);
    let starts = Starts::default();
    rig.enqueue(1, fails_until(3, &starts, || ActionError::transient("refused")));
    let report = rig.ended(1).await.report;
    assert_eq!((report.outcome, report.attempts, report.error), (Outcome::Success, 3, None));
    let span: Duration = gaps(&starts).iter().sum();
    assert_eq!(report.duration, span, "the duration is that of all attempts with their back-off");
}

// spec: A-4
#[tokio::test(start_paused = true)]
async fn permanent_error_is_not_retried() {
    let mut rig = Rig::with_places(1);
    let starts = Starts::default();
    rig.enqueue(1, fails_until(2, &starts, || ActionError::permanent("wrong password")));
    let report = rig.ended(1).await.report;
    assert_eq!((report.outcome, report.attempts), (Outcome::Failure, 1));
}

// spec: A-4
#[tokio::test(start_paused = true)]
async fn panic_is_not_retried() {
    let mut rig = Rig::with_places(1);
    let retrying = policy().with_retry(RetryPolicy::DEFAULT);
    rig.enqueue(1, Request::new(id(1), retrying, |_| async { panic!("bug") }));
    let report = rig.ended(1).await.report;
    assert_eq!((report.outcome, report.attempts), (Outcome::Panic, 1));
}

// spec: A-4
#[tokio::test(start_paused = true)]
async fn retry_after_wins_and_is_reported_when_nothing_is_left() {
    let mut rig = Rig::with_places(1);
    let starts = Starts::default();
    let busy = || ActionError::transient("429").with_retry_after(Duration::from_secs(45));
    rig.enqueue(1, fails_until(u32::MAX, &starts, busy));
    let report = rig.ended(1).await.report;
    assert_eq!(gaps(&starts), vec![Duration::from_secs(45); 3]);
    assert_eq!(report.retry_after, Some(Duration::from_secs(45)));
}

// spec: A-4
#[tokio::test(start_paused = true)]
async fn back_offs_end_in_their_own_order() {
    let mut rig = Rig::with_places(1);
    for (key, wait) in [(1, 500), (2, 100), (3, 300)] {
        let retry = policy().with_retry(RetryPolicy::DEFAULT);
        rig.enqueue(
            key,
            Request::new(id(1), retry, move |attempt| async move {
                match attempt.number {
                    1 => Err(ActionError::transient("not yet").with_retry_after(ms(wait))),
                    _ => Ok(()),
                }
            }),
        );
    }
    assert_eq!(rig.ends(3).await, vec![2, 3, 1]);
}

// spec
#[tokio::test(start_paused = true)]
async fn each_attempt_has_the_whole_timeout() {
    let mut rig = Rig::with_places(1);
    let retry = RetryPolicy { base: Duration::ZERO, ..RetryPolicy::DEFAULT };
    rig.enqueue(
        1,
        Request::new(id(1), policy().with_retry(retry), |_| async {
            tokio::time::sleep(ms(9_000)).await;
            Err(ActionError::transient("slow no"))
        }),
    );
    let report = rig.ended(1).await.report;
    assert_eq!((report.outcome, report.attempts), (Outcome::Failure, 4));
    assert!(report.duration >= ms(36_000), "{:?}", report.duration);
}

#[tokio::test(start_paused = true)]
async fn endless_retry_after_waits_and_can_be_cancelled() {
    let mut rig = Rig::with_places(1);
    let starts = Starts::default();
    let never = || ActionError::transient("gone").with_retry_after(Duration::MAX);
    rig.enqueue(1, fails_until(u32::MAX, &starts, never));
    rig.so_far().await;
    assert_eq!(rig.executor.stats().backing_off, 1);
    rig.executor.cancel(1, ms(5_000));
    rig.ended(1).await;
    rig.enqueue(1, noop());
    assert_eq!(rig.outcome(1).await, Outcome::Success);
}
