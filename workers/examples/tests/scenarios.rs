//! What a failure does to whoever is near it: the example kinds in a real tree, each behaviour one config.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails should fail where it is")]

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{ChildSpec, NodePath, Outcome, Phase, Registry, Vars};
use fsm_store::MemoryStore;
use fsm_supervisor::{Command, DriverConfig, EventKind, EventReader, Handle, TreeEntry, start};
use serde_json::{Value, json};

/// A parent `edge` with these children, and its events from the beginning on.
struct Scenario {
    tree: Handle,
    events: EventReader,
}

impl Scenario {
    async fn of(children: Value) -> Self {
        let mut registry = Registry::new();
        fsm_worker_examples::register(&mut registry).unwrap();
        let metrics =
            fsm_metrics::Metrics::try_new(Default::default(), &prometheus::Registry::new()).unwrap();
        let tree =
            start(registry, DriverConfig::default(), &metrics, Arc::new(MemoryStore::default())).unwrap();
        let events = tree.events();
        let root = ChildSpec::try_new("edge", "parent").unwrap().with_config(json!({"children": children}));
        tree.apply(root, Vars::new()).await.unwrap();
        Self { tree, events }
    }

    async fn until(&self, path: &str, condition: impl Fn(&TreeEntry) -> bool) -> TreeEntry {
        let found =
            |tree: &[TreeEntry]| tree.iter().find(|e| e.path.as_str() == path && condition(e)).cloned();
        let limit = Duration::from_secs(3_600);
        let tree = tokio::time::timeout(limit, self.tree.until(|tree| found(tree).is_some())).await;
        found(&tree.unwrap_or_else(|_| panic!("{path} never got there")).unwrap()).unwrap()
    }

    async fn is_in(&self, path: &str, state: &str) -> TreeEntry {
        self.until(path, |entry| entry.state == state).await
    }

    /// The next events of a node, until `last` is told; only those that `tell` puts into words.
    async fn story(
        &mut self,
        path: &str,
        last: &str,
        tell: impl Fn(EventKind) -> Option<String>,
    ) -> Vec<String> {
        let mut story = Vec::new();
        while story.last().is_none_or(|told| told != last) {
            let event = tokio::time::timeout(Duration::from_secs(3_600), self.events.next()).await;
            let event = event.unwrap_or_else(|_| panic!("{last} never came after {story:?}")).unwrap();
            if event.path.as_str() == path {
                story.extend(tell(event.kind));
            }
        }
        story
    }

    async fn ends(self) {
        let report = self.tree.shutdown(Duration::from_secs(30)).await.unwrap();
        assert_eq!(report.forced, []);
    }
}

fn path(text: &str) -> NodePath {
    NodePath::try_new(text).unwrap()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a story tells some events")]
fn moves(kind: EventKind) -> Option<String> {
    match kind {
        EventKind::StateTransition { to, .. } => Some(to.to_string()),
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a story tells some events")]
fn ends_of_actions(kind: EventKind) -> Option<String> {
    match kind {
        EventKind::ActionEnded { outcome, .. } => Some(outcome.to_string()),
        _ => None,
    }
}

fn well() -> Value {
    json!({"name": "well", "kind": "slow", "config": {"start_takes": "0s"}})
}

#[tokio::test(start_paused = true)]
async fn failing_recovers_after_three_failures() {
    let mut scenario =
        Scenario::of(json!([{"name": "a", "kind": "failing", "config": {"fails": {"times": 3}}}])).await;
    let story = scenario.story("/edge/a", "success", ends_of_actions).await;
    assert_eq!(story, ["failure", "failure", "failure", "success"]);
    scenario.is_in("/edge", "Running").await;
    scenario.ends().await;
}

#[tokio::test(start_paused = true)]
async fn failing_that_never_recovers_degrades_its_parent_and_is_tried_on() {
    let scenario =
        Scenario::of(json!([{"name": "a", "kind": "failing", "config": {"fails": "always"}}, well()])).await;
    scenario.is_in("/edge", "Degraded").await;
    scenario.is_in("/edge/well", "Running").await;
    let tried = scenario.until("/edge/a", |e| e.reason.contains("not up after 9 starts")).await;
    assert_eq!(tried.phase, Phase::Starting);
    scenario.ends().await;
}

// spec: S-21, S-22
#[tokio::test(start_paused = true)]
async fn failing_asks_for_a_restart_after_five_failures() {
    let config = json!({"fails": "always", "restart_after": 5, "healed_by_restarts": 1});
    let mut scenario = Scenario::of(json!([{"name": "a", "kind": "failing", "config": config}])).await;
    let tell = |kind: EventKind| match kind.name() {
        "restart" => Some("restart".to_owned()),
        _ => ends_of_actions(kind),
    };
    let story = scenario.story("/edge/a", "success", tell).await;
    let starts: Vec<&str> = story.iter().map(String::as_str).filter(|told| *told != "success").collect();
    assert_eq!(starts, ["failure", "failure", "failure", "failure", "failure", "restart"], "{story:?}");
    scenario.is_in("/edge", "Running").await;
    scenario.ends().await;
}

// spec: A-1
#[tokio::test(start_paused = true)]
async fn a_slow_action_delays_nobody_and_is_cancelled_at_once() {
    for how in ["waiting", "spawning", "blocking"] {
        let config = json!({"start_takes": "1h", "start_by": how});
        let scenario = Scenario::of(json!([{"name": "a", "kind": "slow", "config": config}, well()])).await;
        scenario.is_in("/edge/well", "Running").await;
        scenario.until("/edge/a", |e| e.acting.is_some_and(|action| action.starts_with("start"))).await;
        let begun = tokio::time::Instant::now();
        let stop = Command::Stop { path: path("/edge/a"), who: "test".into() };
        scenario.tree.command(stop).await.unwrap();
        scenario.is_in("/edge/a", "Stopped").await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{how}: nobody waited for the grace of a cancel");
        scenario.ends().await;
    }
}

// spec
#[tokio::test(start_paused = true)]
async fn an_action_that_takes_too_long_is_timed_out_and_tried_again() {
    let slow = json!({"name": "a", "kind": "slow", "config": {"start_takes": "1h"}, "policy": {"action_timeout": "2s"}});
    let mut scenario = Scenario::of(json!([slow, well()])).await;
    let mut times = 0;
    let last = "timeout";
    for _ in 0..3 {
        times += scenario.story("/edge/a", last, ends_of_actions).await.len();
    }
    assert_eq!(times, 3, "each run timed out");
    let view = scenario.tree.node(&path("/edge/a")).await.unwrap().unwrap();
    assert_eq!(view.action.unwrap().outcome, Some(Outcome::Timeout));
    scenario.is_in("/edge/well", "Running").await;
    scenario.ends().await;
}

// spec: S-31
#[tokio::test(start_paused = true)]
async fn a_collector_that_hangs_is_restarted_and_recovers() {
    let config = json!({"start_takes": "0s", "look_takes": "1h", "slow_looks": 12});
    let mut scenario = Scenario::of(json!([{"name": "a", "kind": "slow", "config": config}, well()])).await;
    scenario.is_in("/edge/well", "Running").await;
    let tell = |kind: EventKind| Some(kind.name().to_owned());
    scenario.story("/edge/a", "collector_restarted", tell).await;
    scenario.is_in("/edge/a", "Running").await;
    scenario.ends().await;
}

// spec: S-42, A-7
#[tokio::test(start_paused = true)]
async fn a_panic_in_an_action_is_an_outcome() {
    let config = json!({"in": "action", "times": 2});
    let mut scenario =
        Scenario::of(json!([{"name": "a", "kind": "panicking", "config": config}, well()])).await;
    let story = scenario.story("/edge/a", "success", ends_of_actions).await;
    assert_eq!(story, ["panic", "panic", "success"]);
    scenario.is_in("/edge", "Running").await;
    scenario.ends().await;
}

// spec: S-40
#[tokio::test(start_paused = true)]
async fn a_panic_in_next_hurts_only_its_own_node_and_heals() {
    let config = json!({"in": "next", "times": 5});
    let scenario = Scenario::of(json!([{"name": "a", "kind": "panicking", "config": config}, well()])).await;
    scenario.until("/edge/a", |e| e.circuit_open).await;
    scenario.is_in("/edge", "Degraded").await;
    scenario.is_in("/edge/well", "Running").await;
    scenario.is_in("/edge/a", "Running").await;
    scenario.is_in("/edge", "Running").await;
    scenario.ends().await;
}

// spec: S-24, S-40
#[tokio::test(start_paused = true)]
async fn a_panic_in_stop_is_tried_again_and_in_the_end_forced() {
    let stopping = async |config: Value| {
        let scenario =
            Scenario::of(json!([{"name": "a", "kind": "panicking", "config": config}, well()])).await;
        scenario.is_in("/edge", "Running").await;
        scenario.tree.shutdown(Duration::from_secs(30)).await.unwrap().forced
    };
    assert_eq!(stopping(json!({"in": "stop", "times": 2})).await, []);
    assert_eq!(stopping(json!({"in": "stop"})).await, [path("/edge/a")]);
}

// spec: S-14, S-31
#[tokio::test(start_paused = true)]
async fn a_panic_in_derive_or_collect_stays_with_its_node() {
    let scenario = Scenario::of(json!([
        {"name": "derives", "kind": "panicking", "config": {"in": "derive"}},
        {"name": "looks", "kind": "panicking", "config": {"in": "collect", "times": 4}},
        well()
    ]))
    .await;
    scenario.until("/edge/derives", |e| e.invalid).await;
    scenario.is_in("/edge/looks", "Running").await;
    scenario.is_in("/edge/well", "Running").await;
    scenario.is_in("/edge", "Degraded").await;
    scenario.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_cascade_degrades_the_parent_and_lets_it_recover() {
    let config = json!({"fails": {"times": 2}, "breakdowns": 2, "up_for": "20s"});
    let mut scenario = Scenario::of(json!([
        {"name": "a", "kind": "failing", "config": config},
        {"name": "b", "kind": "failing", "config": config}
    ]))
    .await;
    let mut story = Vec::new();
    for _ in 0..3 {
        story.extend(scenario.story("/edge", "Running", moves).await);
    }
    assert_eq!(story, ["TryingToStart", "Running", "Degraded", "Running", "Degraded", "Running"]);
    // And that was all: what has broken down often enough stays up.
    for child in ["/edge/a", "/edge/b"] {
        let view = scenario.tree.get_fresh(&path(child), Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(view.observed.unwrap()["breakdowns"], 2, "{child}");
    }
    scenario.ends().await;
}
