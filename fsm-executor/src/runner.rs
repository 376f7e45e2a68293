//! The resident tasks: runners that take one action after the other, and the one that waits for retries.

use std::sync::Arc;

use fsm_core::{ActionReport, Moment, Outcome};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::caught::drop_quietly;
use crate::planted;
use crate::retry::{Jitter, next_attempt};
use crate::shared::{Shared, later};
use crate::slots::{Job, Next};
use crate::{ExecutorEvent, SlotKey};

pub(crate) mod attempt;
mod blocking;

use attempt::AttemptEnd;

/// Runs one action after the other. A runner that ends an action takes the next one in the same step: under load nothing is
/// spawned and nobody is woken.
pub(crate) async fn run<K: SlotKey>(shared: Arc<Shared<K>>, runner: usize) {
    let mut token = shared.root.child_token();
    let mut next = shared.slots().take(runner, &token);
    loop {
        match next {
            Next::Job(job) => {
                // Actions that never await would else keep this thread from every other task.
                consume_budget().await;
                let (job, end, began) = shared.attempt(runner, job, token).await;
                if planted::leaks_on_panic() && matches!(end, AttemptEnd::Panic(_)) {
                    return std::future::pending().await;
                }
                token = shared.root.child_token();
                next = shared.conclude(job, end, began, runner, &token);
            }
            Next::Idle => {
                shared.runners[runner].notified().await;
                next = shared.slots().take(runner, &token);
            }
            Next::Closed => return,
        }
    }
}

/// Puts actions back in line when their back-off is over.
pub(crate) async fn retries<K: SlotKey>(shared: Arc<Shared<K>>) {
    loop {
        let (due, next, closed) = {
            let mut slots = shared.slots();
            (slots.line_up_due(Instant::now()), slots.next_retry(), slots.is_closed())
        };
        if let Some((action, runner)) = due {
            shared.observe(|observer| observer.waiting(&action, 1));
            shared.wake(runner);
            continue;
        }
        if closed {
            return;
        }
        match next {
            Some(at) => {
                // Cancel-safe: both arms only wait, and the loop looks at the bookkeeping anew.
                tokio::select! {
                    () = sleep_until(at) => {}
                    () = shared.retries.notified() => {}
                }
            }
            None => shared.retries.notified().await,
        }
    }
}

impl<K: SlotKey> Shared<K> {
    /// After an attempt: another one later, or the end; answers what the runner does next.
    fn conclude(
        &self,
        job: Box<Job<K>>,
        end: AttemptEnd,
        began: Moment,
        runner: usize,
        token: &CancellationToken,
    ) -> Next<K> {
        let (action, attempts, now) = (job.action, job.attempts, self.now());
        let outcome = end.outcome();
        self.observe(|observer| {
            observer.attempt_ended(&action, attempts, outcome, now.since(began));
            if outcome == Outcome::Timeout {
                observer.timed_out(&action);
            }
        });
        let (job, outcome) = match self.retried(job, &end) {
            Ok(()) => return self.slots().take(runner, token),
            Err((job, outcome)) => (job, outcome),
        };
        let started = job.started.unwrap_or(began);
        let mut report = ActionReport::new(action.id, action.name, outcome, started, now.since(started));
        report.attempts = attempts;
        report.retry_after = end.retry_after();
        report.error = end.error(job.policy.timeout);
        self.record_end(&job, outcome, end.failure(), report.duration);
        let leaked = matches!(end, AttemptEnd::Abandoned(_));
        let (slot, next) = if leaked {
            (None, self.slots().take(runner, token))
        } else {
            self.slots().end_and_take(action.key, job.run, runner, token)
        };
        drop(slot);
        drop_quietly(job);
        self.tell_end(action, report, leaked);
        next
    }

    /// Plans the next attempt of a failed one. Without one the job comes back with the outcome of the whole.
    fn retried(&self, job: Box<Job<K>>, end: &AttemptEnd) -> Result<(), (Box<Job<K>>, Outcome)> {
        let outcome = end.outcome();
        let AttemptEnd::Failure(error) = end else { return Err((job, outcome)) };
        let (action, attempts) = (job.action, job.attempts);
        let jitter = Jitter { seed: self.config.seed, key: action.key, id: action.id };
        let Some(wait) = next_attempt(&job.policy.retry, error, attempts, jitter) else {
            return Err((job, outcome));
        };
        let mut job = job;
        job.failed = Some(error.chain());
        let planned = self.slots().retry(job, later(Instant::now(), wait));
        match planned {
            Ok(is_next) => {
                self.observe(|observer| observer.retried(&action, attempts + 1, wait));
                if is_next {
                    self.retries.notify_one();
                }
                Ok(())
            }
            Err(job) => Err((job, Outcome::Cancelled)),
        }
    }

    /// Tells the first start of an action.
    fn tell_start(&self, job: &mut Job<K>, at: Moment) {
        let action = job.action;
        self.observe(|observer| observer.waiting(&action, -1));
        if job.started.is_none() {
            job.started = Some(at);
            let waited = at.since(job.accepted);
            self.observe(|observer| observer.started(&action, waited));
            self.tell(ExecutorEvent::Started { action, at, waited });
        }
        self.observe(|observer| observer.attempt_started(&action, job.attempts));
    }
}
