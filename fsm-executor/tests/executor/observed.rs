//! What is measured adds up: A-9.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{ActionError, ActionReport, Outcome, RetryPolicy};
use fsm_executor::{ActionRef, ExecutorConfig, ExecutorObserver, Request};

use crate::support::{Rig, hangs, id, ms, noop, policy, sleeps};

#[derive(Debug, Default, PartialEq)]
struct Seen {
    queued: u32,
    waiting: i64,
    started: Vec<(u32, Duration)>,
    in_flight: i64,
    attempts: Vec<(u32, u32, Outcome, Duration)>,
    retried: Vec<(u32, u32)>,
    timed_out: u32,
    ended: u32,
}

#[derive(Default)]
struct Recorder(Mutex<Seen>);

impl Recorder {
    fn with(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.0.lock().expect("not poisoned"));
    }
}

impl ExecutorObserver<u32> for Recorder {
    fn queued(&self, _: &ActionRef<u32>) {
        self.with(|seen| seen.queued += 1);
    }
    fn waiting(&self, _: &ActionRef<u32>, difference: i64) {
        self.with(|seen| seen.waiting += difference);
    }
    fn started(&self, action: &ActionRef<u32>, waited: Duration) {
        self.with(|seen| seen.started.push((action.key, waited)));
    }
    fn attempt_started(&self, _: &ActionRef<u32>, _: u32) {
        self.with(|seen| seen.in_flight += 1);
    }
    fn attempt_ended(&self, action: &ActionRef<u32>, attempt: u32, outcome: Outcome, duration: Duration) {
        self.with(|seen| {
            seen.in_flight -= 1;
            seen.attempts.push((action.key, attempt, outcome, duration));
        });
    }
    fn retried(&self, action: &ActionRef<u32>, next: u32, _: Duration) {
        self.with(|seen| seen.retried.push((action.key, next)));
    }
    fn timed_out(&self, _: &ActionRef<u32>) {
        self.with(|seen| seen.timed_out += 1);
    }
    fn ended(&self, _: &ActionRef<u32>, _: &ActionReport) {
        self.with(|seen| seen.ended += 1);
    }
}

// spec
#[tokio::test(start_paused = true)]
async fn every_attempt_and_the_whole_are_measured() {
    let recorder = Arc::new(Recorder::default());
    let mut rig = Rig::observed(ExecutorConfig::default().with_concurrency(1), Arc::clone(&recorder) as _);
    let retry = RetryPolicy { retries: 1, ..RetryPolicy::DEFAULT };
    rig.enqueue(1, sleeps(ms(20)));
    rig.enqueue(
        2,
        Request::new(id(2), policy().with_retry(retry), |_| async {
            tokio::time::sleep(ms(5)).await;
            Err(ActionError::transient("no").with_retry_after(ms(100_000)))
        }),
    );
    rig.enqueue(3, hangs());
    rig.enqueue(4, noop());
    assert_eq!(recorder.0.lock().expect("not poisoned").waiting, 4);
    rig.executor.cancel(4, ms(0));
    rig.ended(2).await;
    let seen = recorder.0.lock().expect("not poisoned");
    let attempts = vec![
        (1, 1, Outcome::Success, ms(20)),
        (2, 1, Outcome::Failure, ms(5)),
        (3, 1, Outcome::Timeout, ms(10_000)),
        (2, 2, Outcome::Failure, ms(5)),
    ];
    assert_eq!(
        *seen,
        Seen {
            queued: 4,
            waiting: 0,
            started: vec![(1, ms(0)), (2, ms(20)), (3, ms(25))],
            in_flight: 0,
            attempts,
            retried: vec![(2, 2)],
            timed_out: 1,
            ended: 4,
        }
    );
}
