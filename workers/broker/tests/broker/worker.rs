//! The kind's two halves against the real broker: actions run twice, observations tell the truth.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{
    ActionContext, ActionError, BoxFuture, CollectContext, Generation, Host, Identity, Incarnation, Job,
    MetricSink, Moment, NoMetrics, NodeId, NodePath, Worker,
};
use fsm_worker_broker::{BrokerAction, BrokerConfig, BrokerLife, BrokerObserved, Listen, MqttBroker};
use rumqttc::QoS;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::Client;

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
        0
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
    fn observed(&self, _path: &NodePath) -> fsm_core::BoxFuture<'static, Option<fsm_core::SeenAny>> {
        Box::pin(async { None })
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
    config: Arc<BrokerConfig>,
    handle: Arc<BrokerLife>,
    driver: Arc<Driver>,
    host: Arc<dyn Host>,
}

impl Node {
    fn new(config: BrokerConfig) -> Self {
        let path = NodePath::try_new("/edge/broker").expect("a good path");
        let driver = Arc::new(Driver { tasks: Mutex::default(), started: tokio::time::Instant::now() });
        Self {
            identity: Identity::new(path, MqttBroker::KIND, NodeId::new(1, Incarnation::new(1)), 0, 1),
            config: Arc::new(config),
            handle: Arc::default(),
            host: Arc::clone(&driver) as Arc<dyn Host>,
            driver,
        }
    }

    fn job(&self) -> Job<'_, MqttBroker> {
        Job {
            identity: &self.identity,
            config: &self.config,
            handle: &self.handle,
            last: None,
            generation: Generation::new(1),
            host: &self.host,
        }
    }

    async fn act(&self, action: BrokerAction) -> Result<(), ActionError> {
        MqttBroker.execute(action, ActionContext::new(self.job(), 1)).await
    }

    async fn look(&self) -> BrokerObserved {
        MqttBroker
            .collect_observed_state(CollectContext::new(self.job()))
            .await
            .expect("it looks at memory only")
    }

    fn tasks(&self) -> usize {
        self.driver.tasks.lock().expect("no panic under it").len()
    }
}

fn config() -> BrokerConfig {
    BrokerConfig::listening_on(Listen::loopback(0))
}

// spec: A-11, I10
#[tokio::test]
async fn each_action_run_twice_does_what_it_does_once() {
    let node = Node::new(config());
    assert!(!node.look().await.alive);
    node.act(BrokerAction::Stop).await.expect("nothing to stop is stopped");
    node.act(BrokerAction::Start).await.expect("a free port");
    let first = node.look().await;
    assert!(first.listening && first.alive, "{first:?}");
    assert_eq!(first.deployed.as_ref(), Some(&node.config));
    node.act(BrokerAction::Start).await.expect("it runs already");
    assert_eq!(node.look().await.address, first.address, "a running broker was replaced");
    assert_eq!(node.tasks(), 1);
    for _ in 0..2 {
        node.act(BrokerAction::Stop).await.expect("it can be stopped");
        let seen = node.look().await;
        assert!(!seen.listening && !seen.alive, "{seen:?}");
    }
    TcpListener::bind(&*first.address).await.expect("the port is free");
}

#[tokio::test]
async fn a_changed_config_replaces_the_broker() {
    let mut node = Node::new(config());
    node.act(BrokerAction::Start).await.expect("a free port");
    let addr: SocketAddr = node.look().await.address.parse().expect("an address");
    let mut next = BrokerConfig::listening_on(Listen::try_new(addr).expect("loopback"));
    next.max_connections = 7;
    node.config = Arc::new(next);
    node.act(BrokerAction::Start).await.expect("the port is its own");
    assert_eq!(node.look().await.deployed.as_ref(), Some(&node.config));
}

#[tokio::test]
async fn a_taken_port_fails_the_action_with_its_whole_story() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = taken.local_addr().expect("bound");
    let node = Node::new(BrokerConfig::listening_on(Listen::try_new(addr).expect("loopback")));
    let error = node.act(BrokerAction::Start).await.expect_err("two listeners on one port");
    let story = error.chain();
    assert!(story.contains(&addr.to_string()) && story.contains("in use by another process"), "{story}");
    assert!(!error.is_permanent(), "a port may become free");
    drop(taken);
    node.act(BrokerAction::Start).await.expect("it did");
}

// spec: A-10
#[tokio::test]
async fn the_end_of_an_incarnation_ends_its_broker() {
    let node = Node::new(config());
    node.act(BrokerAction::Start).await.expect("a free port");
    let address = node.look().await.address;
    let ending = std::mem::take(&mut *node.driver.tasks.lock().expect("no panic under it"));
    drop(ending);
    crate::support::soon("the port", async {
        // Dropping a JoinSet aborts its tasks at their next turn.
        while TcpListener::bind(&*address).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!node.look().await.alive);
}

#[tokio::test]
async fn lost_messages_are_seen_and_forgotten_after_a_minute() {
    let config: BrokerConfig =
        serde_json::from_str(r#"{"listen": "127.0.0.1:0", "max_queued": 2}"#).expect("valid");
    let node = Node::new(config);
    node.act(BrokerAction::Start).await.expect("a free port");
    assert!(!node.look().await.losing);
    let addr = node.look().await.address.parse().expect("an address");
    let mut absent = Client::at(addr, "absent", false);
    absent.subscribe("t", QoS::AtLeastOnce).await;
    drop(absent);
    let mut publisher = Client::at(addr, "publisher", true);
    // The first ones may still find the client's socket open.
    while !node.look().await.losing {
        publisher.publish("t", "x").await;
    }
    assert!(node.look().await.stats.dropped > 0);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(node.look().await.losing);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(!node.look().await.losing);
}
