//! The kind `process` and real programs: what is started is seen, what is stopped is gone.

use std::time::Duration;

use fsm_core::Worker;
use fsm_testkit::Workbench;
use fsm_worker_process::{Exit, Live, Process, ProcessAction, ProcessConfig, Ready};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::{bench, left, look, mark, script, seen, until};

async fn started(config: ProcessConfig) -> Workbench<Process> {
    let bench = bench(config);
    bench.execute(ProcessAction::Start).await.expect("it can be started");
    bench
}

#[tokio::test]
async fn what_it_uses_is_seen_even_without_the_figures_of_a_cgroup() {
    let bench = started(script("echo hello; echo oops >&2; sleep 600 & sleep 600")).await;
    let seen =
        seen(&bench, "its children and lines", |seen| seen.usage.processes == 3 && seen.log.len() == 2).await;
    assert!(seen.runs(bench.config()) && seen.ready && seen.pid.is_some(), "{seen:?}");
    assert!(seen.usage.cpu.is_some() && seen.usage.rss.is_some_and(|bytes| bytes > 0), "{:?}", seen.usage);
    assert_eq!(seen.usage.cgroup_memory, None, "it has no cgroup, and that is no error");
    let mut lines: Vec<&str> = seen.log.iter().map(|line| &**line).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["hello", "oops"]);
}

#[tokio::test]
async fn it_is_ready_when_it_says_so() {
    let mut config = script("read go </dev/null; sleep 0.3; echo now listening; sleep 600");
    config.ready = Ready::Log("listening".into());
    let bench = started(config).await;
    assert!(!look(&bench).await.ready);
    seen(&bench, "the line", |seen| seen.ready).await;
}

#[tokio::test]
async fn it_is_ready_when_its_port_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let mut config = script("sleep 600");
    config.ready = Ready::Tcp(address.to_string());
    let bench = started(config).await;
    assert!(!look(&bench).await.ready, "nobody listens there");
    let _listener = TcpListener::bind(address).await.expect("free again");
    seen(&bench, "an answer", |seen| seen.ready).await;
}

#[tokio::test]
async fn http_tells_ready_and_well_and_a_dead_server_is_noticed() {
    let mut config = ProcessConfig::new(["python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]);
    config.ready = Ready::Log("Serving HTTP".into());
    let server = started(config).await;
    let said = seen(&server, "its port", |seen| seen.ready).await;
    let port = said.log[0].split("port ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port");

    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let mut config = script("sleep 600");
    config.ready = Ready::Http(url("/no-such-file"));
    let unready = started(config.clone()).await;
    assert!(!look(&unready).await.ready, "404 is not ready");

    (config.ready, config.live) = (Ready::Http(url("/")), Some(Live::Http(url("/"))));
    let bench = started(config).await;
    let well = seen(&bench, "an answer", |seen| seen.ready).await;
    assert_eq!(well.unwell, None);

    server.execute(ProcessAction::Kill).await.expect("it can be killed");
    for _ in 0..2 {
        assert_eq!(look(&bench).await.unwell, None, "one or two failures are bad luck");
    }
    let seen = look(&bench).await;
    assert!(seen.unwell.as_ref().is_some_and(|why| why.contains(port)) && seen.ready, "{seen:?}");
}

#[tokio::test]
async fn how_it_left_is_seen_until_it_is_stopped() {
    let bench = started(script("exit 3")).await;
    let crashed = seen(&bench, "its end", |seen| !seen.alive).await;
    assert!(crashed.has_crashed(bench.config()) && crashed.exit == Some(Exit::Code(3)), "{crashed:?}");
    bench.execute(ProcessAction::Stop).await.expect("nothing to stop");
    let stopped = look(&bench).await;
    assert!(!stopped.ended && stopped.exit.is_none(), "{stopped:?}");
}

#[tokio::test]
async fn what_sets_something_up_is_done_when_it_leaves_well() {
    let mut config = script("exit 0");
    config.ready = Ready::Exit;
    let bench = started(config).await;
    seen(&bench, "its end", |seen| seen.is_done(bench.config())).await;
}

// spec: X-4
#[tokio::test]
async fn what_is_stopped_is_gone_with_all_that_it_started() {
    let mark = mark();
    let mut config = script(&format!(
        "(setsid sh -c 'trap \"\" TERM HUP; sleep 600; : {mark}' &); trap '' TERM; while :; do sleep 600; done"
    ));
    config.grace = Duration::from_millis(300).into();
    let bench = started(config).await;
    until("its child", || left(&mark, None).len() >= 2).await;
    bench.execute(ProcessAction::Stop).await.expect("it is killed after its grace");
    assert_eq!(left(&mark, None), Vec::<String>::new());
    assert!(!look(&bench).await.alive);
    assert_eq!(bench.tasks(), 0, "its task ends with it");
}

#[tokio::test]
async fn kill_does_not_wait_for_the_grace() {
    let mut config = script("trap '' TERM; while :; do sleep 600; done");
    config.grace = Duration::from_secs(600).into();
    let bench = started(config).await;
    let before = Instant::now();
    bench.execute(ProcessAction::Kill).await.expect("it can be killed");
    assert!(before.elapsed() < Duration::from_secs(5));
    assert!(look(&bench).await.has_crashed(bench.config()), "how it left is remembered");
}

#[tokio::test]
async fn a_changed_config_replaces_it() {
    let mut bench = started(script("sleep 600; : one")).await;
    let first = look(&bench).await;
    bench.reconfigure(script("sleep 600; : two"));
    assert!(!look(&bench).await.runs(bench.config()), "the old one runs");
    bench.execute(ProcessAction::Start).await.expect("it can be replaced");
    let second = look(&bench).await;
    assert!(second.runs(bench.config()) && second.pid != first.pid, "{second:?}");
}

// spec: A-10, X-4
#[tokio::test]
async fn the_end_of_an_incarnation_ends_it() {
    let mark = mark();
    let bench = started(script(&format!("sleep 600; : {mark}"))).await;
    until("it runs", || !left(&mark, None).is_empty()).await;
    drop(bench);
    until("it is gone", || left(&mark, None).is_empty()).await;
}

#[tokio::test]
async fn what_cannot_be_started_says_what_to_do() {
    let bench = bench(ProcessConfig::new(["no-such-program"]));
    let error = bench.execute(ProcessAction::Start).await.expect_err("there is none");
    assert!(error.to_string().contains("there is no program `no-such-program`"), "{error}");
    assert!(!error.is_permanent(), "it may be installed");
    let seen = look(&bench).await;
    assert!(!seen.alive && !seen.ended, "{seen:?}");
}

// spec: X-5
#[tokio::test]
async fn it_sees_its_own_variables_and_the_allowed_ones() {
    let text = r#"{"command": ["sh", "-c", "echo \"$TOKEN ${CARGO_PKG_NAME-none}\"; sleep 600"], "env": {"TOKEN": "t-1"}}"#;
    let config: ProcessConfig = serde_json::from_str(text).expect("valid");
    assert!(!format!("{config:?}").contains("t-1"), "it may be a secret");
    let bench = started(config).await;
    let seen = seen(&bench, "its line", |seen| !seen.log.is_empty()).await;
    assert_eq!(&*seen.log[0], "t-1 none");
}

#[track_caller]
fn refused(json: &str, why: &str) {
    use fsm_core::table::Case;
    let config: ProcessConfig = serde_json::from_str(json).expect("its form is good");
    let error = Case::<Process>::new(config).derive().expect_err("a bad config was taken");
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn a_bad_config_is_refused_with_what_to_do() {
    refused(r#"{"command": []}"#, "write the program and its arguments");
    refused(r#"{"command": ["a"], "env": {"LD_PRELOAD": "x"}}"#, "LD_PRELOAD is refused");
    refused(r#"{"command": ["a"], "allow_env": ["path"]}"#, "use A-Z");
    refused(r#"{"command": ["a"], "ready": {"tcp": "8080"}}"#, "such as 127.0.0.1:8080");
    refused(r#"{"command": ["a"], "live": {"http": "https://a"}}"#, "write for example http://");
    refused(r#"{"command": ["a"], "log_lines": 10001}"#, "10000 may be kept");
    assert_eq!(Process::KIND, "process");
}
