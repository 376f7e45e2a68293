//! Tools in shell, and a look through the process table for what a run left.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use fsm_testkit::Workbench;
use fsm_worker_process::{
    Call, Keeper, Limits, Process, ProcessConfig, ProcessObserved, Protocol, Run, Runner, Tool, ToolId,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::counted::Counted;

/// How long a condition that comes about by itself may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn runner() -> Runner {
    Runner::new(Keeper::program(env!("CARGO_BIN_EXE_fsm-keeper")))
}

pub(crate) fn sh(script: &str) -> Tool {
    Tool::try_new(ToolId::try_new("test/sh").expect("a good id"), ["sh", "-c", script]).expect("a command")
}

pub(crate) fn raw(script: &str) -> Tool {
    sh(script).with_protocol(Protocol::Raw)
}

/// Limits with these times in milliseconds.
pub(crate) fn times(timeout: u64, grace: u64) -> Limits {
    let mut limits = Limits::default();
    limits.timeout = Duration::from_millis(timeout);
    limits.grace = Duration::from_millis(grace);
    limits
}

/// Runs it and holds what is promised of every run: in time, nobody left, and counted as what it was.
pub(crate) async fn run(tool: &Tool, call: Call) -> Run {
    run_with(&runner(), tool, call).await
}

pub(crate) async fn run_with(runner: &Runner, tool: &Tool, call: Call) -> Run {
    let counted = Counted::new();
    let run = counted.by(runner).run(tool, call, &CancellationToken::new()).await;
    counted.check(&run);
    let limits = tool.limits();
    let bound = limits.timeout + limits.grace + Duration::from_secs(1);
    assert!(run.duration <= bound, "{:?} is more than {bound:?}", run.duration);
    assert_eq!(left(&run.exec_id, run.pid), Vec::<String>::new(), "somebody is left");
    no_zombies().await;
    run
}

/// Processes of a run that live: by the mark in their environment or arguments, or in its group or session.
pub(crate) fn left(mark: &str, leader: Option<u32>) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("there is /proc") {
        let Ok(pid) = entry.expect("an entry").file_name().to_string_lossy().parse::<u32>() else { continue };
        let Some(fields) = stat(pid) else { continue };
        let marked = ["environ", "cmdline"].iter().any(|file| {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&text).contains(mark)
        });
        let related = leader.is_some_and(|leader| fields[2..4].contains(&leader.to_string()));
        let dead = ["Z", "X"].contains(&fields[0].as_str());
        if (marked || related) && !dead && pid != std::process::id() {
            found.push(format!("{pid} {}", fields[0]));
        }
    }
    found
}

/// State, parent, group, session, … of a process.
pub(crate) fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat[stat.rfind(')')? + 1..].split_whitespace().map(String::from).collect())
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::task::yield_now().await;
    }
}

/// Other tests of this process may have a keeper that ends just now.
async fn no_zombies() {
    let me = std::process::id().to_string();
    let zombie = |pid| stat(pid).is_some_and(|fields| fields[0] == "Z" && fields[1] == me);
    let pids = || {
        fs::read_dir("/proc")
            .expect("there is /proc")
            .filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse::<u32>().ok())
    };
    until("no child of ours is unreaped", || !pids().any(zombie)).await;
}

/// A process of the kind that runs this script.
pub(crate) fn script(text: &str) -> ProcessConfig {
    ProcessConfig::new(["sh", "-c", text])
}

pub(crate) fn bench(config: ProcessConfig) -> Workbench<Process> {
    let keeper = Keeper::program(env!("CARGO_BIN_EXE_fsm-keeper"));
    Workbench::new(Process::new(keeper), config)
}

pub(crate) async fn look(bench: &Workbench<Process>) -> Arc<ProcessObserved> {
    bench.collect().await.expect("what can't be read is missing, and no error")
}

/// Looks until it is as said.
pub(crate) async fn seen(
    bench: &Workbench<Process>,
    what: &str,
    holds: impl Fn(&ProcessObserved) -> bool,
) -> Arc<ProcessObserved> {
    let end = Instant::now() + PATIENCE;
    loop {
        let seen = look(bench).await;
        if holds(&seen) {
            return seen;
        }
        assert!(Instant::now() < end, "in vain: {what}; {seen:?}");
        tokio::task::yield_now().await;
    }
}

/// A mark for the arguments of a program, by which it is found in the process table.
pub(crate) fn mark() -> String {
    Call::new().exec_id
}
