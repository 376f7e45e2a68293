//! The tokio driver: feeds the engine what happens and carries out what it decides. One task owns the engine; nothing locks it.
//!
//! Two layers of tasks: the loop, and what it started (collections, spawned tasks of incarnations, actions in the executor).
//! Dropping the loop ends them all.

mod agent;
mod drive;
mod handle;
mod host;
mod inbox;
mod record;
mod spans;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{Moment, Registry};
use fsm_executor::ExecutorConfig;
use fsm_metrics::{Metrics, MetricsError, NodeMetricsCollector};
use fsm_store::Store;
use tokio::time::Instant;

use crate::engine::{Engine, EngineConfig};
pub use agent::{ActError, AgentRun};
use drive::Drive;
pub use handle::{ApplyReceipt, AskError, EventReader, Gone, Handle};
use inbox::Inbox;

/// How a tree is run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DriverConfig {
    /// The engine's part. The driver sets seed and epoch when they are zero.
    pub engine: EngineConfig,
    /// The executor's part.
    pub executor: ExecutorConfig,
    /// Events kept for subscribers that lag; older ones are lost with a count.
    pub event_backlog: usize,
    /// How long the end of the driver waits for actions that don't end.
    pub abort_after: Duration,
    /// Where statistics of the nodes' actions go, if anywhere.
    pub node_metrics: Option<Arc<NodeMetricsCollector>>,
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            engine: EngineConfig::default(),
            executor: ExecutorConfig::default(),
            // A mass change of 1 000 nodes makes a few thousand events before a subscriber runs.
            event_backlog: 8_192,
            abort_after: Duration::from_secs(1),
            node_metrics: None,
        }
    }
}

impl DriverConfig {
    /// With this pace.
    #[must_use]
    pub fn with_tick_interval(mut self, interval: Duration) -> Self {
        self.engine.tick_interval = interval;
        self
    }
    /// With this executor.
    #[must_use]
    pub fn with_executor(mut self, executor: ExecutorConfig) -> Self {
        self.executor = executor;
        self
    }
    /// With statistics of the nodes' actions in this collector, by path.
    #[must_use]
    pub fn with_node_metrics(mut self, collector: Arc<NodeMetricsCollector>) -> Self {
        self.node_metrics = Some(collector);
        self
    }
}

/// A driver can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A kind's metrics can't be registered.
    #[error("the metrics of kind `{kind}` can't be registered")]
    Metrics {
        /// The kind.
        kind: &'static str,
        /// Why not.
        source: MetricsError,
    },
    /// The executor refuses its config.
    #[error("the executor can't start")]
    Executor(#[from] fsm_executor::StartError),
}

/// The driver's clock: moments since its start, and what they are on the wall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    epoch_ms: u64,
}

impl Clock {
    fn new(epoch_ms: u64) -> Self {
        Self { start: Instant::now(), epoch_ms }
    }
    pub(crate) fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }
    pub(crate) fn instant(&self, at: Moment) -> Option<Instant> {
        self.start.checked_add(at.since(Moment::ZERO))
    }
    pub(crate) fn wall_ms(&self, at: Moment) -> u64 {
        self.epoch_ms + at.as_nanos() / 1_000_000
    }
}

/// Starts a tree over these kinds and gives the handle to it. Must be called inside a tokio runtime.
///
/// The tree is empty until [`Handle::apply`] gives it a root. It ends with [`Handle::shutdown`], or when the last handle is
/// dropped: then everything it started is aborted.
///
/// # Errors
/// [`StartError`] when a kind's metrics contradict each other or the executor's config is refused.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use fsm_core::{monitor, ChildSpec, Registry, Vars, Verdict};
/// use fsm_supervisor::{start, DriverConfig};
/// use std::{sync::Arc, time::Duration};
///
/// let mut registry = Registry::new();
/// monitor("always", Duration::from_secs(1), || async { Ok(42) }, |n| match n {
///     42 => Verdict::Healthy,
///     _ => Verdict::Degraded("not 42".into()),
/// }).register(&mut registry).unwrap();
///
/// let metrics = fsm_metrics::Metrics::try_new(Default::default(), &prometheus::Registry::new()).unwrap();
/// let store = Arc::new(fsm_store::MemoryStore::new(Default::default()));
/// let tree = start(registry, DriverConfig::default(), &metrics, store).unwrap();
/// tree.apply(ChildSpec::try_new("demo", "always").unwrap(), Vars::new()).await.unwrap();
/// tree.until(|entries| entries.iter().all(|e| e.state == "Running")).await.unwrap();
/// assert!(tree.shutdown(Duration::from_secs(5)).await.unwrap().forced.is_empty());
/// # });
/// ```
pub fn start(
    registry: Registry,
    config: DriverConfig,
    metrics: &Metrics,
    store: Arc<dyn Store>,
) -> Result<Handle, StartError> {
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut engine_config = config.engine.clone();
    if engine_config.epoch_ms == 0 {
        engine_config.epoch_ms = u64::try_from(wall.as_millis()).unwrap_or_default();
    }
    if engine_config.seed == 0 {
        // Differs between machines and starts, so that a fleet doesn't back off in step.
        engine_config.seed = wall.as_nanos() as u64 ^ u64::from(std::process::id());
    }
    let clock = Clock::new(engine_config.epoch_ms);
    let engine = Engine::try_new(registry, engine_config, metrics)
        .map_err(|(kind, source)| StartError::Metrics { kind, source })?;
    let inbox = Arc::new(Inbox::new());
    let (handle, requests, events) = Handle::new(clock, config.event_backlog, metrics.clone());
    let drive =
        Drive::try_new(engine, clock, inbox, (requests, handle.weak()), events, metrics, store, &config)?;
    tasks::spawn(drive.run());
    Ok(handle)
}
