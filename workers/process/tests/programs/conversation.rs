//! What goes in, what comes out, and that neither waits for the other.

use std::time::Duration;

use fsm_worker_process::{Call, Environment, Protocol};
use serde_json::{Value, json};

use crate::support::{raw, run, sh, times};

const MIB: usize = 1 << 20;

// spec: X-1
#[tokio::test]
async fn a_tool_gets_one_object_and_its_result_comes_back() {
    let env = Environment::default().with("PRINTER", "10.0.0.9").expect("good");
    let tool = sh(r#"printf '{"metadata": {"m": 1}, "result": '; cat; printf '}'"#)
        .with_env(env)
        .with_config(json!({"dpi": 300}));
    let call = Call::new().with_input(json!({"label": "ä"}));
    let run = run(&tool, call.clone()).await;
    let expected = json!({
        "tool_id": "test/sh", "exec_id": call.exec_id, "input": {"label": "ä"}, "config": {"dpi": 300},
        "env": {"PRINTER": "10.0.0.9"}, "timeout_ms": 60_000,
    });
    assert_eq!(
        (run.ending.name(), run.output, run.metadata),
        ("success", Some(expected), Some(json!({"m": 1})))
    );
    assert_eq!((run.ending.outcome(), run.ending.error_kind()), ("success", None));
}

// spec: X-1, X-7
#[tokio::test]
async fn a_tools_own_error_is_told_as_its_own() {
    let run = run(&sh(r#"echo '{"error": {"message": "no paper", "name": "Printer"}}'"#), Call::new()).await;
    assert_eq!(run.ending.to_string(), "the tool says: Printer: no paper");
    assert_eq!(run.ending.error_kind(), Some("tool"));
}

// spec: X-1
#[tokio::test]
async fn an_ordinary_command_is_a_tool_too() {
    let run = run(&raw("tr a-z A-Z"), Call::new().with_input("quiet\n".into())).await;
    assert_eq!((run.ending.name(), run.output), ("success", Some(json!("QUIET\n"))));
}

// spec: X-2
#[tokio::test]
async fn a_tool_that_never_reads_its_stdin_succeeds() {
    let input = Value::from("x".repeat(5 * MIB));
    for tool in [sh("exit 0"), sh("exec <&-; echo 1 >&2"), sh("head -c 10 >/dev/null")] {
        let run = run(&tool, Call::new().with_input(input.clone())).await;
        assert_eq!((run.ending.name(), run.output), ("success", Some(json!({}))));
    }
}

// spec: X-2
#[tokio::test]
async fn writing_and_reading_do_not_wait_for_each_other() {
    let input = "0123456789abcdef".repeat(5 * MIB / 16);
    let tool = raw("head -c 1048576 /dev/zero >&2; cat");
    let run = run(&tool, Call::new().with_input(input.clone().into())).await;
    assert_eq!((run.ending.name(), run.stdout_bytes), ("success", Some(input.len() as u64)));
    assert_eq!(run.output, Some(Value::from(input)));
}

// spec: X-2, X-3
#[tokio::test]
async fn too_much_on_stdout_ends_the_run() {
    let run = run(&sh("head -c 67108864 /dev/zero"), Call::new()).await;
    assert_eq!((run.ending.name(), run.stdout_bytes, run.output), ("output_limit", None, None));
    assert_eq!(run.ending.error_kind(), Some("output_limit"));
}

// spec: X-2, X-3
#[tokio::test]
async fn exactly_the_limit_is_not_too_much() {
    for (bytes, ending) in [(1000, "success"), (1001, "output_limit")] {
        let mut limits = times(20_000, 500);
        limits.stdout = 1000;
        let tool = raw(&format!("head -c {bytes} /dev/zero | tr '\\0' x")).with_limits(limits);
        assert_eq!(run(&tool, Call::new()).await.ending.name(), ending);
    }
}

// spec: X-2
#[tokio::test]
async fn stderr_is_read_to_its_end_and_kept_in_part() {
    let run = run(&sh("echo first >&2; head -c 67108864 /dev/zero >&2; echo last >&2"), Call::new()).await;
    assert_eq!(run.ending.name(), "success");
    assert_eq!(run.stderr.total(), 67_108_864 + 11);
    assert_eq!(run.stderr.total() - run.stderr.dropped(), 1 << 20, "what is kept is the limit");
    let text = run.stderr.text();
    assert!(text.starts_with("first\n") && text.ends_with("last\n"), "beginning and end are there");
}

// spec: X-2
#[tokio::test]
async fn a_line_without_an_end_on_stderr_is_no_matter() {
    let run = run(&sh("head -c 10485760 /dev/zero | tr '\\0' x >&2"), Call::new()).await;
    assert_eq!((run.ending.name(), run.stderr.total()), ("success", 10 << 20));
}

// spec: X-5
#[tokio::test]
async fn only_what_is_allowed_is_in_its_environment() {
    // Cargo sets many variables for this process: they stand for the daemon's secrets.
    assert!(std::env::var("CARGO_PKG_NAME").is_ok());
    let env = Environment::default().with("TOKEN", "t=1").expect("good");
    let tool = raw("env").with_env(env);
    let call = Call::new().with_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let run = run(&tool, call.clone()).await;
    let output = run.output.expect("it ran");
    let mut names: Vec<&str> = output
        .as_str()
        .expect("text")
        .lines()
        .map(|line| line.split('=').next().unwrap_or_default())
        .collect();
    names.sort_unstable();
    // What the shell makes up by itself.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    let allowed = ["FSM_EXEC_ID", "HOME", "LANG", "PATH", "TMPDIR", "TOKEN", "TRACEPARENT", "TZ"];
    assert!(names.iter().all(|name| allowed.contains(name)), "{names:?}");
    assert!(output.as_str().is_some_and(|all| all.contains("TOKEN=t=1\n")));
}

// spec: X-8
#[tokio::test]
async fn the_trace_context_is_passed_if_there_is_one() {
    let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let tool = raw("printf '%s' \"${TRACEPARENT-none}\"");
    assert_eq!(run(&tool, Call::new().with_traceparent(context)).await.output, Some(json!(context)));
    assert_eq!(run(&tool, Call::new()).await.output, Some(json!("none")));
}

// spec: X-9
#[tokio::test]
async fn what_a_run_used_is_known() {
    // The work is done by a grandchild.
    let script = "printf x; sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'";
    let run = run(&raw(script), Call::new()).await;
    let used = run.resources;
    assert!(used.cpu.is_some_and(|cpu| cpu > Duration::from_millis(20) && cpu < run.duration), "{used:?}");
    assert!(used.peak_rss.is_some_and(|bytes| (1 << 18..1 << 30).contains(&bytes)), "{used:?}");
    assert!(used.first_byte.is_some_and(|first| first < run.duration), "{used:?}");
    let silent = crate::support::run(&sh("exit 0"), Call::new()).await;
    assert_eq!(silent.resources.first_byte, None);
}

// spec: X-3, X-7
#[tokio::test]
async fn a_call_that_cannot_be_taken_starts_nothing() {
    let mut limits = times(5_000, 500);
    limits.request = 100;
    let tool = sh("exit 0").with_limits(limits);
    let mut bad_id = Call::new();
    bad_id.exec_id = "a/b".into();
    for (call, why) in [
        (Call::new().with_input("x".repeat(200).into()), "may have 100"),
        (bad_id, "can't be the id of a run"),
    ] {
        let run = run(&tool.clone().with_protocol(Protocol::Raw), call).await;
        assert!(run.ending.to_string().contains(why), "{}", run.ending);
        assert_eq!(
            (run.ending.name(), run.ending.error_kind(), run.pid),
            ("invalid_input", Some("start"), None)
        );
    }
    let run = run(&sh("exit 0"), Call::new().with_traceparent("a\nb")).await;
    assert_eq!(run.ending.name(), "invalid_input");
}
