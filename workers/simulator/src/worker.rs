//! The kind `device_simulator`: looks at the publisher of its incarnation, starts it and stops it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext,
    DeriveError, DesiredState, Infrastructure, MetricSpec, Moment, Observed, Policy, RegisterError, Registry,
    UserSpec, Worker,
};
use serde::{Deserialize, Serialize};

use crate::config::SimulatorConfig;
use crate::publisher::{PublisherHandle, PublisherStatus, publisher};
use crate::state::SimulatorState;

/// Starting is a matter of memory; stopping waits for a goodbye of half a second at most.
const ACTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long after the last skipped value the broker counts as fast enough again.
const SKIP_REMEMBERED: Duration = Duration::from_secs(10);

/// Registers the kind `device_simulator`.
///
/// # Errors
///
/// [`RegisterError`] when the name is taken.
pub fn register(registry: &mut Registry) -> Result<(), RegisterError> {
    registry.register(DeviceSimulator)?;
    Ok(())
}

/// A simulated plant as a worker.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeviceSimulator;

/// What one incarnation owns: its publisher, once there is one.
#[derive(Debug, Default)]
pub struct SimulatorLife {
    inner: Mutex<Life>,
}

#[derive(Debug, Default)]
struct Life {
    publisher: Option<(PublisherHandle, Arc<SimulatorConfig>)>,
    /// As the last collection saw it.
    last: PublisherStatus,
    last_skip: Option<Moment>,
}

impl SimulatorLife {
    /// A panic under this lock leaves plain data, which is good as it is.
    fn lock(&self) -> MutexGuard<'_, Life> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publisher(&self) -> Option<(PublisherHandle, Arc<SimulatorConfig>)> {
        self.lock().publisher.clone()
    }
}

/// What is seen of a simulator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SimulatorObserved {
    /// Its task runs.
    pub alive: bool,
    /// The broker has let it in.
    pub connected: bool,
    /// Why it is not connected.
    pub error: Option<Arc<str>>,
    /// A connected broker did not take all values within the last ten seconds.
    pub skipping: bool,
    /// Values that were sent.
    pub published: u64,
    /// Values that were not sent, since the broker was away or slow.
    pub skipped: u64,
    /// The config that it runs with.
    #[serde(skip)]
    pub deployed: Option<Arc<SimulatorConfig>>,
}

impl SimulatorObserved {
    /// There is no simulator.
    #[must_use]
    pub const fn absent() -> Self {
        Self {
            alive: false,
            connected: false,
            error: None,
            skipping: false,
            published: 0,
            skipped: 0,
            deployed: None,
        }
    }
}

impl Observed<SimulatorConfig> for SimulatorObserved {
    fn same_for_decisions(&self, old: &Self) -> bool {
        // Figures only measure.
        let Self { alive, connected, error, skipping, published: _, skipped: _, deployed } = self;
        *alive == old.alive
            && *connected == old.connected
            && *error == old.error
            && *skipping == old.skipping
            && *deployed == old.deployed
    }

    fn deployed(&self) -> Option<&SimulatorConfig> {
        self.deployed.as_deref()
    }
}

/// What can be done to a simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimulatorAction {
    /// Publishes with the present config, in place of an older one.
    Start,
    /// Says goodbye and ends.
    Stop,
}

impl Action for SimulatorAction {
    const NAMES: &'static [&'static str] = &["start", "stop"];

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

const PUBLISHED: usize = 0;
const SKIPPED: usize = 1;
const METRICS: &[MetricSpec] = &[
    MetricSpec::counter("published_total", "Values that were sent."),
    MetricSpec::counter("skipped_total", "Values that were not sent, since the broker was away or slow."),
];

impl Worker for DeviceSimulator {
    const KIND: &'static str = "device_simulator";
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("start", ACTION_TIMEOUT),
        ActionPolicy::new("stop", ACTION_TIMEOUT),
    ]);
    type Config = SimulatorConfig;
    type Observed = SimulatorObserved;
    type State = SimulatorState;
    type Action = SimulatorAction;
    type Handle = SimulatorLife;

    fn derive_desired_state(
        spec: &UserSpec<SimulatorConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<SimulatorConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    fn infrastructure(config: &SimulatorConfig) -> Option<Infrastructure> {
        let url = &config.mqtt.url;
        let text = url.to_string();
        let address = text.trim_start_matches("mqtt://").to_owned();
        Some(Infrastructure::tcp(text, address))
    }

    fn metrics() -> &'static [MetricSpec] {
        METRICS
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<SimulatorObserved, CollectError> {
        let now = cx.now();
        let mut life = cx.handle().lock();
        let publisher = life.publisher.clone();
        let status = publisher.as_ref().map(|(publisher, _)| publisher.status()).unwrap_or_default();
        let last = std::mem::replace(&mut life.last, status.clone());
        // While the broker is away its slowness is not the trouble.
        if status.connected && last.connected && status.skipped > last.skipped {
            life.last_skip = Some(now);
        }
        let skipping = life.last_skip.is_some_and(|moment| now.since(moment) < SKIP_REMEMBERED);
        drop(life);
        cx.metrics().add(PUBLISHED, &[], status.published.saturating_sub(last.published) as f64);
        cx.metrics().add(SKIPPED, &[], status.skipped.saturating_sub(last.skipped) as f64);
        let alive = publisher.as_ref().is_some_and(|(publisher, _)| !publisher.has_ended());
        Ok(SimulatorObserved {
            alive,
            connected: alive && status.connected,
            error: status.error,
            skipping,
            published: status.published,
            skipped: status.skipped,
            deployed: publisher.filter(|_| alive).map(|(_, config)| config),
        })
    }

    async fn execute(&self, action: SimulatorAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {
            SimulatorAction::Start => start(&cx).await,
            SimulatorAction::Stop => stop(cx.handle()).await,
        }
        Ok(())
    }
}

/// Idempotent: a publisher with this config is left alone, one with another config is replaced.
async fn start(cx: &ActionContext<'_, DeviceSimulator>) {
    let life = cx.handle();
    if let Some((publisher, config)) = life.publisher() {
        if !publisher.has_ended() && config == *cx.config() {
            return;
        }
        stop(life).await;
    }
    let host = Arc::clone(cx.host());
    let client_id = format!("simulator{}", cx.identity().path.to_string().replace('/', "-"));
    let (handle, task) = publisher(cx.config(), &client_id, move || host.wall_ms());
    // No await from here on: a task that was started has an owner.
    cx.spawn("simulator", task);
    let mut inner = life.lock();
    inner.last = PublisherStatus::default();
    inner.publisher = Some((handle, Arc::clone(cx.config())));
}

/// Idempotent: ends the publisher if there is one, and waits until it has ended.
async fn stop(life: &SimulatorLife) {
    if let Some((publisher, _)) = life.publisher() {
        publisher.stop();
        publisher.ended().await;
    }
}
