//! Scripted workers in a real tree under paused time: each trick shows, and the transcript tells the story.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails should fail where it is")]

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{ChildSpec, NodePath, Registry, Vars};
use fsm_supervisor::{DriverConfig, Handle, start};
use fsm_testkit::workers::{
    Script, Scripted, ScriptedAction, ScriptedConfig, ScriptedObserved, Trick, Where, World,
};
use fsm_testkit::{Transcript, Workbench, listed, model_check, verify_action_idempotency};

fn tree(world: &World) -> Handle {
    let mut registry = Registry::new();
    registry.register(Scripted::new(world)).unwrap();
    let metrics = fsm_metrics::Metrics::try_new(Default::default(), &prometheus::Registry::new()).unwrap();
    let store = Arc::new(fsm_store::MemoryStore::new(Default::default()));
    start(registry, DriverConfig::default(), &metrics, store).unwrap()
}

fn family() -> ScriptedConfig {
    ScriptedConfig::default().child("a", ScriptedConfig::default()).child("b", ScriptedConfig::default())
}

async fn apply(tree: &Handle, config: ScriptedConfig) {
    let root = ChildSpec::try_new("root", "scripted").unwrap().with_typed_config(config);
    tree.apply(root, Vars::new()).await.unwrap();
}

async fn until_state(tree: &Handle, path: &str, state: &str) {
    tree.until(|nodes| nodes.iter().any(|node| node.path.to_string() == path && node.state == state))
        .await
        .unwrap();
}

// spec: K-8
#[tokio::test(start_paused = true)]
async fn a_transcript_tells_the_life_of_a_tree() {
    let world = World::new();
    world.set("/root/a", Script::failing(5));
    let tree = tree(&world);
    let transcript = Transcript::new(tree.events()).under("/root/a").with_actions();
    apply(&tree, family()).await;
    until_state(&tree, "/root/a", "Running").await;
    tree.shutdown(Duration::from_secs(10)).await.unwrap();
    let text = transcript.to_end().await;
    let lines: Vec<&str> = text.lines().map(|line| line.split_once("/root/a  ").unwrap().1).collect();
    let expected = [
        "created (scripted)",
        "Stopped -> TryingToStart: told to run",
        "start: failure: as the script says",
        "start: success",
        "TryingToStart -> Running: it is well",
        "Running -> TryingToStop: told to stop",
        "stop: success",
        "TryingToStop -> Stopped: it is down",
    ];
    assert_eq!(lines, expected, "{text}");
    assert!(text.starts_with("+0s "), "{text}");
    assert_eq!(world.up(), [] as [String; 0]);
    assert_eq!((world.calls("/root/a").starts, world.calls("/root/a").went_up), (6, 1));
}

// spec: K-8
#[tokio::test(start_paused = true)]
async fn each_trick_shows_in_the_tree() {
    let world = World::new();
    world.set("/root/a", Script::hanging(Where::Start));
    world.set("/root/b", Script::well().flapping());
    let tree = tree(&world);
    apply(&tree, family()).await;
    until_state(&tree, "/root/b", "Degraded").await;
    until_state(&tree, "/root/b", "Running").await;
    assert!(world.is_up("/root/b") && !world.is_up("/root/a"));

    world.set("/root/b", Script::panicking(Where::Next));
    let path = NodePath::try_new("/root/b").unwrap();
    tree.until(|nodes| nodes.iter().any(|n| n.path == path && n.reason.to_string().contains("panic")))
        .await
        .unwrap();

    world.set("/root/a", Script::slow(Duration::from_secs(20)));
    // The start that hangs is dropped at its timeout of 30 s.
    until_state(&tree, "/root/a", "Running").await;
    assert!(world.calls("/root/a").dropped >= 1, "{:?}", world.calls("/root/a"));
    world.knock_over("/root/a");
    until_state(&tree, "/root/a", "TryingToStart").await;
    tree.shutdown(Duration::from_secs(60)).await.unwrap();
}

// spec: K-8
#[tokio::test(start_paused = true)]
async fn tricks_are_played_in_order_and_so_often() {
    let world = World::new();
    let script = Script::well().trick(Where::Collect, Trick::Fail, 1).trick(
        Where::Start,
        Trick::Slow(Duration::from_secs(5)),
        1,
    );
    world.set("/test/bench", script);
    let bench = Workbench::new(Scripted::new(&world), ScriptedConfig::default());
    assert!(bench.collect().await.is_err());
    assert!(!bench.collect().await.unwrap().up);
    let before = tokio::time::Instant::now();
    bench.execute(ScriptedAction::Start).await.unwrap();
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    bench.execute(ScriptedAction::Stop).await.unwrap();
    bench.execute(ScriptedAction::Start).await.unwrap();
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    assert_eq!((world.calls("/test/bench").collects, world.calls("/test/bench").went_up), (2, 2));
}

// spec: K-6 — the workers for tests are sound workers themselves.
#[test]
fn the_scripted_kind_passes_the_model_check() {
    model_check::<Scripted>()
        .configs(listed![
            ScriptedConfig::default(),
            ScriptedConfig::default().restarting_after(2),
            ScriptedConfig::default().child("a", ScriptedConfig::default())
        ])
        .observations(listed![
            ScriptedObserved::new(false, false),
            ScriptedObserved::new(true, true),
            ScriptedObserved::new(true, false)
        ])
        .after("start", |_, seen| seen.up && seen.well)
        .after("stop", |_, seen| !seen.up)
        .child::<Scripted>("a")
        .assert();
}

// spec: K-7
#[tokio::test(start_paused = true)]
async fn the_scripted_actions_are_idempotent() {
    for action in [ScriptedAction::Start, ScriptedAction::Stop] {
        let fresh = async || {
            let world = World::new();
            world.set("/test/bench", Script::slow(Duration::from_secs(1)));
            Workbench::new(Scripted::new(&world), ScriptedConfig::default())
        };
        let check = async |bench: &Workbench<Scripted>| bench.collect().await.unwrap().up;
        verify_action_idempotency(fresh, action, 3, check).await.unwrap();
    }
}
