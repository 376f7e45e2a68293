//! Panics, and failures that a parent sees.

use std::time::Duration;

use fsm_core::Outcome as Ended;
use fsm_supervisor::EventKind;
use fsm_testkit::workers::{Script, Trick, Where};

use super::cast::{parent, scripted};
use super::story::{equal, expects};
use super::{Outcome, Stage};

/// It is an outcome: not tried again inside the executor, asked for again by the worker, and no circuit opens.
pub(super) async fn in_action(stage: &mut Stage) -> Outcome {
    let bad = "/family/bad";
    stage.script(bad, Script::well().trick(Where::Start, Trick::Panic, 4));
    stage.says("its start panics four times");
    stage.apply(parent("family", [scripted("bad")?, scripted("good")?])?).await?;
    stage.until("/family/good", "Running").await?;
    stage.until(bad, "Running").await?;
    let ends: Vec<Ended> = stage
        .events_of(bad)
        .filter_map(|event| {
            if let EventKind::ActionEnded { outcome, .. } = event.kind { Some(outcome) } else { None }
        })
        .collect();
    let should = [Ended::Panic, Ended::Panic, Ended::Panic, Ended::Panic, Ended::Success];
    equal("how its actions ended", ends, should.to_vec())?;
    equal("its states", stage.states_of(bad), vec!["TryingToStart", "Running"])?;
    let opened = stage.events_of(bad).any(|event| matches!(event.kind, EventKind::CircuitOpened { .. }));
    expects(!opened, || "no circuit should open".into())?;
    stage.until("/family", "Running").await?;
    equal("starts of its sibling", stage.world.calls("/family/good").starts, 1)
}

/// Three panics open its circuit, which closes by itself when five minutes went by without one.
pub(super) async fn in_next(stage: &mut Stage) -> Outcome {
    let bad = "/family/bad";
    stage.says("two children are well");
    stage.apply(parent("family", [scripted("bad")?, scripted("good")?])?).await?;
    stage.until("/family", "Running").await?;

    stage.says("what one of them sees makes it panic when it decides");
    stage.script(bad, Script::panicking(Where::Next));
    stage.until_that(bad, "cut off", |entry| entry.circuit_open).await?;
    let panics = stage.events_of(bad).filter(|event| matches!(event.kind, EventKind::Panic { .. })).count();
    equal("panics", panics, 3)?;
    let opened = stage.now();
    stage.until("/family", "Degraded").await?;

    stage.says("it is well again; nobody asks it before its circuit closes");
    stage.script(bad, Script::well());
    stage.until_that(bad, "connected", |entry| !entry.circuit_open).await?;
    let waited = (stage.now() - opened).as_secs();
    expects((295..=305).contains(&waited), || {
        format!("the circuit should close after 5 min, not {waited} s")
    })?;
    stage.until("/family", "Running").await?;
    let panics = stage.events_of(bad).filter(|event| matches!(event.kind, EventKind::Panic { .. })).count();
    equal("panics", panics, 3)?;

    stage.says("its sibling has noticed nothing");
    equal("its states", stage.states_of("/family/good"), vec!["TryingToStart", "Running"])?;
    stage.passes(Duration::from_secs(1)).await;
    Ok(())
}

/// Two children fail and come back, twice; their parent is as healthy as they are.
pub(super) async fn cascade(stage: &mut Stage) -> Outcome {
    let pair = ["/family/left", "/family/right"];
    stage.says("two children are well");
    stage.apply(parent("family", [scripted("left")?, scripted("right")?])?).await?;
    stage.until("/family", "Running").await?;
    for cycle in ["both fall over and can't get up", "and again"] {
        stage.says(cycle);
        for path in pair {
            stage.script(path, Script::well().always(Where::Start, Trick::Fail));
            stage.world.knock_over(path);
        }
        for path in pair {
            stage.until(path, "TryingToStart").await?;
        }
        let entry = stage.until("/family", "Degraded").await?;
        expects(entry.reason.contains("degraded"), || format!("its reason should say so: {}", entry.reason))?;
        // Long enough for their starts to fail.
        stage.passes(Duration::from_secs(3)).await;

        stage.says("one of them is well again");
        stage.script(pair[0], Script::well());
        stage.until(pair[0], "Running").await?;
        equal("the parent", stage.entry("/family").await?.state, "Degraded")?;

        stage.says("and the other one");
        stage.script(pair[1], Script::well());
        stage.until(pair[1], "Running").await?;
        stage.until("/family", "Running").await?;
    }
    let states = ["TryingToStart", "Running", "Degraded", "Running", "Degraded", "Running"];
    equal("the parent's states", stage.states_of("/family"), states.to_vec())
}
