//! Proves what crates do not depend on: an architecture is what is absent.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// The members that a member may depend on, directly or not, in a build without tests.
///
/// A member that is not listed is an arrow that nobody has drawn yet: a finding.
fn allowed(folder: &str) -> Option<&'static [&'static str]> {
    const CORE: &[&str] = &["fsm-core"];
    const ENGINE: &[&str] = &["fsm-core", "fsm-executor", "fsm-metrics", "fsm-store"];
    Some(match folder {
        "fsm-core" | "xtask/bench-support" => &[],
        "fsm-templating" | "fsm-metrics" | "fsm-store" => CORE,
        // The second is the sources of the first, again.
        "fsm-executor" | "fsm-executor/interleavings" => &["fsm-core", "fsm-metrics"],
        "fsm-supervisor" => ENGINE,
        "fsm-testkit" => &["fsm-core", "fsm-executor", "fsm-metrics", "fsm-store", "fsm-supervisor"],
        "xtask" => &["bench-support", "fsm-core", "fsm-metrics"],
        "fsmd" => EVERYTHING,
        // What a user of the crates may do.
        example if example.starts_with("examples/") => EVERYTHING,
        worker if worker.starts_with("workers/") => {
            &["fsm-core", "fsm-metrics", "fsm-store", "fsm-templating"]
        }
        _ => return None,
    })
}

/// Stands for all members but `fsmd` itself, on which nobody depends.
const EVERYTHING: &[&str] = &["*"];

/// Crates of others that a member must be free of, with the reason.
const FREE_OF: [(&str, &[&str], &str); 4] = [
    (
        "fsm-core",
        &["tokio", "prometheus", "rand", "getrandom", "async-trait", "futures", "mio", "tracing-subscriber"],
        "it is pure: no runtime, no I/O, no clock, no randomness",
    ),
    ("fsm-templating", &["tokio", "prometheus", "rand", "getrandom", "mio"], "rendering is pure"),
    ("fsm-metrics", &["tokio", "axum"], "recording needs no runtime"),
    (
        "fsm-supervisor",
        &["axum", "clap", "rumqttc", "rumqttd"],
        "the engine knows no protocol and no user interface",
    ),
];

/// Members whose promise is about a build without features.
///
/// Spans are exported by `fsm-metrics` on a thread of its own that has a runtime; who only records has neither.
const PLAIN: [&str; 1] = ["fsm-metrics"];

/// Checks every member; all that is wrong is told at once.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut wrong = Vec::new();
    for package in &workspace.packages {
        let mut tree = shell::cargo();
        tree.current_dir(&workspace.root).args(["tree", "-p", &package.name, "-e", "normal"]);
        if !PLAIN.contains(&package.name.as_str()) {
            tree.arg("--all-features");
        }
        tree.args(["--target=all", "--prefix=none", "--format={p}"]);
        let tree = shell::capture(&mut tree)?;
        let dependencies: BTreeSet<&str> = tree
            .lines()
            .filter_map(|line| line.split(' ').next())
            .filter(|name| *name != package.name)
            .collect();
        let members: Vec<&str> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
        let found = violations(&package.name, &package.folder, &dependencies, &members);
        wrong.extend(found);
    }
    if !wrong.is_empty() {
        bail!("{} arrows point the wrong way:\n  {}", wrong.len(), wrong.join("\n  "));
    }
    println!("{} members depend only on what they may", workspace.packages.len());
    Ok(())
}

fn violations(name: &str, folder: &str, dependencies: &BTreeSet<&str>, members: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let show = |other: &str| format!("see `cargo tree -p {name} -e normal --all-features -i {other}`");
    let Some(allowed) = allowed(folder) else {
        return vec![format!(
            "{name}: no arrow is drawn for it; say in xtask/src/ci/arrows.rs what it may depend on"
        )];
    };
    for member in members.iter().filter(|member| dependencies.contains(**member)) {
        let may = allowed.contains(member) || (allowed == EVERYTHING && *member != "fsmd");
        if !may {
            wrong.push(format!("{name} must not depend on {member}; {}", show(member)));
        }
    }
    for (_, crates, why) in FREE_OF.iter().filter(|(member, ..)| *member == name) {
        for other in crates.iter().filter(|other| dependencies.contains(**other)) {
            wrong.push(format!("{name} must not depend on {other}: {why}; {}", show(other)));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: [&str; 5] = ["fsm-core", "fsm-store", "fsm-supervisor", "fsm-worker-x", "fsmd"];

    #[track_caller]
    fn check(name: &str, folder: &str, dependencies: &[&str], expected: usize) {
        let dependencies = dependencies.iter().copied().collect();
        let wrong = violations(name, folder, &dependencies, &MEMBERS);
        assert_eq!(wrong.len(), expected, "{wrong:?}");
    }

    #[test]
    fn the_core_is_pure() {
        check("fsm-core", "fsm-core", &["serde", "indexmap"], 0);
        check("fsm-core", "fsm-core", &["tokio", "prometheus"], 2);
        check("fsm-core", "fsm-core", &["fsm-store"], 1);
    }

    #[test]
    fn workers_never_depend_on_the_supervisor() {
        check("fsm-worker-x", "workers/x", &["fsm-core", "fsm-store", "tokio"], 0);
        check("fsm-worker-x", "workers/x", &["fsm-supervisor"], 1);
    }

    #[test]
    fn nobody_depends_on_the_daemon() {
        check("fsmd", "fsmd", &["fsm-core", "fsm-supervisor", "fsm-worker-x"], 0);
        check("fsm-supervisor", "fsm-supervisor", &["fsmd"], 1);
    }

    #[test]
    fn a_new_member_needs_its_arrow() {
        check("fsm-new", "fsm-new", &[], 1);
    }
}
