//! Nothing is left behind: A-10.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{ActionError, Outcome, RetryPolicy};
use fsm_executor::{EnqueueError, ExecutorConfig, ExecutorEvent, Request};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::support::{Blocked, Flag, Rig, cancelled, hangs, id, ms, noop, policy};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// A rig in which an action hangs, one heeds its token, one waits for a retry and many wait for a place.
async fn busy_rig() -> Rig {
    let mut rig = Rig::with_places(2);
    let retry = policy().with_retry(RetryPolicy::DEFAULT);
    rig.enqueue(
        1,
        Request::new(id(1), retry, |_| async {
            Err(ActionError::transient("no").with_retry_after(ms(3_600_000)))
        }),
    );
    rig.started(1).await;
    rig.enqueue(2, hangs());
    rig.enqueue(
        3,
        Request::new(id(3), policy(), |attempt| async move {
            cancelled(&attempt).await;
            Ok(())
        }),
    );
    for key in 4..100 {
        rig.enqueue(key, noop());
    }
    rig.so_far().await;
    let stats = rig.executor.stats();
    assert_eq!((stats.running, stats.waiting, stats.backing_off), (2, 96, 1));
    rig
}

// spec: A-10
#[tokio::test(start_paused = true)]
async fn shutdown_leaves_no_task_no_slot_and_no_end_untold() {
    let before = tasks();
    let mut rig = busy_rig().await;
    assert!(tasks() > before);
    let start = Instant::now();
    assert!(rig.executor.shutdown(Duration::from_secs(30)).await.is_clean());
    assert!((ms(5_000)..ms(5_010)).contains(&start.elapsed()), "the grace: {:?}", start.elapsed());
    assert_eq!(tasks(), before);
    let mut ended: Vec<_> = rig
        .so_far()
        .await
        .into_iter()
        .filter_map(|event| if let ExecutorEvent::Ended(ended) = event { Some(ended) } else { None })
        .collect();
    ended.sort_by_key(|ended| ended.action.key);
    assert_eq!(ended.iter().map(|ended| ended.action.key).collect::<Vec<_>>(), (1..100).collect::<Vec<_>>());
    assert!(ended.iter().all(|ended| ended.report.outcome == Outcome::Cancelled));
    let stats = rig.executor.stats();
    assert_eq!((stats.running, stats.waiting, stats.backing_off, stats.leaked), (0, 0, 0, 0));
    rig.refused(1, noop(), EnqueueError::ShuttingDown);
}

// spec: A-10
#[tokio::test(start_paused = true)]
async fn deadline_cuts_the_grace_and_clean_up_short() {
    let before = tasks();
    let mut rig = Rig::with_places(1);
    let cleaned = Flag::default();
    let in_action = cleaned.clone();
    rig.enqueue(
        1,
        Request::new(id(1), policy(), move |attempt| {
            let cleaned = in_action.clone();
            attempt.cleanups.register(async move {
                tokio::time::sleep(ms(500)).await;
                cleaned.set();
            });
            pending()
        }),
    );
    rig.started(1).await;
    let start = Instant::now();
    assert!(rig.executor.shutdown(ms(1_000)).await.is_clean());
    assert!(start.elapsed() < ms(1_010), "{:?}", start.elapsed());
    assert_eq!((rig.outcome(1).await, cleaned.is_set(), tasks()), (Outcome::Cancelled, false, before));
}

// spec: A-10
#[tokio::test(start_paused = true)]
async fn second_shutdown_makes_the_first_one_hurry() {
    let rig = busy_rig().await;
    let start = Instant::now();
    let (first, second) = tokio::join!(rig.executor.shutdown(ms(30_000)), async {
        tokio::time::sleep(ms(1_000)).await;
        rig.executor.shutdown(Duration::ZERO).await
    });
    assert!(first.is_clean() && second.is_clean());
    assert!(start.elapsed() < ms(1_010), "{:?}", start.elapsed());
}

// spec: A-10
#[tokio::test(start_paused = true)]
async fn idle_executor_shuts_down_at_once() {
    let before = tasks();
    let rig = Rig::new(ExecutorConfig::default());
    let start = Instant::now();
    assert!(rig.executor.shutdown(ms(30_000)).await.is_clean());
    assert_eq!((start.elapsed(), tasks()), (Duration::ZERO, before));
}

// spec: A-10
#[tokio::test(start_paused = true)]
async fn shutdown_given_up_half_way_can_be_called_again() {
    let before = tasks();
    let rig = busy_rig().await;
    let half = tokio::time::timeout(ms(100), rig.executor.shutdown(ms(30_000))).await;
    assert!(half.is_err());
    assert!(rig.executor.shutdown(ms(30_000)).await.is_clean());
    assert_eq!(tasks(), before);
}

// spec: A-10
#[tokio::test(start_paused = true)]
async fn dropped_executor_ends_its_tasks() {
    let before = tasks();
    let mut rig = Rig::with_places(2);
    let dropped = Flag::default();
    let in_action = dropped.clone();
    rig.enqueue(
        1,
        Request::new(id(1), policy(), move |_| {
            let dropped = in_action.on_drop();
            async move {
                let _dropped = dropped;
                pending().await
            }
        }),
    );
    rig.started(1).await;
    drop(rig);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(dropped.is_set());
    assert_eq!(tasks(), before);
}

// spec: A-10
#[tokio::test(start_paused = true)]
async fn dropped_executor_tells_its_threads() {
    let rig = Rig::with_places(1);
    let (entering, entered) = oneshot::channel();
    let (telling, told) = oneshot::channel();
    let once = Mutex::new(Some((entering, telling)));
    rig.enqueue(
        1,
        Request::new(id(1), policy().blocking(), move |attempt| {
            let (entering, telling) = once.lock().expect("not poisoned").take().expect("one attempt");
            // Never awaits: the token is all it can hear.
            async move {
                let _ = entering.send(());
                for _ in 0..10_000_000 {
                    if attempt.cancel.is_cancelled() {
                        let _ = telling.send(());
                        break;
                    }
                    std::thread::yield_now();
                }
                Ok(())
            }
        }),
    );
    entered.await.expect("the action runs");
    drop(rig);
    assert_eq!(told.await, Ok(()));
}

// spec
#[tokio::test(start_paused = true)]
async fn thread_that_does_not_come_back_is_in_the_report() {
    let before = tasks();
    let mut rig = Rig::with_places(1);
    let (request, mut thread) = Blocked::request(policy().blocking());
    rig.enqueue(1, request);
    thread.entered().await;
    let executor = Arc::clone(&rig.executor);
    let (report, ()) = tokio::join!(executor.shutdown(ms(1_000)), async {
        // Paused time doesn't pass by itself while a thread is at work.
        for _ in 0..30 {
            tokio::time::advance(ms(50)).await;
        }
    });
    assert_eq!(report.leaked.iter().map(|action| action.key).collect::<Vec<_>>(), vec![1]);
    assert!(report.unfinished.is_empty());
    let ended = rig.ended(1).await;
    assert_eq!((ended.report.outcome, ended.leaked), (Outcome::Cancelled, true));
    drop(thread);
    assert!(matches!(rig.next().await, ExecutorEvent::LeakedEnded { .. }));
    // The blocking thread's own task is gone a moment after its closure.
    for _ in 0..10_000 {
        if tasks() == before {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(tasks(), before);
}

// spec: A-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn action_that_holds_its_runtime_thread_is_in_the_report() {
    let mut rig = Rig::with_places(1);
    let (request, mut thread) = Blocked::request(policy());
    rig.enqueue(1, request);
    thread.entered().await;
    let report = rig.executor.shutdown(Duration::ZERO).await;
    assert_eq!(report.unfinished.iter().map(|action| action.key).collect::<Vec<_>>(), vec![1]);
    assert!(!report.is_clean());
    let ended = rig.ended(1).await;
    assert_eq!((ended.report.outcome, ended.leaked), (Outcome::Cancelled, true));
    drop(thread);
}
