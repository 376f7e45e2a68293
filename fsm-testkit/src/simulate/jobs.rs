//! Collections and actions as a simulation runs them: after a wait that the seed chooses, and with the faults of the moment.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hash};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use foldhash::fast::FixedState;
use fsm_core::erase::{ActionRun, CollectRun, Collected};
use fsm_core::{ActionError, CollectError, Host, NodePath};
use fsm_executor::{Attempt, Run};
use fsm_supervisor::CollectFailure;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Fault;
use super::host::{Shared, SimHost, caught, lock};
use fsm_core::NodeId;

/// Every job waits at least this long, so that nothing happens without time passing.
const QUICKEST: Duration = Duration::from_millis(1);
/// Most jobs are done within this time.
const QUICK_MS: u64 = 40;
/// One job of eight takes up to this long.
const SLOW_MS: u64 = 400;

/// How long the job with this number takes: the same for the same seed, whatever else happens.
pub(super) fn latency(seed: u64, what: impl Hash) -> Duration {
    let dice = FixedState::with_seed(seed).hash_one(what);
    let longest = if dice.is_multiple_of(8) { SLOW_MS } else { QUICK_MS };
    QUICKEST + Duration::from_millis((dice >> 8) % longest)
}

/// What belongs to no worker.
struct Garbage;

/// One collection.
pub(super) async fn collect(
    run: CollectRun,
    host: SimHost,
    after: Duration,
    within: Duration,
    fault: Option<Fault>,
) -> Result<Collected, CollectFailure> {
    let cancel = host.cancel.clone();
    let job = async move {
        sleep(after).await;
        match fault {
            Some(Fault::CollectFails) => Err(CollectError::new("simulated failure")),
            Some(Fault::CollectHangs) => std::future::pending().await,
            Some(Fault::CollectPanics) => resume_unwind(Box::new("simulated panic")),
            Some(Fault::CollectGarbage) => Ok(Collected::Changed(Arc::new(Garbage))),
            _ => run(Arc::new(host)).await,
        }
    };
    let result = timeout(within, caught(job)).await;
    cancel.cancel();
    match result {
        Ok(Ok(Ok(collected))) => Ok(collected),
        Ok(Ok(Err(error))) => Err(CollectFailure::Error(error)),
        Ok(Err(panic)) => Err(CollectFailure::Panic(panic)),
        Err(_elapsed) => Err(CollectFailure::Timeout(within)),
    }
}

/// Counts an action as running while it lives, also when it is dropped.
struct Acting {
    shared: Arc<Shared>,
    path: NodePath,
}

impl Acting {
    fn begin(shared: Arc<Shared>, path: NodePath) -> Self {
        let mut acting = lock(&shared.acting);
        let (running, most) = acting.entry(path.clone()).or_default();
        *running += 1;
        *most = (*most).max(*running);
        drop(acting);
        Self { shared, path }
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        if let Some((running, _)) = lock(&self.shared.acting).get_mut(&self.path) {
            *running -= 1;
        }
    }
}

/// One action: what the executor runs per attempt. `fault` says what is wrong when an attempt begins.
pub(super) fn action(
    run: ActionRun,
    (shared, node, path): (Arc<Shared>, NodeId, NodePath),
    seed: u64,
    timeout: Duration,
    fault: impl Fn() -> Option<Fault> + Send + Sync + 'static,
) -> Run {
    let run = Arc::new(run);
    Box::new(move |attempt: Attempt| {
        let acting = Acting::begin(Arc::clone(&shared), path.clone());
        let after = latency(seed, ("act", path.as_str(), shared.now().as_nanos(), attempt.number));
        let host = host(&shared, node, &attempt);
        let (run, fault) = (Arc::clone(&run), fault());
        Box::pin(async move {
            let _acting = acting;
            sleep(after).await;
            let whole = run(attempt.number, host);
            match fault {
                Some(Fault::ActionFails) => Err(ActionError::transient("simulated failure")),
                Some(Fault::ActionHangs) => std::future::pending().await,
                Some(Fault::ActionPanics) => resume_unwind(Box::new("simulated panic")),
                Some(Fault::ActionLate) => {
                    let result = whole.await;
                    sleep(timeout.saturating_mul(2)).await;
                    result
                }
                Some(Fault::ActionTorn) => torn(whole).await,
                _ => whole.await,
            }
        })
    })
}

fn host(shared: &Arc<Shared>, node: NodeId, attempt: &Attempt) -> Arc<dyn Host> {
    let cancel: CancellationToken = attempt.cancel.clone();
    Arc::new(SimHost { shared: Arc::clone(shared), node, cancel, cleanups: Some(attempt.cleanups.clone()) })
}

/// Runs a future up to its first wait, and drops it there.
async fn torn(whole: impl Future<Output = Result<(), ActionError>> + Unpin) -> Result<(), ActionError> {
    let mut whole = Some(whole);
    poll_fn(|cx| {
        let polled = whole.as_mut().map(|whole| std::pin::Pin::new(whole).poll(cx));
        whole = None;
        match polled {
            Some(Poll::Ready(result)) => Poll::Ready(result),
            Some(Poll::Pending) | None => Poll::Ready(Err(ActionError::transient("simulated: torn midway"))),
        }
    })
    .await
}
