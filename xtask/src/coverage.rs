//! Measures which lines the tests run, crate by crate, and holds the libraries to their share.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::ci::tools;
use crate::workspace::Workspace;
use crate::{markers, shell};

/// The share of lines, in per cent, that tests of every `fsm-*` crate reach: below it whole paths are untested.
const WANTED: f64 = 80.0;

/// Covered and countable lines.
#[derive(Clone, Copy, Default)]
struct Lines {
    covered: u64,
    count: u64,
}

/// Runs all tests instrumented, prints the table and puts it into docs/testing.md.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    tools::find_or_install(workspace, &tools::LLVM_COV)?;
    tools::find_or_install(workspace, &tools::NEXTEST)?;
    tools::peers()?;
    let path = tools::path(workspace);
    let report = workspace.target.join("coverage.json");
    let mut cargo = shell::cargo();
    cargo.current_dir(&workspace.root).env("PATH", path).env("INSTA_UPDATE", "no");
    // It asks rustup for llvm-tools by itself; without an answer it would wait for one.
    cargo.env("CARGO_LLVM_COV_SETUP", "yes");
    cargo.args([
        "llvm-cov",
        "nextest",
        "--workspace",
        "--all-features",
        "--json",
        "--summary-only",
        "--output-path",
    ]);
    shell::run(cargo.arg(&report))?;

    let text = fs::read_to_string(&report).with_context(|| format!("could not read {}", report.display()))?;
    let crates = by_crate(workspace, &text)?;
    let table = table(&crates);
    println!("{table}");
    let document = workspace.path("docs/testing.md");
    let testing =
        fs::read_to_string(&document).with_context(|| format!("could not read {}", document.display()))?;
    let testing = markers::replace(&testing, "coverage", &table)?;
    fs::write(&document, testing).with_context(|| format!("could not write {}", document.display()))?;
    let low = below(&crates);
    if !low.is_empty() {
        bail!("below {WANTED} % of lines: {}", low.join(", "));
    }
    Ok(())
}

fn by_crate(workspace: &Workspace, report: &str) -> Result<BTreeMap<String, Lines>> {
    let report: Value = serde_json::from_str(report).context("the coverage report is no JSON")?;
    let mut crates: BTreeMap<String, Lines> = BTreeMap::new();
    let root = format!("{}/", workspace.root.display());
    for file in report["data"][0]["files"].as_array().context("the coverage report has no files")? {
        let path = file["filename"].as_str().unwrap_or_default();
        let Some(owner) = path.strip_prefix(&root).and_then(|path| workspace.owner(path)) else { continue };
        let lines = crates.entry(owner.name.clone()).or_default();
        lines.covered += file["summary"]["lines"]["covered"].as_u64().unwrap_or(0);
        lines.count += file["summary"]["lines"]["count"].as_u64().unwrap_or(0);
    }
    Ok(crates)
}

impl Lines {
    fn share(self) -> f64 {
        if self.count == 0 { 0.0 } else { self.covered as f64 * 100.0 / self.count as f64 }
    }
}

fn table(crates: &BTreeMap<String, Lines>) -> String {
    let mut out = String::from("| crate | lines | covered |\n|---|---|---|\n");
    for (name, lines) in crates {
        out.push_str(&format!("| {name} | {} | {:.1} % |\n", lines.count, lines.share()));
    }
    out
}

/// The libraries that miss the share.
fn below(crates: &BTreeMap<String, Lines>) -> Vec<String> {
    let low = crates.iter().filter(|(name, lines)| name.starts_with("fsm-") && lines.share() < WANTED);
    low.map(|(name, lines)| format!("{name} {:.1} %", lines.share())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    #[test]
    fn files_are_summed_by_crate_and_low_libraries_named() {
        let packages =
            vec![Package::new("fsm-a", "fsm-a"), Package::new("fsm-b", "b"), Package::new("xtask", "xtask")];
        let workspace = Workspace { root: "/w".into(), target: "/t".into(), packages };
        let file = |name: &str, covered: u64| serde_json::json!({"filename": name, "summary": {"lines": {"count": 100, "covered": covered}}});
        let files = [
            file("/w/fsm-a/src/x.rs", 70),
            file("/w/fsm-a/src/y.rs", 90),
            file("/w/b/src/x.rs", 79),
            file("/w/xtask/src/x.rs", 10),
            file("/elsewhere/x.rs", 0),
        ];
        let report = serde_json::json!({"data": [{"files": files}]}).to_string();
        let crates = by_crate(&workspace, &report).expect("a report");
        assert_eq!(below(&crates), ["fsm-b 79.0 %"]);
        assert!(table(&crates).contains("| fsm-a | 200 | 80.0 % |"));
    }
}
