//! Many runs at a time: all are counted, and nothing is left open or alive. One test in a binary of its own, because open files
//! are those of the whole process.

use std::fs;
use std::sync::Arc;

use fsm_metrics::{Metrics, RunMetrics};
use fsm_worker_process::{Call, Keeper, Runner, Tool, ToolId};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What this process has open.
fn files() -> usize {
    fs::read_dir("/proc/self/fd").expect("there is /proc").count()
}

/// Processes that this one started and that are not reaped.
fn children() -> usize {
    let own = std::process::id().to_string();
    let stats = fs::read_dir("/proc").expect("there is /proc").filter_map(|entry| {
        let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        Some(stat[stat.rfind(')')? + 1..].split_whitespace().nth(1)? == own)
    });
    stats.filter(|ours| *ours).count()
}

fn sum(text: &str, name: &str, label: &str) -> usize {
    let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}

// spec: X-7, X-4
#[tokio::test]
async fn a_thousand_runs_fifty_at_a_time_are_all_counted_and_leave_nothing() {
    const RUNS: usize = 1_000;
    let metrics = Metrics::try_new(Default::default(), &prometheus::Registry::new()).expect("free names");
    let runner = Runner::new(Keeper::program(env!("CARGO_BIN_EXE_fsm-keeper")))
        .with_metrics(RunMetrics::new(&metrics));
    let id = ToolId::try_new("load/test").expect("a good id");
    let script = r#"case $FSM_EXEC_ID in *[05]) exit 3;; *7) kill -9 $$;; esac; echo '{"result": 1}'"#;
    let tool = Arc::new(Tool::try_new(id, ["sh", "-c", script]).expect("a command"));
    // Whatever a first run leaves open for good is open now.
    runner.run(&tool, Call::new(), &CancellationToken::new()).await;
    let (files_before, children_before) = (files(), children());

    let places = Arc::new(Semaphore::new(50));
    let mut running = JoinSet::new();
    for _ in 1..RUNS {
        let place = Arc::clone(&places).acquire_owned().await.expect("it is not closed");
        let (runner, tool) = (runner.clone(), Arc::clone(&tool));
        running.spawn(async move {
            let run = runner.run(&tool, Call::new(), &CancellationToken::new()).await;
            drop(place);
            run.ending.outcome()
        });
    }
    let outcomes = running.join_all().await;
    assert_eq!(outcomes.len(), RUNS - 1);
    assert!(outcomes.contains(&"success") && outcomes.contains(&"error"));

    let text = metrics.encode();
    assert_eq!(sum(&text, "runtime_tool_execute_seconds_count{", "load/test"), RUNS);
    assert_eq!(sum(&text, "runtime_process_exits_total{", "status="), RUNS);
    let failed = outcomes.iter().filter(|outcome| **outcome == "error").count();
    assert!(
        sum(&text, "runtime_tool_errors_total{", "error_kind=\"wait\"") - failed <= 1,
        "and the first run"
    );
    assert_eq!((files(), children()), (files_before, children_before));
}
