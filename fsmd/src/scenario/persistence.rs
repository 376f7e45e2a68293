//! A store that is looked after: kept small, looked at, and no trouble to anybody when it is not well.

use std::time::Duration;

use fsm_core::{ChildSpec, Moment, NodePath, Outcome as Ended};
use fsm_store::{NodeRecord, Store};
use fsm_supervisor::EventKind;
use serde_json::json;

use super::cast::{child, parent, scripted};
use super::story::{equal, expects};
use super::switch::Mood;
use super::{Broken, Outcome, Stage};

const OURS: &str = "/plant/store";
const PRESS: &str = "/plant/press";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// It looks every 5 s what is due, and what it does then takes a moment.
const LOOK: Duration = Duration::from_secs(6);
/// Wednesday, the 15th of November 2023, 00:30: the window after the beginning of a scenario, two hours and a quarter before.
const WINDOW_MS: u64 = 1_700_008_200_000;

/// The plant with these of its two children. What is a week for others are three hours here, and its weekend is the first hour
/// of a Wednesday.
fn plant(ours: bool, press: bool) -> Result<ChildSpec, Broken> {
    let store = child("store", "persistence")?.with_config(json!({
        "maintain_every": "3h", "early": "1h", "late": "1h",
        "window": {"days": ["wed"], "from": "00:30", "to": "01:30"}, "time_zone": "UTC",
    }));
    let children = [(ours, store), (press, scripted("press")?)];
    parent("plant", children.into_iter().filter(|(there, _)| *there).map(|(_, child)| child))
}

/// When this action ended well, each time.
fn done(stage: &mut Stage, wanted: &str) -> Vec<Moment> {
    let ended = stage.events_of(OURS).filter(|event| {
        matches!(event.kind, EventKind::ActionEnded { action, outcome: Ended::Success, .. } if action == wanted)
    });
    ended.map(|event| event.at).collect()
}

fn record(stage: &Stage, path: &str) -> Result<Option<NodeRecord>, Broken> {
    Ok(stage.store.node(&NodePath::try_new(path)?)?)
}

/// Waits until the store knows this of a node.
async fn until_stored(
    stage: &mut Stage,
    path: &str,
    what: &str,
    holds: impl Fn(Option<&NodeRecord>) -> bool,
) -> Outcome {
    for _ in 0..600 {
        if holds(record(stage, path)?.as_ref()) {
            return Ok(());
        }
        stage.passes(Duration::from_millis(100)).await;
    }
    Err(Broken::new(format!("the store should know that {path} {what}")))
}

/// Compacted and looked at when due, nothing forgotten too early, and never in the way.
pub(super) async fn looks_after(stage: &mut Stage) -> Outcome {
    compacts(stage).await?;
    forgets_what_was_removed(stage).await?;
    suffers(stage).await?;
    looks_in_its_window(stage).await
}

async fn compacts(stage: &mut Stage) -> Outcome {
    stage.says("a store that nobody looked after: both is due at the start");
    stage.apply(plant(true, true)?).await?;
    stage.until(OURS, "Running").await?;
    stage.until("/plant", "Running").await?;
    let (compact, maintain) = (done(stage, "compact"), done(stage, "maintain"));
    equal("how often each was done", (compact.len(), maintain.len()), (1, 1))?;
    expects(compact < maintain, || "what is forgotten need not be looked at: first the one".into())?;

    stage.says("from then on it is compacted every five minutes");
    stage.passes(21 * MINUTE).await;
    let compact = done(stage, "compact");
    equal("how often it was compacted", compact.len(), 5)?;
    for pair in compact.windows(2) {
        let gap = pair[1].since(pair[0]);
        expects((5 * MINUTE..=5 * MINUTE + LOOK).contains(&gap), || format!("it came after {gap:?}"))?;
    }
    equal("how often it was looked at", done(stage, "maintain").len(), 1)
}

async fn forgets_what_was_removed(stage: &mut Stage) -> Outcome {
    stage.says("a node is removed: it is marked, and kept for the retention of an hour");
    stage.apply(plant(true, false)?).await?;
    stage.until_gone(PRESS).await?;
    until_stored(stage, PRESS, "was removed", |node| node.is_some_and(|node| node.removed.is_some())).await?;
    stage.passes(59 * MINUTE).await;
    expects(record(stage, PRESS)?.is_some(), || "it should be known for an hour".into())?;

    stage.says("then a compaction forgets it, and nobody else");
    stage.passes(7 * MINUTE).await;
    expects(record(stage, PRESS)?.is_none(), || "it should be forgotten".into())?;
    expects(record(stage, OURS)?.is_some(), || "who is there should be known".into())?;
    let oldest = stage.store.stats()?.oldest_at.map_or(0, |at| at.get());
    let age = stage.tree.wall_ms(stage.tree.now()).saturating_sub(oldest);
    expects(u128::from(age) <= (HOUR + 5 * MINUTE + LOOK).as_millis(), || {
        format!("the oldest change should be an hour old; it is {} minutes", age / 60_000)
    })
}

async fn suffers(stage: &mut Stage) -> Outcome {
    stage.says("the disk is full when a node is added");
    stage.store.turn(Mood::Full);
    stage.apply(plant(true, true)?).await?;
    stage.until_that(OURS, "degraded by it", |entry| is_full(entry.state, &entry.reason)).await?;
    stage.until(PRESS, "Running").await?;
    let before = done(stage, "compact").len();
    stage.passes(6 * MINUTE).await;
    equal("compactions that went well", done(stage, "compact").len(), before)?;
    equal("its state", stage.entry(OURS).await?.state, "Degraded")?;

    stage.says("there is room again: what is due is done, and what is newest is written");
    stage.store.turn(Mood::Well);
    stage.until(OURS, "Running").await?;
    equal("compactions that went well", done(stage, "compact").len(), before + 1)?;
    until_stored(stage, PRESS, "is there", |node| node.is_some_and(|node| node.removed.is_none())).await?;

    stage.says("the disk fails for good, and who looks after it is removed");
    stage.store.turn(Mood::Failing);
    stage.apply(plant(true, false)?).await?;
    stage.until(OURS, "Degraded").await?;
    let began = stage.now();
    stage.apply(plant(false, false)?).await?;
    stage.until_gone(OURS).await?;
    let took = stage.now() - began;
    expects(took <= LOOK, || format!("no disk should hold that up; it took {took:?}"))?;

    stage.says("another disk, with what was on it: a second life knows when it was looked at");
    stage.store.turn(Mood::Well);
    stage.apply(plant(true, false)?).await?;
    stage.until(OURS, "Running").await?;
    equal("how often it was looked at", done(stage, "maintain").len(), 1)
}

fn is_full(state: &str, reason: &str) -> bool {
    state == "Degraded" && reason.contains("no space left on device")
}

async fn looks_in_its_window(stage: &mut Stage) -> Outcome {
    stage.says("it is due every three hours, and done a little early: its window is open");
    // A compaction every five minutes tells nothing more.
    stage.quiet();
    let looks = until_looked_at(stage, 2).await?;
    let after = Duration::from_millis(stage.tree.wall_ms(looks[1]).saturating_sub(WINDOW_MS));
    expects(!after.is_zero() && after <= LOOK, || format!("it came {after:?} after the window opened"))?;

    stage.says("the next time it is due no window is open for days: it waits for an hour, and not longer");
    let looks = until_looked_at(stage, 3).await?;
    let gap = looks[2].since(looks[1]);
    expects((4 * HOUR..=4 * HOUR + LOOK).contains(&gap), || format!("it came after {gap:?}"))
}

/// Waits until every record was looked at for the `times`th time; gives when each time was.
async fn until_looked_at(stage: &mut Stage, times: usize) -> Result<Vec<Moment>, Broken> {
    // Minute by minute, for five hours: in so few events none is lost.
    for _ in 0..5 * 60 {
        let looks = done(stage, "maintain");
        if looks.len() >= times {
            return Ok(looks);
        }
        stage.passes(MINUTE).await;
    }
    Err(Broken::new(format!("it should have been looked at for the {times}th time within five hours")))
}
