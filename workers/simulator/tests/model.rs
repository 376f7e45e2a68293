//! The model check of `device_simulator`, and its diagram in docs/workers.

use std::sync::Arc;

use fsm_testkit::{listed, model_check};
use fsm_worker_simulator::{DeviceSimulator, SimulatorConfig, SimulatorObserved};

fn plant(seed: u64) -> SimulatorConfig {
    let mut config = SimulatorConfig::default();
    config.seed = seed;
    config
}

fn connecting() -> SimulatorObserved {
    let mut seen = SimulatorObserved::absent();
    (seen.alive, seen.deployed) = (true, Some(Arc::new(plant(1))));
    seen
}

fn refused() -> SimulatorObserved {
    let mut seen = connecting();
    seen.error = Some("connection refused".into());
    seen
}

fn on(seed: u64) -> SimulatorObserved {
    let mut seen = connecting();
    (seen.connected, seen.deployed) = (true, Some(Arc::new(plant(seed))));
    seen
}

fn skipping() -> SimulatorObserved {
    let mut seen = on(1);
    seen.skipping = true;
    seen
}

// spec: K-6, K-9
#[test]
fn device_simulator_passes_the_model_check() {
    let report = model_check::<DeviceSimulator>()
        .configs(listed![plant(1), plant(2)])
        .observations(listed![SimulatorObserved::absent(), connecting(), refused(), on(1), on(2), skipping()])
        .after("start", |config, seen| {
            seen.connected && !seen.skipping && seen.deployed.as_deref() == Some(config)
        })
        .after("stop", |_, seen| !seen.alive)
        .assert();
    let file = format!("{}/../../docs/workers/{}.md", env!("CARGO_MANIFEST_DIR"), report.kind);
    report.graph().check_file(file).unwrap_or_else(|error| panic!("{error}"));
}
