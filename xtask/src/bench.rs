//! Runs the benchmarks, checks what noise can't move, and makes one table of the rest.

mod gates;
mod table;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use bench_support::Record;
use serde_json::Value;

use crate::shell;
use crate::workspace::{Package, Workspace};

/// What to run.
#[derive(Default)]
pub(crate) struct Request {
    /// A package, a bench target or a case; all of them without.
    pub(crate) name: Option<String>,
    /// Small sizes and few runs: for the gates, not for the times.
    pub(crate) quick: bool,
    /// Put the rows into docs/benchmarks.md.
    pub(crate) write: bool,
}

/// Runs what is asked for and fails if a gate does.
pub(crate) fn run(workspace: &Workspace, request: &Request) -> Result<()> {
    if request.quick && request.write {
        bail!(
            "the quick form is for gates; its times don't belong in docs/benchmarks.md: leave out --quick or --write"
        );
    }
    let (targets, case) = select(workspace, request.name.as_deref());
    if targets.is_empty() {
        println!("there are no benchmarks: no member has a [[bench]] target");
    }
    let programs = build(workspace, &targets)?;
    let mut records = Vec::new();
    for program in &programs {
        records.extend(measure(program, request.quick, case)?);
    }
    if let Some(case) = case
        && records.is_empty()
    {
        bail!("`{case}` is no package, bench target or case; targets: {}", names(&targets).join(", "));
    }
    print!("{}", table::text(&records));
    if request.write {
        table::write(&workspace.path("docs/benchmarks.md"), &records)?;
    }
    let mut broken = gates::broken(&records);
    if request.name.is_none() {
        broken.extend(gates::missing(&records));
    }
    if !broken.is_empty() {
        bail!("{} gates don't hold:\n  {}", broken.len(), broken.join("\n  "));
    }
    Ok(())
}

type Target<'a> = (&'a Package, &'a str);

/// The targets to build, and the case to ask them for if the name is no target's.
fn select<'a, 'n>(workspace: &'a Workspace, name: Option<&'n str>) -> (Vec<Target<'a>>, Option<&'n str>) {
    let all: Vec<Target<'_>> = workspace
        .packages
        .iter()
        .flat_map(|package| package.benches.iter().map(move |bench| (package, bench.as_str())))
        .collect();
    let Some(name) = name else { return (all, None) };
    let named: Vec<_> =
        all.iter().copied().filter(|(package, bench)| package.name == name || *bench == name).collect();
    if named.is_empty() { (all, Some(name)) } else { (named, None) }
}

fn names(targets: &[Target<'_>]) -> Vec<String> {
    targets.iter().map(|(package, bench)| format!("{} ({})", bench, package.name)).collect()
}

struct Program {
    executable: PathBuf,
    /// Where cargo would start it: the package's folder.
    folder: PathBuf,
}

/// Builds all targets in one go, so that they share one choice of features.
fn build(workspace: &Workspace, targets: &[Target<'_>]) -> Result<Vec<Program>> {
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = shell::cargo();
    command.current_dir(&workspace.root).args([
        "bench",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    for (package, bench) in targets {
        command.args(["-p", &package.name, "--bench", bench]);
        for feature in package.bench_features(bench) {
            command.arg(format!("--features={}/{feature}", package.name));
        }
    }
    command.stderr(Stdio::inherit());
    let mut programs = Vec::new();
    for line in shell::capture(&mut command)?.lines() {
        let message: Value = serde_json::from_str(line).context("cargo's messages are JSON")?;
        let is_bench =
            message["target"]["kind"].as_array().is_some_and(|kinds| kinds.contains(&"bench".into()));
        if let (true, Some(executable), Some(manifest)) =
            (is_bench, message["executable"].as_str(), message["manifest_path"].as_str())
        {
            let folder = PathBuf::from(manifest).parent().map(PathBuf::from).unwrap_or_default();
            programs.push(Program { executable: executable.into(), folder });
        }
    }
    programs.sort_by(|a, b| a.executable.cmp(&b.executable));
    Ok(programs)
}

fn measure(program: &Program, quick: bool, case: Option<&str>) -> Result<Vec<Record>> {
    let name = program.executable.display();
    let mut command = Command::new(&program.executable);
    command.current_dir(&program.folder).arg("--bench").args(quick.then_some("--quick")).args(case);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start the benchmark {name}"))?;
    let output = child.stdout.take().context("the benchmark's output is piped")?;
    let mut records = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.with_context(|| format!("could not read the output of {name}"))?;
        match Record::from_line(&line) {
            Some(record) => {
                records.push(record.with_context(|| format!("{name} printed a broken record: {line}"))?)
            }
            None => println!("{line}"),
        }
    }
    let status = child.wait().with_context(|| format!("could not wait for {name}"))?;
    if !status.success() {
        bail!("the benchmark {name} failed ({status})");
    }
    if records.is_empty() && case.is_none() {
        bail!("the benchmark {name} printed no record: print one with `bench_support::Record::print`");
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(script: &str) -> (tempfile::TempDir, Program) {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let executable = folder.path().join("bench");
        std::fs::write(&executable, format!("#!/bin/sh\n{script}\n")).expect("written");
        std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).expect("executable");
        let program = Program { executable, folder: folder.path().to_owned() };
        (folder, program)
    }

    #[test]
    fn records_are_read_among_other_lines() {
        let (_folder, program) =
            program(r#"echo warming up; echo "BENCH {\"id\":\"P1\",\"name\":\"$*\",\"unit\":\"count\"}""#);
        let records = measure(&program, true, Some("P1")).expect("a record");
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].name, "--bench --quick P1");
    }

    #[test]
    fn a_benchmark_that_fails_or_says_nothing_is_an_error() {
        let (_folder, failing) = program("exit 3");
        assert!(measure(&failing, true, None).expect_err("failed").to_string().contains("failed"));
        let (_folder, silent) = program("true");
        assert!(measure(&silent, true, None).expect_err("silent").to_string().contains("no record"));
        assert!(measure(&silent, true, Some("P1")).expect("may not have the case").is_empty());
    }
}
