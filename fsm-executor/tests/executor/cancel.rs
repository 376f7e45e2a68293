//! Cancelling, its grace, and clean-up: A-5.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{ActionError, Outcome, RetryPolicy};
use fsm_executor::{Attempt, Cancel, Request};
use tokio::time::Instant;

use crate::support::{Flag, Rig, cancelled, hangs, id, ms, noop, policy};

const GRACE: Duration = Duration::from_secs(5);

/// Cancels after a second with the grace of 5 s; answers the report's outcome, its error, and how long after the cancel it ended.
async fn cancel_after_a_second(request: Request) -> (Outcome, Option<Arc<str>>, Duration) {
    let mut rig = Rig::with_places(1);
    rig.enqueue(1, request);
    rig.started(1).await;
    // tidy: allow(sleep-in-test): its callers pause the time
    tokio::time::sleep(ms(1_000)).await;
    assert_eq!(rig.executor.cancel(1, GRACE), Cancel::Ending);
    let ended = rig.ended(1).await;
    assert!(!ended.leaked);
    // Place and slot are free again.
    rig.enqueue(1, noop());
    assert_eq!(rig.outcome(1).await, Outcome::Success);
    (ended.report.outcome, ended.report.error, ended.report.duration - ms(1_000))
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn action_that_heeds_its_token_ends_at_once() {
    let request = Request::new(id(1), policy(), |attempt| async move {
        cancelled(&attempt).await;
        Ok(())
    });
    assert_eq!(cancel_after_a_second(request).await, (Outcome::Cancelled, None, Duration::ZERO));
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn action_that_ignores_its_token_is_dropped_after_the_grace() {
    let dropped = Flag::default();
    let in_action = dropped.clone();
    let request = Request::new(id(1), policy(), move |_| {
        let dropped = in_action.on_drop();
        async move {
            let _dropped = dropped;
            pending().await
        }
    });
    assert_eq!(cancel_after_a_second(request).await, (Outcome::Cancelled, None, GRACE));
    assert!(dropped.is_set());
}

// spec
#[tokio::test(start_paused = true)]
async fn error_in_the_grace_is_told_and_not_retried() {
    let request = Request::new(id(1), policy().with_retry(RetryPolicy::DEFAULT), |attempt| async move {
        cancelled(&attempt).await;
        Err(ActionError::transient("could not close"))
    });
    let (outcome, error, after) = cancel_after_a_second(request).await;
    assert_eq!((outcome, after), (Outcome::Cancelled, Duration::ZERO));
    assert_eq!(error.as_deref(), Some("could not close"));
}

// spec: A-7
#[tokio::test(start_paused = true)]
async fn panic_in_the_grace_stays_a_panic() {
    let request = Request::new(id(1), policy(), |attempt| async move {
        cancelled(&attempt).await;
        panic!("while closing")
    });
    assert_eq!(cancel_after_a_second(request).await.0, Outcome::Panic);
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn grace_is_not_cut_short_by_the_timeout() {
    let mut rig = Rig::with_places(1);
    rig.enqueue(1, hangs());
    rig.started(1).await;
    tokio::time::sleep(ms(9_000)).await;
    rig.executor.cancel(1, GRACE);
    let report = rig.ended(1).await.report;
    assert_eq!((report.outcome, report.duration), (Outcome::Cancelled, ms(14_000)));
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn no_grace_drops_at_once() {
    let mut rig = Rig::with_places(1);
    rig.enqueue(1, hangs());
    rig.started(1).await;
    let before = Instant::now();
    rig.executor.cancel(1, Duration::ZERO);
    assert_eq!(rig.outcome(1).await, Outcome::Cancelled);
    assert!(before.elapsed() <= ms(1), "{:?}", before.elapsed());
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn second_cancel_can_only_shorten_the_grace() {
    let mut rig = Rig::with_places(1);
    rig.enqueue(1, hangs());
    rig.started(1).await;
    rig.executor.cancel(1, GRACE);
    tokio::time::sleep(ms(1_000)).await;
    rig.executor.cancel(1, GRACE);
    tokio::time::sleep(ms(1_000)).await;
    rig.executor.cancel(1, ms(500));
    assert_eq!(rig.ended(1).await.report.duration, ms(2_500));
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn second_cancel_never_lengthens_the_grace() {
    let mut rig = Rig::with_places(1);
    rig.enqueue(1, hangs());
    rig.started(1).await;
    rig.executor.cancel(1, ms(1_000));
    tokio::time::sleep(ms(500)).await;
    rig.executor.cancel(1, GRACE);
    assert_eq!(rig.ended(1).await.report.duration, ms(1_000));
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn waiting_action_is_cancelled_at_once_and_never_runs() {
    let mut rig = Rig::with_places(1);
    rig.enqueue(1, hangs());
    rig.started(1).await;
    let ran = Flag::default();
    let in_action = ran.clone();
    rig.enqueue(
        2,
        Request::new(id(2), policy(), move |_| {
            in_action.set();
            async { Ok(()) }
        }),
    );
    tokio::time::sleep(ms(100)).await;
    assert_eq!(rig.executor.cancel(2, GRACE), Cancel::Ended);
    let report = rig.ended(2).await.report;
    assert_eq!((report.outcome, report.attempts, report.duration), (Outcome::Cancelled, 0, Duration::ZERO));
    rig.executor.cancel(1, Duration::ZERO);
    rig.enqueue(3, noop());
    assert_eq!(rig.outcome(3).await, Outcome::Success);
    assert!(!ran.is_set());
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn action_in_back_off_is_cancelled_at_once_with_what_it_waited_for() {
    let mut rig = Rig::with_places(1);
    let retry = policy().with_retry(RetryPolicy::DEFAULT);
    rig.enqueue(
        1,
        Request::new(id(1), retry, |_| async {
            Err(ActionError::transient("refused").with_retry_after(ms(60_000)))
        }),
    );
    rig.started(1).await;
    tokio::time::sleep(ms(10)).await;
    assert_eq!(rig.executor.cancel(1, GRACE), Cancel::Ended);
    let report = rig.ended(1).await.report;
    assert_eq!((report.outcome, report.attempts, report.duration), (Outcome::Cancelled, 1, ms(10)));
    assert_eq!(report.error.as_deref(), Some("refused"));
    tokio::time::sleep(ms(120_000)).await;
    assert_eq!(rig.so_far().await, vec![], "no attempt comes after the end");
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_free_slot_does_nothing() {
    let mut rig = Rig::with_places(1);
    assert_eq!(rig.executor.cancel(1, GRACE), Cancel::Idle);
    rig.enqueue(1, noop());
    assert_eq!(rig.outcome(1).await, Outcome::Success);
    assert_eq!(rig.executor.cancel(1, GRACE), Cancel::Idle);
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn action_that_cancels_its_own_token_is_not_cancelled() {
    let mut rig = Rig::with_places(1);
    rig.enqueue(
        1,
        Request::new(id(1), policy(), |attempt| async move {
            attempt.cancel.cancel();
            Ok(())
        }),
    );
    assert_eq!(rig.outcome(1).await, Outcome::Success);
}

/// Notes what ran, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn note(&self, what: &'static str) {
        self.0.lock().expect("not poisoned").push(what);
    }
    fn read(&self) -> Vec<&'static str> {
        self.0.lock().expect("not poisoned").clone()
    }
}

struct Noted(Log, &'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.note(self.1);
    }
}

fn note(attempt: &Attempt, log: &Log, what: &'static str, after: Duration) {
    let log = log.clone();
    attempt.cleanups.register(async move {
        // tidy: allow(sleep-in-test): its callers pause the time
        tokio::time::sleep(after).await;
        log.note(what);
    });
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn clean_up_runs_after_the_future_is_gone_the_last_first() {
    let log = Log::default();
    let in_action = log.clone();
    let request = Request::new(id(1), policy(), move |attempt| {
        let log = in_action.clone();
        async move {
            let _noted = Noted(log.clone(), "future");
            note(&attempt, &log, "socket", ms(10));
            note(&attempt, &log, "session", ms(20));
            pending().await
        }
    });
    let (outcome, _, after) = cancel_after_a_second(request).await;
    assert_eq!((outcome, after), (Outcome::Cancelled, GRACE + ms(30)));
    assert_eq!(log.read(), vec!["future", "session", "socket"]);
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn clean_up_has_as_long_as_the_grace_again() {
    let log = Log::default();
    let in_action = log.clone();
    let request = Request::new(id(1), policy(), move |attempt| {
        note(&attempt, &in_action, "too late", ms(1));
        note(&attempt, &in_action, "too slow", ms(6_000));
        note(&attempt, &in_action, "in time", ms(4_000));
        pending()
    });
    assert_eq!(cancel_after_a_second(request).await.2, GRACE + GRACE);
    assert_eq!(log.read(), vec!["in time"]);
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn panicking_clean_up_keeps_no_other_from_running() {
    let log = Log::default();
    let in_action = log.clone();
    let request = Request::new(id(1), policy(), move |attempt| {
        note(&attempt, &in_action, "socket", ms(0));
        attempt.cleanups.register(async { panic!("session") });
        pending()
    });
    assert_eq!(cancel_after_a_second(request).await.0, Outcome::Cancelled);
    assert_eq!(log.read(), vec!["socket"]);
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn second_cancel_hurries_clean_up_too() {
    let mut rig = Rig::with_places(1);
    let log = Log::default();
    let in_action = log.clone();
    rig.enqueue(
        1,
        Request::new(id(1), policy(), move |attempt| {
            note(&attempt, &in_action, "too slow", ms(4_000));
            async move {
                cancelled(&attempt).await;
                Ok(())
            }
        }),
    );
    rig.started(1).await;
    rig.executor.cancel(1, GRACE);
    tokio::time::sleep(ms(1_000)).await;
    rig.executor.cancel(1, Duration::ZERO);
    let report = rig.ended(1).await.report;
    assert_eq!((report.outcome, report.duration), (Outcome::Cancelled, ms(1_000)));
    assert_eq!(log.read(), Vec::<&str>::new());
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn without_grace_only_clean_up_that_does_not_wait_is_done() {
    let mut rig = Rig::with_places(1);
    let log = Log::default();
    let in_action = log.clone();
    rig.enqueue(
        1,
        Request::new(id(1), policy(), move |attempt| {
            note(&attempt, &in_action, "waits", ms(1));
            let log = in_action.clone();
            attempt.cleanups.register(async move { log.note("at once") });
            pending()
        }),
    );
    rig.started(1).await;
    rig.executor.cancel(1, Duration::ZERO);
    rig.ended(1).await;
    assert_eq!(log.read(), vec!["at once"]);
}

// spec: A-5
#[tokio::test(start_paused = true)]
async fn clean_up_is_for_cancelled_attempts_only() {
    let mut rig = Rig::with_places(1);
    let log = Log::default();
    let late: Arc<Mutex<Option<Attempt>>> = Arc::default();
    for kind in 0..4 {
        let (log, late) = (log.clone(), Arc::clone(&late));
        rig.enqueue(
            1,
            Request::new(id(1), policy(), move |attempt| {
                note(&attempt, &log, "not cancelled", ms(0));
                *late.lock().expect("not poisoned") = Some(attempt);
                async move {
                    match kind {
                        0 => Ok(()),
                        1 => Err(ActionError::permanent("no")),
                        2 => panic!("no"),
                        _ => pending().await,
                    }
                }
            }),
        );
        rig.ended(1).await;
    }
    assert_eq!(log.read(), Vec::<&str>::new());
    // Registering after the end is refused rather than forgotten.
    let over = late.lock().expect("not poisoned").take().expect("set by the action");
    assert!(!over.cleanups.register(async {}));
}
