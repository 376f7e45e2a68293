//! `benthos_dataflow` and an engine that speaks what engines speak: a real program, which moves nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_process::{Keeper, Process, Stream, StreamAction, StreamConfig, StreamObserved};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{PATIENCE, left};

const ENGINE: &str = env!("CARGO_BIN_EXE_fsm-stand-in-engine");

fn config(folder: &Path, stream: Value) -> StreamConfig {
    let config = json!({"stream": stream, "engine": [ENGINE], "folder": folder, "grace": "2s"});
    serde_json::from_value(config).expect("a good config")
}

/// Waits for `input.txt` in the folder of its file.
fn waits_for_input(folder: &Path) -> StreamConfig {
    let paths = [folder.join("input.txt")];
    config(folder, json!({"input": {"file": {"paths": paths}}, "output": {"drop": {}}}))
}

fn generates(folder: &Path) -> StreamConfig {
    config(folder, json!({"input": {"generate": {}}, "output": {"drop": {}}}))
}

fn bench(config: StreamConfig) -> Workbench<Stream> {
    Workbench::new(Stream::new(Process::new(Keeper::program(env!("CARGO_BIN_EXE_fsm-keeper")))), config)
}

async fn look(bench: &Workbench<Stream>) -> Arc<StreamObserved> {
    bench.collect().await.expect("what can't be read is missing, and no error")
}

async fn seen(
    bench: &Workbench<Stream>,
    what: &str,
    holds: impl Fn(&StreamObserved) -> bool,
) -> Arc<StreamObserved> {
    let end = Instant::now() + PATIENCE;
    loop {
        let seen = look(bench).await;
        if holds(&seen) {
            return seen;
        }
        assert!(Instant::now() < end, "in vain: {what}: {seen:?}");
        tokio::task::yield_now().await;
    }
}

/// The files in a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("it is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Nothing of an engine with a file in this folder lives.
#[track_caller]
fn nobody_runs(folder: &Path) {
    assert_eq!(left(&folder.display().to_string(), None), Vec::<String>::new());
}

#[tokio::test]
async fn an_engine_gets_its_file_and_its_health_is_asked_over_http() {
    let folder = TempDir::new().expect("a folder");
    let bench = bench(waits_for_input(folder.path()));
    bench.execute(StreamAction::WriteConfig).await.expect("it is good");
    let file = files(folder.path());
    let [name] = file.as_slice() else { panic!("{file:?}") };
    let path = folder.path().join(name);
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its user reads it");
    let text: Value = serde_json::from_slice(&std::fs::read(&path).expect("it is there")).expect("JSON");
    assert_eq!(text["http"]["enabled"], true);
    assert!(look(&bench).await.is_written(bench.config()));

    bench.execute(StreamAction::Start).await.expect("it can be started");
    let ready = seen(&bench, "it answers", |seen| seen.process.ready).await;
    assert!(ready.runs(bench.config()));
    assert_eq!(text["http"]["address"], ready.address.expect("it has one").to_string());
    let unwell = seen(&bench, "its input is missed", |seen| seen.process.unwell.is_some()).await;
    assert!(unwell.process.unwell.as_ref().expect("just seen").contains("status 503"));
    std::fs::write(folder.path().join("input.txt"), "").expect("its folder is there");
    seen(&bench, "its input is there", |seen| seen.process.unwell.is_none()).await;

    bench.execute(StreamAction::Stop).await.expect("it can be stopped");
    assert_eq!(files(folder.path()), ["input.txt"], "its file went with it");
    nobody_runs(folder.path());
}

// spec: X-4
#[tokio::test]
async fn a_config_that_the_engine_refuses_leaves_the_running_one_alone() {
    let folder = TempDir::new().expect("a folder");
    let mut bench = bench(generates(folder.path()));
    bench.execute(StreamAction::Start).await.expect("it can be started");
    let before = seen(&bench, "it answers", |seen| seen.process.ready).await;
    bench.reconfigure(config(folder.path(), json!({"input": {"teleport": {}}, "output": {"drop": {}}})));
    let error = bench.execute(StreamAction::Reload).await.expect_err("it is no good");
    assert!(error.to_string().contains("the engine refuses the config"), "{error}");
    assert!(error.to_string().contains("teleport"), "{error}");
    let after = look(&bench).await;
    assert_eq!((after.process.alive, after.process.pid), (true, before.process.pid));
    assert!(!after.runs(bench.config()) && !after.is_written(bench.config()));
    assert_eq!(files(folder.path()).len(), 1, "no draft is left");

    bench.reconfigure(waits_for_input(folder.path()));
    bench.execute(StreamAction::Reload).await.expect("it is good");
    let reloaded = seen(&bench, "it runs with it", |seen| seen.process.ready).await;
    assert!(reloaded.runs(bench.config()));
    assert_ne!(reloaded.process.pid, before.process.pid);
    drop(bench);
}

#[tokio::test]
async fn another_stream_at_the_same_address_is_another_engine() {
    let folder = TempDir::new().expect("a folder");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one");
    let at = |mut config: StreamConfig| {
        config.stream.insert("http".into(), json!({"address": port.to_string()}));
        config
    };
    let mut bench = bench(at(generates(folder.path())));
    bench.execute(StreamAction::Start).await.expect("it can be started");
    let before = seen(&bench, "it answers", |seen| seen.process.ready).await;
    assert_eq!(before.address, Some(port));
    bench.reconfigure(at(waits_for_input(folder.path())));
    bench.execute(StreamAction::Reload).await.expect("it is good");
    let after = seen(&bench, "it runs with it", |seen| seen.process.ready).await;
    assert_ne!(after.process.pid, before.process.pid, "it read its file once");
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named() {
    let folder = TempDir::new().expect("a folder");
    let mut config = generates(folder.path());
    config.engine = vec!["/nowhere/engine".into()];
    let error = bench(config).execute(StreamAction::WriteConfig).await.expect_err("there is none");
    assert!(error.to_string().contains("/nowhere/engine"), "{error}");
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

// spec
#[tokio::test]
async fn the_end_of_an_incarnation_ends_its_engine() {
    let folder = TempDir::new().expect("a folder");
    let bench = bench(generates(folder.path()));
    bench.execute(StreamAction::Start).await.expect("it can be started");
    drop(bench);
    crate::support::until("it is gone", || left(&folder.path().display().to_string(), None).is_empty()).await;
}

// spec: A-11, K-7
#[tokio::test]
async fn each_action_leaves_what_it_leaves_once() {
    let folder = TempDir::new().expect("a folder");
    let fresh = async || bench(generates(folder.path()));
    let check = async |bench: &Workbench<Stream>| {
        let seen = look(bench).await;
        (seen.is_written(bench.config()), seen.runs(bench.config()), bench.tasks())
    };
    verify_action_idempotency(fresh, StreamAction::WriteConfig, 2, check).await.expect("written");
    verify_action_idempotency(fresh, StreamAction::Start, 2, check).await.expect("one engine");
    verify_action_idempotency(fresh, StreamAction::Reload, 2, check).await.expect("one engine");
    let running = async || {
        let bench = fresh().await;
        bench.execute(StreamAction::Start).await.expect("it can be started");
        bench
    };
    verify_action_idempotency(running, StreamAction::Stop, 2, check).await.expect("none");
    verify_action_idempotency(running, StreamAction::Kill, 2, check).await.expect("none");
}
