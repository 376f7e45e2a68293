//! The life of one execution, from the call to its end. It is a task of its own: who called may go away.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use fsm_metrics::ExecStatus;
use futures::FutureExt;
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::id::{ExecId, chance};
use super::lane::Admission;
use super::record::{End, Fault, Kind, Record, Status, Target};
use super::service::{Accepted, Entrance, Inner, Order, now};
use super::way::{Job, Prepared, Refusal};

type Tell = oneshot::Sender<Result<Accepted, Refusal>>;

/// Takes a call and lives it to its end.
pub(super) async fn live(inner: Arc<Inner>, order: Order, tell: Tell) {
    // Who called may be gone: then nobody is told.
    match accept(&inner, order).await {
        Ok(Entry::New(run)) => run.live(&inner, tell).await,
        Ok(Entry::Known(record)) => drop(tell.send(Ok(Accepted { record, is_new: false }))),
        Err(refusal) => drop(tell.send(Err(refusal))),
    }
}

/// Who comes in.
enum Entry {
    New(Box<Run>),
    Known(watch::Receiver<Arc<Record>>),
}

/// A new execution, whose record is written.
struct Run {
    record: Record,
    follower: watch::Receiver<Arc<Record>>,
    cancel: CancellationToken,
    admission: Admission,
    prepared: Box<dyn Prepared>,
    job: Job,
    since: Instant,
}

async fn accept(inner: &Inner, order: Order) -> Result<Entry, Refusal> {
    let Order { target, input, key, within, traceparent } = order;
    if let Some(known) = earlier(inner, key.as_deref(), &target, &input).await? {
        return Ok(Entry::Known(known));
    }
    let kind = target.kind();
    let prepared = inner.way(kind).prepare(&target, &input).await?;
    let id = inner.ids.next(now(), chance());
    let record = Record::new(id.clone(), target, input.clone(), key, now());
    let (follower, cancel, admission) = match inner.take_up(&record) {
        Entrance::New { follower, cancel, admission } => (follower, cancel, admission),
        Entrance::Full => return Err(full(inner, kind)),
        Entrance::Known => {
            // Another call with the same key came in meanwhile; gone again, it leaves room for a repeat.
            let known = earlier(inner, record.key.as_deref(), &record.target, &record.input).await?;
            return known.map(Entry::Known).ok_or_else(|| full(inner, kind));
        }
    };
    if let Err(error) = inner.archive.put(Arc::new(record.clone()), now()).await {
        inner.drop_again(&id);
        return Err(error.into());
    }
    let job = Job { id, input, cancel: cancel.clone(), within, traceparent };
    let since = Instant::now();
    Ok(Entry::New(Box::new(Run { record, follower, cancel, admission, prepared, job, since })))
}

fn full(inner: &Inner, kind: Kind) -> Refusal {
    Refusal::Full {
        waiting: inner
            .state()
            .live
            .values()
            .filter(|live| live.record.borrow().target.kind() == kind)
            .count(),
    }
}

/// The execution of an earlier call with this key.
async fn earlier(
    inner: &Inner,
    key: Option<&str>,
    target: &Target,
    input: &Value,
) -> Result<Option<watch::Receiver<Arc<Record>>>, Refusal> {
    let Some(key) = key else { return Ok(None) };
    let Some(id): Option<ExecId> = inner.state().index.by_key(key, now()).cloned() else { return Ok(None) };
    let Some(known) = inner.follow(&id).await? else { return Ok(None) };
    let same = {
        let record = known.borrow();
        record.target == *target && record.input == *input
    };
    if same { Ok(Some(known)) } else { Err(Refusal::Key(id)) }
}

impl Run {
    async fn live(self, inner: &Inner, tell: Tell) {
        let Self { mut record, follower, cancel, admission, prepared, job, since } = self;
        let (id, kind) = (record.id.clone(), record.target.kind());
        let accepted = Accepted { record: follower, is_new: true };
        let mut seat = Box::pin(admission.seat());
        // The turn is taken before anybody hears that the call was taken.
        let at_once = poll_fn(|cx| {
            Poll::Ready(match seat.as_mut().poll(cx) {
                Poll::Ready(seat) => Some(seat),
                Poll::Pending => None,
            })
        })
        .await;
        // A tool is never refused once it is accepted; a worker may turn out to be busy.
        let mut tell = Some((tell, accepted));
        if kind == Kind::Task {
            told(&mut tell);
        }
        let waited = match at_once {
            Some(seat) => Some(seat),
            // Cancel-safe: a place that comes at the same time is given back.
            None => tokio::select! {
                seat = seat => Some(seat),
                () = cancel.cancelled() => None,
            },
        };
        let waited_for = since.elapsed();
        let Some(_seat) = waited.filter(|_| !cancel.is_cancelled()) else {
            let end = End::never_began(Status::Cancelled, cancelled(inner));
            inner.metrics.finished_in_queue(kind.counted(), ExecStatus::Cancelled);
            return finish(inner, record.ended(end, now())).await;
        };
        record = record.begun(now());
        inner.becomes(record.clone()).await;
        let running = match prepared.begin(job).await {
            Ok(running) => running,
            Err(refusal) => {
                inner.drop_again(&id);
                // Nobody knows of it, so nobody misses it.
                let _ = inner.archive.delete(vec![id], now()).await;
                if let Some((tell, _)) = tell {
                    drop(tell.send(Err(refusal)));
                }
                return;
            }
        };
        // Dropped with this task, it counts as cancelled.
        let counted = inner.metrics.started(kind.counted(), waited_for);
        told(&mut tell);
        let end = AssertUnwindSafe(running).catch_unwind().await.unwrap_or_else(|_| {
            let why = "a bug: what carried it out panicked";
            End::failure(Status::Failure, Fault::new("panic", why))
        });
        let end = if end.status == Status::Cancelled && cancel.is_cancelled() { by(inner, end) } else { end };
        if let Some(status) = end.status.counted() {
            counted.finished(status);
        }
        finish(inner, record.ended(end, now())).await;
    }
}

fn told(tell: &mut Option<(Tell, Accepted)>) {
    if let Some((tell, accepted)) = tell.take() {
        drop(tell.send(Ok(accepted)));
    }
}

/// Says who cancelled it, beside what is known of how it ended.
fn by(inner: &Inner, end: End) -> End {
    let more = end.error.map(|fault| fault.more).unwrap_or_default();
    End { error: Some(Fault { more, ..cancelled(inner) }), ..end }
}

fn cancelled(inner: &Inner) -> Fault {
    if inner.stopping.is_cancelled() {
        Fault::new("cancelled", "the daemon was told to stop")
    } else {
        Fault::new("cancelled", "somebody cancelled it")
    }
}

async fn finish(inner: &Inner, record: Record) {
    inner.becomes(record).await;
    inner.forget().await;
}
