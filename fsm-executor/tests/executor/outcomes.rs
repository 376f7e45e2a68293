//! Five outcomes, and panics that stay where they are.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fsm_core::{ActionError, ActionPolicy, BoxFuture, Outcome};
use fsm_executor::{
    ActionRef, Executor, ExecutorConfig, ExecutorEvent, ExecutorObserver, Request, tokio_clock,
};

use crate::support::{Flag, Rig, hangs, id, ms, noop, policy};

// spec
#[tokio::test(start_paused = true)]
async fn five_endings_give_five_outcomes() {
    let mut rig = Rig::with_places(10);
    rig.enqueue(1, noop());
    rig.enqueue(2, Request::new(id(2), policy(), |_| async { Err(ActionError::permanent("no such relay")) }));
    rig.enqueue(3, hangs());
    rig.enqueue(4, Request::new(id(4), policy(), |_| async { panic!("relay {}", 7) }));
    rig.enqueue(5, hangs());
    let mut events = rig.so_far().await;
    rig.executor.cancel(5, ms(0));
    tokio::time::sleep(ms(20_000)).await;
    events.extend(rig.so_far().await);
    let mut ends = Vec::new();
    for event in events {
        if let ExecutorEvent::Ended(ended) = event {
            ends.push((ended.action.key, ended.report.outcome, ended.report.error));
        }
    }
    ends.sort_by_key(|(key, ..)| *key);
    let expected = [
        (1, Outcome::Success, None),
        (2, Outcome::Failure, Some("no such relay".into())),
        (3, Outcome::Timeout, Some("took longer than its timeout of 10s".into())),
        (4, Outcome::Panic, Some("panicked: relay 7".into())),
        (5, Outcome::Cancelled, None),
    ];
    assert_eq!(ends, expected);
}

// spec: A-3
#[tokio::test(start_paused = true)]
async fn timed_out_future_is_dropped_at_its_timeout_and_not_retried() {
    let mut rig = Rig::with_places(1);
    let (dropped, seen, calls) = (Flag::default(), Flag::default(), Arc::new(AtomicUsize::new(0)));
    let (in_action, in_task, counted) = (dropped.clone(), seen.clone(), Arc::clone(&calls));
    let policy = ActionPolicy::new("start", Duration::from_secs(30));
    rig.enqueue(
        1,
        Request::new(id(1), policy, move |attempt| {
            counted.fetch_add(1, Ordering::SeqCst);
            let (dropped, seen) = (in_action.on_drop(), in_task.clone());
            // Whoever holds a copy of the token learns that the attempt is over.
            let token = attempt.cancel.clone();
            let watcher = async move {
                token.cancelled().await;
                seen.set();
            };
            let watching = tokio::runtime::Handle::current().spawn(watcher);
            async move {
                let _dropped = dropped;
                drop(watching);
                pending().await
            }
        }),
    );
    let ended = rig.ended(1).await;
    assert_eq!((ended.report.outcome, ended.report.attempts), (Outcome::Timeout, 1));
    assert_eq!(ended.report.duration, Duration::from_secs(30));
    assert!(dropped.is_set());
    rig.so_far().await;
    assert!(seen.is_set());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    rig.enqueue(1, noop());
    assert_eq!(rig.outcome(1).await, Outcome::Success);
}

// spec: A-3
#[tokio::test(start_paused = true)]
async fn result_just_before_the_timeout_counts() {
    let mut rig = Rig::with_places(1);
    rig.enqueue(1, crate::support::sleeps(ms(9_999)));
    assert_eq!(rig.outcome(1).await, Outcome::Success);
    rig.enqueue(1, crate::support::sleeps(ms(10_001)));
    assert_eq!(rig.outcome(1).await, Outcome::Timeout);
}

// spec: A-3
#[tokio::test(start_paused = true)]
async fn endless_timeout_is_no_error() {
    let mut rig = Rig::with_places(1);
    let policy = ActionPolicy::new("wait", Duration::MAX);
    rig.enqueue(
        1,
        Request::new(id(1), policy, |_| async {
            tokio::time::sleep(Duration::from_secs(1_000)).await;
            Ok(())
        }),
    );
    assert_eq!(rig.outcome(1).await, Outcome::Success);
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("dropped badly");
    }
}

/// Runs a bad action and shows that place and slot are as good as new.
async fn check_survives(bad: Request, outcome: Outcome) {
    let mut rig = Rig::with_places(1);
    rig.enqueue(1, bad);
    assert_eq!(rig.outcome(1).await, outcome);
    rig.enqueue(1, noop());
    assert_eq!(rig.outcome(1).await, Outcome::Success);
}

// spec: A-7, S-42
#[tokio::test(start_paused = true)]
async fn panic_of_an_action_ends_nothing_but_itself() {
    let request = |run: fn() -> BoxFuture<'static, Result<(), ActionError>>| Request {
        run: Box::new(move |_| run()),
        ..noop()
    };
    check_survives(request(|| panic!("before the first poll")), Outcome::Panic).await;
    check_survives(request(|| Box::pin(async { panic!("in the first poll") })), Outcome::Panic).await;
    let later = || -> BoxFuture<'static, _> {
        Box::pin(async {
            tokio::time::sleep(ms(1)).await;
            std::panic::panic_any(7)
        })
    };
    check_survives(request(later), Outcome::Panic).await;
    let at_end = || -> BoxFuture<'static, _> {
        let bad = PanicsOnDrop;
        Box::pin(std::future::poll_fn(move |_| {
            let _keep = &bad;
            std::task::Poll::Ready(Ok(()))
        }))
    };
    check_survives(request(at_end), Outcome::Success).await;
    let at_timeout = || -> BoxFuture<'static, _> {
        let bad = PanicsOnDrop;
        Box::pin(async move {
            let _bad = bad;
            pending().await
        })
    };
    check_survives(request(at_timeout), Outcome::Timeout).await;
    let bad = PanicsOnDrop;
    let closure = Request::new(id(1), policy(), move |_| {
        let _keep = &bad;
        async { Ok(()) }
    });
    check_survives(closure, Outcome::Success).await;
}

struct PanickingObserver;

impl ExecutorObserver<u32> for PanickingObserver {
    fn queued(&self, _: &ActionRef<u32>) {
        panic!("observer");
    }
    fn attempt_ended(&self, _: &ActionRef<u32>, _: u32, _: Outcome, _: Duration) {
        panic!("observer");
    }
}

// spec: A-10
#[tokio::test(start_paused = true)]
async fn panicking_owner_costs_no_place_and_no_slot() {
    let (sender, mut ends) = tokio::sync::mpsc::channel(8);
    let sink = Arc::new(move |event: ExecutorEvent<u32>| {
        let ExecutorEvent::Ended(ended) = event else { panic!("sink: {event:?}") };
        let _ = sender.try_send(ended.report.outcome);
    });
    let config = ExecutorConfig::default().with_concurrency(1);
    let executor =
        Executor::try_new(config, tokio_clock(), sink, Arc::new(PanickingObserver)).expect("valid");
    for _ in 0..5 {
        executor.enqueue(1, noop()).expect("accepted");
        assert_eq!(ends.recv().await, Some(Outcome::Success));
    }
}
