//! A store that is slow, full, or fails.

use std::time::Duration;

use fsm_core::NodePath;
use fsm_store::Store;
use fsm_supervisor::EventKind;

use super::cast::{parent, scripted, start, stop};
use super::story::{equal, expects};
use super::switch::Mood;
use super::{Broken, Outcome, Stage};

const LAMP: &str = "/family/lamp";

/// The state of the lamp as the store knows it.
fn stored(stage: &Stage) -> Result<String, Broken> {
    let node = stage.store.node(&NodePath::try_new(LAMP)?)?;
    let state = node.and_then(|node| node.observed).map(|part| part.value["state"].clone());
    Ok(state.and_then(|state| state.as_str().map(str::to_owned)).unwrap_or_default())
}

/// Waits until the store knows this.
async fn until_stored(stage: &mut Stage, state: &str) -> Outcome {
    for _ in 0..600 {
        if stored(stage)? == state {
            return Ok(());
        }
        stage.passes(Duration::from_millis(100)).await;
    }
    Err(Broken::new(format!("the store should know that {LAMP} is {state}; it knows {}", stored(stage)?)))
}

/// How often the store was told to be degraded, and recovered.
fn told(stage: &mut Stage) -> (usize, usize) {
    let mut counts = (0, 0);
    for event in stage.events_of("/family") {
        counts.0 += usize::from(matches!(event.kind, EventKind::StoreDegraded { .. }));
        counts.1 += usize::from(event.kind == EventKind::StoreRecovered);
    }
    counts
}

/// Nothing of the tree waits for it, it is told once, and what is newest is written when it is well.
pub(super) async fn troubles(stage: &mut Stage) -> Outcome {
    stage.says("a tree with a store that is well");
    stage.apply(parent("family", [scripted("lamp")?])?).await?;
    stage.until("/family", "Running").await?;
    until_stored(stage, "Running").await?;

    stage.says("the store takes no more: a write waits and waits");
    stage.store.turn(Mood::Slow);
    slowly(stage, stop(LAMP)?, "Stopped").await?;
    slowly(stage, start(LAMP)?, "Running").await?;
    slowly(stage, stop(LAMP)?, "Stopped").await?;
    expects(stage.store.is_waiting(), || "a write should wait".into())?;
    equal("what the store knows", stored(stage)?.as_str(), "Running")?;

    stage.says("it is well again: what is newest is written");
    stage.store.turn(Mood::Well);
    until_stored(stage, "Stopped").await?;

    for (mood, what) in [(Mood::Full, "the disk of the store is full"), (Mood::Failing, "the disk fails")] {
        stage.says(what);
        let (before, refused) = (told(stage), stage.store.refused());
        stage.store.turn(mood);
        stage.command(start(LAMP)?).await?;
        stage.until(LAMP, "Running").await?;
        stage.command(stop(LAMP)?).await?;
        stage.until(LAMP, "Stopped").await?;
        stage.command(start(LAMP)?).await?;
        stage.until(LAMP, "Running").await?;
        stage.passes(Duration::from_secs(60)).await;
        let tries = stage.store.refused() - refused;
        expects((2..=20).contains(&tries), || format!("a minute of tries with back-off: {tries}"))?;
        equal("how often it was told", told(stage).0, before.0 + 1)?;

        stage.says("it is well again");
        stage.store.turn(Mood::Well);
        until_stored(stage, "Running").await?;
        // What is told comes after what is written.
        stage.passes(Duration::from_millis(100)).await;
        equal("how often it was told", told(stage), (before.0 + 1, before.1 + 1))?;
        stage.command(stop(LAMP)?).await?;
        until_stored(stage, "Stopped").await?;
    }
    stage.command(start(LAMP)?).await?;
    stage.until("/family", "Running").await?;
    Ok(())
}

/// Carries out a command while a write waits: then virtual time stands still, and must be moved by hand.
async fn slowly(stage: &mut Stage, command: fsm_supervisor::Command, state: &str) -> Outcome {
    stage.command(command).await?;
    for _ in 0..3_000 {
        if stage.entry(LAMP).await?.state == state {
            return Ok(());
        }
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    Err(Broken::new(format!("{LAMP} should come to {state} while the store is slow")))
}
