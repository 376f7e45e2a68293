//! The kind `mqtt_broker`: looks at the broker of its incarnation, starts it and stops it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext,
    DeriveError, DesiredState, MetricSpec, Moment, Observed, Policy, Reason, RegisterError, Registry,
    RetryPolicy, UserSpec, Worker,
};
use serde::{Deserialize, Serialize};

use crate::broker::{Broker, BrokerHandle};
use crate::config::BrokerConfig;
use crate::state::{BrokerState, LOSS_REMEMBERED};
use crate::stats::BrokerStats;

/// Taking a port is one system call; stopping waits for the last words of all clients at once, 200 ms.
const ACTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Registers the kind `mqtt_broker`.
///
/// # Errors
///
/// [`RegisterError`] when the name is taken.
pub fn register(registry: &mut Registry) -> Result<(), RegisterError> {
    registry.register(MqttBroker)?;
    Ok(())
}

/// An embedded MQTT broker as a worker.
#[derive(Debug, Clone, Copy, Default)]
pub struct MqttBroker;

/// What one incarnation owns: its broker, once there is one.
#[derive(Debug, Default)]
pub struct BrokerLife {
    inner: Mutex<Life>,
}

#[derive(Debug, Default)]
struct Life {
    broker: Option<(BrokerHandle, Arc<BrokerConfig>)>,
    /// Counters as the last collection saw them.
    last: BrokerStats,
    last_loss: Option<Moment>,
    last_panic: Option<Moment>,
}

impl BrokerLife {
    /// A panic under this lock leaves plain data, which is good as it is.
    fn lock(&self) -> MutexGuard<'_, Life> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broker(&self) -> Option<(BrokerHandle, Arc<BrokerConfig>)> {
        self.lock().broker.clone()
    }
}

/// What is seen of a broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BrokerObserved {
    /// It takes connections.
    pub listening: bool,
    /// It holds its port or a connection.
    pub alive: bool,
    /// Where it listens, with the port that was really taken; empty while it does not.
    pub address: Arc<str>,
    /// A subscriber lost a message within the last minute.
    pub losing: bool,
    /// A task of the broker panicked within the last minute.
    pub panicking: bool,
    /// Figures.
    pub stats: BrokerStats,
    /// The config that it runs with.
    #[serde(skip)]
    pub deployed: Option<Arc<BrokerConfig>>,
}

impl BrokerObserved {
    /// There is no broker.
    #[must_use]
    pub fn absent() -> Self {
        Self {
            listening: false,
            alive: false,
            address: "".into(),
            losing: false,
            panicking: false,
            stats: BrokerStats::default(),
            deployed: None,
        }
    }

    /// Listens, with this config.
    pub(crate) fn runs(&self, config: &BrokerConfig) -> bool {
        self.listening && self.deployed.as_deref() == Some(config)
    }

    pub(crate) fn trouble(&self) -> Option<Reason> {
        if self.panicking {
            return Some(Reason::new("a task of the broker panicked, see the log"));
        }
        let dropped = self.stats.dropped;
        self.losing.then(|| Reason::from(("subscribers are too slow and lost messages, {} so far", dropped)))
    }
}

impl Observed<BrokerConfig> for BrokerObserved {
    fn same_for_decisions(&self, old: &Self) -> bool {
        // Figures only measure.
        let Self { listening, alive, address, losing, panicking, stats: _, deployed } = self;
        *listening == old.listening
            && *alive == old.alive
            && *address == old.address
            && *losing == old.losing
            && *panicking == old.panicking
            && *deployed == old.deployed
    }

    fn deployed(&self) -> Option<&BrokerConfig> {
        self.deployed.as_deref()
    }
}

/// What can be done to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerAction {
    /// Takes the port and serves.
    Start,
    /// Frees the port and cuts the clients off.
    Stop,
}

impl Action for BrokerAction {
    const NAMES: &'static [&'static str] = &["start", "stop"];

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// Positions in [`METRICS`].
mod metric {
    pub(super) const CONNECTIONS: usize = 0;
    pub(super) const SESSIONS: usize = 1;
    pub(super) const RECEIVED: usize = 2;
    pub(super) const SENT: usize = 3;
    pub(super) const DROPPED: usize = 4;
}

const METRICS: &[MetricSpec] = &[
    MetricSpec::gauge("connections", "", "Clients that are connected."),
    MetricSpec::gauge("sessions", "", "Sessions, those of absent clients included."),
    MetricSpec::counter("received_total", "Messages that clients published."),
    MetricSpec::counter("sent_total", "Messages that were written for subscribers."),
    MetricSpec::counter("dropped_total", "Messages that a subscriber was to get and lost."),
];

impl Worker for MqttBroker {
    const KIND: &'static str = "mqtt_broker";
    // A taken port is tried again with the engine's back-off, so that its reason is seen at once.
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("start", ACTION_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("stop", ACTION_TIMEOUT).with_retry(RetryPolicy::NEVER),
    ]);
    type Config = BrokerConfig;
    type Observed = BrokerObserved;
    type State = BrokerState;
    type Action = BrokerAction;
    type Handle = BrokerLife;

    fn derive_desired_state(
        spec: &UserSpec<BrokerConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<BrokerConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    fn metrics() -> &'static [MetricSpec] {
        METRICS
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<BrokerObserved, CollectError> {
        let now = cx.now();
        let task_panicked = !cx.task_panics().is_empty();
        let mut life = cx.handle().lock();
        let stats = life.broker.as_ref().map(|(broker, _)| broker.stats()).unwrap_or_default();
        let last = std::mem::replace(&mut life.last, stats);
        if stats.dropped > last.dropped {
            life.last_loss = Some(now);
        }
        if stats.panics > last.panics || task_panicked {
            life.last_panic = Some(now);
        }
        let recent =
            |moment: Option<Moment>| moment.is_some_and(|moment| now.since(moment) < LOSS_REMEMBERED);
        let (losing, panicking) = (recent(life.last_loss), recent(life.last_panic));
        let broker = life.broker.clone();
        drop(life);

        let metrics = cx.metrics();
        metrics.set(metric::CONNECTIONS, &[], stats.connections as f64);
        metrics.set(metric::SESSIONS, &[], stats.sessions as f64);
        for (index, now, before) in [
            (metric::RECEIVED, stats.received, last.received),
            (metric::SENT, stats.sent, last.sent),
            (metric::DROPPED, stats.dropped, last.dropped),
        ] {
            metrics.add(index, &[], now.saturating_sub(before) as f64);
        }

        let listening = broker.as_ref().is_some_and(|(broker, _)| broker.is_listening());
        Ok(BrokerObserved {
            listening,
            alive: broker.as_ref().is_some_and(|(broker, _)| !broker.has_ended()),
            address: match &broker {
                Some((broker, _)) if listening => broker.addr().to_string().into(),
                _ => "".into(),
            },
            losing,
            panicking,
            stats,
            deployed: broker.filter(|_| listening).map(|(_, config)| config),
        })
    }

    async fn execute(&self, action: BrokerAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {
            BrokerAction::Start => start(&cx).await,
            BrokerAction::Stop => {
                stop(cx.handle()).await;
                Ok(())
            }
        }
    }
}

/// Idempotent: a broker that listens with this config is left alone, one with another config is replaced.
async fn start(cx: &ActionContext<'_, MqttBroker>) -> Result<(), ActionError> {
    let life = cx.handle();
    if let Some((broker, config)) = life.broker() {
        if broker.is_listening() && config == *cx.config() {
            return Ok(());
        }
        stop(life).await;
    }
    let (broker, task) = Broker::bind(BrokerConfig::clone(cx.config())).await.map_err(|error| {
        ActionError::transient(format!("the broker can't listen on {}", cx.config().listen))
            .with_source(error)
    })?;
    // No await from here on: a port that is taken has an owner.
    cx.spawn("broker", task);
    let mut inner = life.lock();
    inner.last = BrokerStats::default();
    inner.broker = Some((broker, Arc::clone(cx.config())));
    Ok(())
}

/// Idempotent: ends the broker if there is one, and waits until it has ended.
async fn stop(life: &BrokerLife) {
    if let Some((broker, _)) = life.broker() {
        broker.stop();
        broker.ended().await;
    }
}
