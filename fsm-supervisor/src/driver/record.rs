//! Off the tick: what the executor measures, what the log says, and the way of changes into the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use fsm_core::{ActionReport, ChildSpec, Incarnation, NodeId, NodePath, Outcome};
use fsm_executor::{ActionRef, ExecutorObserver};
use fsm_metrics::{ActionMetrics, Metrics, PoolMetrics, StoreMetrics, StoreRole};
use fsm_store::{Batch, DocumentId, Expected, Store, StoreStats, Timestamp, WriteError};
use indexmap::IndexMap;
use serde_json::{Value, json};
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;
use tracing::Level;

use super::Clock;
use super::tasks::{spawn, spawn_blocking};
use crate::effect::{Change, What};
use crate::event::{Event, EventKind};

/// Hands what the executor measures to the series of the action's kind.
#[derive(Default)]
pub(crate) struct ActionRecorder {
    scopes: RwLock<HashMap<u32, ActionScope>>,
}

struct ActionScope {
    metrics: ActionMetrics,
    names: &'static [&'static str],
}

impl ActionRecorder {
    /// Makes the series of a scope known, the first time it is used.
    pub(crate) fn know(
        &self,
        tag: u32,
        names: &'static [&'static str],
        metrics: impl FnOnce() -> Option<ActionMetrics>,
    ) {
        if self.scopes.read().unwrap_or_else(PoisonError::into_inner).contains_key(&tag) {
            return;
        }
        if let Some(metrics) = metrics() {
            let mut scopes = self.scopes.write().unwrap_or_else(PoisonError::into_inner);
            scopes.insert(tag, ActionScope { metrics, names });
        }
    }

    fn with(&self, action: &ActionRef<NodeId>, record: impl FnOnce(&ActionMetrics, usize)) {
        let scopes = self.scopes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(scope) = scopes.get(&action.tag) {
            // An action outside of NAMES counts as `_other`.
            let index = scope.names.iter().position(|name| *name == action.name).unwrap_or(usize::MAX);
            record(&scope.metrics, index);
        }
    }
}

impl ExecutorObserver<NodeId> for ActionRecorder {
    fn queued(&self, action: &ActionRef<NodeId>) {
        self.with(action, |metrics, index| metrics.queued(index));
    }
    fn started(&self, action: &ActionRef<NodeId>, waited: Duration) {
        self.with(action, |metrics, _| metrics.started(waited));
    }
    fn attempt_ended(&self, action: &ActionRef<NodeId>, _attempt: u32, outcome: Outcome, took: Duration) {
        self.with(action, |metrics, index| metrics.attempt_ended(index, outcome, took));
    }
    fn retried(&self, action: &ActionRef<NodeId>, _next: u32, _wait: Duration) {
        self.with(action, |metrics, index| metrics.retried(index));
    }
    fn stuck(&self, action: &ActionRef<NodeId>) {
        self.with(action, |metrics, index| metrics.stuck(index));
    }
    fn leaked(&self, action: &ActionRef<NodeId>, difference: i64) {
        self.with(
            action,
            |metrics, index| if difference > 0 { metrics.leaked(index) } else { metrics.leak_ended(index) },
        );
    }
    fn ended(&self, action: &ActionRef<NodeId>, _report: &ActionReport) {
        self.with(action, |metrics, _| metrics.ended());
    }
}

/// What the pool of actions looks like.
pub(crate) struct Pool {
    metrics: PoolMetrics,
    places: usize,
}

impl Pool {
    pub(crate) fn new(metrics: &Metrics, places: usize) -> Self {
        Self { metrics: PoolMetrics::new(metrics.pool("actions")), places }
    }
    pub(crate) fn record(&self, running: usize, waiting: usize) {
        self.metrics.in_use(running, self.places);
        self.metrics.waiting(waiting);
    }
}

/// Events are the engine's, wherever they are logged.
const TARGET: &str = "fsm_supervisor";

/// One line per event, at a level that fits.
pub(crate) fn log(event: &Event) {
    let (path, name) = (event.path.as_str(), event.kind.name());
    let what = &event.kind;
    // What people look for most is written field by field.
    if let EventKind::StateTransition { from, to, phase, reason } = what {
        return tracing::info!(target: TARGET, path, from, to, %phase, %reason, "{name}");
    }
    if let EventKind::PlanApplied { created, updated, removed, restarted } = what {
        return tracing::info!(target: TARGET, path, created, updated, removed, restarted, "{name}");
    }
    match level(what) {
        Level::ERROR => tracing::error!(target: TARGET, path, ?what, "{name}"),
        Level::WARN => tracing::warn!(target: TARGET, path, ?what, "{name}"),
        Level::INFO => tracing::info!(target: TARGET, path, ?what, "{name}"),
        _ => tracing::debug!(target: TARGET, path, ?what, "{name}"),
    }
}

const fn level(what: &EventKind) -> Level {
    match what {
        EventKind::Panic { .. }
        | EventKind::TemplateError { .. }
        | EventKind::StoreDegraded { .. }
        | EventKind::IncidentEscalated { .. } => Level::ERROR,
        EventKind::ObservationStale { .. }
        | EventKind::CollectorRestarted { .. }
        | EventKind::CircuitOpened { .. }
        | EventKind::Restart { .. }
        | EventKind::BudgetSpent { .. }
        | EventKind::IncidentOpened { .. }
        | EventKind::PurityViolation { .. }
        | EventKind::Livelock { .. }
        | EventKind::StopTimedOut { .. }
        | EventKind::TickOverrun { .. }
        | EventKind::ActionEnded { outcome: Outcome::Failure | Outcome::Timeout | Outcome::Panic, .. } => {
            Level::WARN
        }
        EventKind::StateTransition { .. }
        | EventKind::NodeRemoved
        | EventKind::PlanApplied { .. }
        | EventKind::CircuitClosed
        | EventKind::IncidentClosed { .. }
        | EventKind::OverrideSet { .. }
        | EventKind::OverrideCleared { .. }
        | EventKind::StoreRecovered
        | EventKind::Command { .. } => Level::INFO,
        EventKind::NodeCreated { .. }
        | EventKind::ActionQueued { .. }
        | EventKind::ActionStarted { .. }
        | EventKind::ActionEnded { outcome: Outcome::Success | Outcome::Cancelled, .. }
        | EventKind::ObservationFresh => Level::DEBUG,
    }
}

/// What waits to be written about one path: the newest of each part, so a slow store costs bounded memory (H-6).
#[derive(Default)]
struct Pending {
    incarnation: Incarnation,
    identity: Option<(Arc<str>, u64)>,
    desired: Option<Arc<dyn fsm_core::erase::ErasedConfig>>,
    observed: Option<Arc<dyn fsm_core::erase::ErasedObserved>>,
    state: Option<Value>,
    stopped_by: Option<Option<Arc<str>>>,
    dynamic: Option<Vec<Arc<ChildSpec>>>,
    removed: bool,
}

#[derive(Default)]
struct Waiting {
    changes: IndexMap<NodePath, Pending>,
    closed: bool,
}

struct Desk {
    waiting: Mutex<Waiting>,
    news: Notify,
}

/// Takes changes from the tick, coalesces them per node, and writes them in batches.
pub(crate) struct Recorder {
    desk: Arc<Desk>,
    writer: tokio::task::JoinHandle<()>,
}

/// Looking how much a store holds may take a walk through it: once in a second is often enough for a scrape.
const SIZED_EVERY: Duration = Duration::from_secs(1);
/// The roles of changes, in the order of the store's.
const ROLES: [StoreRole; 4] =
    [StoreRole::Identity, StoreRole::Desired, StoreRole::Observed, StoreRole::Document];

/// First wait after a failed write; doubles to `RETRY_CAP`.
const RETRY: Duration = Duration::from_millis(100);
/// The longest wait between two tries of a failing store.
const RETRY_CAP: Duration = Duration::from_secs(10);

impl Recorder {
    pub(crate) fn start(
        store: Arc<dyn Store>,
        metrics: &Metrics,
        clock: Clock,
        events: broadcast::Sender<Event>,
    ) -> Self {
        let desk = Arc::new(Desk { waiting: Mutex::default(), news: Notify::new() });
        let recorder = StoreMetrics::new(metrics.store());
        let writer = spawn(write_all(Arc::clone(&desk), store, recorder, clock, events));
        Self { desk, writer }
    }

    /// Never blocks: the change waits in its place per node.
    pub(crate) fn record(&self, change: Change) {
        let mut waiting = self.desk.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = waiting.changes.entry(change.path).or_default();
        pending.take(change.incarnation, change.what);
        drop(waiting);
        self.desk.news.notify_one();
    }

    /// Writes what waits, and ends.
    pub(crate) async fn finish(self) {
        self.desk.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.desk.news.notify_one();
        let _ = self.writer.await;
    }
}

impl Pending {
    fn take(&mut self, incarnation: Incarnation, what: What) {
        if incarnation != self.incarnation && incarnation.get() != 0 {
            // A new life: what was not written of the one before is history nobody saw.
            // But documents are of the path.
            let (stopped_by, dynamic) = (self.stopped_by.take(), self.dynamic.take());
            *self = Self { incarnation, stopped_by, dynamic, ..Self::default() };
        }
        match what {
            What::Identity { kind, created_at } => self.identity = Some((kind, created_at)),
            What::Desired { config, .. } => self.desired = Some(config),
            What::Observed { value } => self.observed = Some(value),
            What::State { state, phase, reason } => {
                self.state = Some(json!({"state": state, "phase": phase, "reason": reason.to_string()}));
            }
            What::Override { stopped_by } => self.stopped_by = Some(stopped_by),
            What::Dynamic { children } => self.dynamic = Some(children),
            What::Removed => {
                self.removed = true;
                self.dynamic = Some(Vec::new());
            }
        }
    }

    /// Adds its changes by role.
    fn count_into(&self, counts: &mut [u64; ROLES.len()]) {
        for (role, is_there) in [
            (StoreRole::Identity, self.identity.is_some()),
            (StoreRole::Identity, self.removed),
            (StoreRole::Desired, self.desired.is_some()),
            (StoreRole::Observed, self.observed.is_some() || self.state.is_some()),
            (StoreRole::Document, self.stopped_by.is_some()),
            (StoreRole::Document, self.dynamic.is_some()),
        ] {
            counts[role as usize] += u64::from(is_there);
        }
    }

    /// Adds what waits to a batch.
    fn write(&self, path: &NodePath, store: &dyn Store, batch: &mut Batch) {
        if let Some((kind, created_at)) = &self.identity {
            batch.identify(path, self.incarnation, Arc::clone(kind), json!({"created_at": created_at}));
        }
        let stored = store.node(path).ok().flatten().filter(|node| node.incarnation == self.incarnation);
        if let Some(config) = &self.desired {
            let generation =
                stored.as_ref().and_then(|node| node.desired.as_ref()).map(|part| part.generation);
            let expected = generation.map_or(Expected::Nothing, Expected::Generation);
            batch.desire(path, self.incarnation, expected, config.to_value());
        }
        if self.state.is_some() || self.observed.is_some() {
            let before =
                stored.as_ref().and_then(|node| node.observed.as_ref()).map(|part| part.value.clone());
            let mut value = before.map_or_else(|| json!({}), |value| Value::clone(&value));
            if let Some(state) = &self.state {
                for key in ["state", "phase", "reason"] {
                    value[key] = state[key].clone();
                }
            }
            if let Some(observed) = &self.observed {
                value["observed"] = observed.to_value();
            }
            batch.observe(path, self.incarnation, value);
        }
        if self.removed {
            batch.remove(path, self.incarnation);
        }
    }
}

/// The writer's loop: take what waits, write it as one batch, and try again with back-off when the store fails.
async fn write_all(
    desk: Arc<Desk>,
    store: Arc<dyn Store>,
    metrics: StoreMetrics,
    clock: Clock,
    events: broadcast::Sender<Event>,
) {
    let mut wait = RETRY;
    let mut degraded = false;
    let mut sized: Option<Instant> = None;
    loop {
        let (changes, closed) = {
            let mut waiting = desk.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            (std::mem::take(&mut waiting.changes), waiting.closed)
        };
        if changes.is_empty() {
            if closed {
                return;
            }
            desk.news.notified().await;
            continue;
        }
        let began = Instant::now();
        let mut counts = [0; ROLES.len()];
        changes.values().for_each(|pending| pending.count_into(&mut counts));
        let size = sized.is_none_or(|last| last.elapsed() >= SIZED_EVERY);
        let (changes, result, stats) = write(changes, Arc::clone(&store), clock, size).await;
        match result {
            Ok(()) => {
                for role in ROLES.into_iter().filter(|role| counts[*role as usize] > 0) {
                    metrics.written(role, counts[role as usize], began.elapsed());
                }
                if let Some(stats) = stats {
                    sized = Some(began);
                    for (role, bytes) in ROLES.into_iter().zip(stats.role_bytes) {
                        metrics.size(role, bytes as u64);
                    }
                }
                wait = RETRY;
                if std::mem::take(&mut degraded) {
                    tell(&events, clock, &changes, EventKind::StoreRecovered);
                }
            }
            Err(error) => {
                let error: Arc<str> = fsm_core::chain(&error);
                if !std::mem::replace(&mut degraded, true) {
                    tell(&events, clock, &changes, EventKind::StoreDegraded { error });
                }
                give_back(&desk, changes);
                if closed {
                    return;
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_CAP);
            }
        }
    }
}

type Changes = IndexMap<NodePath, Pending>;

/// Writes one batch off the runtime's threads: a store may wait for its disk.
async fn write(
    changes: Changes,
    store: Arc<dyn Store>,
    clock: Clock,
    size: bool,
) -> (Changes, Result<(), WriteError>, Option<StoreStats>) {
    let job = async move {
        let mut batch = Batch::new(Timestamp::new(clock.wall_ms(clock.now())), "engine");
        for (path, pending) in &changes {
            pending.write(path, &*store, &mut batch);
            if let Some(stopped_by) = &pending.stopped_by {
                let id = DocumentId::new("override", path.as_str());
                match stopped_by {
                    Some(who) => batch.put(id, who.as_bytes()),
                    None => batch.delete(id),
                };
            }
            if let Some(children) = &pending.dynamic {
                let id = DocumentId::new("dynamic", path.as_str());
                match children.is_empty() {
                    true => batch.delete(id),
                    false => batch.put(id, document(children).to_string().as_bytes()),
                };
            }
        }
        let result = match store.write(&batch) {
            Ok(_) => Ok(()),
            Err(WriteError::Conflicts(conflicts)) => {
                // The engine is the only writer, so this is what a late write of a gone life looks like: leave it out.
                tracing::warn!(?conflicts, "some changes came too late for the store");
                let late: Vec<usize> = conflicts.iter().map(|conflict| conflict.change).collect();
                let mut index = 0;
                batch.changes.retain(|_| {
                    index += 1;
                    !late.contains(&(index - 1))
                });
                store.write(&batch).map(|_| ())
            }
            Err(error) => Err(error),
        };
        // After a failure it is not asked again at once.
        let stats = if size && result.is_ok() { store.stats().ok() } else { None };
        (changes, result, stats)
    };
    match spawn_blocking(job).await {
        Ok(done) => done,
        // The runtime is ending: nothing can be written any more.
        Err(_) => (Changes::default(), Ok(()), None),
    }
}

/// Children added at run time as they were given, so that they can be added again.
fn document(children: &[Arc<ChildSpec>]) -> Value {
    let extras = |spec: &ChildSpec| {
        let extras = spec.extras.as_deref()?;
        Some(json!({
            "start_when": extras.start_when,
            "depends_on": extras.depends_on,
            "policy": extras.policy,
        }))
    };
    let child = |spec: &Arc<ChildSpec>| {
        json!({
            "name": spec.name,
            "kind": &*spec.kind,
            "config": spec.config.to_value(),
            "variables": *spec.variables,
            "enabled": spec.enabled,
            "extras": extras(spec),
        })
    };
    children.iter().map(child).collect()
}

/// What could not be written waits again, under what has come since.
fn give_back(desk: &Desk, changes: Changes) {
    let mut waiting = desk.waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let newer = std::mem::replace(&mut waiting.changes, changes);
    for (path, pending) in newer {
        match waiting.changes.entry(path) {
            indexmap::map::Entry::Vacant(entry) => {
                entry.insert(pending);
            }
            indexmap::map::Entry::Occupied(mut entry) => entry.get_mut().overlay(pending),
        }
    }
}

impl Pending {
    /// The newer changes over these.
    fn overlay(&mut self, newer: Self) {
        if newer.incarnation != self.incarnation {
            let stopped_by = newer.stopped_by.or_else(|| self.stopped_by.take());
            let dynamic = newer.dynamic.or_else(|| self.dynamic.take());
            *self = Self { stopped_by, dynamic, ..newer };
            return;
        }
        self.identity = newer.identity.or_else(|| self.identity.take());
        self.desired = newer.desired.or_else(|| self.desired.take());
        self.observed = newer.observed.or_else(|| self.observed.take());
        self.state = newer.state.or_else(|| self.state.take());
        self.stopped_by = newer.stopped_by.or_else(|| self.stopped_by.take());
        self.dynamic = newer.dynamic.or_else(|| self.dynamic.take());
        self.removed |= newer.removed;
    }
}

/// Tells about the store at the path of the first node concerned.
fn tell(events: &broadcast::Sender<Event>, clock: Clock, changes: &Changes, kind: EventKind) {
    let Some(path) = changes.keys().next() else { return };
    let root = path.segments().next().and_then(|name| fsm_core::ChildName::try_new(name).ok());
    let path = root.map_or_else(|| path.clone(), |name| NodePath::root(&name));
    let event = Event { at: clock.now(), cause: fsm_core::CauseId::default(), path, kind, folded: 0 };
    log(&event);
    let _ = events.send(event);
}
