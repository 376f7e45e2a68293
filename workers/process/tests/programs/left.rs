//! Nobody is left, however he tried to stay.

use std::time::Duration;

use fsm_worker_process::Call;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{left, run, runner, sh, times, until};

/// Processes that leave group, session and parent; the mark is in the arguments of those whose environment is gone.
fn escapes(mark: &str) -> String {
    format!(
        "setsid sh -c 'sleep 600 & sleep 600 & wait' & \
         (env -i setsid /bin/sh -c '/bin/sleep 600; : {mark}' &) ; \
         (setsid sh -c 'trap \"\" TERM HUP; (setsid sleep 600 &); sleep 600' &) ;"
    )
}

// spec
#[tokio::test]
async fn a_grandchild_that_holds_stdout_delays_nothing() {
    let run = run(&sh("sleep 600 & echo '{\"result\": 1}'"), Call::new()).await;
    assert_eq!((run.ending.name(), run.output), ("success", Some(json!(1))));
    assert!(run.duration < Duration::from_secs(5), "{:?}", run.duration);
    assert!(run.resources.cpu.is_some(), "its keeper ended it, and told what it used");
}

// spec: X-4
#[tokio::test]
async fn who_leaves_group_and_session_is_ended_after_a_normal_exit() {
    let call = Call::new();
    let script = format!("{} sleep 0.2; echo '{{\"result\": 1}}'", escapes(&call.exec_id));
    let run = run(&sh(&script), call).await;
    assert_eq!((run.ending.name(), run.resources.cpu.is_some()), ("success", true), "its keeper ended all");
}

// spec: X-4
#[tokio::test]
async fn who_leaves_group_and_session_is_ended_at_the_deadline() {
    let call = Call::new();
    let script = format!("{} trap '' TERM; while :; do sleep 600; done", escapes(&call.exec_id));
    assert_eq!(run(&sh(&script).with_limits(times(500, 300)), call).await.ending.name(), "timeout");
}

// spec: X-4
#[tokio::test]
async fn many_who_fork_while_they_are_killed_are_ended() {
    let script =
        "for i in 1 2 3 4 5 6 7 8 9 10; do setsid sh -c 'while :; do sleep 0.01; done' & done; sleep 600";
    assert_eq!(run(&sh(script).with_limits(times(500, 200)), Call::new()).await.ending.name(), "timeout");
}

// spec
#[tokio::test]
async fn a_tool_that_kills_its_keeper_takes_nobody_into_freedom() {
    let call = Call::new();
    let script = "(setsid sleep 600 &); sleep 0.2; kill -9 $PPID; sleep 600";
    let run = run(&sh(script).with_limits(times(20_000, 300)), call).await;
    assert_eq!((run.ending.name(), run.ending.error_kind(), run.exit), ("keeper_lost", Some("wait"), None));
    assert!(run.duration < Duration::from_secs(10), "{:?}", run.duration);
}

// spec: X-4
#[tokio::test]
async fn a_tool_that_stops_its_keeper_ends_in_time() {
    let script = "kill -STOP $PPID; (setsid sleep 600 &); sleep 600";
    let run = run(&sh(script).with_limits(times(400, 300)), Call::new()).await;
    assert_eq!(run.ending.name(), "timeout");
}

// spec
#[tokio::test]
async fn a_cancelled_run_ends_as_cancelled() {
    let cancel = CancellationToken::new();
    let (runner, call) = (runner(), Call::new());
    let tool = sh("sleep 600 & sleep 600").with_limits(times(60_000, 2_000));
    let id = call.exec_id.clone();
    let running = runner.run(&tool, call, &cancel);
    let stopping = async {
        until("it runs", || left(&id, None).len() >= 3).await;
        cancel.cancel();
        Instant::now()
    };
    let (run, asked) = tokio::join!(running, stopping);
    assert_eq!((run.ending.outcome(), run.ending.error_kind()), ("cancelled", Some("cancelled")));
    assert!(asked.elapsed() < Duration::from_secs(2), "nobody resisted");
    assert_eq!(left(&id, run.pid), Vec::<String>::new());
    // One that was cancelled before starts nothing.
    assert_eq!(runner.run(&tool, Call::new(), &cancel).await.pid, None);
}

// spec: X-4
#[tokio::test]
async fn a_dropped_run_leaves_nobody() {
    let call = Call::new();
    let id = call.exec_id.clone();
    let script = format!("{} trap '' TERM; while :; do sleep 600; done", escapes(&id));
    let tool = sh(&script).with_limits(times(60_000, 300));
    let runner = runner();
    let cancel = CancellationToken::new();
    tokio::select! {
        _ = runner.run(&tool, call, &cancel) => panic!("it has no reason to end"),
        () = until("it runs", || left(&id, None).len() >= 8) => {}
    }
    until("nobody is left", || left(&id, None).is_empty()).await;
}

// spec: X-4
#[tokio::test]
async fn a_dropped_run_whose_keeper_is_stopped_leaves_nobody() {
    let call = Call::new();
    let id = call.exec_id.clone();
    let tool = sh("kill -STOP $PPID; sleep 600; :").with_limits(times(60_000, 100));
    let runner = runner();
    let cancel = CancellationToken::new();
    tokio::select! {
        _ = runner.run(&tool, call, &cancel) => panic!("it has no reason to end"),
        () = until("it runs", || left(&id, None).len() >= 2) => {}
    }
    until("nobody is left", || left(&id, None).is_empty()).await;
}
