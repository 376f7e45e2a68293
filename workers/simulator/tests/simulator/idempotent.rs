//! Starting and stopping a simulator at a real broker, again and again, and cut off midway.

use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_broker::{Broker, BrokerConfig, Listen};
use fsm_worker_simulator::{DeviceSimulator, SimulatorAction};

use crate::support::config;

/// A simulator and the broker that it publishes to.
async fn simulator() -> Workbench<DeviceSimulator> {
    let broker = Broker::start(BrokerConfig::listening_on(Listen::loopback(0))).await.expect("a free port");
    let config = config(broker.handle().addr().port(), r#"{"interval": "10ms"}"#);
    Workbench::new(DeviceSimulator, config).keeping(broker)
}

// spec: A-11, K-7
#[tokio::test]
async fn starting_leaves_one_publisher() {
    let publishers = async |bench: &Workbench<DeviceSimulator>| {
        (bench.collect().await.expect("it looks at memory only").alive, bench.tasks())
    };
    verify_action_idempotency(simulator, SimulatorAction::Start, 3, publishers).await.expect("one each time");
}

// spec: A-11, K-7
#[tokio::test]
async fn stopping_leaves_no_publisher() {
    let fresh = async || {
        let bench = simulator().await;
        bench.execute(SimulatorAction::Start).await.expect("it can't fail");
        bench
    };
    let alive = async |bench: &Workbench<DeviceSimulator>| bench.collect().await.expect("memory").alive;
    let passed =
        verify_action_idempotency(fresh, SimulatorAction::Stop, 3, alive).await.expect("none each time");
    assert!(passed.cuts > 0, "it waits for the goodbye");
}
