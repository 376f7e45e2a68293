//! Actions that take long, and those that never end.

use std::time::Duration;

use fsm_core::Outcome as Ended;
use fsm_supervisor::EventKind;
use fsm_testkit::workers::{Script, Trick, Where};

use super::cast::{parent, scripted};
use super::story::{equal, expects};
use super::{Outcome, Stage};

/// While it lasts, its node says so, and everybody else is evaluated as ever.
pub(super) async fn slow(stage: &mut Stage) -> Outcome {
    let (slow, quick) = ("/family/slow", "/family/quick");
    stage.script(slow, Script::slow(Duration::from_secs(20)));
    stage.says("the start of one child takes 20 seconds");
    stage.apply(parent("family", [scripted("slow")?, scripted("quick")?])?).await?;
    let entry = stage.until_that(slow, "acting", |entry| entry.acting == Some("start")).await?;
    expects(entry.reason.starts_with("acting: start since"), || format!("its reason: {}", entry.reason))?;
    stage.until(quick, "Running").await?;
    expects(stage.now() < Duration::from_secs(1), || "the other child should not wait".into())?;

    stage.says("meanwhile the other one falls over, and gets up");
    stage.world.knock_over(quick);
    stage.until_moved(quick, "Running", 2).await?;
    expects(stage.now() < Duration::from_secs(5), || "the other child should not wait".into())?;
    equal("the slow one is", stage.entry(slow).await?.acting, Some("start"))?;

    stage.says("it is up after its 20 seconds, with one start");
    stage.until(slow, "Running").await?;
    expects((20..=21).contains(&stage.now().as_secs()), || format!("not after {:?}", stage.now()))?;
    equal("starts", stage.world.calls(slow).starts, 1)?;
    stage.until("/family", "Running").await?;
    Ok(())
}

/// Its future is dropped after the 30 seconds of its kind, the outcome is a timeout, and its worker asks again.
pub(super) async fn timeout(stage: &mut Stage) -> Outcome {
    let stuck = "/family/stuck";
    stage.script(stuck, Script::well().trick(Where::Start, Trick::Hang, 1));
    stage.says("the first start of one child hangs");
    stage.apply(parent("family", [scripted("stuck")?, scripted("good")?])?).await?;
    stage.until("/family/good", "Running").await?;
    stage.until(stuck, "Running").await?;
    let ends: Vec<(Ended, Duration)> = stage
        .events_of(stuck)
        .filter_map(|event| {
            let EventKind::ActionEnded { outcome, duration, .. } = event.kind else { return None };
            Some((outcome, duration))
        })
        .collect();
    let outcomes: Vec<Ended> = ends.iter().map(|(outcome, _)| *outcome).collect();
    equal("how its actions ended", outcomes, vec![Ended::Timeout, Ended::Success])?;
    equal("how long the first one was let be", ends[0].1.as_secs(), 30)?;
    equal("starts that were dropped", stage.world.calls(stuck).dropped, 1)?;
    equal("starts", stage.world.calls(stuck).starts, 2)?;
    stage.says("it was dropped after 30 seconds, and the next one did it");
    equal("its states", stage.states_of(stuck), vec!["TryingToStart", "Running"])
}
