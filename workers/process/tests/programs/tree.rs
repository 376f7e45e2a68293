//! `process` in a real tree: what crashes comes again, and nothing outlives the tree.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{ChildSpec, Incarnation, Registry, Vars};
use fsm_store::MemoryStore;
use fsm_supervisor::{DriverConfig, Handle, TreeEntry, start};
use fsm_worker_process::{Keeper, NoAgents, Process, ProcessConfig, register};

use crate::support::{left, mark, script, until};

async fn tree(config: ProcessConfig) -> Handle {
    let mut registry = Registry::new();
    register(
        &mut registry,
        Process::new(Keeper::program(env!("CARGO_BIN_EXE_fsm-keeper"))),
        Arc::new(NoAgents),
    )
    .expect("a free name");
    let metrics =
        fsm_metrics::Metrics::try_new(Default::default(), &prometheus::Registry::new()).expect("fresh");
    let store = Arc::new(MemoryStore::default());
    let handle = start(registry, DriverConfig::default(), &metrics, store).expect("a good config");
    let root = ChildSpec::try_new("server", "process").expect("a good name").with_typed_config(config);
    handle.apply(root, Vars::new()).await.expect("a good spec");
    handle
}

/// Waits until it runs in a life after that one; answers which.
async fn runs_after(handle: &Handle, life: Option<Incarnation>) -> Incarnation {
    let found = Mutex::new(None);
    let runs = |entry: &&TreeEntry| entry.state == "Running" && Some(entry.incarnation) != life;
    let reached = handle.until(|tree| {
        let mut found = found.lock().expect("no panic under it");
        *found = tree.iter().find(runs).map(|entry| entry.incarnation);
        found.is_some()
    });
    let in_time = tokio::time::timeout(Duration::from_secs(20), reached).await.expect("it runs in time");
    in_time.expect("the tree lives");
    found.into_inner().expect("no panic under it").expect("just found")
}

// spec: S-22, A-10, X-4
#[tokio::test]
async fn a_process_that_crashes_is_started_anew_and_nothing_outlives_the_tree() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mark, go) = (mark(), folder.path().join("go"));
    // Its first life crashes when it is told to, its second one finds that done.
    let text = format!(
        "echo ready; if [ -e {go} ]; then sleep 600; : {mark}; fi; while [ ! -e {go} ]; do sleep 0.05; done; exit 7",
        go = go.display()
    );
    let mut config = script(&text);
    config.ready = fsm_worker_process::Ready::Log("ready".into());
    let handle = tree(config).await;
    let first = runs_after(&handle, None).await;
    std::fs::write(&go, "").expect("its folder is there");
    runs_after(&handle, Some(first)).await;
    until("its second life", || !left(&mark, None).is_empty()).await;
    let report = handle.shutdown(Duration::from_secs(30)).await.expect("it ends");
    assert_eq!(report.forced, [], "it stopped by itself");
    assert_eq!(left(&mark, None), Vec::<String>::new());
}
