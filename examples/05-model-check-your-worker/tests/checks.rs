//! Everything that the testkit checks of a worker, on one page.

use example_model_check_your_worker::{Flag, FlagAction, FlagConfig, FlagSeen};
use fsm_testkit::{Workbench, listed, model_check, verify_action_idempotency};

#[test]
fn the_flag_passes_the_model_check() {
    let report = model_check::<Flag>()
        .configs(listed![FlagConfig { file: "/run/flag".into() }])
        .observations(listed![FlagSeen { up: false }, FlagSeen { up: true }])
        .after("raise", |_config, seen| seen.up)
        .after("lower", |_config, seen| !seen.up)
        .assert();
    // A committed diagram is what the worker does; FSM_WRITE_DIAGRAMS=1 writes it.
    report
        .graph()
        .check_file(concat!(env!("CARGO_MANIFEST_DIR"), "/flag.svg"))
        .expect("the diagram is up to date");
}

#[tokio::test]
async fn its_actions_are_idempotent() {
    let fresh = async || {
        let folder = tempfile::tempdir().expect("a folder");
        Workbench::new(Flag, FlagConfig { file: folder.path().join("flag") }).keeping(folder)
    };
    let is_up = async |bench: &Workbench<Flag>| bench.config().file.exists();
    verify_action_idempotency(fresh, FlagAction::Raise, 3, is_up).await.expect("up each time");
    verify_action_idempotency(fresh, FlagAction::Lower, 3, is_up).await.expect("down each time");
}
