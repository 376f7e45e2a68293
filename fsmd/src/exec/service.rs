//! All executions of a daemon: the way in for whoever asks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fsm_metrics::ExecMetrics;
use fsm_store::{ReadError, Store};
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::archive::{Archive, ArchiveError};
use super::id::{ExecId, Ids};
use super::index::{Filter, Index, Keep, Summary};
use super::lane::{Admission, Lane};
use super::life;
use super::record::{Kind, Record, Target};
use super::way::{Refusal, Way};
use crate::config::Exec;

/// Agent runs and workflows don't wait here; so many at a time bound what they need.
const MAX_INSIDE: usize = 1_024;
/// Old records are looked for this often, and those that the store did not take are offered again.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) target: Target,
    pub(crate) input: Value,
    /// The call is the same as an earlier one with this key.
    pub(crate) key: Option<String>,
    /// The run may take this long, and no longer than it may anyway.
    pub(crate) within: Option<Duration>,
    /// The trace that it is part of, by the W3C.
    pub(crate) traceparent: Option<String>,
}

/// An execution that is known: a new one, or that of an earlier call with the same key.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Its record as it is and as it becomes.
    pub(crate) record: watch::Receiver<Arc<Record>>,
    /// Whether this call made it.
    pub(crate) is_new: bool,
}

/// All executions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Executions {
    inner: Arc<Inner>,
    /// What lives: every run, and the housekeeping. Ends with the last clone.
    runs: Arc<Mutex<JoinSet<()>>>,
}

/// What runs share.
pub(super) struct Inner {
    pub(super) archive: Archive,
    pub(super) ids: Ids,
    pub(super) metrics: ExecMetrics,
    pub(super) stopping: CancellationToken,
    ways: [Arc<dyn Way>; 3],
    lanes: [Lane; 3],
    keep: Keep,
    state: Mutex<State>,
    /// Since the last time that the store was told to forget what was deleted.
    deleted: AtomicBool,
}

/// What is known.
#[derive(Default)]
pub(super) struct State {
    pub(super) index: Index,
    pub(super) live: HashMap<ExecId, Live>,
}

/// An execution that has not ended, or whose end the store has not taken yet.
pub(super) struct Live {
    pub(super) record: watch::Sender<Arc<Record>>,
    pub(super) cancel: CancellationToken,
}

/// What there is for one who comes in.
pub(super) enum Entrance {
    /// A place among the others.
    New { follower: watch::Receiver<Arc<Record>>, cancel: CancellationToken, admission: Admission },
    /// An execution with its key.
    Known,
    /// No room.
    Full,
}

impl Executions {
    /// Takes up what the store knows: what did not end in an earlier life is a failure from now on.
    ///
    /// # Errors
    /// [`ReadError`] when the store can't be read.
    pub(crate) fn try_new(
        store: Arc<dyn Store>,
        exec: &Exec,
        metrics: ExecMetrics,
        ways: [Arc<dyn Way>; 3],
    ) -> Result<Self, ReadError> {
        Self::keeping(store, exec, metrics, ways, Keep::default())
    }

    pub(super) fn keeping(
        store: Arc<dyn Store>,
        exec: &Exec,
        metrics: ExecMetrics,
        ways: [Arc<dyn Way>; 3],
        keep: Keep,
    ) -> Result<Self, ReadError> {
        let archive = Archive::new(store);
        let mut state = State::default();
        let mut interrupted = Vec::new();
        for (record, bytes) in archive.load()? {
            state.index.put(Summary::of(&record, bytes));
            if !record.status.is_terminal() {
                interrupted.push(record.interrupted(now()));
            }
        }
        for record in &interrupted {
            state.live.insert(record.id.clone(), Live::of(record.clone(), CancellationToken::new()));
        }
        if !interrupted.is_empty() {
            tracing::warn!(
                number = interrupted.len(),
                "runs of an earlier daemon were interrupted by its end"
            );
        }
        let inner = Arc::new(Inner {
            archive,
            ids: Ids::default(),
            metrics,
            stopping: CancellationToken::new(),
            ways,
            lanes: [
                Lane::new(exec.concurrency, exec.queue),
                Lane::new(MAX_INSIDE, 0),
                Lane::new(MAX_INSIDE, 0),
            ],
            keep,
            state: Mutex::new(state),
            deleted: AtomicBool::new(false),
        });
        let mut runs = JoinSet::new();
        runs.spawn(housekeeping(Arc::clone(&inner)));
        Ok(Self { inner, runs: Arc::new(Mutex::new(runs)) })
    }

    /// Takes a call: from then on it runs, or waits for a place, whoever waits for it.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing is run.
    ///
    /// # Cancel safety
    /// A call that is dropped may have been taken.
    pub(crate) async fn submit(&self, order: Order) -> Result<Accepted, Refusal> {
        if self.inner.stopping.is_cancelled() {
            return Err(Refusal::Stopping);
        }
        let (tell, told) = oneshot::channel();
        {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            while runs.try_join_next().is_some() {}
            runs.spawn(life::live(Arc::clone(&self.inner), order, tell));
        }
        told.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// The record of an execution.
    ///
    /// # Errors
    /// [`ArchiveError`] when it can't be read.
    pub(crate) async fn get(&self, id: &ExecId) -> Result<Option<Arc<Record>>, ArchiveError> {
        self.inner.get(id).await
    }

    /// The record as the store knows it.
    ///
    /// # Errors
    /// [`ArchiveError`] when it can't be read.
    pub(crate) async fn stored(&self, id: &ExecId) -> Result<Option<Arc<Record>>, ArchiveError> {
        Ok(self.inner.archive.get(id.clone()).await?.map(Arc::new))
    }

    /// Those that pass, newest first, and whether there are more.
    pub(crate) fn list(&self, filter: &Filter) -> (Vec<Summary>, bool) {
        self.inner.state().index.list(filter)
    }

    /// An execution as it is and as it becomes; what has ended doesn't change any more.
    ///
    /// # Errors
    /// [`ArchiveError`] when it can't be read.
    pub(crate) async fn follow(
        &self,
        id: &ExecId,
    ) -> Result<Option<watch::Receiver<Arc<Record>>>, ArchiveError> {
        self.inner.follow(id).await
    }

    /// Asks an execution to end early; gives it as it is now.
    ///
    /// # Errors
    /// [`ArchiveError`] when it can't be read.
    pub(crate) async fn cancel(&self, id: &ExecId) -> Result<Option<Arc<Record>>, ArchiveError> {
        self.abandon(id);
        self.inner.get(id).await
    }

    /// The same, for one who doesn't look.
    pub(crate) fn abandon(&self, id: &ExecId) {
        if let Some(live) = self.inner.state().live.get(id) {
            live.cancel.cancel();
        }
    }

    /// What counts.
    pub(crate) fn metrics(&self) -> &ExecMetrics {
        &self.inner.metrics
    }

    /// Ends everything: what waits is not begun, what runs is cancelled and waited for.
    ///
    /// # Cancel safety
    /// What was told to end goes on ending.
    pub(crate) async fn stop(&self, within: Duration) {
        self.inner.stopping.cancel();
        let mut runs = std::mem::take(&mut *self.runs.lock().unwrap_or_else(PoisonError::into_inner));
        if timeout(within, async { while runs.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(
                left = runs.len(),
                "executions did not end in time, and are left to their keepers"
            );
        }
    }
}

impl Live {
    fn of(record: Record, cancel: CancellationToken) -> Self {
        Self { record: watch::Sender::new(Arc::new(record)), cancel }
    }
}

impl Inner {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn way(&self, kind: Kind) -> &dyn Way {
        &*self.ways[kind as usize]
    }

    fn lane(&self, kind: Kind) -> &Lane {
        &self.lanes[kind as usize]
    }

    async fn get(&self, id: &ExecId) -> Result<Option<Arc<Record>>, ArchiveError> {
        if let Some(live) = self.state().live.get(id) {
            return Ok(Some(Arc::clone(&live.record.borrow())));
        }
        Ok(self.archive.get(id.clone()).await?.map(Arc::new))
    }

    pub(super) async fn follow(
        &self,
        id: &ExecId,
    ) -> Result<Option<watch::Receiver<Arc<Record>>>, ArchiveError> {
        if let Some(live) = self.state().live.get(id) {
            return Ok(Some(live.record.subscribe()));
        }
        let record = self.archive.get(id.clone()).await?;
        Ok(record.map(|record| watch::Sender::new(Arc::new(record)).subscribe()))
    }

    /// Takes up a new one, if there is room and its key was not taken just now: in one step, so that no two calls are one.
    pub(super) fn take_up(&self, record: &Record) -> Entrance {
        let cancel = self.stopping.child_token();
        let mut state = self.state();
        if record.key.as_ref().is_some_and(|key| state.index.by_key(key, record.created).is_some()) {
            return Entrance::Known;
        }
        let Some(admission) = self.lane(record.target.kind()).admit() else { return Entrance::Full };
        state.index.put(Summary::of(record, 0));
        let live = Live::of(record.clone(), cancel.clone());
        let follower = live.record.subscribe();
        state.live.insert(record.id.clone(), live);
        Entrance::New { follower, cancel, admission }
    }

    /// It never was.
    pub(super) fn drop_again(&self, id: &ExecId) {
        let mut state = self.state();
        state.index.remove(id);
        state.live.remove(id);
    }

    /// What it has become: written first, then told.
    pub(super) async fn becomes(&self, record: Record) {
        let record = Arc::new(record);
        let written = self.archive.put(Arc::clone(&record), now()).await;
        let ended = record.status.is_terminal();
        let mut state = self.state();
        match written {
            Ok(bytes) => state.index.put(Summary::of(&record, bytes)),
            Err(error) => {
                let error = fsm_core::chain(&error).to_string();
                tracing::error!(execution = %record.id, status = %record.status, %error, "its record can't be written; it is kept in memory and tried again");
                state.index.put(Summary::of(&record, 0));
                if let Some(live) = state.live.get(&record.id) {
                    live.record.send_replace(record);
                }
                return;
            }
        }
        let live = if ended { state.live.remove(&record.id) } else { None };
        if let Some(live) = live.as_ref().or_else(|| state.live.get(&record.id)) {
            live.record.send_replace(record);
        }
    }

    /// Forgets what is too old or too much.
    pub(super) async fn forget(&self) {
        let overdue = {
            let mut state = self.state();
            let overdue = state.index.overdue(now(), &self.keep);
            // What the store has not taken yet is not there to be deleted.
            let overdue: Vec<ExecId> =
                overdue.into_iter().filter(|id| !state.live.contains_key(id)).collect();
            overdue.iter().for_each(|id| state.index.remove(id));
            overdue
        };
        if overdue.is_empty() {
            return;
        }
        self.deleted.store(true, Ordering::Relaxed);
        if let Err(error) = self.archive.delete(overdue, now()).await {
            tracing::warn!(error = %fsm_core::chain(&error), "old records of executions can't be deleted");
        }
    }

    /// Writes ends that the store did not take so far.
    async fn catch_up(&self) {
        let ended: Vec<Arc<Record>> = {
            let state = self.state();
            let records = state.live.values().map(|live| Arc::clone(&live.record.borrow()));
            records.filter(|record| record.status.is_terminal()).collect()
        };
        for record in ended {
            let Ok(bytes) = self.archive.put(Arc::clone(&record), now()).await else { return };
            let mut state = self.state();
            state.index.put(Summary::of(&record, bytes));
            state.live.remove(&record.id);
        }
    }
}

async fn housekeeping(inner: Arc<Inner>) {
    let mut pace = interval(HOUSEKEEPING);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Cancel-safe: a tick that nobody took is there still.
        tokio::select! {
            _ = pace.tick() => {}
            () = inner.stopping.cancelled() => break,
        }
        inner.catch_up().await;
        inner.forget().await;
        if inner.deleted.swap(false, Ordering::Relaxed) {
            inner.archive.forget_deleted(now()).await;
        }
    }
    inner.catch_up().await;
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
