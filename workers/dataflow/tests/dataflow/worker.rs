//! The kind's two halves against real flows: actions run twice, observations tell the truth.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{
    ActionContext, ActionError, BoxFuture, CollectContext, Generation, Host, Identity, Incarnation, Job,
    MetricSink, Moment, NoMetrics, NodeId, NodePath, SeenAny, Worker, chain,
};
use fsm_metrics::{Metrics, MetricsConfig};
use fsm_worker_dataflow::config::FlowConfig;
use fsm_worker_dataflow::{Dataflow, FlowAction, FlowLife, FlowObserved, Health, Trouble};
use serde_json::{Value, json};
use tokio::task::JoinSet;

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
    fn observed(&self, _path: &NodePath) -> BoxFuture<'static, Option<SeenAny>> {
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
    worker: Dataflow,
    identity: Identity,
    config: Arc<FlowConfig>,
    handle: Arc<FlowLife>,
    driver: Arc<Driver>,
    host: Arc<dyn Host>,
}

impl Node {
    fn new(worker: Dataflow, config: Value) -> Self {
        let path = NodePath::try_new("/edge/flow").expect("a good path");
        let driver = Arc::new(Driver { tasks: Mutex::default(), started: tokio::time::Instant::now() });
        Self {
            worker,
            identity: Identity::new(path, Dataflow::KIND, NodeId::new(1, Incarnation::new(1)), 0, 1),
            config: Arc::new(serde_json::from_value(config).expect("a good config")),
            handle: Arc::default(),
            host: Arc::clone(&driver) as Arc<dyn Host>,
            driver,
        }
    }

    fn job(&self) -> Job<'_, Dataflow> {
        Job {
            identity: &self.identity,
            config: &self.config,
            handle: &self.handle,
            last: None,
            generation: Generation::new(1),
            host: &self.host,
        }
    }

    async fn act(&self, action: FlowAction) -> Result<(), ActionError> {
        self.worker.execute(action, ActionContext::new(self.job(), 1)).await
    }

    async fn look(&self) -> FlowObserved {
        self.worker
            .collect_observed_state(CollectContext::new(self.job()))
            .await
            .expect("it looks at memory only")
    }

    /// Looks until it is as it should be.
    async fn until(&self, good: impl Fn(&FlowObserved) -> bool) -> FlowObserved {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        for _ in 0..6_000 {
            let seen = self.look().await;
            if good(&seen) {
                return seen;
            }
            tick.tick().await;
        }
        panic!("waited in vain; last seen: {:?}", self.look().await);
    }

    fn tasks(&self) -> usize {
        self.driver.tasks.lock().expect("no panic under it").len()
    }
}

fn heartbeat() -> Value {
    json!({"input": {"generate": {"interval": "10ms"}}, "output": {"drop": {}}})
}

#[tokio::test]
async fn each_action_run_twice_does_what_it_does_once() {
    let node = Node::new(Dataflow::new("test"), heartbeat());
    assert_eq!(node.look().await, FlowObserved::absent());
    node.act(FlowAction::Stop).await.expect("nothing to stop is stopped");
    node.act(FlowAction::Start).await.expect("it needs nothing");
    let seen = node.until(|s| s.health == Health::Active).await;
    assert_eq!(seen.deployed.as_ref(), Some(&node.config));
    node.act(FlowAction::Start).await.expect("it runs already");
    assert!(
        node.look().await.counters.messages_in >= seen.counters.messages_in,
        "a running flow was replaced"
    );
    assert_eq!(node.tasks(), 1);
    for _ in 0..2 {
        node.act(FlowAction::Stop).await.expect("it can always be stopped");
        assert_eq!(node.look().await, FlowObserved::absent());
    }
}

// spec: S-11: a changed config is taken in place
#[tokio::test]
async fn a_changed_config_replaces_the_flow_and_a_changed_judgement_does_not() {
    let mut node = Node::new(Dataflow::new("test"), heartbeat());
    node.act(FlowAction::Start).await.expect("it needs nothing");
    node.until(|s| s.counters.messages_in >= 3).await;

    let mut judged = FlowConfig::clone(&node.config);
    judged.fresh_within = Duration::ZERO.into();
    node.config = Arc::new(judged);
    let seen = node.until(|s| s.health == Health::Idle).await;
    assert!(seen.counters.messages_in >= 3);
    assert_eq!(seen.deployed.as_ref(), Some(&node.config));

    let old = Arc::clone(&node.config);
    let mut other = FlowConfig::clone(&node.config);
    other.pipeline = serde_json::from_value(json!([{"filter": "false"}])).expect("good steps");
    node.config = Arc::new(other);
    assert_eq!(node.look().await.deployed, Some(old));
    node.act(FlowAction::Start).await.expect("it needs nothing");
    let seen = node.until(|s| s.counters.filtered > 0).await;
    assert_eq!((seen.counters.messages_out, seen.deployed), (0, Some(Arc::clone(&node.config))));
}

#[tokio::test]
async fn a_taken_port_fails_the_start_with_its_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let node = Node::new(
        Dataflow::new("test"),
        json!({"input": {"http_server": {"listen": address}}, "output": {"drop": {}}}),
    );
    let error = node.act(FlowAction::Start).await.expect_err("the port is taken");
    assert!(chain(&error).contains(&address.to_string()) && !error.is_permanent(), "{}", chain(&error));
    assert_eq!(node.look().await, FlowObserved::absent());
    drop(taken);
    node.act(FlowAction::Start).await.expect("the port is free");
    node.until(|s| s.health == Health::Idle).await;
    node.act(FlowAction::Stop).await.expect("it can be stopped");
    drop(std::net::TcpListener::bind(address).expect("a stopped flow holds no port"));
}

#[tokio::test]
async fn what_became_of_a_flow_is_seen() {
    let ending = json!({"input": {"generate": {"interval": "0s", "count": 3}}, "output": {"drop": {}}});
    let node = Node::new(Dataflow::new("test"), ending);
    node.act(FlowAction::Start).await.expect("it needs nothing");
    let seen = node.until(|s| s.health == Health::Finished).await;
    assert_eq!(seen.counters.messages_out, 3);

    let stopping = json!({
        "input": {"generate": {"interval": "0s"}}, "pipeline": [{"map": ".n.x"}], "output": {"drop": {}},
        "on_error": "stop"
    });
    let node = Node::new(Dataflow::new("test"), stopping);
    node.act(FlowAction::Start).await.expect("it needs nothing");
    let seen = node.until(|s| matches!(s.health, Health::Degraded(Trouble::Refused(_)))).await;
    let Health::Degraded(trouble) = seen.health else { unreachable!("just looked") };
    assert!(trouble.reason().to_string().contains("pipeline[0].map"), "{}", trouble.reason());

    // Ended from outside, as at the end of an incarnation.
    let node = Node::new(Dataflow::new("test"), heartbeat());
    node.act(FlowAction::Start).await.expect("it needs nothing");
    node.driver.tasks.lock().expect("no panic under it").abort_all();
    node.until(|s| matches!(s.health, Health::Failed(_))).await;
    node.act(FlowAction::Start).await.expect("it needs nothing");
    node.until(|s| s.health == Health::Active).await;
}

#[tokio::test]
async fn an_unreachable_broker_is_named() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("mqtt://{}", closed.local_addr().expect("it is bound"));
    drop(closed);
    let node = Node::new(
        Dataflow::new("test"),
        json!({"input": {"mqtt": {"url": url, "topic": "t"}}, "output": {"drop": {}}}),
    );
    node.act(FlowAction::Start).await.expect("connecting comes later");
    let named = |s: &FlowObserved| match &s.health {
        Health::Degraded(Trouble::NoSource(text)) => text.contains(&url) && text.contains("refused"),
        Health::Absent | Health::Failed(_) | Health::Finished | Health::Active | Health::Idle => false,
        Health::Degraded(_) => false,
    };
    node.until(named).await;
    node.act(FlowAction::Stop).await.expect("it can be stopped");
}

// spec: M-1, D-6
#[tokio::test]
async fn counters_reach_the_metrics() {
    let registry = prometheus::Registry::new();
    let metrics = Metrics::try_new(MetricsConfig::default(), &registry).expect("an empty registry");
    let config = json!({
        "input": {"generate": {"interval": "0s", "count": 10}},
        "pipeline": [{"filter": ".n > 3"}, {"map": "if .n > 7 then error(\"no\") else . end"}],
        "output": {"drop": {}}
    });
    let node = Node::new(Dataflow::new("test").with_metrics(metrics.clone()), config);
    node.act(FlowAction::Start).await.expect("it needs nothing");
    node.until(|s| s.health == Health::Finished).await;
    let text = metrics.encode();
    for (name, labels, value) in [
        ("messages_in_total", "", 10),
        ("messages_out_total", "", 4),
        ("dropped_total", "reason=\"filter\"", 4),
        ("dropped_total", "reason=\"error\"", 2),
        ("errors_total", "kind=\"expression\"", 2),
        ("in_flight", "", 0),
        ("end_to_end_latency_seconds_count", "", 4),
    ] {
        let found = text.lines().any(|line| {
            line.starts_with(&format!("dataflow_{name}{{"))
                && line.contains(labels)
                && line.ends_with(&format!(" {value}"))
        });
        assert!(found, "dataflow_{name}{{{labels}}} {value} is missing in\n{text}");
    }
}
