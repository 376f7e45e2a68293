//! Collectors that hang and die.

use std::time::Duration;

use fsm_supervisor::EventKind;
use fsm_testkit::workers::{Script, Trick, Where};

use super::cast::{parent, scripted};
use super::story::{equal, expects};
use super::{Outcome, Stage};

/// Who can't be observed is not believed; its collector is started again, and in the end the node itself.
pub(super) async fn hangs(stage: &mut Stage) -> Outcome {
    let blind = "/family/blind";
    stage.says("two children are well");
    stage.apply(parent("family", [scripted("blind")?, scripted("good")?])?).await?;
    stage.until("/family", "Running").await?;
    let first = stage.entry(blind).await?.incarnation;

    stage.says("the collector of one of them hangs");
    stage.script(blind, Script::hanging(Where::Collect));
    let (began, entry) = (stage.now(), stage.until_that(blind, "stale", |entry| entry.stale).await?);
    let after = (stage.now() - began).as_secs();
    expects((9..=11).contains(&after), || format!("it should be stale after 10 s, not {after}"))?;
    expects(entry.reason.contains("stale"), || format!("its reason should say so: {}", entry.reason))?;
    stage.until("/family", "Degraded").await?;

    stage.says("it comes back before anything more is done about it");
    stage.script(blind, Script::well());
    stage.until_that(blind, "believed", |entry| !entry.stale).await?;
    stage.until("/family", "Running").await?;

    stage.says("now it dies each time it looks");
    stage.script(blind, Script::well().always(Where::Collect, Trick::Panic));
    while restarts(stage, blind) < 3 {
        stage.passes(Duration::from_secs(1)).await;
    }
    stage.says("it was started again three times; now the node is");
    stage.until_that(blind, "another incarnation", |entry| entry.incarnation > first).await?;
    equal("restarts of the collector", restarts(stage, blind), 3)?;

    stage.says("it is well again");
    stage.script(blind, Script::well());
    stage.until(blind, "Running").await?;
    stage.until("/family", "Running").await?;
    let circuit = stage.events_of(blind).any(|event| matches!(event.kind, EventKind::CircuitOpened { .. }));
    expects(!circuit, || "what dies while it looks opens no circuit".into())?;
    equal("its sibling", stage.states_of("/family/good"), vec!["TryingToStart", "Running"])
}

fn restarts(stage: &mut Stage, path: &str) -> usize {
    stage.events_of(path).filter(|event| matches!(event.kind, EventKind::CollectorRestarted { .. })).count()
}
