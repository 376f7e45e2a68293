//! Plays one scenario: a runtime of its own whose time is mostly virtual, a fresh stage, and an end that leaves nothing behind.

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
}

/// Plays a scenario from beginning to end. Under virtual time it tells the same each time. Not to be called inside of a tokio
/// runtime.
pub fn play(scenario: &Scenario) -> Played {
    let mut story = Story::default();
    let outcome = match scenario.script {
        Script::Simulated(run) => run(&mut story),
        Script::Tree(run) => on_a_tree(run, Time::Virtual, &mut story),
        Script::Real(run) => on_a_tree(run, Time::Real, &mut story),
    };
    Played { story, outcome }
}

fn on_a_tree(run: OnTree, time: Time, story: &mut Story) -> Outcome {
    let paused = time == Time::Virtual;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(paused).build()?;
    let (told, outcome) = runtime.block_on(async move {
        let mut stage = Stage::try_new(time)?;
        let outcome = run(&mut stage).await;
        Ok::<_, Broken>(stage.end(outcome).await)
    })?;
    *story = told;
    outcome
}
