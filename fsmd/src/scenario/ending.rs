//! The end of a tree: in time, forced, and too late.

use std::time::Duration;

use fsm_testkit::workers::{Script, ScriptedConfig, Trick, Where};

use super::cast::{parent, scripted, scripted_root};
use super::story::{equal, expects};
use super::{Broken, Outcome, Stage};

/// The default of the daemon.
const DEADLINE: Duration = Duration::from_secs(30);

/// The first signal waits, the second one does not.
pub(super) async fn forced(stage: &mut Stage) -> Outcome {
    let stuck = "/family/stuck";
    stage.script(stuck, Script::hanging(Where::Stop));
    stage.says("one of two children can't be stopped");
    stage.apply(parent("family", [scripted("stuck")?, scripted("good")?])?).await?;
    stage.until("/family", "Running").await?;

    stage.says("the tree is told to stop; a second signal comes after two seconds");
    let report = stage.shutdown_forced(DEADLINE, Duration::from_secs(2)).await?;
    stage.says(format!(
        "it ended after {:.1} s, forced: {}",
        report.took.as_secs_f64(),
        named(&report.forced)
    ));
    expects((2..=3).contains(&report.took.as_secs()), || format!("it took {:?}", report.took))?;
    equal("who was forced", named(&report.forced), "/family, /family/stuck".to_owned())?;
    expects(!stage.world.is_up("/family/good"), || "the other child should have stopped by itself".into())?;
    expects(stage.world.calls(stuck).dropped >= 1, || "the stop that hangs should be dropped".into())
}

fn named(paths: &[fsm_core::NodePath]) -> String {
    let mut names: Vec<_> = paths.iter().map(fsm_core::NodePath::as_str).collect();
    names.sort_unstable();
    names.join(", ")
}

/// A plant of two lines with two pumps each; each stop takes two seconds.
fn plant(stage: &Stage) -> Result<(fsm_core::ChildSpec, Vec<String>), Broken> {
    let mut config = ScriptedConfig::default();
    let mut paths = vec!["/plant".to_owned()];
    for line in ["a", "b"] {
        let pumps = ScriptedConfig::default()
            .child("one", ScriptedConfig::default())
            .child("two", ScriptedConfig::default());
        config = config.child(line, pumps);
        paths.extend(["", "/one", "/two"].map(|below| format!("/plant/{line}{below}")));
    }
    for path in &paths {
        stage.script(path, Script::well().always(Where::Stop, Trick::Slow(Duration::from_secs(2))));
    }
    Ok((scripted_root("plant", config)?, paths))
}

/// Three levels of two seconds each, siblings side by side: about six seconds.
pub(super) async fn in_time(stage: &mut Stage) -> Outcome {
    let (root, paths) = plant(stage)?;
    stage.says("a plant of two lines with two pumps each; to stop takes each of them two seconds");
    stage.apply(root).await?;
    for path in &paths {
        stage.until(path, "Running").await?;
    }

    stage.says("the tree is told to stop within 30 seconds");
    let report = stage.shutdown(DEADLINE).await?;
    stage.says(format!("it stopped after {:.1} s", report.took.as_secs_f64()));
    equal("who was forced", named(&report.forced), String::new())?;
    expects((6..=8).contains(&report.took.as_secs()), || {
        format!("siblings should stop side by side: three levels of 2 s, not {:?}", report.took)
    })?;
    equal("who is still up", stage.world.up(), Vec::new())?;
    for path in &paths {
        let parent = &path[..path.rfind('/').unwrap_or(0)];
        if !parent.is_empty() {
            expects(stage.moved(path, "Stopped")? <= stage.moved(parent, "TryingToStop")?, || {
                format!("{parent} should begin to stop after {path} has stopped")
            })?;
        }
    }
    Ok(())
}

/// One pump hangs: it is forced in its share of the deadline, so that those above it have theirs.
pub(super) async fn too_late(stage: &mut Stage) -> Outcome {
    let (root, paths) = plant(stage)?;
    let stuck = "/plant/a/one";
    stage.script(stuck, Script::hanging(Where::Stop));
    stage.says("the same plant; one pump can't be stopped");
    stage.apply(root).await?;
    for path in &paths {
        stage.until(path, "Running").await?;
    }

    stage.says("the tree is told to stop within 30 seconds");
    let report = stage.shutdown(DEADLINE).await?;
    stage.says(format!(
        "it ended after {:.1} s, forced: {}",
        report.took.as_secs_f64(),
        named(&report.forced)
    ));
    equal("who was forced", named(&report.forced), stuck.to_owned())?;
    expects(report.took <= DEADLINE, || format!("it took {:?}", report.took))?;
    equal("who is still up", stage.world.up(), vec![stuck.to_owned()])
}
