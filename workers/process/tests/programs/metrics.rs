//! What is counted of programs that nobody waits for, and of those that run all the time. What is counted of a run that comes
//! to its end is looked at after every run of the other tests, by `support::run`.

use fsm_testkit::Workbench;
use fsm_worker_process::{
    Call, Exit, Keeper, Process, ProcessAction, ProcessConfig, ToolAction, ToolConfig, ToolWorker,
};
use tokio_util::sync::CancellationToken;

use crate::counted::Counted;
use crate::support::{left, runner, script, seen, sh, times, until};

/// Runs it, and lets it go once that holds of its id.
async fn dropped(counted: &Counted, script: &str, grace: u64, runs: impl Fn(&str) -> bool) -> String {
    let call = Call::new();
    let id = call.exec_id.clone();
    let tool = sh(script).with_limits(times(60_000, grace));
    let runner = counted.by(&runner());
    let cancel = CancellationToken::new();
    tokio::select! {
        _ = runner.run(&tool, call, &cancel) => panic!("it has no reason to end"),
        () = until("it runs", || runs(&id)) => {}
    }
    id
}

// spec
#[tokio::test]
async fn a_dropped_run_is_counted_as_cancelled_and_its_process_when_it_left() {
    for (script, grace, processes, exit) in [
        ("trap 'exit 7' TERM; sleep 600 & wait", 10_000, 2, Exit::Code(7)),
        ("sleep 600 & sleep 600", 10_000, 3, Exit::Signal(15)),
        ("trap '' TERM; sleep 600 & while :; do sleep 600; done", 200, 3, Exit::Signal(9)),
    ] {
        let counted = Counted::new();
        let id = dropped(&counted, script, grace, |id| left(id, None).len() >= processes).await;
        assert_eq!(
            (counted.calls("cancelled"), counted.sum("runtime_tool_execute_seconds_count", &[])),
            (1, 1)
        );
        assert_eq!(counted.sum("runtime_tool_errors_total", &["error_kind=\"cancelled\""]), 1);
        let statistics = counted.statistics.get("test/sh");
        assert_eq!((statistics.failure_count, statistics.other_errors), (1, 1));
        until("its process is counted", || counted.all_exits() > 0).await;
        assert_eq!((counted.exits(exit), counted.all_exits()), (1, 1), "{script}");
        until("nobody is left", || left(&id, None).is_empty()).await;
    }
}

// spec
#[tokio::test]
async fn a_dropped_run_whose_keeper_is_stopped_is_counted_as_killed() {
    let (counted, folder) = (Counted::new(), tempfile::tempdir().expect("a folder"));
    let stopped = folder.path().join("stopped");
    // Its keeper has told that it runs by the time that it goes on from its pipe.
    let text = format!("read request; kill -STOP $PPID; : > {}; sleep 600; :", stopped.display());
    dropped(&counted, &text, 100, |_| stopped.exists()).await;
    until("its process is counted", || counted.all_exits() > 0).await;
    assert_eq!((counted.exits(Exit::Signal(9)), counted.all_exits()), (1, 1));
}

// spec: X-7
#[tokio::test]
async fn a_run_that_was_cancelled_before_it_began_is_a_call_and_no_process() {
    let (counted, cancel) = (Counted::new(), CancellationToken::new());
    cancel.cancel();
    let run = counted.by(&runner()).run(&sh("exit 0"), Call::new(), &cancel).await;
    assert_eq!(run.ending.name(), "cancelled");
    counted.check(&run);
}

fn process(counted: &Counted, text: &str) -> Workbench<Process> {
    let keeper = Keeper::program(env!("CARGO_BIN_EXE_fsm-keeper"));
    let config: ProcessConfig = script(text);
    Workbench::new(Process::new(keeper).with_metrics(counted.runs.clone()), config)
}

// spec: X-4
#[tokio::test]
async fn a_process_is_counted_each_time_it_leaves() {
    let counted = Counted::new();
    let bench = process(&counted, "exit 3");
    bench.execute(ProcessAction::Start).await.expect("it can be started");
    seen(&bench, "its end", |seen| seen.ended).await;
    assert_eq!((counted.exits(Exit::Code(3)), counted.all_exits()), (1, 1));
    assert_eq!(counted.sum("runtime_tool_execute_seconds_count", &[]), 0, "it is no tool");

    let bench = process(&counted, "sleep 600");
    let mut ended = 0;
    for end in [ProcessAction::Stop, ProcessAction::Kill] {
        bench.execute(ProcessAction::Start).await.expect("it can be started");
        bench.execute(end).await.expect("it can be ended");
        let killed = [Exit::Signal(15), Exit::Signal(9)].map(|exit| counted.exits(exit));
        ended += 1;
        assert_eq!(killed.iter().sum::<u64>(), ended, "{end:?}");
    }
    bench.execute(ProcessAction::Start).await.expect("it can be started");
    drop(bench);
    until("it is counted", || counted.all_exits() == 4).await;
}

// spec: X-7, M-1
#[tokio::test]
async fn all_nodes_of_the_kind_tool_are_counted_under_one_name() {
    let counted = Counted::new();
    let runner = counted.by(&runner());
    let bench = Workbench::new(ToolWorker::new(runner), ToolConfig::new(["sh", "-c", "exit 4"]));
    bench.execute(ToolAction::Start).await.expect("it can be started");
    let node = ["tool_id=\"_node\"", "outcome=\"error\""];
    until("its run is counted", || counted.sum("runtime_tool_execute_seconds_count", &node) == 1).await;
    assert_eq!(counted.exits(Exit::Code(4)), 1);
}
