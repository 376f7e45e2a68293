//! Clocks that jump: played in the simulation, which can do that to a tree.

use std::time::Duration;

use fsm_core::Registry;
use fsm_testkit::simulate::{Simulation, Stage, simulate};
use fsm_testkit::workers::{Scripted, ScriptedConfig, World};

use super::cast::scripted_root;
use super::story::{equal, expects};
use super::{Broken, Outcome, Story};

/// An hour forward, a day back, ten minutes and two hours asleep, in the midst of starting and of running.
const JUMPS: &str = "\
    500ms wall-clock 3600000
    10s suspend 10m
    15s wall-clock -86400000
    20s fault /plant/left collect-hangs 5s
    21s suspend 2h
    22s wall-clock 86400000
";

fn simulation() -> Result<Simulation, Broken> {
    let config = ScriptedConfig::default()
        .child("left", ScriptedConfig::default())
        .child("right", ScriptedConfig::default());
    let root = scripted_root("plant", config)?;
    Ok(simulate(move || {
        let world = World::new();
        let registry = move || {
            let mut registry = Registry::new();
            // A registry without kinds has room for one.
            let _ = registry.register(Scripted::new(&world));
            registry
        };
        Stage::new(registry, root.clone())
    }))
}

/// Every rule of the simulation holds after each step, and the tree recovers at once.
pub(super) fn jumps(story: &mut Story) -> Outcome {
    story.says(Duration::ZERO, "a tree runs in the simulation, and this happens to it:");
    for line in JUMPS.lines() {
        story.happened(&format!("        {}\n", line.trim()));
    }
    let report = simulation()?.seed(1).replay(JUMPS)?;
    equal("steps that were played", report.faults, 6)?;
    expects(report.simulated >= Duration::from_secs(2 * 3_600), || "it should take two hours".into())?;
    expects(report.recovery <= Duration::from_secs(30), || {
        format!("it should be as declared soon after the last jump, not {:?} later", report.recovery)
    })?;
    story.says(
        report.simulated,
        &format!(
            "every rule held, {} checks of them; it was as declared {:?} after",
            report.checks, report.recovery
        ),
    );
    story.passed = report.simulated;
    Ok(())
}
