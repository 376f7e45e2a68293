//! Actions that block their thread and can't be dropped: A-3.

use std::time::Duration;

use fsm_core::{ActionError, ActionPolicy, Outcome, RetryPolicy};
use fsm_executor::{Cancel, EnqueueError, ExecutorEvent, Request, SlotStage};
use tokio::time::advance;

use crate::support::{Blocked, Event, Flag, Rig, id, ms, noop};

const TIMEOUT: Duration = Duration::from_secs(10);

fn policy() -> ActionPolicy {
    ActionPolicy::new("burn", TIMEOUT).with_retry(RetryPolicy::NEVER).blocking()
}

fn blocks() -> (Request, Blocked) {
    Blocked::request(policy())
}

fn names(events: &[Event]) -> Vec<&'static str> {
    let name = |event: &Event| match event {
        ExecutorEvent::Started { .. } => "started",
        ExecutorEvent::Ended(_) => "ended",
        ExecutorEvent::Stuck { .. } => "stuck",
        ExecutorEvent::Abandoned { .. } => "abandoned",
        ExecutorEvent::LeakedEnded { .. } => "leaked ended",
        _ => "new",
    };
    events.iter().map(name).collect()
}

/// Starts an action that blocks, and lets time pass until it is abandoned.
async fn abandoned() -> (Rig, Blocked) {
    let mut rig = Rig::with_places(1);
    let (request, mut thread) = blocks();
    rig.enqueue(1, request);
    rig.started(1).await;
    thread.entered().await;
    advance(TIMEOUT * 2).await;
    rig.so_far().await;
    advance(TIMEOUT).await;
    let ended = rig.ended(1).await;
    assert!(ended.leaked);
    (rig, thread)
}

// spec: A-3
#[tokio::test(start_paused = true)]
async fn blocking_action_runs_off_the_runtime_threads() {
    let mut rig = Rig::with_places(1);
    let (request, thread) = blocks();
    rig.enqueue(1, request);
    rig.started(1).await;
    // This is the only runtime thread, and it is not blocked.
    thread.end(Ok(()));
    assert_eq!(rig.outcome(1).await, Outcome::Success);
    let (request, thread) = blocks();
    rig.enqueue(1, request);
    thread.end(Err(ActionError::permanent("no paper")));
    let report = rig.ended(1).await.report;
    assert_eq!((report.outcome, report.error.as_deref()), (Outcome::Failure, Some("no paper")));
}

// spec
#[tokio::test(start_paused = true)]
async fn stuck_at_twice_and_abandoned_at_three_times_the_timeout() {
    let mut rig = Rig::with_places(1);
    let (request, mut thread) = blocks();
    rig.enqueue(1, request);
    thread.entered().await;
    assert_eq!(names(&rig.so_far().await), ["started"]);
    advance(TIMEOUT * 2 - ms(2)).await;
    assert_eq!(names(&rig.so_far().await), [""; 0]);
    advance(ms(4)).await;
    let stuck = rig.so_far().await;
    assert_eq!(names(&stuck), ["stuck"]);
    assert_eq!(rig.executor.stats().running, 1);
    advance(TIMEOUT - ms(5)).await;
    assert_eq!(names(&rig.so_far().await), [""; 0]);
    advance(ms(5)).await;
    let ended = rig.so_far().await;
    assert_eq!(names(&ended), ["abandoned", "ended"]);
    let ExecutorEvent::Ended(ended) = &ended[1] else { unreachable!("just seen") };
    assert_eq!((ended.report.outcome, ended.leaked), (Outcome::Timeout, true));
    assert!(ended.report.error.as_deref().is_some_and(|error| error.contains("still at work")));
}

// spec: A-3, J2
#[tokio::test(start_paused = true)]
async fn abandoned_action_gives_its_place_back_and_keeps_its_slot() {
    let (mut rig, thread) = abandoned().await;
    let stats = rig.executor.stats();
    assert_eq!((stats.running, stats.leaked), (0, 1));
    rig.refused(1, noop(), EnqueueError::Busy);
    assert_eq!(rig.executor.in_flight(1).map(|slot| slot.stage), Some(SlotStage::Abandoned));
    assert_eq!(rig.executor.blocking_action(1), Some("burn"));
    assert_eq!(rig.executor.cancel(1, ms(0)), Cancel::Abandoned);
    // The only place serves others.
    rig.enqueue(2, noop());
    assert_eq!(rig.outcome(2).await, Outcome::Success);
    drop(thread);
    assert_eq!(names(&[rig.next().await]), ["leaked ended"]);
    assert_eq!(rig.executor.stats().leaked, 0);
    rig.enqueue(1, noop());
    assert_eq!(rig.outcome(1).await, Outcome::Success);
}

// spec: A-3
#[tokio::test(start_paused = true)]
async fn release_frees_the_slot_of_an_abandoned_action_only() {
    let (mut rig, thread) = abandoned().await;
    assert!(!rig.executor.release(2));
    assert!(rig.executor.release(1));
    assert!(!rig.executor.release(1));
    let (request, second) = blocks();
    rig.enqueue(1, request);
    rig.started(1).await;
    assert!(!rig.executor.release(1), "a running action is not abandoned");
    // The old thread's end doesn't touch the new action's slot.
    drop(thread);
    assert_eq!(names(&[rig.next().await]), ["leaked ended"]);
    rig.refused(1, noop(), EnqueueError::Busy);
    drop(second);
    assert_eq!(rig.outcome(1).await, Outcome::Success);
}

// spec: A-3, J2
#[tokio::test(start_paused = true)]
async fn abandoned_slot_is_handed_over_to_the_next_incarnation() {
    let (mut rig, thread) = abandoned().await;
    assert!(!rig.executor.hand_over(5, 6), "nothing abandoned there");
    assert!(rig.executor.hand_over(1, 2));
    rig.refused(2, noop(), EnqueueError::Busy);
    rig.enqueue(1, noop());
    rig.ended(1).await;
    drop(thread);
    assert_eq!(names(&[rig.next().await]), ["leaked ended"]);
    rig.enqueue(2, noop());
    assert_eq!(rig.outcome(2).await, Outcome::Success);
}

// spec: A-3
#[tokio::test(start_paused = true)]
async fn slot_that_is_taken_takes_no_abandoned_one_over() {
    let (mut rig, thread) = abandoned().await;
    rig.enqueue(2, crate::support::hangs());
    assert!(!rig.executor.hand_over(1, 2));
    rig.refused(1, noop(), EnqueueError::Busy);
    drop(thread);
    rig.started(2).await;
}

// spec: A-3
#[tokio::test(start_paused = true)]
async fn thread_that_comes_back_too_late_timed_out_and_is_not_leaked() {
    for late in [ms(1_000), TIMEOUT + ms(1_000)] {
        let mut rig = Rig::with_places(1);
        let (request, mut thread) = blocks();
        rig.enqueue(1, request);
        rig.started(1).await;
        thread.entered().await;
        advance(TIMEOUT + late).await;
        rig.so_far().await;
        thread.end(Ok(()));
        let ended = rig.ended(1).await;
        assert_eq!((ended.report.outcome, ended.leaked), (Outcome::Timeout, false));
        assert_eq!(rig.executor.stats().leaked, 0);
    }
}

// spec: A-3
#[tokio::test(start_paused = true)]
async fn blocking_action_at_an_await_point_is_dropped_at_its_timeout() {
    let mut rig = Rig::with_places(1);
    let (dropped, token_seen) = (Flag::default(), Flag::default());
    let (in_action, in_token) = (dropped.clone(), token_seen.clone());
    rig.enqueue(
        1,
        Request::new(id(1), policy(), move |attempt| {
            let (dropped, seen) = (in_action.on_drop(), in_token.clone());
            async move {
                let _dropped = dropped;
                attempt.cancel.cancelled().await;
                seen.set();
                std::future::pending().await
            }
        }),
    );
    rig.started(1).await;
    rig.so_far().await;
    advance(TIMEOUT).await;
    let ended = rig.ended(1).await;
    assert_eq!((ended.report.outcome, ended.leaked), (Outcome::Timeout, false));
    assert!(dropped.is_set());
}

// spec: A-3, J3
#[test]
fn action_that_got_no_thread_in_time_never_acts() {
    // One thread only, so that the second action waits for the first one's.
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime =
        builder.enable_time().start_paused(true).max_blocking_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let mut rig = Rig::with_places(2);
        let long = ActionPolicy::new("long", TIMEOUT * 100).blocking();
        let (request, mut thread) = Blocked::request(long);
        rig.enqueue(1, request);
        thread.entered().await;
        let acted = Flag::default();
        let in_action = acted.clone();
        rig.enqueue(
            2,
            Request::new(id(2), policy(), move |_| {
                let acted = in_action.clone();
                async move {
                    acted.set();
                    Ok(())
                }
            }),
        );
        rig.started(2).await;
        advance(TIMEOUT + ms(1)).await;
        rig.so_far().await;
        thread.end(Ok(()));
        assert_eq!(rig.outcome(2).await, Outcome::Timeout);
        assert!(!acted.is_set());
    });
}

// spec
#[tokio::test(start_paused = true)]
async fn panic_on_a_thread_is_an_outcome() {
    let mut rig = Rig::with_places(1);
    rig.enqueue(1, Request::new(id(1), policy(), |_| async { panic!("no device") }));
    let report = rig.ended(1).await.report;
    assert_eq!((report.outcome, report.error.as_deref()), (Outcome::Panic, Some("panicked: no device")));
}

// spec: A-4
#[tokio::test(start_paused = true)]
async fn blocking_action_is_retried_like_any_other() {
    let mut rig = Rig::with_places(1);
    let retry = policy().with_retry(RetryPolicy::DEFAULT);
    rig.enqueue(
        1,
        Request::new(id(1), retry, |attempt| async move {
            if attempt.number < 3 { Err(ActionError::transient("jam")) } else { Ok(()) }
        }),
    );
    let report = rig.ended(1).await.report;
    assert_eq!((report.outcome, report.attempts), (Outcome::Success, 3));
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn blocking_action_that_heeds_its_token_is_cancelled_in_time() {
    let mut rig = Rig::with_places(1);
    let cleaned = Flag::default();
    let in_action = cleaned.clone();
    rig.enqueue(
        1,
        Request::new(id(1), policy(), move |attempt| {
            let cleaned = in_action.clone();
            attempt.cleanups.register(async move { cleaned.set() });
            async move {
                attempt.cancel.cancelled().await;
                Ok(())
            }
        }),
    );
    rig.started(1).await;
    assert_eq!(rig.executor.cancel(1, ms(5_000)), Cancel::Ending);
    let ended = rig.ended(1).await;
    assert_eq!((ended.report.outcome, ended.leaked), (Outcome::Cancelled, false));
    assert!(cleaned.is_set());
}

// spec
#[tokio::test(start_paused = true)]
async fn blocking_action_that_ignores_its_cancel_is_abandoned_after_the_grace() {
    let mut rig = Rig::with_places(1);
    let (request, mut thread) = blocks();
    rig.enqueue(1, request);
    rig.started(1).await;
    thread.entered().await;
    rig.executor.cancel(1, ms(5_000));
    rig.so_far().await;
    advance(ms(4_900)).await;
    assert_eq!(names(&rig.so_far().await), [""; 0]);
    advance(ms(300)).await;
    let ended = rig.ended(1).await;
    assert_eq!((ended.report.outcome, ended.leaked), (Outcome::Cancelled, true));
    rig.refused(1, noop(), EnqueueError::Busy);
    drop(thread);
    assert_eq!(names(&[rig.next().await]), ["leaked ended"]);
}
