//! Waits for the end of an execution, and counts how that went on every way out.

use std::sync::Arc;
use std::time::Duration;

use fsm_metrics::trace::{TARGET, UntilEnd};
use fsm_metrics::{ExecKind, ExecMetrics, ExecOutcome, PollOutcome};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::field::Empty;
use tracing::trace_span;

use super::archive::ArchiveError;
use super::record::{Kind, Record, Status};

/// What a wait came to.
#[derive(Debug)]
pub(crate) enum Waited {
    /// It has ended.
    Ended(Arc<Record>),
    /// The time is up, and it goes on.
    RanOut(Arc<Record>),
    /// Nobody knows it any more.
    Lost,
}

/// A synchronous call: its answer is counted once, with the outcome that was set last. One that is dropped before has no
/// client any more, and counts as cancelled.
pub(crate) struct Call {
    metrics: ExecMetrics,
    kind: ExecKind,
    began: Instant,
    outcome: ExecOutcome,
}

impl Call {
    pub(crate) fn begin(metrics: ExecMetrics, kind: Kind) -> Self {
        Self { metrics, kind: kind.counted(), began: Instant::now(), outcome: ExecOutcome::Cancelled }
    }

    /// It is answered with this.
    pub(crate) fn end(mut self, outcome: ExecOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.metrics.answered(self.kind, self.outcome, self.began.elapsed());
    }
}

/// Waits until it has ended, or the time is up.
///
/// # Cancel safety
/// It changes nothing.
pub(crate) async fn wait(mut record: watch::Receiver<Arc<Record>>, within: Duration) -> Waited {
    match timeout(within, end_of(&mut record)).await {
        Ok(Some(record)) => Waited::Ended(record),
        Ok(None) => Waited::Lost,
        Err(_) => {
            let record = Arc::clone(&record.borrow());
            Waited::RanOut(record)
        }
    }
}

/// Its end; none when nobody tells it any more. Cancel-safe.
async fn end_of(record: &mut watch::Receiver<Arc<Record>>) -> Option<Arc<Record>> {
    record.wait_for(|record| record.status.is_terminal()).await.ok().map(|ended| Arc::clone(&ended))
}

/// What a look at a record gives.
pub(crate) type Looked = Result<Option<Arc<Record>>, ArchiveError>;

/// The same for a workflow. Its end wakes the waiter at once; as a safety net it looks at the record, too.
///
/// # Cancel safety
/// It changes nothing, and is counted as cancelled.
pub(crate) async fn wait_for_workflow<L: Future<Output = Looked> + Send>(
    mut record: watch::Receiver<Arc<Record>>,
    mut look: impl FnMut() -> L,
    within: Duration,
    seed: u64,
    metrics: &ExecMetrics,
) -> Waited {
    let began = Instant::now();
    let (deadline, mut looks) = (began + within, Looks::new(seed));
    let mut counted = metrics.wait(move || began.elapsed());
    let mut traced = Traced::begin();
    let (mut told, mut next) = (true, began);
    let mut last = Arc::clone(&record.borrow());
    loop {
        // Cancel-safe: a change that nobody took is seen by the next look; the moments are kept outside.
        let ended = tokio::select! {
            ended = end_of(&mut record), if told => {
                told = ended.is_some();
                ended
            }
            () = sleep_until(deadline) => {
                counted.end(PollOutcome::Timeout);
                traced.end(Some("timeout"));
                return Waited::RanOut(last);
            }
            () = sleep_until(next) => {
                traced.looked(counted.polled(), last.status);
                next = Instant::now() + looks.next().unwrap_or(LONGEST);
                match timeout_at(deadline, look()).await {
                    Ok(Ok(Some(seen))) => {
                        last = seen;
                        Some(Arc::clone(&last)).filter(|seen| seen.status.is_terminal())
                    }
                    // While it is told of the end it doesn't depend on this.
                    Ok(_) if told => None,
                    Ok(_) => {
                        counted.end(PollOutcome::Error);
                        traced.end(Some("error"));
                        return Waited::Lost;
                    }
                    Err(_) => None,
                }
            }
        };
        if let Some(ended) = ended {
            counted.end(outcome(ended.status));
            traced.end(Some(ended.status).filter(|it| *it != Status::Success).map(Status::as_str));
            return Waited::Ended(ended);
        }
    }
}

/// The span of a wait, with an event per look. It has failed when the client goes away.
struct Traced {
    open: Option<UntilEnd>,
    looks: u64,
}

impl Traced {
    fn begin() -> Self {
        let span = trace_span!(
            target: TARGET,
            "workflow.wait_completion",
            total_iterations = Empty,
            error_type = Empty,
            otel.status_code = Empty,
        );
        Self { open: Some(UntilEnd::new(span)), looks: 0 }
    }

    fn looked(&mut self, attempt: u64, state: Status) {
        self.looks = attempt;
        if let Some(open) = &self.open {
            tracing::trace!(target: TARGET, parent: open.span(), attempt, state = state.as_str(), "poll_iteration");
        }
    }

    fn end(&mut self, failed_with: Option<&str>) {
        if let Some(open) = self.open.take() {
            open.span().record("total_iterations", self.looks);
            open.end(failed_with);
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.end(Some("cancelled"));
    }
}

const fn outcome(status: Status) -> PollOutcome {
    match status {
        Status::Success => PollOutcome::Completed,
        Status::Cancelled => PollOutcome::Cancelled,
        Status::Failure | Status::Timeout | Status::Pending | Status::Running => PollOutcome::Failed,
    }
}

/// Before the second look.
const FIRST: Duration = Duration::from_millis(200);
/// Between two looks at most.
const LONGEST: Duration = Duration::from_secs(5);

/// How long to wait between looks: doubling up to a longest, each up to a tenth shorter or longer.
struct Looks {
    seed: u64,
    step: u32,
}

impl Looks {
    const fn new(seed: u64) -> Self {
        Self { seed, step: 0 }
    }
}

impl Iterator for Looks {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let whole = FIRST.saturating_mul(2_u32.saturating_pow(self.step)).min(LONGEST);
        self.step = self.step.saturating_add(1);
        // Mixes the bits of the seed and the step: waiters that began together don't look together.
        let mut mixed = self.seed.wrapping_add(u64::from(self.step).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let share = (mixed >> 32) as f64 / f64::from(u32::MAX);
        Some(whole.mul_f64(0.9 + 0.2 * share))
    }
}

#[cfg(test)]
mod tests;
