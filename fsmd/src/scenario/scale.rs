//! Many workers: what holds for two holds for thousands, and nothing is left of them.

use std::time::Duration;

use fsm_core::{ChildSpec, Phase};
use fsm_testkit::workers::{Script, ScriptedConfig};

use super::cast::scripted_root;
use super::story::{equal, expects};
use super::{Broken, Outcome, Stage};

/// So many actions run at a time, by default.
const PLACES: u32 = 10;

/// A root with so many children, of which each takes a second to start.
fn fleet(stage: &Stage, count: u32, slow: bool) -> Result<ChildSpec, Broken> {
    let mut config = ScriptedConfig::default();
    for number in 0..count {
        let name = format!("w-{number}");
        if slow {
            stage.script(&format!("/fleet/{name}"), Script::slow(Duration::from_secs(1)));
        }
        config = config.child(&name, ScriptedConfig::default());
    }
    scripted_root("fleet", config)
}

/// Starts of all workers, and ups.
fn started(stage: &Stage, count: u32) -> Outcome {
    for number in 0..count {
        let calls = stage.world.calls(&format!("/fleet/w-{number}"));
        expects((calls.starts, calls.went_up, calls.dropped) == (1, 1, 0), || {
            format!("worker {number} should have been started once: {calls:?}")
        })?;
    }
    Ok(())
}

/// Five starts of a second take a second.
pub(super) async fn five(stage: &mut Stage) -> Outcome {
    stage.says("five workers are declared; each takes a second to start");
    let root = fleet(stage, 5, true)?;
    stage.apply(root).await?;
    stage.until_all(6, Phase::Running).await?;
    expects(stage.now() < Duration::from_secs(2), || format!("side by side, not {:?}", stage.now()))?;
    started(stage, 5)
}

/// Five hundred starts of a second in ten places take fifty seconds, and nobody is started twice.
pub(super) async fn five_hundred(stage: &mut Stage) -> Outcome {
    /// Fifty times as many as there are places.
    const COUNT: u32 = 500;
    stage.quiet();
    stage.says("five hundred workers are declared; each takes a second to start");
    let root = fleet(stage, COUNT, true)?;
    stage.apply(root).await?;
    stage.until_all(COUNT as usize + 1, Phase::Running).await?;
    let took = stage.now().as_secs();
    stage.says(format!("all of them run after {took} s"));
    let least = u64::from(COUNT / PLACES);
    expects((least..=least + 5).contains(&took), || format!("ten at a time take {least} s, not {took}"))?;
    started(stage, COUNT)
}

/// Added and removed, and nothing is left of them.
pub(super) async fn ten_thousand(stage: &mut Stage) -> Outcome {
    /// What a large config makes.
    const COUNT: u32 = 10_000;
    stage.quiet();
    stage.says("a tree of one node");
    stage.apply(fleet(stage, 0, false)?).await?;
    stage.until_all(1, Phase::Running).await?;
    let tasks = tasks();

    stage.says("ten thousand children are added");
    let receipt = stage.apply(fleet(stage, COUNT, false)?).await?;
    equal("nodes created", receipt.created.len(), COUNT as usize)?;
    stage.until_all(COUNT as usize + 1, Phase::Running).await?;
    equal("workers that are up", stage.world.up().len(), COUNT as usize + 1)?;
    started(stage, COUNT)?;

    stage.says("and removed");
    let receipt = stage.apply(fleet(stage, 0, false)?).await?;
    equal("nodes that leave", receipt.leaving.len(), COUNT as usize)?;
    stage.until_all(1, Phase::Running).await?;
    equal("who is still up", stage.world.up(), vec!["/fleet".to_owned()])?;
    stage.passes(Duration::from_secs(10)).await;
    // The root's own collection may be under way now or then.
    expects(self::tasks() <= tasks + 1, || format!("{} tasks should have ended", self::tasks() - tasks))
}

/// Tasks that live in this runtime.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}
