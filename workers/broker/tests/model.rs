//! The model check of `mqtt_broker`, and its diagram in docs/workers.

use std::sync::Arc;

use fsm_testkit::{listed, model_check};
use fsm_worker_broker::{BrokerConfig, BrokerObserved, Listen, MqttBroker};

fn broker(port: u16) -> BrokerConfig {
    BrokerConfig::listening_on(Listen::loopback(port))
}

/// Its port is closed, and its clients are not gone yet.
fn ending() -> BrokerObserved {
    let mut seen = BrokerObserved::absent();
    seen.alive = true;
    seen
}

fn on(port: u16) -> BrokerObserved {
    let address = format!("127.0.0.1:{port}").into();
    let mut seen = ending();
    (seen.listening, seen.address, seen.deployed) = (true, address, Some(Arc::new(broker(port))));
    seen
}

fn losing() -> BrokerObserved {
    let mut seen = on(1_883);
    seen.losing = true;
    seen
}

fn panicking() -> BrokerObserved {
    let mut seen = on(1_883);
    seen.panicking = true;
    seen
}

// spec: K-6, K-9
#[test]
fn mqtt_broker_passes_the_model_check() {
    let report = model_check::<MqttBroker>()
        .configs(listed![broker(1_883), broker(1_884)])
        .observations(listed![
            BrokerObserved::absent(),
            ending(),
            on(1_883),
            on(1_884),
            losing(),
            panicking()
        ])
        .after("start", |config, seen| {
            seen.deployed.as_deref() == Some(config) && !seen.losing && !seen.panicking
        })
        .after("stop", |_, seen| !seen.alive)
        .assert();
    let file = format!("{}/../../docs/workers/{}.md", env!("CARGO_MANIFEST_DIR"), report.kind);
    report.graph().check_file(file).unwrap_or_else(|error| panic!("{error}"));
}
