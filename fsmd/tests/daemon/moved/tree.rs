//! Runs in a tree of this program: what needs virtual time, or a kind that misbehaves.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{ChildSpec, PolicyOverride, Registry, Vars};
use fsm_metrics::Metrics;
use fsm_store::MemoryStore;
use fsm_supervisor::{DriverConfig, Handle, start};
use fsm_worker_dataflow::Dataflow;
use serde_json::json;

use super::stubborn::{Door, Stubborn};
use crate::rig::free_port;

/// Far more than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);
/// A tenth of it is less than any tick takes that asks a worker.
const TIGHT: Duration = Duration::from_micros(50);

fn tree(registry: Registry, config: DriverConfig) -> (Handle, Metrics) {
    let metrics = Metrics::try_new(Default::default(), &prometheus::Registry::new()).unwrap();
    (start(registry, config, &metrics, Arc::new(MemoryStore::default())).unwrap(), metrics)
}

/// A template that can't be rendered, and a broker that is away for so long that it escalates, and comes back. A subscriber
/// reads nothing of it for too long.
pub(super) async fn cut_off() -> Vec<&'static str> {
    let mut registry = Registry::new();
    fsm_worker_dataflow::register(&mut registry, Dataflow::new("moved")).unwrap();
    fsm_worker_examples::register(&mut registry).unwrap();
    let mut config = DriverConfig::default();
    config.event_backlog = 1;
    let (handle, metrics) = tree(registry, config);
    let mut slow = handle.events_for("slow");
    let port = free_port();
    let flow = json!({
        "input": {"mqtt": {"url": format!("mqtt://127.0.0.1:{port}"), "topic": "in"}}, "output": {"stdout": {}},
    });
    let demo = ChildSpec::try_new("demo", "template_demo").unwrap();
    handle.apply(demo.with_config(json!({"template": {"a": "{{ missing }}"}})), Vars::new()).await.unwrap();
    until(&metrics, &handle, "fsm_template_rendering_errors_total").await;
    let flow = ChildSpec::try_new("flow", "dataflow").unwrap().with_config(flow);
    handle.apply(flow, Vars::new()).await.unwrap();
    until(&metrics, &handle, "fsm_escalations_total").await;
    let peer = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    until(&metrics, &handle, "fsm_infrastructure_recovery_total").await;
    drop(peer);
    assert!(slow.next().await.is_some() && slow.lost() > 0);
    metrics.never_moved()
}

/// A kind whose action and looks hold their threads. A tick may take a tenth of its interval, and here no tick is done in that.
pub(super) async fn held() -> Vec<&'static str> {
    let door = Arc::new(Door::default());
    let mut registry = Registry::new();
    registry.register(Stubborn(Arc::clone(&door))).unwrap();
    let (handle, metrics) = tree(registry, DriverConfig::default().with_tick_interval(TIGHT));
    let mut policy = PolicyOverride::default();
    policy.interval = Some(Duration::from_millis(50).into());
    policy.collect_timeout = Some(Duration::from_millis(100).into());
    handle
        .apply(ChildSpec::try_new("edge", "stubborn").unwrap().with_policy(policy), Vars::new())
        .await
        .unwrap();
    until(&metrics, &handle, "fsm_action_leaked").await;
    until(&metrics, &handle, "fsm_collectors_leaked").await;
    until(&metrics, &handle, "fsm_tick_overrun_total").await;
    door.open();
    handle.shutdown(PATIENCE).await.unwrap();
    metrics.never_moved()
}

/// Waits until a metric has moved; looks again after every event, and at a pace.
async fn until(metrics: &Metrics, handle: &Handle, name: &str) {
    let mut events = handle.events();
    let moved = async {
        while metrics.never_moved().contains(&name) {
            let look = tokio::time::timeout(Duration::from_millis(100), events.next()).await;
            assert!(!matches!(look, Ok(None)), "the tree ended before {name} moved");
        }
    };
    let limit = PATIENCE * 10;
    tokio::time::timeout(limit, moved).await.unwrap_or_else(|_| panic!("{name} never moved"));
}
