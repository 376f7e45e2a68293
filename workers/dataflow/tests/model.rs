//! The model check of `dataflow`, and its diagram in docs/workers.

use std::sync::Arc;

use fsm_testkit::{listed, model_check};
use fsm_worker_dataflow::config::FlowConfig;
use fsm_worker_dataflow::{Dataflow, FlowObserved, Health, Trouble};
use serde_json::json;

/// A flow that is told apart by its number.
fn flow(count: u64) -> FlowConfig {
    serde_json::from_value(json!({"input": {"generate": {"count": count}}, "output": {"drop": {}}}))
        .expect("a good flow")
}

fn seen(health: Health, count: u64) -> FlowObserved {
    let mut seen = FlowObserved::absent();
    seen.running = !matches!(health, Health::Absent | Health::Failed(_));
    seen.health = health;
    seen.deployed = Some(Arc::new(flow(count)));
    seen
}

fn trouble(trouble: Trouble) -> FlowObserved {
    seen(Health::Degraded(trouble), 1)
}

// spec: K-6, K-9, D-6
#[test]
fn dataflow_passes_the_model_check() {
    let report = model_check::<Dataflow>()
        .configs(listed![flow(1), flow(2)])
        .observations(listed![
            FlowObserved::absent(),
            seen(Health::Failed("it panicked".into()), 1),
            seen(Health::Finished, 1),
            seen(Health::Active, 1),
            seen(Health::Idle, 1),
            seen(Health::Idle, 2),
            trouble(Trouble::Refused("no number".into())),
            trouble(Trouble::NoSource("refused".into())),
            trouble(Trouble::Errors("no number".into()))
        ])
        .after("start", |config, seen| {
            let runs = seen.deployed.as_deref() == Some(config);
            runs && matches!(
                seen.health,
                Health::Active | Health::Idle | Health::Degraded(Trouble::NoSource(_))
            )
        })
        .after("stop", |_, seen| seen.health == Health::Absent)
        .assert();
    let file = format!("{}/../../docs/workers/{}.md", env!("CARGO_MANIFEST_DIR"), report.kind);
    report.graph().check_file(file).unwrap_or_else(|error| panic!("{error}"));
}
