//! What a run of a tool costs over starting its program and nothing else.

use std::process::{Command, Stdio};
use std::time::Duration;

use bench_support::{Bench, Record, Samples, Unit};
use fsm_metrics::{Metrics, MetricsConfig, NodeMetricsCollector, NodeMetricsConfig, RunMetrics};
use fsm_worker_process::{Call, Ending, Keeper, Protocol, Runner, Tool, ToolId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The shortest program there is.
const PROGRAM: &str = "/bin/true";

fn main() {
    let bench = Bench::from_args();
    if bench.wants("spawn") {
        spawn(&bench);
    }
}

fn nanos(took: Duration) -> f64 {
    took.as_secs_f64() * 1e9
}

/// As a program that doesn't care would do it: three pipes, start, wait.
fn bare() -> Duration {
    let began = Instant::now();
    let child = Command::new(PROGRAM)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    began.elapsed()
}

/// By turns, so that what else runs on the machine meets both.
fn spawn(bench: &Bench) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let metrics =
        Metrics::try_new(MetricsConfig::default(), &prometheus::Registry::new()).expect("free names");
    let statistics = NodeMetricsCollector::try_new(NodeMetricsConfig::default()).expect("a good config");
    let runner = Runner::new(Keeper::program(env!("CARGO_BIN_EXE_fsm-keeper")))
        .with_metrics(RunMetrics::new(&metrics))
        .with_node_metrics(statistics.into());
    let id = ToolId::try_new("bench/true").expect("a good id");
    let tool = Tool::try_new(id, [PROGRAM]).expect("a command").with_protocol(Protocol::Raw);
    let cancel = CancellationToken::new();
    let run = || {
        runtime.block_on(async {
            let began = Instant::now();
            let run = runner.run(&tool, Call::new(), &cancel).await;
            assert_eq!(run.ending, Ending::Success);
            began.elapsed()
        })
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // Once each before it counts.
    run();
    bare();
    for _ in 0..bench.size(500, 20) {
        ours.push(nanos(run()));
        theirs.push(nanos(bare()));
    }
    let (ours, theirs): (Samples, Samples) = (ours.into_iter().collect(), theirs.into_iter().collect());
    let bare = theirs.median();
    Record::new("spawn", "a run of /bin/true, behind its keeper, counted", Unit::Nanoseconds)
        .samples(&ours)
        .at_most(1.2 * bare)
        .ratio("a bare spawn with three pipes", bare / ours.median())
        .note("the target is 1.2 bare spawns of the same run")
        .print();
}
