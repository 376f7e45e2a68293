//! What holds with real tasks, a real executor and a real store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fsm_core::{ChildName, ChildSpec, NodePath, Outcome, Phase, Registry, RequestError, Vars};
use fsm_executor::ExecutorConfig;
use fsm_store::{MemoryStore, Store};
use fsm_supervisor::{
    ActError, ActionRequestError, Command, CommandError, DriverConfig, EventKind, Handle, Refusal, TreeEntry,
    start,
};
use serde_json::json;

use crate::kinds::{Family, FamilyConfig, Rogue, RogueConfig, Script, Sin};

struct Tree {
    handle: Handle,
    script: Arc<Script>,
    store: Arc<MemoryStore>,
    metrics: fsm_metrics::Metrics,
    registry: prometheus::Registry,
}

fn path(text: &str) -> NodePath {
    NodePath::try_new(text).unwrap()
}

fn family(children: &[(&str, Option<Sin>)]) -> ChildSpec {
    let mut config = FamilyConfig::default();
    for (name, sin) in children {
        config.children.insert((*name).into(), RogueConfig { sin: *sin, ..RogueConfig::default() });
    }
    ChildSpec::try_new("edge", "family").unwrap().with_typed_config(config)
}

impl Tree {
    fn new() -> Self {
        Self::with(DriverConfig::default())
    }

    fn with(config: DriverConfig) -> Self {
        let script = Arc::new(Script::default());
        let mut registry = Registry::new();
        registry.register(Rogue(Arc::clone(&script))).unwrap().register(Family).unwrap();
        let series = prometheus::Registry::new();
        let metrics = fsm_metrics::Metrics::try_new(fsm_metrics::MetricsConfig::default(), &series).unwrap();
        let store = Arc::new(MemoryStore::default());
        let handle = start(registry, config, &metrics, Arc::clone(&store) as Arc<dyn Store>).unwrap();
        Self { handle, script, store, metrics, registry: series }
    }

    async fn apply(&self, children: &[(&str, Option<Sin>)]) {
        self.handle.apply(family(children), Vars::new()).await.unwrap();
    }

    async fn until(&self, path: &str, condition: impl Fn(&TreeEntry) -> bool) -> TreeEntry {
        let found =
            |tree: &[TreeEntry]| tree.iter().find(|e| e.path.as_str() == path && condition(e)).cloned();
        let limit = Duration::from_secs(3_600);
        let tree = tokio::time::timeout(limit, self.handle.until(|tree| found(tree).is_some())).await;
        found(&tree.unwrap_or_else(|_| panic!("{path} never got there")).unwrap()).unwrap()
    }

    async fn running(&self, path: &str) -> TreeEntry {
        self.until(path, |e| e.phase == Phase::Running).await
    }
}

// spec: A-10
#[tokio::test(start_paused = true)]
async fn nothing_is_left_when_a_tree_has_ended() {
    let runtime = tokio::runtime::Handle::current();
    let before = runtime.metrics().num_alive_tasks();
    let tree = Tree::new();
    tree.apply(&[("a", None), ("b", None), ("c", None)]).await;
    tree.until("/edge", |e| e.phase == Phase::Running).await;
    assert!(runtime.metrics().num_alive_tasks() > before);
    let report = tree.handle.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!(report.forced, []);
    for _ in 0..1_000 {
        if runtime.metrics().num_alive_tasks() <= before {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(runtime.metrics().num_alive_tasks(), before);
}

// spec: S-40, S-42, S-14
#[tokio::test(start_paused = true)]
async fn a_panic_in_next_hurts_only_its_own_node_and_heals() {
    let tree = Tree::new();
    tree.script.panic_in_next.store(true, Ordering::SeqCst);
    tree.apply(&[("bad", Some(Sin::PanicInNext)), ("good", None)]).await;
    tree.until("/edge/bad", |e| e.circuit_open).await;
    assert_eq!(tree.running("/edge/good").await.state, "Running");
    tree.script.panic_in_next.store(false, Ordering::SeqCst);
    tree.running("/edge/bad").await;
    tree.running("/edge").await;
}

// spec: S-31, S-33
#[tokio::test(start_paused = true)]
async fn a_hanging_collector_makes_its_node_stale_and_nobody_else() {
    let tree = Tree::new();
    tree.apply(&[("bad", Some(Sin::HangInCollect)), ("good", None)]).await;
    tree.running("/edge/bad").await;
    tree.script.hang_in_collect.store(true, Ordering::SeqCst);
    let stale = tree.until("/edge/bad", |e| e.stale).await;
    assert_eq!(stale.phase, Phase::Degraded, "nobody believes a stale node");
    assert!(stale.reason.contains("stale"), "{}", stale.reason);
    assert_eq!(tree.running("/edge/good").await.state, "Running");
    tree.script.hang_in_collect.store(false, Ordering::SeqCst);
    tree.until("/edge/bad", |e| !e.stale && e.phase == Phase::Running).await;
}

// spec: I6 (a cancelled collector is dropped, at once)
#[tokio::test(start_paused = true)]
async fn a_cancelled_collector_ends() {
    let tree = Tree::new();
    tree.apply(&[("bad", Some(Sin::HangInCollect))]).await;
    tree.running("/edge/bad").await;
    tree.script.hang_in_collect.store(true, Ordering::SeqCst);
    while tree.script.hanging.load(Ordering::SeqCst) == 0 {
        tree.handle.command(Command::Collect { path: path("/edge/bad") }).await.unwrap();
        tokio::task::yield_now().await;
    }
    let began = tokio::time::Instant::now();
    tree.handle.command(Command::Stop { path: path("/edge/bad"), who: "test".into() }).await.unwrap();
    tree.until("/edge/bad", |e| e.phase == Phase::Stopped).await;
    while tree.script.hanging.load(Ordering::SeqCst) > 0 {
        assert!(began.elapsed() < Duration::from_secs(5), "it hangs on");
        // Under paused time a pause is a turn for every other task.
        tokio::time::advance(Duration::from_millis(1)).await;
    }
}

// spec: S-32, M-3
#[tokio::test(start_paused = true)]
async fn collections_are_measured() {
    let tree = Tree::new();
    tree.apply(&[("bad", Some(Sin::HangInCollect))]).await;
    tree.running("/edge/bad").await;
    for _ in 0..5 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tree.handle.get_fresh(&path("/edge/bad"), Duration::from_millis(900)).await.unwrap();
    }
    tree.script.hang_in_collect.store(true, Ordering::SeqCst);
    tree.until("/edge/bad", |e| e.stale).await;
    let mut events = tree.handle.events();
    while !matches!(events.next().await.unwrap().kind, EventKind::CollectorRestarted { .. }) {}
    let text = tree.metrics.encode();
    let value = |series: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(series));
        let line = line.unwrap_or_else(|| panic!("{series} is missing in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let labels = |more: &str| format!(r#"{{supervisor_id="rogue",path=""{more}}}"#);
    let total =
        |result| value(&format!("fsm_observation_total{}", labels(&format!(r#",result="{result}""#))));
    assert!(total("changed") >= 1.0 && total("unchanged") >= 4.0 && total("timeout") >= 1.0, "{text}");
    let all = value(&format!("fsm_observation_duration_seconds_count{}", labels("")));
    assert_eq!(all, ["changed", "unchanged", "error", "timeout"].into_iter().map(total).sum::<f64>());
    assert!(value(&format!("fsm_observation_age_seconds_count{}", labels(""))) >= 1.0);
    assert_eq!(value(&format!("fsm_observation_stale_total{}", labels(""))), 1.0);
    assert_eq!(value(&format!("fsm_collector_restarts_total{}", labels(""))), 1.0);
}

// spec: A-1, A-5, S-25
#[tokio::test(start_paused = true)]
async fn an_action_that_never_ends_delays_nobody_and_is_cancelled_on_stop() {
    let tree = Tree::new();
    tree.script.hang_in_start.store(true, Ordering::SeqCst);
    tree.apply(&[("bad", Some(Sin::HangInStart)), ("good", None)]).await;
    tree.running("/edge/good").await;
    let acting = tree.until("/edge/bad", |e| e.acting == Some("start")).await;
    assert!(acting.reason.starts_with("acting: start since"), "{}", acting.reason);
    let stop = Command::Stop { path: path("/edge/bad"), who: "test".into() };
    tree.handle.command(stop).await.unwrap();
    let stopped = tree.until("/edge/bad", |e| e.phase == Phase::Stopped && e.acting.is_none()).await;
    assert_eq!(stopped.stopped_by.as_deref(), Some("test"));
    assert!(tree.script.cleaned_up.load(Ordering::SeqCst), "what on_cancel was given ran");
    let view = tree.handle.node(&path("/edge/bad")).await.unwrap().unwrap();
    assert_eq!(view.action.unwrap().outcome, Some(Outcome::Cancelled));
    tree.script.hang_in_start.store(false, Ordering::SeqCst);
    tree.handle.command(Command::Start { path: path("/edge/bad"), who: "test".into() }).await.unwrap();
    tree.running("/edge/bad").await;
}

// spec: S-24
#[tokio::test(start_paused = true)]
async fn a_shutdown_forces_and_names_whoever_does_not_stop() {
    let tree = Tree::new();
    tree.script.hang_in_start.store(true, Ordering::SeqCst);
    tree.apply(&[("bad", Some(Sin::HangInStart)), ("good", None)]).await;
    tree.until("/edge/bad", |e| e.acting.is_some()).await;
    let began = tokio::time::Instant::now();
    let report = tree.handle.shutdown(Duration::from_secs(30)).await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(31), "one deadline for all");
    // The action is cancelled and dropped within its grace, so the node stops by itself.
    assert_eq!(report.forced, []);
}

// spec: S-36
#[tokio::test(start_paused = true)]
async fn a_worker_reads_the_observation_of_another_by_path() {
    let tree = Tree::new();
    let mut config = FamilyConfig::default();
    config.children.insert("a".into(), RogueConfig::default());
    let watches = Some("/edge/a".into());
    config.children.insert("b".into(), RogueConfig { watches, ..RogueConfig::default() });
    let root = ChildSpec::try_new("edge", "family").unwrap().with_typed_config(config);
    tree.handle.apply(root, Vars::new()).await.unwrap();
    tree.running("/edge").await;
    for _ in 0..100 {
        let view = tree.handle.get_fresh(&path("/edge/b"), Duration::ZERO).await.unwrap().unwrap();
        if view.observed.as_ref().unwrap()["seen_of_other"] == true {
            return;
        }
    }
    panic!("b never saw a");
}

// spec: S-19
#[tokio::test(start_paused = true)]
async fn a_child_added_at_run_time_survives_its_parents_derive_and_leaves_on_request() {
    let tree = Tree::new();
    tree.apply(&[("a", None)]).await;
    let extra = ChildSpec::try_new("extra", "rogue").unwrap();
    tree.handle.upsert(path("/edge"), extra, "test").await.unwrap();
    assert!(tree.running("/edge/extra").await.dynamic);
    tree.apply(&[("a", None), ("b", None)]).await;
    tree.running("/edge/b").await;
    tree.running("/edge/extra").await;
    tree.handle.delete(path("/edge"), ChildName::try_new("extra").unwrap(), "test").await.unwrap();
    tree.handle.until(|tree| tree.iter().all(|e| e.path.as_str() != "/edge/extra")).await.unwrap();
}

// spec: S-11, C-5
#[tokio::test(start_paused = true)]
async fn an_equal_root_touches_nothing_and_a_changed_child_alone_is_touched() {
    let tree = Tree::new();
    tree.apply(&[("a", None), ("b", None)]).await;
    tree.running("/edge").await;
    let again = tree.handle.apply(family(&[("a", None), ("b", None)]), Vars::new()).await.unwrap();
    assert!(again.is_empty(), "{again:?}");
    assert_eq!(again.evaluated, 0);
    let changed = family(&[("a", None), ("b", Some(Sin::PanicInTask))]);
    let receipt = tree.handle.apply(changed, Vars::new()).await.unwrap();
    let b = path("/edge/b");
    assert!(receipt.updated.contains(&b), "{receipt:?}");
    assert!(!receipt.updated.contains(&path("/edge/a")), "{receipt:?}");
    assert!(receipt.created.is_empty() && receipt.leaving.is_empty(), "{receipt:?}");
}

// spec: A-10
#[tokio::test(start_paused = true)]
async fn the_panic_of_a_spawned_task_is_seen_by_the_collector() {
    let tree = Tree::new();
    tree.script.panic_in_task.store(true, Ordering::SeqCst);
    let mut events = tree.handle.events();
    tree.apply(&[("a", Some(Sin::PanicInTask))]).await;
    tree.until("/edge/a", |e| e.phase == Phase::Running).await;
    let mut seen = false;
    for _ in 0..200 {
        let view = tree.handle.get_fresh(&path("/edge/a"), Duration::ZERO).await.unwrap().unwrap();
        seen |= view.observed.is_some_and(|o| o["task_panics"][0] == "doomed: as the script says");
        if seen {
            break;
        }
    }
    // The report is taken by the first look after the panic; the store remembers it when no view caught it.
    let stored =
        tree.store.changes_since(fsm_store::SyncId::default(), &fsm_store::Filter::default(), 1_000).unwrap();
    assert!(seen || format!("{stored:?}").contains("doomed: as the script says"));
    drop(events.next());
}

// spec: S-3, M-3, M-6
#[tokio::test(start_paused = true)]
async fn what_happens_is_measured() {
    let tree = Tree::new();
    tree.apply(&[("a", None), ("b", None)]).await;
    tree.running("/edge").await;
    let text = tree.metrics.encode();
    for line in [
        r#"fsm_child_count{supervisor_id="family",path=""} 2"#,
        r#"fsm_hierarchy_size 3"#,
        r#"fsm_hierarchy_depth 2"#,
        r#"fsm_action_queued_total{supervisor_id="rogue",path="",action_type="start"} 2"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(text.contains("fsm_tick_propagation_depth"), "{text}");
    assert!(tree.registry.gather().iter().any(|family| family.name() == "fsm_child_count"));
}

// spec: S-51
#[tokio::test(start_paused = true)]
async fn events_tell_the_life_of_a_node_in_order() {
    let tree = Tree::new();
    let mut events = tree.handle.events();
    tree.apply(&[("a", None)]).await;
    tree.running("/edge/a").await;
    let mut names = Vec::new();
    while names.last() != Some(&"to Running".to_owned()) {
        let event = events.next().await.unwrap();
        if event.path.as_str() != "/edge/a" {
            continue;
        }
        names.push(if let EventKind::StateTransition { to, .. } = event.kind {
            format!("to {to}")
        } else {
            event.kind.name().to_owned()
        });
    }
    let expected =
        ["node_created", "to TryingToStart", "action_queued", "action_started", "action_ended", "to Running"];
    assert_eq!(names, expected);
}

// spec: S-19, S-26
#[tokio::test(start_paused = true)]
async fn what_operators_did_is_stored() {
    let tree = Tree::new();
    tree.apply(&[("a", None)]).await;
    let extra = ChildSpec::try_new("extra", "rogue").unwrap();
    tree.handle.upsert(path("/edge"), extra, "test").await.unwrap();
    tree.running("/edge/extra").await;
    tree.handle.command(Command::Stop { path: path("/edge/a"), who: "test".into() }).await.unwrap();
    tree.handle.shutdown(Duration::from_secs(5)).await.unwrap();
    let document = |kind: &str, at: &str| {
        let id = fsm_store::DocumentId::new(kind, at);
        String::from_utf8(tree.store.document(&id).unwrap().unwrap().bytes.unwrap().to_vec()).unwrap()
    };
    let children: serde_json::Value = serde_json::from_str(&document("dynamic", "/edge")).unwrap();
    assert_eq!((&children[0]["name"], &children[0]["kind"]), (&"extra".into(), &"rogue".into()));
    assert_eq!(document("override", "/edge/a"), "test");
}

// spec: H-1
#[tokio::test(start_paused = true)]
async fn the_store_knows_the_triple_of_every_node() {
    let tree = Tree::new();
    tree.apply(&[("a", None)]).await;
    tree.running("/edge/a").await;
    tree.handle.shutdown(Duration::from_secs(5)).await.unwrap();
    let node = tree.store.node(&path("/edge/a")).unwrap().unwrap();
    assert_eq!(&*node.kind, "rogue");
    assert!(node.desired.is_some());
    assert_eq!(node.observed.unwrap().value["state"], "Stopped");
}

// spec: S-41, M-2 (real probes, in real time)
#[tokio::test]
async fn a_peer_that_comes_back_ends_the_incident_of_all_who_need_it() {
    let tree = Tree::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = FamilyConfig::default();
    for name in ["a", "b"] {
        let needs = Some(port.to_string());
        config.children.insert(name.into(), RogueConfig { needs, ..RogueConfig::default() });
    }
    let root = ChildSpec::try_new("edge", "family").unwrap().with_typed_config(config);
    let mut events = tree.handle.events();
    tree.handle.apply(root, Vars::new()).await.unwrap();
    while !matches!(events.next().await.unwrap().kind, EventKind::IncidentOpened { nodes: 2, .. }) {}
    let cut_off = tree.until("/edge/b", |e| e.cut_off).await;
    assert!(cut_off.reason.contains("can't be reached: Connection refused"), "{}", cut_off.reason);
    let [incident] = &tree.handle.incidents().await.unwrap()[..] else { panic!("one incident") };
    assert_eq!((&*incident.key, incident.nodes.len()), (&*port.to_string(), 2));
    let counted = |name: &str| {
        let text = tree.metrics.encode();
        let values = text.lines().filter(|line| line.starts_with(&format!("fsm_{name}{{")));
        values.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
    };
    assert_eq!((counted("incidents_open"), counted("infrastructure_recovery_total")), (1.0, 0.0));
    assert_eq!(counted("circuit_open"), 2.0, "one per node that is cut off");

    let _peer = tokio::net::TcpListener::bind(port).await.unwrap();
    tree.running("/edge/a").await;
    tree.running("/edge/b").await;
    assert_eq!((counted("incidents_open"), counted("infrastructure_recovery_total")), (0.0, 1.0));
    assert_eq!(
        (counted("circuit_open"), counted("infrastructure_recovery_duration_seconds_count")),
        (0.0, 1.0)
    );
    assert!(tree.handle.incidents().await.unwrap().is_empty());
    tree.handle.shutdown(Duration::from_secs(10)).await.unwrap();
}

// spec: X-20
#[tokio::test(start_paused = true)]
async fn an_agent_run_takes_the_slot_of_its_node_and_tells_its_end() {
    let tree = Tree::new();
    tree.apply(&[("a", Some(Sin::HangInStart))]).await;
    tree.running("/edge/a").await;
    let act = |input| tree.handle.act(path("/edge/a"), "start", input, "me");
    let before = tree.script.started.load(Ordering::SeqCst);
    let report = act(json!(null)).await.unwrap().ended().await.unwrap();
    assert_eq!((report.name, report.outcome, report.attempts), ("start", Outcome::Success, 1));
    assert_eq!(tree.script.started.load(Ordering::SeqCst), before + 1);

    // While one is in flight there is no second; a cancel ends it and says so.
    tree.script.hang_in_start.store(true, Ordering::SeqCst);
    let mut hanging = act(json!(null)).await.unwrap();
    let busy = act(json!(null)).await.unwrap_err();
    assert!(matches!(busy, ActError::Command(CommandError::Busy { action: "start", .. })), "{busy}");
    hanging.cancel("me").await.unwrap();
    assert_eq!(hanging.ended().await.unwrap().outcome, Outcome::Cancelled);
    assert!(tree.script.cleaned_up.load(Ordering::SeqCst));
    assert!(hanging.cancel("me").await.is_err(), "it has ended");

    // The end of the tree is the end of the run, and it is told.
    let mut last = act(json!(null)).await.unwrap();
    tree.handle.shutdown(Duration::from_secs(60)).await.unwrap();
    assert_eq!(last.ended().await.unwrap().outcome, Outcome::Cancelled);
}

// spec: X-20
#[tokio::test(start_paused = true)]
async fn what_no_action_can_be_made_of_is_refused_with_its_cause() {
    let tree = Tree::new();
    tree.apply(&[("a", None)]).await;
    tree.running("/edge/a").await;
    let refused = async |at: &str, action: &str, input| {
        tree.handle.act(path(at), action, input, "me").await.unwrap_err()
    };
    let unknown = refused("/edge/a", "explode", json!(null)).await;
    let ActError::Request(ActionRequestError::Request {
        source: RequestError::Unknown { name, known }, ..
    }) = &unknown
    else {
        panic!("{unknown}")
    };
    assert_eq!((name.as_str(), *known), ("explode", &["start"][..]));
    let unfit = refused("/edge/a", "start", json!({"x": 1})).await;
    assert!(
        matches!(
            &unfit,
            ActError::Request(ActionRequestError::Request { source: RequestError::Input { .. }, .. })
        ),
        "{unfit}"
    );
    let nobody = refused("/edge/b", "start", json!(null)).await;
    assert!(nobody.to_string().contains("/edge/b"), "{nobody}");
    assert_eq!(tree.script.started.load(Ordering::SeqCst), 1, "only the worker itself acted");
}

// spec: X-20, A-2
#[tokio::test(start_paused = true)]
async fn an_agent_run_that_the_pool_refuses_says_so_at_once() {
    let config = ExecutorConfig::default().with_concurrency(1).with_max_waiting(1);
    let tree = Tree::with(DriverConfig::default().with_executor(config));
    let names = ["a", "b", "c"];
    tree.apply(&names.map(|name| (name, Some(Sin::HangInStart)))).await;
    for name in names {
        tree.running(&format!("/edge/{name}")).await;
    }
    tree.script.hang_in_start.store(true, Ordering::SeqCst);
    let act = |name: &str| tree.handle.act(path(&format!("/edge/{name}")), "start", json!(null), "me");
    let (_running, _waiting) = (act("a").await.unwrap(), act("b").await.unwrap());
    let refused = act("c").await.unwrap_err();
    assert!(matches!(refused, ActError::Refused { why: Refusal::QueueFull, .. }), "{refused}");
}
