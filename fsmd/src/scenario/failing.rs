//! Actions that fail: a few times, always, and until the worker asks to start over; and the budget for that.

use std::time::Duration;

use fsm_core::{ChildSpec, Outcome as Ended, Phase};
use fsm_supervisor::EventKind;
use fsm_testkit::workers::{Script, Trick, Where};
use serde_json::json;

use super::cast::{parent, retry, scripted};
use super::story::{equal, expects};
use super::{Broken, Outcome, Stage};

const BAD: &str = "/family/bad";

/// One that fails as its script says, beside one that is well.
fn family(restart_after: Option<u32>) -> Result<ChildSpec, Broken> {
    let mut bad = scripted("bad")?;
    if let Some(failures) = restart_after {
        bad = bad.with_config(json!({ "restart_after": failures }));
    }
    parent("family", [bad, scripted("good")?])
}

/// How the actions of a node ended so far.
fn ends(stage: &mut Stage, path: &str) -> Vec<Ended> {
    let outcome = |kind: &EventKind| {
        if let EventKind::ActionEnded { outcome, .. } = kind { Some(*outcome) } else { None }
    };
    stage.events_of(path).filter_map(|event| outcome(&event.kind)).collect()
}

/// How long a node was held back at each of its restarts.
fn back_offs(stage: &mut Stage) -> Vec<Duration> {
    let held = |kind: &EventKind| {
        if let EventKind::Restart { back_off, .. } = kind { Some(*back_off) } else { None }
    };
    stage.events_of(BAD).filter_map(|event| held(&event.kind)).collect()
}

/// Three failures and a success are one action that was tried four times.
pub(super) async fn recovers(stage: &mut Stage) -> Outcome {
    stage.script(BAD, Script::failing(3));
    stage.says("the first three tries of its start fail");
    stage.apply(family(None)?).await?;
    stage.until(BAD, "Running").await?;
    equal("tries", stage.world.calls(BAD).starts, 4)?;
    equal("how its actions ended", ends(stage, BAD), vec![Ended::Success])?;
    stage.until("/family", "Running").await?;
    Ok(())
}

/// An hour of failures: fewer and fewer tries, and still some.
pub(super) async fn never(stage: &mut Stage) -> Outcome {
    stage.quiet();
    stage.script(BAD, Script::well().always(Where::Start, Trick::Fail));
    stage.says("its start fails whenever it is tried");
    stage.apply(family(None)?).await?;
    stage.until("/family/good", "Running").await?;
    let mut tries = Vec::new();
    for _ in 0..6 {
        let before = stage.world.calls(BAD).starts;
        stage.passes(Duration::from_secs(600)).await;
        tries.push(stage.world.calls(BAD).starts - before);
    }
    stage.says(format!("tries in each of six times ten minutes: {tries:?}"));
    let entry = stage.entry(BAD).await?;
    equal("its state", entry.state, "TryingToStart")?;
    expects(entry.reason.contains("did not start"), || {
        format!("its reason should say so: {}", entry.reason)
    })?;
    // Ten actions of four tries at the longest pace of a minute; jitter gives or takes two.
    expects(tries[1..].iter().all(|n| (32..=52).contains(n)), || {
        format!("after the first ten minutes it should be tried once a minute, four times each: {tries:?}")
    })?;
    equal("its sibling", stage.states_of("/family/good"), vec!["TryingToStart", "Running"])?;

    stage.says("what was wrong is mended");
    stage.script(BAD, Script::well());
    let before = stage.now();
    stage.until(BAD, "Running").await?;
    expects(stage.now() - before <= Duration::from_secs(75), || {
        "it should come back within a minute".into()
    })?;
    stage.until("/family", "Running").await?;
    Ok(())
}

/// After five failed actions it says that it wants to start over, and its next life is well.
pub(super) async fn restarts(stage: &mut Stage) -> Outcome {
    // Five actions of four tries each.
    stage.script(BAD, Script::failing(20));
    stage.says("its start fails; after five failures it asks for a restart");
    stage.apply(family(Some(5))?).await?;
    stage.until(BAD, "TryingToStart").await?;
    let first = stage.entry(BAD).await?.incarnation;
    stage.until(BAD, "Running").await?;
    equal("how its actions ended", ends(stage, BAD).len(), 6 + stops(stage))?;
    let failures = ends(stage, BAD).into_iter().filter(|end| *end == Ended::Failure).count();
    equal("failed actions", failures, 5)?;
    let view = stage.node(BAD).await?;
    expects(view.incarnation > first, || "it should be another incarnation".into())?;
    equal("its starts", view.starts, 2)?;
    equal("its restarts", back_offs(stage).len(), 1)?;
    stage.until("/family", "Running").await?;
    equal("starts of its sibling", stage.world.calls("/family/good").starts, 1)
}

/// Actions that stopped the first life.
fn stops(stage: &Stage) -> usize {
    stage.world.calls(BAD).stops as usize
}

/// Five restarts in a minute are allowed; then it is probed every five minutes, until a healthy minute gives them back.
pub(super) async fn budget(stage: &mut Stage) -> Outcome {
    let ill = || Script::well().always(Where::Start, Trick::Fail);
    stage.script(BAD, ill());
    stage.says("its start fails; after each failure it asks for a restart");
    stage.apply(family(Some(1))?).await?;
    spent(stage, 1).await?;
    let held = back_offs(stage);
    expects(held.len() == 6, || format!("the sixth restart is one too many: {held:?}"))?;
    expects(held[..5].windows(2).all(|two| two[1] > two[0]), || format!("back-offs should grow: {held:?}"))?;
    equal("the pace of probing", held[5], Duration::from_secs(300))?;

    stage.says("the budget is spent: the parent sees a degraded child, and it is probed slowly");
    equal("the parent's state", stage.until("/family", "Degraded").await?.state, "Degraded")?;
    let before = stage.now();
    let count = stage.world.calls(BAD).starts;
    while stage.world.calls(BAD).starts == count {
        stage.passes(Duration::from_secs(1)).await;
    }
    let waited = stage.now() - before;
    expects((290..=310).contains(&waited.as_secs()), || {
        format!("it should be probed after 5 min, not {waited:?}")
    })?;

    stage.says("what was wrong is mended, and an operator does not want to wait");
    stage.script(BAD, Script::well());
    stage.command(retry(BAD)?).await?;
    let before = stage.now();
    stage.until(BAD, "Running").await?;
    expects(stage.now() - before <= Duration::from_secs(5), || "it should come back at once".into())?;
    stage.until("/family", "Running").await?;

    stage.says("a healthy minute later it fails again: the budget is whole, the back-off is short");
    stage.passes(Duration::from_secs(61)).await;
    let known = back_offs(stage).len();
    stage.script(BAD, ill());
    stage.world.knock_over(BAD);
    spent(stage, 2).await?;
    let held = back_offs(stage).split_off(known);
    expects(held.len() == 6, || format!("five more restarts should be allowed: {held:?}"))?;
    expects(held[0] <= Duration::from_millis(1_200), || format!("the first one waits a second: {held:?}"))?;

    stage.says(
        "mended again, it comes back by itself when it is probed, and a healthy minute gives the budget back",
    );
    stage.script(BAD, Script::well());
    stage.until(BAD, "Running").await?;
    stage.until_that("/family", "running", |entry| entry.phase == Phase::Running).await?;
    stage.passes(Duration::from_secs(61)).await;
    let known = back_offs(stage).len();
    stage.script(BAD, Script::failing(4));
    stage.world.knock_over(BAD);
    while back_offs(stage).len() == known {
        stage.passes(Duration::from_millis(100)).await;
    }
    stage.until(BAD, "Running").await?;
    let held = back_offs(stage).split_off(known);
    expects(held.len() == 1 && held[0] <= Duration::from_millis(1_200), || {
        format!("one restart after a second should do: {held:?}")
    })
}

/// Waits until the budget was spent so many times.
async fn spent(stage: &mut Stage, times: usize) -> Outcome {
    let count = |stage: &mut Stage| {
        stage.events_of(BAD).filter(|event| matches!(event.kind, EventKind::BudgetSpent { .. })).count()
    };
    // Six restarts with back-offs up to 16 s take less than three minutes.
    for _ in 0..1_800 {
        if count(stage) >= times {
            return Ok(());
        }
        stage.passes(Duration::from_millis(100)).await;
    }
    Err(Broken::new("the restart budget should be spent"))
}
