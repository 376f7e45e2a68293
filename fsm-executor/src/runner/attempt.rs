//! One attempt on a runner: polled until it ends, its time is over, or the grace of a cancel is.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fsm_core::{ActionError, BoxFuture, HumanDuration, Moment, Outcome};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::caught::{Caught, caught};
use crate::shared::{Shared, later};
use crate::slots::{Ending, Job};
use crate::{Attempt, Cleanups, SlotKey};

/// How one attempt ended.
pub(crate) enum AttemptEnd {
    Success,
    Failure(ActionError),
    Timeout,
    Panic(Arc<str>),
    /// With what it said itself in its grace.
    Cancelled(Option<Arc<str>>),
    /// Given up while its thread is at work; the outcome says why.
    Abandoned(Outcome),
}

impl AttemptEnd {
    /// What the future gave.
    pub(crate) fn of(output: Result<Result<(), ActionError>, Arc<str>>) -> Self {
        match output {
            Ok(Ok(())) => Self::Success,
            Ok(Err(error)) => Self::Failure(error),
            Err(panic) => Self::Panic(panic),
        }
    }

    /// The same after a cancel. A panic stays one: it is a bug to be seen, whenever it shows.
    pub(crate) fn after_cancel(self) -> Self {
        match self {
            Self::Failure(error) => Self::Cancelled(Some(error.chain())),
            Self::Success | Self::Timeout | Self::Cancelled(None) => Self::Cancelled(None),
            Self::Panic(_) | Self::Cancelled(Some(_)) | Self::Abandoned(_) => self,
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Success => Outcome::Success,
            Self::Failure(_) => Outcome::Failure,
            Self::Timeout => Outcome::Timeout,
            Self::Panic(_) => Outcome::Panic,
            Self::Cancelled(_) => Outcome::Cancelled,
            Self::Abandoned(outcome) => *outcome,
        }
    }

    /// What went wrong, in one line.
    pub(crate) fn error(&self, timeout: Duration) -> Option<Arc<str>> {
        let timeout = HumanDuration::new(timeout);
        match self {
            Self::Success => None,
            Self::Failure(error) => Some(error.chain()),
            Self::Timeout => Some(format!("took longer than its timeout of {timeout}").into()),
            Self::Panic(panic) => Some(format!("panicked: {panic}").into()),
            Self::Cancelled(said) => said.clone(),
            Self::Abandoned(_) => {
                Some(format!("its thread is still at work (timeout {timeout}), so it was abandoned").into())
            }
        }
    }

    /// The error that the action returned.
    pub(crate) fn failure(&self) -> Option<&ActionError> {
        match self {
            Self::Failure(error) => Some(error),
            Self::Success | Self::Timeout | Self::Panic(_) | Self::Cancelled(_) | Self::Abandoned(_) => None,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.failure()?.retry_after()
    }
}

impl<K: SlotKey> Shared<K> {
    /// Runs one attempt to its end, whatever that is; answers when it began.
    pub(super) async fn attempt(
        self: &Arc<Self>,
        runner: usize,
        mut job: Box<Job<K>>,
        token: CancellationToken,
    ) -> (Box<Job<K>>, AttemptEnd, Moment) {
        let began = self.now();
        self.tell_start(&mut job, began);
        self.record_attempt(&job);
        let cleanups = Cleanups::new();
        let attempt = Attempt { number: job.attempts, cancel: token.clone(), cleanups: cleanups.clone() };
        let end = match caught(|| (job.make)(attempt)) {
            Err(panic) => AttemptEnd::Panic(panic),
            Ok(future) if job.policy.blocking => self.on_thread(runner, &job, future, &token).await,
            Ok(future) => self.here(runner, &job, future, &token, began).await,
        };
        // Only a cancel that was asked for counts, not an action that cancels its own token. Beside a thread that is still at work
        // nothing is cleaned up.
        let over = token.is_cancelled() && !matches!(end, AttemptEnd::Abandoned(_));
        let ending = if over { self.ending(&job) } else { None };
        let end = match ending {
            Some(ending) => {
                self.clean_up(runner, &job, &cleanups, ending).await;
                end.after_cancel()
            }
            None => end,
        };
        drop(cleanups.close());
        (job, end, began)
    }

    /// Polls the future on this runner.
    async fn here(
        &self,
        runner: usize,
        job: &Job<K>,
        future: BoxFuture<'static, Result<(), ActionError>>,
        token: &CancellationToken,
        began: Moment,
    ) -> AttemptEnd {
        let mut future = Caught::new(future);
        // Most actions of a busy pool are quick: only one that waits needs a timer and an ear for cancels.
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await;
        if let Poll::Ready(output) = first {
            return AttemptEnd::of(output);
        }
        let left = job.policy.timeout.saturating_sub(self.now().since(began));
        let timeout = later(Instant::now(), left);
        let output = self
            .until(runner, job, &mut future, |ending| ending.map_or(timeout, |ending| ending.drop_at))
            .await;
        match output {
            Some(output) => AttemptEnd::of(output),
            None => {
                drop(future);
                // Parts of it that were spawned elsewhere learn that it is over.
                token.cancel();
                AttemptEnd::Timeout
            }
        }
    }

    /// Polls until the future's end or the limit, which each cancel of the job may change.
    async fn until<T>(
        &self,
        runner: usize,
        job: &Job<K>,
        future: &mut Caught<T>,
        limit: impl Fn(Option<Ending>) -> Instant,
    ) -> Option<Result<T, Arc<str>>> {
        // A cancel that came before left a permit in the runner's bell: it is seen in the first round.
        let mut limit_now = limit(None);
        let mut sleep = pin!(sleep_until(limit_now));
        loop {
            // Cancel-safe: the future is kept outside, the others only wait.
            tokio::select! {
                // In order: what has ended in time has ended, even if a runner late to look finds its time over as well.
                biased;
                output = &mut *future => return Some(output),
                () = self.runners[runner].notified() => {}
                () = &mut sleep => return None,
            }
            let new = limit(self.ending(job));
            if new != limit_now {
                limit_now = new;
                sleep.as_mut().reset(new);
            }
        }
    }

    /// Runs what was registered for a cancel, the last first, for as long as one more grace.
    async fn clean_up(&self, runner: usize, job: &Job<K>, cleanups: &Cleanups, ending: Ending) {
        let start = Instant::now();
        let limit = |ending: Option<Ending>, first: Ending| {
            let ending = ending.unwrap_or(first);
            let own = later(start, ending.grace);
            ending.limit.map_or(own, |limit| own.min(limit))
        };
        for cleanup in cleanups.close().into_iter().rev() {
            let mut cleanup = Caught::new(cleanup);
            let done = self.until(runner, job, &mut cleanup, |now| limit(now, ending)).await;
            let action = &job.action;
            match done {
                Some(Ok(())) => {}
                Some(Err(panic)) => {
                    tracing::error!(key = ?action.key, action = action.name, %panic, "a clean-up panicked");
                }
                None => {
                    tracing::warn!(key = ?action.key, action = action.name, "a clean-up was dropped: its grace is over");
                }
            }
        }
    }
}
