//! The I/O half of `persistence`: reads the store's figures, compacts it, looks at its records. All of it may wait for a disk,
//! so all of it runs on threads that may block.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext,
    DeriveError, DesiredState, MetricSpec, Policy, RegisterError, Registry, RequestError, RetryPolicy,
    UserSpec, Worker,
};
use fsm_store::{Compacted, Store, SyncId, Timestamp};
use jiff::tz::TimeZone;

use crate::compaction::steps;
use crate::config::PersistenceConfig;
use crate::ledger::Ledger;
use crate::maintenance::Look;
use crate::observed::{Figures, PersistenceObserved};
use crate::schedule::{compaction_is_due, maintenance_due};
use crate::state::PersistenceState;
use crate::watched::Watched;

/// Registers the kind `persistence`.
///
/// # Errors
/// [`RegisterError`] when the name is taken.
pub fn register(registry: &mut Registry, persistence: Persistence) -> Result<(), RegisterError> {
    registry.register(persistence)?;
    Ok(())
}

/// The kind `persistence`, for one store.
#[derive(Debug)]
pub struct Persistence {
    store: Arc<Watched>,
}

impl Persistence {
    /// Looks after this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store: Arc::new(Watched::new(store)) }
    }

    /// The store as the tree should use it: what it suffers is seen by the nodes of this kind.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }
}

/// What one incarnation owns: the count of its threads in the store.
#[derive(Debug, Default)]
pub struct PersistenceLife {
    at_work: AtomicU32,
}

struct AtWork<'a>(&'a AtomicU32);

impl<'a> AtWork<'a> {
    fn begin(life: &'a PersistenceLife) -> Self {
        life.at_work.fetch_add(1, Ordering::SeqCst);
        Self(&life.at_work)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What can be done to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersistenceAction {
    /// Forgets what is older or more than wanted.
    Compact,
    /// Looks at every record.
    Maintain,
}

impl Action for PersistenceAction {
    const NAMES: &'static [&'static str] = &["compact", "maintain"];

    fn name(&self) -> &'static str {
        match self {
            Self::Compact => "compact",
            Self::Maintain => "maintain",
        }
    }

    fn from_request(name: &str, _input: serde_json::Value) -> Result<Self, RequestError> {
        match name {
            "compact" => Ok(Self::Compact),
            "maintain" => Ok(Self::Maintain),
            other => Err(RequestError::Unknown { name: other.into(), known: Self::NAMES }),
        }
    }
}

/// Positions in [`METRICS`].
mod metric {
    pub(super) const COMPACTIONS: usize = 0;
    pub(super) const FORGOTTEN: usize = 1;
    pub(super) const FORGOTTEN_BYTES: usize = 2;
    pub(super) const MAINTENANCES: usize = 3;
    pub(super) const DAMAGED: usize = 4;
    pub(super) const RECORDS: usize = 5;
    pub(super) const BYTES: usize = 6;
    pub(super) const AGE: usize = 7;
}

const METRICS: &[MetricSpec] = &[
    MetricSpec::counter("compactions_total", "Compactions that came to their end."),
    MetricSpec::counter("forgotten_total", "What compactions forgot.").with_labels(&["what"]),
    MetricSpec::counter("forgotten_bytes_total", "Bytes of changes that compactions forgot."),
    MetricSpec::counter("maintenances_total", "Looks at every record that came to their end."),
    MetricSpec::gauge("damage_findings", "", "What the last look at every record found damaged."),
    MetricSpec::gauge("history_records", "", "Changes in the history."),
    MetricSpec::gauge("history_bytes", "bytes", "Bytes of the history."),
    MetricSpec::gauge("history_age_seconds", "seconds", "Age of the oldest change in the history."),
];

/// Often enough for a compaction every few minutes, and for trouble to be seen soon.
const INTERVAL: Duration = Duration::from_secs(5);
/// Steps take milliseconds; a disk that takes minutes for them is trouble.
const COMPACT_TIMEOUT: Duration = Duration::from_secs(300);
/// Gigabytes of history, read from a slow disk.
const MAINTAIN_TIMEOUT: Duration = Duration::from_secs(1_800);
/// Pages between two checkpoints: each is a write, and so much is looked at again after a cut at most.
const PAGES_PER_CHECKPOINT: u32 = 5;

impl Worker for Persistence {
    const KIND: &'static str = "persistence";
    /// What failed is due all the same, so the worker asks again by itself: retries inside the executor would only hide it.
    const POLICY: Policy = Policy::DEFAULT.poll_every(INTERVAL).blocking_collect().with_actions(&[
        ActionPolicy::new("compact", COMPACT_TIMEOUT).with_retry(RetryPolicy::NEVER).blocking(),
        ActionPolicy::new("maintain", MAINTAIN_TIMEOUT).with_retry(RetryPolicy::NEVER).blocking(),
    ]);
    type Config = PersistenceConfig;
    type Observed = PersistenceObserved;
    type State = PersistenceState;
    type Action = PersistenceAction;
    type Handle = PersistenceLife;

    fn derive_desired_state(
        spec: &UserSpec<PersistenceConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<PersistenceConfig>, DeriveError> {
        spec.config.check()?;
        Ok(DesiredState::running(spec))
    }

    fn metrics() -> &'static [MetricSpec] {
        METRICS
    }

    /// A store that fails is what this kind is to tell of, so it is an observation and no error.
    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<PersistenceObserved, CollectError> {
        let (store, now, config) = (&*self.store, Timestamp::new(cx.wall_ms()), &**cx.config());
        let mut seen = PersistenceObserved {
            at_work: cx.handle().at_work.load(Ordering::SeqCst) > 0,
            ..PersistenceObserved::default()
        };
        let read = Ledger::load(store, &cx.identity().path).and_then(|ledger| Ok((ledger, store.stats()?)));
        let (ledger, stats) = match read {
            Ok(read) => read,
            Err(error) => {
                let why = format!("the store can't be read: {}", fsm_core::chain(&error));
                return Ok(seen.with_trouble(store.trouble().unwrap_or_else(|| why.into())));
            }
        };
        let figures = Figures::of(&stats, now);
        let metrics = cx.metrics();
        metrics.set(metric::RECORDS, &[], figures.records as f64);
        metrics.set(metric::BYTES, &[], figures.bytes as f64);
        metrics.set(metric::AGE, &[], figures.oldest_seconds as f64);
        metrics.set(metric::DAMAGED, &[], ledger.damage.findings as f64);
        let (zone, no_zone) = zone(config.time_zone.as_deref());
        seen.compact = compaction_is_due(config, now, ledger.compacted);
        seen.maintain = maintenance_due(config, now, ledger.maintained, &zone);
        (seen.compacted, seen.maintained, seen.figures) =
            (ledger.compacted, ledger.maintained, Some(figures));
        let damage = ledger.damage.first.as_ref().map(|first| {
            Arc::from(format!("the store is damaged: {} findings, first: {first}", ledger.damage.findings))
        });
        seen.trouble = store.trouble().or(damage).or(no_zone);
        Ok(seen)
    }

    async fn execute(
        &self,
        action: PersistenceAction,
        cx: ActionContext<'_, Self>,
    ) -> Result<(), ActionError> {
        let _at_work = AtWork::begin(cx.handle());
        match action {
            PersistenceAction::Compact => self.compact(&cx).await,
            PersistenceAction::Maintain => self.maintain(&cx).await,
        }
    }
}

impl Persistence {
    async fn compact(&self, cx: &ActionContext<'_, Self>) -> Result<(), ActionError> {
        let failed = |what: &str| ActionError::transient(what);
        let (store, now) = (&*self.store, Timestamp::new(cx.wall_ms()));
        let stats = store.stats().map_err(|e| failed("can't tell how much there is").with_source(e))?;
        for step in steps(&stats, now, &cx.config().keeps()) {
            between_chunks(cx).await?;
            let forgot =
                store.compact(now, &step).map_err(|e| failed("can't compact the store").with_source(e))?;
            count(cx, &forgot);
        }
        self.note(cx, now, |ledger| ledger.compacted = Some(now))?;
        cx.metrics().add(metric::COMPACTIONS, &[], 1.0);
        Ok(())
    }

    async fn maintain(&self, cx: &ActionContext<'_, Self>) -> Result<(), ActionError> {
        let (store, now) = (&*self.store, Timestamp::new(cx.wall_ms()));
        let unreadable = |e| ActionError::transient("can't look at every record").with_source(e);
        let mut look = Look::new(store, self.ledger(cx)?.looked_at);
        for page in 1_u32.. {
            between_chunks(cx).await?;
            look = match look.page(store).map_err(unreadable)? {
                ControlFlow::Continue(look) => look,
                ControlFlow::Break(damage) => {
                    cx.metrics().add(metric::MAINTENANCES, &[], 1.0);
                    return self.note(cx, now, |ledger| {
                        (ledger.maintained, ledger.looked_at, ledger.damage) = (Some(now), None, damage);
                    });
                }
            };
            if page % PAGES_PER_CHECKPOINT == 0 {
                let at: SyncId = look.at();
                self.note(cx, now, |ledger| ledger.looked_at = Some(at))?;
            }
        }
        Ok(())
    }

    fn ledger(&self, cx: &ActionContext<'_, Self>) -> Result<Ledger, ActionError> {
        let failed = |e| ActionError::transient("can't read when it was done last").with_source(e);
        Ledger::load(&*self.store, &cx.identity().path).map_err(failed)
    }

    /// Changes what is written down.
    fn note(
        &self,
        cx: &ActionContext<'_, Self>,
        now: Timestamp,
        change: impl FnOnce(&mut Ledger),
    ) -> Result<(), ActionError> {
        let mut ledger = self.ledger(cx)?;
        change(&mut ledger);
        let failed = |e| ActionError::transient("can't write down what was done").with_source(e);
        ledger.save(&*self.store, &cx.identity().path, now).map_err(failed)
    }
}

/// The place where an action is cut off: told to end, or dropped.
async fn between_chunks(cx: &ActionContext<'_, Persistence>) -> Result<(), ActionError> {
    if cx.is_cancelled() {
        return Err(ActionError::transient("cancelled; it goes on from here the next time"));
    }
    tokio::task::yield_now().await;
    Ok(())
}

fn count(cx: &ActionContext<'_, Persistence>, forgot: &Compacted) {
    let metrics = cx.metrics();
    for (what, count) in
        [("records", forgot.records), ("nodes", forgot.nodes), ("documents", forgot.documents)]
    {
        metrics.add(metric::FORGOTTEN, &[what], count as f64);
    }
    metrics.add(metric::FORGOTTEN_BYTES, &[], forgot.bytes as f64);
}

/// The zone of this name, or the machine's own. One that isn't known here is trouble, and universal time stands in for it.
fn zone(name: Option<&str>) -> (TimeZone, Option<Arc<str>>) {
    let Some(name) = name else { return (TimeZone::system(), None) };
    match TimeZone::get(name) {
        Ok(zone) => (zone, None),
        Err(_) => {
            let why = format!(
                "the time zone `{name}` is not known on this machine: correct `time_zone`, or install its time zone database"
            );
            (TimeZone::UTC, Some(why.into()))
        }
    }
}
