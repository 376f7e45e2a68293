//! The kind's two halves against a real broker: actions run twice, observations tell the truth.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{
    ActionContext, BoxFuture, CollectContext, Generation, Host, Identity, Incarnation, Job, MetricSink,
    Moment, NoMetrics, NodeId, NodePath, SeenAny, Worker,
};
use fsm_worker_broker::{Broker, BrokerConfig, Listen};
use fsm_worker_simulator::{
    DeviceSimulator, SimulatorAction, SimulatorConfig, SimulatorLife, SimulatorObserved,
};
use tokio::task::JoinSet;

use crate::support::{config, soon};

/// A driver of one incarnation.
struct Driver {
    tasks: Mutex<JoinSet<()>>,
    started: tokio::time::Instant,
}

impl Host for Driver {
    fn now(&self) -> Moment {
        Moment::after_start(self.started.elapsed())
    }
    fn wall_ms(&self) -> u64 {
        1
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
    fn cancelled(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
    fn is_cancelled(&self) -> bool {
        false
    }
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        self.tasks.lock().expect("no panic under it").spawn(task);
    }
    fn on_cancel(&self, _cleanup: BoxFuture<'static, ()>) {}
    fn push(&self, _observed: Arc<dyn Any + Send + Sync>) {}
    fn observed(&self, _path: &NodePath) -> BoxFuture<'static, Option<SeenAny>> {
        Box::pin(std::future::ready(None))
    }
    fn task_panics(&self) -> Vec<(&'static str, Arc<str>)> {
        Vec::new()
    }
    fn metrics(&self) -> &dyn MetricSink {
        &NoMetrics
    }
}

struct Node {
    identity: Identity,
    config: Arc<SimulatorConfig>,
    handle: Arc<SimulatorLife>,
    driver: Arc<Driver>,
    host: Arc<dyn Host>,
}

impl Node {
    fn new(config: SimulatorConfig) -> Self {
        let path = NodePath::try_new("/edge/plant").expect("a good path");
        let driver = Arc::new(Driver { tasks: Mutex::default(), started: tokio::time::Instant::now() });
        Self {
            identity: Identity::new(path, DeviceSimulator::KIND, NodeId::new(1, Incarnation::new(1)), 0, 1),
            config: Arc::new(config),
            handle: Arc::default(),
            host: Arc::clone(&driver) as Arc<dyn Host>,
            driver,
        }
    }

    fn job(&self) -> Job<'_, DeviceSimulator> {
        Job {
            identity: &self.identity,
            config: &self.config,
            handle: &self.handle,
            last: None,
            generation: Generation::new(1),
            host: &self.host,
        }
    }

    async fn act(&self, action: SimulatorAction) {
        DeviceSimulator.execute(action, ActionContext::new(self.job(), 1)).await.expect("it can't fail");
    }

    async fn look(&self) -> SimulatorObserved {
        DeviceSimulator
            .collect_observed_state(CollectContext::new(self.job()))
            .await
            .expect("it looks at memory only")
    }

    async fn until(&self, what: &str, wanted: impl Fn(&SimulatorObserved) -> bool) -> SimulatorObserved {
        soon(what, async {
            loop {
                let seen = self.look().await;
                if wanted(&seen) {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    fn tasks(&self) -> usize {
        self.driver.tasks.lock().expect("no panic under it").len()
    }
}

// spec: A-11, I10
#[tokio::test]
async fn each_action_run_twice_does_what_it_does_once() {
    let broker = Broker::start(BrokerConfig::listening_on(Listen::loopback(0))).await.expect("a free port");
    let node = Node::new(config(broker.handle().addr().port(), r#"{"interval": "10ms"}"#));
    assert!(!node.look().await.alive);
    node.act(SimulatorAction::Stop).await;
    node.act(SimulatorAction::Start).await;
    node.act(SimulatorAction::Start).await;
    assert_eq!(node.tasks(), 1, "a running simulator was replaced");
    let seen = node.until("values", |seen| seen.published > 0).await;
    assert!(seen.alive && seen.connected && seen.error.is_none(), "{seen:?}");
    assert_eq!(seen.deployed.as_ref(), Some(&node.config));
    for _ in 0..2 {
        node.act(SimulatorAction::Stop).await;
        let seen = node.look().await;
        assert!(!seen.alive && !seen.connected && seen.deployed.is_none(), "{seen:?}");
    }
    broker.stop().await;
}

// spec: S-11
#[tokio::test]
async fn a_changed_config_replaces_the_publisher() {
    let broker = Broker::start(BrokerConfig::listening_on(Listen::loopback(0))).await.expect("a free port");
    let port = broker.handle().addr().port();
    let mut node = Node::new(config(port, "{}"));
    node.act(SimulatorAction::Start).await;
    node.until("a connection", |seen| seen.connected).await;
    node.config = Arc::new(config(port, r#"{"seed": 2}"#));
    node.act(SimulatorAction::Start).await;
    let seen = node.until("a connection", |seen| seen.connected).await;
    assert_eq!(seen.deployed.as_ref(), Some(&node.config));
    assert_eq!(broker.handle().stats().connections, 1, "two publishers at once");
}

// spec: S-41
#[test]
fn the_broker_is_its_infrastructure() {
    let infrastructure =
        DeviceSimulator::infrastructure(&SimulatorConfig::default()).expect("it needs its broker");
    assert_eq!(&*infrastructure.key, "mqtt://127.0.0.1:1883");
    assert_eq!(infrastructure, fsm_core::Infrastructure::tcp("mqtt://127.0.0.1:1883", "127.0.0.1:1883"));
}
