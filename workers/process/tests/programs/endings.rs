//! Each program ends in the one right way.

use std::time::Duration;

use fsm_worker_process::{Call, Cgroups, Exit, Keeper, MemoryLimit, Runner, Tool, ToolId};
use serde_json::json;

use crate::support::{raw, run, run_with, runner, sh, times};

fn program(command: &[&str]) -> Tool {
    Tool::try_new(ToolId::try_new("t").expect("good"), command.to_vec()).expect("a command")
}

// spec: X-7
#[tokio::test]
async fn garbage_is_not_success() {
    for (script, why) in [
        ("echo garbage", "begins with \"garbage\\n\""),
        ("printf '{\"result\": \"\\377\"}'", "not UTF-8 from byte 12"),
        ("echo '{\"result\": 1'", "not one JSON value"),
    ] {
        let run = run(&sh(script), Call::new()).await;
        assert_eq!((run.ending.name(), run.ending.error_kind()), ("parse", Some("parse")));
        assert!(run.ending.to_string().contains(why), "{}", run.ending);
    }
    assert_eq!(run(&raw("printf '\\377'"), Call::new()).await.ending.name(), "parse");
}

// spec: X-7
#[tokio::test]
async fn a_result_with_a_bad_exit_is_kept_and_an_error() {
    let run = run(&sh("echo '{\"result\": {\"a\": 1}}'; exit 3"), Call::new()).await;
    assert_eq!((run.ending.name(), run.exit), ("exit_nonzero", Some(Exit::Code(3))));
    assert_eq!((run.ending.error_kind(), run.output), (Some("wait"), Some(json!({"a": 1}))));
}

// spec: X-7
#[tokio::test]
async fn a_signal_is_told_by_its_number() {
    // 40 is a real-time signal, which has no name.
    for signal in [11, 9, 6, 15, 40] {
        let run = run(&sh(&format!("kill -{signal} $$; sleep 600")), Call::new()).await;
        assert_eq!((run.ending.name(), run.exit), ("signaled", Some(Exit::Signal(signal))));
    }
}

// spec
#[tokio::test]
async fn a_tool_that_sleeps_past_its_timeout_is_ended() {
    let run = run(&sh("sleep 600").with_limits(times(200, 5_000)), Call::new()).await;
    assert_eq!((run.ending.outcome(), run.ending.error_kind()), ("timeout", Some("timeout")));
    assert!(run.duration < Duration::from_secs(2), "it did not resist: {:?}", run.duration);
}

// spec: X-4
#[tokio::test]
async fn the_polite_signal_leaves_time_to_tidy_up() {
    let script = "trap 'sleep 0.3; echo bye >&2; exit 0' TERM; sleep 600 & wait";
    let run = run(&sh(script).with_limits(times(300, 5_000)), Call::new()).await;
    assert_eq!((run.ending.name(), run.exit), ("timeout", Some(Exit::Code(0))));
    assert_eq!(run.stderr.text(), "bye\n");
}

// spec: X-4
#[tokio::test]
async fn helpers_of_a_tool_that_obeys_have_the_rest_of_the_grace() {
    let script =
        "sh -c 'trap \"sleep 0.3; echo helper >&2; exit\" TERM; sleep 600 & wait' & trap 'exit 0' TERM; wait";
    let run = run(&sh(script).with_limits(times(400, 5_000)), Call::new()).await;
    assert_eq!((run.ending.name(), run.stderr.text().as_ref()), ("timeout", "helper\n"));
}

// spec: X-4
#[tokio::test]
async fn a_tool_that_ignores_the_polite_signal_is_killed_after_the_grace() {
    let script = "trap '' TERM; while :; do sleep 600; done";
    let run = run(&sh(script).with_limits(times(300, 300)), Call::new()).await;
    assert_eq!((run.ending.name(), run.exit), ("timeout", Some(Exit::Signal(9))));
    assert!(run.duration >= Duration::from_millis(600), "it had its grace: {:?}", run.duration);
}

// spec: X-7
#[tokio::test]
async fn what_cannot_be_started_says_what_to_do() {
    let cases = [
        (program(&["no-such-program"]), "there is no program `no-such-program` in /"),
        (program(&["/etc/passwd"]), "may not be executed"),
        (sh("exit 0").with_cwd("/no/such/folder"), "its folder /no/such/folder is not there"),
    ];
    for (tool, why) in cases {
        let run = run(&tool, Call::new()).await;
        assert_eq!((run.ending.name(), run.ending.error_kind()), ("spawn_failed", Some("start")));
        assert!(run.ending.to_string().contains(why), "{}", run.ending);
    }
    for (keeper, why) in [("/bin/true", "did not answer"), ("/no/such/keeper", "can't start its keeper")] {
        let run = run_with(&Runner::new(Keeper::program(keeper)), &sh("exit 0"), Call::new()).await;
        assert!(run.ending.to_string().contains(why), "{}", run.ending);
    }
}

// spec
#[tokio::test]
async fn a_tool_that_needs_more_memory_than_it_may() {
    let mut limits = times(20_000, 500);
    limits.memory = Some(32 << 20);
    let tool = raw("head -c 100000000 /dev/zero | tail -c 100000000 | wc -c; kill -9 $$").with_limits(limits);
    match Cgroups::detect() {
        Some(cgroups) => {
            let run = run_with(&runner().with_cgroups(cgroups), &tool, Call::new()).await;
            if run.memory_limit == MemoryLimit::Held {
                assert_eq!((run.ending.name(), run.ending.error_kind()), ("oom", Some("wait")));
                return;
            }
            println!("no memory controller in the cgroup: the limit is not held, and the run says so");
            assert_eq!((run.ending.name(), run.memory_limit), ("signaled", MemoryLimit::NotHeld));
        }
        None => {
            println!("no cgroup can be written here: the limit is not held, and the run says so");
            let run = run(&tool, Call::new()).await;
            assert_eq!((run.ending.name(), run.memory_limit), ("signaled", MemoryLimit::NotHeld));
        }
    }
}
