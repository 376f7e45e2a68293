//! Who is as it should be, and who only rests.

use std::time::Duration;

use fsm_core::{ChildName, ChildSpec, PolicyOverride, Registry, Vars};
use fsm_supervisor::{Command, DriverConfig, Handle};

use super::*;

fn path(text: &str) -> NodePath {
    NodePath::try_new(text).unwrap()
}

fn seen<'a>(path: &'a NodePath, goal: Goal, phase: Phase) -> Seen<'a> {
    Seen { path, state: "State", phase, goal, invalid: false, stopped: false }
}

/// What is wanted, as after it was applied.
fn wanted(nodes: HashMap<NodePath, Want>) -> Wanted {
    Wanted { nodes, applied: AtomicBool::new(true) }
}

/// Whether `/edge/a` is as it should be below a parent that runs.
#[track_caller]
fn check(want: Option<Want>, goal: Goal, phase: Phase, fit: bool) {
    let (root, node) = (path("/edge"), path("/edge/a"));
    let nodes = want.map(|want| (node.clone(), want)).into_iter().collect();
    let parent = seen(&root, Goal::Run, Phase::Running);
    assert_eq!(wanted(nodes).judge(&seen(&node, goal, phase), Some(&parent)), fit, "{goal} {phase}");
}

// spec: U-41
#[test]
fn who_runs_has_to_run_well_or_be_done() {
    for phase in [Phase::Running, Phase::Completed] {
        check(Some(Want::Run), Goal::Run, phase, true);
    }
    for phase in [Phase::Stopped, Phase::Starting, Phase::Degraded, Phase::Stopping] {
        check(Some(Want::Run), Goal::Run, phase, false);
    }
}

// spec: U-41, S-13
#[test]
fn who_rests_has_to_be_told_so() {
    let held = || Want::RunWhile(Arc::new(StartWhen::States(vec!["Other".into()])));
    let called = || Want::RunWhile(Arc::new(StartWhen::Phases(vec![Phase::Running])));
    check(Some(Want::Rest), Goal::Stop, Phase::Stopped, true);
    check(Some(held()), Goal::Stop, Phase::Stopped, true);
    check(None, Goal::Stop, Phase::Stopped, true);
    // It waits for a sibling, or for its next restart.
    check(Some(Want::Run), Goal::Stop, Phase::Stopped, false);
    check(Some(called()), Goal::Stop, Phase::Stopped, false);
}

// spec: U-41
#[test]
fn who_stops_or_leaves_is_under_way() {
    check(Some(Want::Rest), Goal::Stop, Phase::Stopping, false);
    for phase in [Phase::Stopped, Phase::Running, Phase::Stopping] {
        check(None, Goal::Remove, phase, false);
    }
}

// spec: U-41, S-26
#[test]
fn what_an_operator_stopped_is_as_it_should_be_and_so_is_what_is_below() {
    let (root, node) = (path("/edge"), path("/edge/a"));
    let nodes = [(root.clone(), Want::Run), (node.clone(), Want::Run)].into_iter().collect();
    let wanted = wanted(nodes);
    let parent = Seen { stopped: true, ..seen(&root, Goal::Stop, Phase::Stopped) };
    assert!(wanted.judge(&parent, None));
    assert!(wanted.judge(&seen(&node, Goal::Stop, Phase::Stopped), Some(&parent)));
    let invalid = Seen { invalid: true, ..seen(&node, Goal::Stop, Phase::Stopped) };
    assert!(!wanted.judge(&invalid, Some(&parent)), "an invalid node is none that rests");
}

/// A tree of one node of the kind `child`, whose collections fail: it is restarted again and again.
async fn failing() -> (Handle, Wanted) {
    let mut kinds = Registry::new();
    fsm_worker_examples::register(&mut kinds).unwrap();
    let metrics = fsm_metrics::Metrics::try_new(Default::default(), &prometheus::Registry::new()).unwrap();
    let store = Arc::new(fsm_store::MemoryStore::new(Default::default()));
    let tree = fsm_supervisor::start(kinds, DriverConfig::default(), &metrics, store).unwrap();
    let name = ChildName::try_new("edge").unwrap();
    let mut policy = PolicyOverride::default();
    policy.interval = Some(Duration::from_millis(100).into());
    let config = serde_json::json!({"listen": "127.0.0.1:0", "fail_collection": true});
    let root = ChildSpec::new(name, "child").with_config(config).with_policy(policy);
    tree.apply(root, Vars::new()).await.unwrap();
    (tree, wanted([(path("/edge"), Want::Run)].into_iter().collect()))
}

// spec: U-41, S-22
#[tokio::test(start_paused = true)]
async fn a_node_that_waits_for_its_restart_keeps_the_tree_from_being_ready() {
    let (tree, wanted) = failing().await;
    let entries = tree.until(|all| all[0].goal == Goal::Stop).await.unwrap();
    let [waiting] = &wanted.not_ready(&entries)[..] else { panic!("{entries:?}") };
    assert_eq!((waiting.path.as_str(), waiting.goal.as_str()), ("/edge", "stop"));
    assert!(waiting.reason.starts_with("restarts at "), "{}", waiting.reason);

    // Resting because it was told to is another thing.
    let stop = Command::Stop { path: path("/edge"), who: "test".into() };
    tree.command(stop).await.unwrap();
    let entries = tree.until(|all| all[0].phase == Phase::Stopped).await.unwrap();
    assert_eq!(wanted.not_ready(&entries), []);
}

#[test]
fn a_tree_without_nodes_is_not_ready() {
    assert_eq!(Wanted::default().not_ready(&[]).len(), 1);
}

// spec: U-41 (the old tree is not taken for the new one)
#[tokio::test(start_paused = true)]
async fn before_the_config_is_applied_no_tree_is_ready() {
    let (tree, wanted) = failing().await;
    let entries = tree.until(|all| !all.is_empty()).await.unwrap();
    wanted.applied.store(false, Ordering::Release);
    let [waiting] = &wanted.not_ready(&entries)[..] else { panic!("{entries:?}") };
    assert_eq!(waiting.reason, "the config is being applied");
}
