//! `persistence` in a real tree: what is removed is forgotten in time, and a bad store holds up nothing.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{ChildName, ChildSpec, NodePath, PolicyOverride, Registry, Vars};
use fsm_store::Store;
use fsm_supervisor::{DriverConfig, Handle, TreeEntry, start};
use fsm_testkit::workers::{Scripted, ScriptedConfig, World};
use fsm_worker_persistence::{Persistence, register};
use serde_json::{Value, json};

use crate::faulty::Faulty;

const OURS: &str = "/edge/persistence";

fn path(text: &str) -> NodePath {
    NodePath::try_new(text).unwrap()
}

/// A tree of scripted nodes below `edge`, with a `persistence` for its store.
struct Tree {
    handle: Handle,
    store: Faulty,
}

impl Tree {
    async fn start(config: Value, policy: Value) -> Self {
        let store = Faulty::default();
        let persistence = Persistence::new(store.shared());
        let watched = persistence.store();
        let mut registry = Registry::new();
        registry.register(Scripted::new(&World::new())).unwrap();
        register(&mut registry, persistence).unwrap();
        let metrics =
            fsm_metrics::Metrics::try_new(Default::default(), &prometheus::Registry::new()).unwrap();
        let mut driver = DriverConfig::default();
        driver.engine.cancel_grace = Duration::from_millis(100);
        let tree = Self { handle: start(registry, driver, &metrics, watched).unwrap(), store };
        tree.apply(&["a"]).await;
        let policy: PolicyOverride = serde_json::from_value(policy).unwrap();
        let spec = ChildSpec::try_new("persistence", "persistence").unwrap().with_config(config);
        tree.handle.upsert(path("/edge"), spec.with_policy(policy), "test").await.unwrap();
        tree
    }

    async fn apply(&self, children: &[&str]) {
        let config = children
            .iter()
            .fold(ScriptedConfig::default(), |config, name| config.child(name, ScriptedConfig::default()));
        let root = ChildSpec::try_new("edge", "scripted").unwrap().with_typed_config(config);
        self.handle.apply(root, Vars::new()).await.unwrap();
    }

    async fn until(&self, what: &str, condition: impl Fn(&[TreeEntry]) -> bool) {
        let limit = Duration::from_secs(7_200);
        let reached = tokio::time::timeout(limit, self.handle.until(condition)).await;
        reached.unwrap_or_else(|_| panic!("{what} never came")).unwrap();
    }

    async fn is_in(&self, state: &str, because: &str) {
        let is = |e: &TreeEntry| e.path.as_str() == OURS && e.state == state && e.reason.contains(because);
        self.until(state, |tree| tree.iter().any(is)).await;
    }

    async fn leaves(&self) {
        let name = ChildName::try_new("persistence").unwrap();
        self.handle.delete(path("/edge"), name, "test").await.unwrap();
        self.until("its removal", |tree| tree.iter().all(|e| e.path.as_str() != OURS)).await;
    }

    fn now(&self) -> u64 {
        self.handle.wall_ms(self.handle.now())
    }
}

// spec: W-10, W-11
#[tokio::test(start_paused = true)]
async fn a_removed_node_is_marked_kept_for_the_retention_time_and_forgotten() {
    let tree = Tree::start(json!({"retention": "10m", "compact_every": "1m"}), json!({})).await;
    tree.is_in("Running", "nothing is due").await;
    tree.until("the child's record", |_| tree.store.node(&path("/edge/a")).unwrap().is_some()).await;

    tree.apply(&[]).await;
    let removed = || tree.store.node(&path("/edge/a")).unwrap().and_then(|node| node.removed);
    tree.until("the mark", |_| removed().is_some()).await;
    let removed_at = removed().unwrap().at.get();

    tree.until("its end", |_| tree.store.node(&path("/edge/a")).unwrap().is_none()).await;
    let kept = Duration::from_millis(tree.now() - removed_at);
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert!(kept >= minutes(10) && kept < minutes(12), "{kept:?}");
    assert!(tree.store.node(&path(OURS)).unwrap().is_some(), "who is there stays");
    assert!(tree.store.memory.stats().unwrap().records > 0, "what is young stays");
    assert_eq!(tree.handle.shutdown(Duration::from_secs(30)).await.unwrap().forced, []);
}

// spec: H-6, W-10
#[tokio::test(start_paused = true)]
async fn a_store_that_fails_degrades_it_with_the_cause_and_is_caught_up_with() {
    let tree = Tree::start(json!({}), json!({})).await;
    tree.is_in("Running", "nothing is due").await;
    tree.store.fail_writes(true);
    // Nothing is due for minutes, so nobody but the engine writes: it is the engine's trouble that is seen.
    tree.apply(&["a", "b"]).await;
    tree.is_in("Degraded", "not well: the store's backend can't write: no storage space").await;
    let running =
        |tree: &[TreeEntry], at: &str| tree.iter().any(|e| e.path.as_str() == at && e.state == "Running");
    tree.until("the new child", |entries| running(entries, "/edge/b")).await;
    assert_eq!(tree.store.node(&path("/edge/b")).unwrap(), None);

    tree.store.fail_writes(false);
    tree.is_in("Running", "").await;
    let state = || tree.store.node(&path("/edge/b")).unwrap().and_then(|node| node.observed);
    tree.until("the child's record", |_| state().is_some_and(|part| part.value["state"] == "Running")).await;
    tree.handle.shutdown(Duration::from_secs(30)).await.unwrap();
}

// spec: W-10
#[tokio::test(start_paused = true)]
async fn a_store_that_keeps_failing_never_blocks_its_removal() {
    let tree = Tree::start(json!({}), json!({})).await;
    tree.store.fail_writes(true);
    tree.store.fail_compactions(true);
    tree.is_in("Degraded", "").await;
    tree.leaves().await;
    tree.store.fail_writes(false);
    assert_eq!(tree.handle.shutdown(Duration::from_secs(30)).await.unwrap().forced, []);
}

// spec: W-10, S-24 — on the machine's clock: paused time stands still while a thread is blocked.
#[tokio::test]
async fn a_store_that_hangs_never_blocks_its_removal() {
    let policy = json!({"interval": "50ms", "collect_timeout": "100ms"});
    let tree = Tree::start(json!({"compact_every": "1s"}), policy).await;
    tree.is_in("Running", "").await;
    tree.store.shut(true);
    tree.leaves().await;
    assert_eq!(tree.handle.shutdown(Duration::from_secs(30)).await.unwrap().forced, []);
    // A runtime that ends waits for its threads.
    tree.store.shut(false);
}

// spec: W-10 — at the start what is overdue is done, and a second life doesn't do it again.
#[tokio::test(start_paused = true)]
async fn the_last_times_outlive_the_node() {
    let tree = Tree::start(json!({}), json!({})).await;
    tree.is_in("Running", "nothing is due").await;
    let done = async || {
        let view = tree.handle.get_fresh(&path(OURS), Duration::ZERO).await.unwrap().unwrap();
        let seen = view.observed.unwrap();
        (seen["compacted"].as_u64().unwrap(), seen["maintained"].as_u64().unwrap())
    };
    let first = done().await;
    tree.leaves().await;
    let spec = ChildSpec::try_new("persistence", "persistence").unwrap();
    tree.handle.upsert(path("/edge"), spec, "test").await.unwrap();
    tree.is_in("Running", "nothing is due").await;
    assert_eq!(done().await, first);
    let store: Arc<dyn Store> = tree.store.shared();
    assert!(store.stats().unwrap().documents > 0);
    tree.handle.shutdown(Duration::from_secs(30)).await.unwrap();
}
