//! The gate that every change passes, the same for a developer and for CI: cheap steps first, tests last.

mod arrows;
mod examples;
pub(crate) mod tools;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::fsmd::Fsmd;
use crate::workspace::Workspace;
use crate::{bench, codegen, shell, sim, tidy};

/// Runs every step; the first that fails ends it. On success it does not return: the test runner takes
/// the place of this process, so that its summary is the last thing printed and its exit code is ours.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut ci = Ci { workspace, path: tools::path(workspace), done: Vec::new() };
    let fsmd = Fsmd::built(workspace);
    let mut runner = Runner::Nextest;

    ci.step("tools", |ci| {
        tools::components(&[("rustfmt", "fmt"), ("clippy", "clippy")])?;
        tools::peers()?;
        runner = Runner::find(ci.workspace);
        Ok(())
    })?;
    ci.step("format", |ci| {
        let told = "run `cargo fmt --all`";
        shell::run(ci.cargo().args(["fmt", "--all", "--check"])).context(told)
    })?;
    ci.step("tidy", |ci| tidy::run(ci.workspace, ""))?;
    ci.step("dependencies", |ci| arrows::check(ci.workspace))?;
    ci.step("clippy", |ci| {
        let mut clippy = ci.cargo();
        clippy.args(["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]);
        shell::run(&mut clippy)
    })?;
    // Everything that is built without optimisation, in one go and with one choice of features.
    ci.step("build", |ci| {
        shell::run(ci.cargo().args(["build", "--workspace", "--all-features", "--lib", "--bins", "--tests"]))
    })?;
    ci.step("codegen", |ci| codegen::run(ci.workspace, &fsmd, true, None))?;
    ci.step("example configs", |ci| examples::check_configs(ci.workspace, &fsmd))?;
    ci.step("docs", |ci| {
        let mut doc = ci.cargo();
        doc.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--workspace", "--all-features", "--no-deps"]);
        shell::run(&mut doc)
    })?;
    ci.step("doctests", |ci| {
        // That crate is the executor's sources once more, for a scheduler that no doctest brings along.
        let others = ["--workspace", "--exclude", "fsm-executor-interleavings", "--all-features"];
        shell::run(ci.cargo().args(["test", "--doc"]).args(others).args(["--", "--quiet"]))
    })?;
    ci.step("example crates", |ci| examples::test_crates(ci.workspace, || ci.cargo()))?;
    ci.step("quick benches", |ci| {
        bench::run(ci.workspace, &bench::Request { quick: true, ..bench::Request::default() })
    })?;
    ci.step("simulation", |ci| sim::run(ci.workspace, 0, sim::CI_SEEDS))?;
    ci.report();
    Err(ci.exec_tests(runner))
}

struct Ci<'a> {
    workspace: &'a Workspace,
    path: OsString,
    done: Vec<(&'static str, Duration)>,
}

/// What runs the tests.
enum Runner {
    Nextest,
    /// Where nextest could not be installed: better than no tests.
    CargoTest,
}

impl Runner {
    fn find(workspace: &Workspace) -> Self {
        match tools::find_or_install(workspace, &tools::NEXTEST) {
            Ok(()) => Self::Nextest,
            Err(error) => {
                println!(
                    "{error:#}\nwithout it, `cargo test` runs the tests: slower, and several to a process"
                );
                Self::CargoTest
            }
        }
    }
}

impl Ci<'_> {
    fn step(&mut self, name: &'static str, work: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        println!("\n━━ {name}");
        let (outcome, took) = shell::timed(|| work(self));
        outcome.with_context(|| format!("ci stopped at `{name}` after {}", seconds(took)))?;
        println!("━━ {name}: fine after {}", seconds(took));
        self.done.push((name, took));
        Ok(())
    }

    fn report(&self) {
        println!("\n━━ done so far");
        for (name, took) in &self.done {
            println!("{:>8}  {name}", seconds(*took));
        }
    }

    /// Becomes the test runner; returns only if that can't be started.
    fn exec_tests(&self, runner: Runner) -> anyhow::Error {
        println!("\n━━ tests");
        let mut tests = self.cargo();
        match runner {
            Runner::Nextest => tests.args(["nextest", "run", "--profile=ci"]),
            Runner::CargoTest => tests.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]),
        };
        tests.args(["--workspace", "--all-features"]).stdin(Stdio::null());
        anyhow::Error::new(tests.exec()).context("could not start the tests")
    }

    /// Cargo with what makes a run repeatable: no input, no snapshots taken, the tools in its path.
    fn cargo(&self) -> Command {
        let mut cargo = shell::cargo();
        cargo.current_dir(&self.workspace.root).env("PATH", &self.path);
        cargo.envs([("CI", "true"), ("INSTA_UPDATE", "no")]);
        cargo
    }
}

fn seconds(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        assert_eq!(seconds(Duration::from_millis(1_240)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
    }
}
