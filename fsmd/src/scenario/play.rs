//! Plays one scenario: a runtime of its own whose time is mostly virtual, a fresh stage, and an end that leaves nothing behind.

use std::collections::BTreeSet;

use super::stage::Time;
use super::{Broken, OnTree, Outcome, Scenario, Script, Stage, Story};

/// A scenario that was played.
#[derive(Debug)]
#[must_use]
pub struct Played {
    /// What is told of it.
    pub story: Story,
    /// Whether it went as it should.
    pub outcome: Outcome,
    /// The metrics of the catalogue that it never moved; all of them for one that is played in the simulation.
    pub never_moved: BTreeSet<&'static str>,
}

/// Plays a scenario from beginning to end. Under virtual time it tells the same each time. Not to be called inside of a tokio
/// runtime.
pub fn play(scenario: &Scenario) -> Played {
    let mut story = Story::default();
    let mut never_moved = fsm_metrics::catalogue().map(fsm_metrics::MetricDef::name).collect();
    let outcome = match scenario.script {
        Script::Simulated(run) => run(&mut story),
        Script::Tree(run) => on_a_tree(run, Time::Virtual, &mut story, &mut never_moved),
        Script::Real(run) => on_a_tree(run, Time::Real, &mut story, &mut never_moved),
    };
    Played { story, outcome, never_moved }
}

fn on_a_tree(
    run: OnTree,
    time: Time,
    story: &mut Story,
    never_moved: &mut BTreeSet<&'static str>,
) -> Outcome {
    let paused = time == Time::Virtual;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(paused).build()?;
    let (told, outcome) = runtime.block_on(async {
        let mut stage = Stage::try_new(time)?;
        let metrics = stage.metrics().clone();
        let outcome = run(&mut stage).await;
        let ended = stage.end(outcome).await;
        *never_moved = metrics.never_moved().into_iter().collect();
        Ok::<_, Broken>(ended)
    })?;
    *story = told;
    outcome
}
