//! Runs the simulation over many seeds, optimised and on all cores.

use anyhow::{Context, Result};

use crate::shell;
use crate::workspace::Workspace;

/// Seeds of a run in CI: what fits into a few minutes on two cores.
pub(crate) const CI_SEEDS: u64 = 10_000;

/// Runs so many seeds from this one on; a failure names its seed and a script that repeats it.
pub(crate) fn run(workspace: &Workspace, from: u64, seeds: u64) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.current_dir(&workspace.root);
    // The profile of the benchmarks: what they built is used again.
    cargo.args(["run", "--profile=bench", "-p", "fsm-testkit", "--example", "sim", "--"]);
    cargo.args([from.to_string(), seeds.to_string()]);
    shell::run(&mut cargo)
        .context("the simulation found broken rules: each is shown above with a script that repeats it")
}
