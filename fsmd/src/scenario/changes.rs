//! Children that come, change and go.

use std::time::Duration;

use fsm_core::{ChildSpec, Worker};
use fsm_supervisor::EventKind;
use fsm_testkit::workers::{Script, Scripted, ScriptedConfig, Trick, Where};
use fsm_worker_examples::hello::Hello;
use fsm_worker_examples::parent::Parent;
use serde_json::json;

use super::cast::{child, delete, parent, scripted, upsert};
use super::story::{equal, expects};
use super::{Broken, Outcome, Stage};

/// Added, changed in place, kept by a new config, removed; and a declared child of the same name wins.
pub(super) async fn dynamic(stage: &mut Stage) -> Outcome {
    let extra = "/family/extra";
    let spec = || ChildSpec::try_new("extra", Scripted::KIND);
    stage.says("a parent has one declared child");
    stage.apply(parent("family", [scripted("own")?])?).await?;
    stage.until("/family", "Running").await?;

    stage.says("an operator adds another one");
    stage.command(upsert("/family", spec()?)?).await?;
    let added = stage.until(extra, "Running").await?;
    expects(added.dynamic, || "it should be marked as added at run time".into())?;

    stage.says("and changes it: it takes a child of its own, in place");
    let grown = ScriptedConfig::default().child("tool", ScriptedConfig::default());
    stage.command(upsert("/family", spec()?.with_typed_config(grown))?).await?;
    stage.until("/family/extra/tool", "Running").await?;
    equal("its incarnation", stage.entry(extra).await?.incarnation, added.incarnation)?;
    equal("starts", stage.world.calls(extra).starts, 1)?;

    stage.says("a new config of the parent leaves it alone");
    stage.apply(parent("family", [scripted("own")?, scripted("new")?])?).await?;
    stage.until("/family/new", "Running").await?;
    equal("its incarnation", stage.entry(extra).await?.incarnation, added.incarnation)?;

    stage.says("a declared child can't be removed by an operator");
    let refused = stage.command(delete("/family", "own")?).await;
    let why = refused.err().map(|broken| broken.to_string()).unwrap_or_default();
    expects(why.contains("declared in the config"), || format!("the answer should say why: {why:?}"))?;

    stage.says("the added one can: it stops, with its child, and is gone");
    stage.command(delete("/family", "extra")?).await?;
    stage.until_gone(extra).await?;
    equal("who is still up", stage.world.up(), vec!["/family/new".to_owned(), "/family/own".to_owned()])?;

    stage.says("it is added again, and then declared: the declared one wins");
    stage.command(upsert("/family", spec()?)?).await?;
    stage.until(extra, "Running").await?;
    stage.apply(parent("family", [scripted("own")?, scripted("extra")?])?).await?;
    stage.until_that(extra, "declared", |entry| !entry.dynamic && entry.state == "Running").await?;
    Ok(())
}

/// Disabled is not absent.
pub(super) async fn disabled(stage: &mut Stage) -> Outcome {
    let lamp = "/family/lamp";
    let family = |enabled| parent("family", [scripted("lamp")?.with_enabled(enabled), scripted("other")?]);
    stage.says("one of two children is disabled");
    stage.apply(family(false)?).await?;
    stage.until("/family", "Running").await?;
    let entry = stage.entry(lamp).await?;
    equal("its state", entry.state, "Stopped")?;
    expects(entry.reason.contains("enabled") || entry.reason.contains("disabled"), || {
        format!("its reason should say why: {}", entry.reason)
    })?;
    equal("starts", stage.world.calls(lamp).starts, 0)?;

    stage.says("it is enabled");
    stage.apply(family(true)?).await?;
    let running = stage.until(lamp, "Running").await?;
    equal("its incarnation", running.incarnation, entry.incarnation)?;

    stage.says("and disabled: it stops and stays");
    stage.apply(family(false)?).await?;
    let stopped = stage.until(lamp, "Stopped").await?;
    equal("its incarnation", stopped.incarnation, entry.incarnation)?;
    expects(!stage.world.is_up(lamp), || "it should be down".into())?;
    stage.until("/family", "Running").await?;

    stage.says("and left out: it is gone");
    stage.apply(parent("family", [scripted("other")?])?).await?;
    stage.until_gone(lamp).await
}

/// Drained first, then new: what the old one was told does not hold for the new one.
pub(super) async fn again(stage: &mut Stage) -> Outcome {
    let pump = "/family/pump";
    stage.script(pump, Script::well().trick(Where::Stop, Trick::Slow(Duration::from_secs(5)), 1));
    stage.says("a child runs whose stop takes five seconds");
    stage.apply(parent("family", [scripted("pump")?])?).await?;
    let old = stage.until(pump, "Running").await?.incarnation;

    stage.says("it is left out of the config");
    stage.apply(parent("family", [])?).await?;
    stage.until(pump, "TryingToStop").await?;
    stage.passes(Duration::from_secs(2)).await;

    stage.says("and declared again, two seconds later");
    stage.apply(parent("family", [scripted("pump")?])?).await?;
    let entry = stage.entry(pump).await?;
    equal("its state", entry.state, "TryingToStop")?;
    equal("its incarnation", entry.incarnation, old)?;
    let new = stage.until(pump, "Running").await?.incarnation;
    expects(new > old, || "it should be another incarnation".into())?;
    let calls = stage.world.calls(pump);
    equal("starts and stops", (calls.starts, calls.stops, calls.dropped), (2, 1, 0))?;
    let states = ["TryingToStart", "Running", "TryingToStop", "Stopped", "TryingToStart", "Running"];
    equal("its states", stage.states_of(pump), states.to_vec())?;

    stage.says("nobody else of this name is left, and the new one stays");
    stage.passes(Duration::from_secs(60)).await;
    equal("its incarnation", stage.entry(pump).await?.incarnation, new)?;
    let nodes = stage.tree.tree().await?.len();
    equal("nodes", nodes, 2)
}

/// A plant with a pump on each of these lines.
fn lines(names: &[&str]) -> Result<ChildSpec, Broken> {
    let pump = scripted("pump")?;
    let line = |name: &&str| Ok(child(name, Parent::KIND)?.with_config(json!({ "children": [pump] })));
    parent("plant", names.iter().map(line).collect::<Result<Vec<_>, Broken>>()?)
}

/// Whatever happens to one of them, the other one does not notice.
pub(super) async fn same_name(stage: &mut Stage) -> Outcome {
    let (left, right) = ("/plant/left/pump", "/plant/right/pump");
    stage.says("two lines have a pump each");
    stage.apply(lines(&["left", "right"])?).await?;
    stage.until("/plant", "Running").await?;

    stage.says("the left one falls over and can't get up");
    stage.script(left, Script::well().always(Where::Start, Trick::Fail));
    stage.world.knock_over(left);
    stage.until("/plant/left", "Degraded").await?;
    equal("the right line", stage.entry("/plant/right").await?.state, "Running")?;

    stage.says("the left line is taken away");
    stage.apply(lines(&["right"])?).await?;
    stage.until_gone("/plant/left").await?;
    stage.until("/plant", "Running").await?;
    equal("the right pump", stage.states_of(right), vec!["TryingToStart", "Running"])?;
    equal("its starts", stage.world.calls(right).starts, 1)
}

/// The old one stops and is gone before the new one is made.
pub(super) async fn other_kind(stage: &mut Stage) -> Outcome {
    let device = "/family/device";
    stage.says("a device is of the kind scripted");
    stage.apply(parent("family", [scripted("device")?])?).await?;
    let old = stage.until(device, "Running").await?;

    stage.says("under its name a device of another kind is declared");
    let config = json!({
        "mood_file": stage.folder().join("mood"), "greeting_file": stage.folder().join("greeting"),
    });
    stage.apply(parent("family", [child("device", Hello::KIND)?.with_config(config)])?).await?;
    let new = stage.until_that(device, "of kind hello and running", |entry| {
        &*entry.kind == Hello::KIND && entry.state == "Running"
    });
    let new = new.await?;
    expects(new.incarnation > old.incarnation, || "it should be another incarnation".into())?;
    expects(!stage.world.is_up(device), || "the old one should have been stopped".into())?;
    let mut lives = Vec::new();
    for event in stage.events_of(device) {
        if let EventKind::NodeCreated { .. } | EventKind::NodeRemoved = event.kind {
            lives.push(event.kind.name());
        }
    }
    equal("its lives", lives, vec!["node_created", "node_removed", "node_created"])?;
    stage.until("/family", "Running").await?;
    Ok(())
}
