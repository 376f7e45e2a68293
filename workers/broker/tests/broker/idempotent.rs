//! Starting and stopping a real broker, again and again, and cut off midway.

use fsm_testkit::{Workbench, verify_action_idempotency};
use fsm_worker_broker::{BrokerAction, BrokerConfig, Listen, MqttBroker};
use tokio::net::TcpStream;

fn broker() -> Workbench<MqttBroker> {
    Workbench::new(MqttBroker, BrokerConfig::listening_on(Listen::loopback(0)))
}

/// Whether it says that it listens, and whether it does.
async fn listens(bench: &Workbench<MqttBroker>) -> (bool, bool) {
    let seen = bench.collect().await.expect("it looks at memory only");
    (seen.listening, TcpStream::connect(&*seen.address).await.is_ok())
}

// spec: A-11, K-7
#[tokio::test]
async fn starting_leaves_one_broker() {
    let fresh = async || broker();
    let brokers = async |bench: &Workbench<MqttBroker>| (listens(bench).await, bench.tasks());
    verify_action_idempotency(fresh, BrokerAction::Start, 3, brokers).await.expect("one broker each time");
}

// spec: A-11, K-7
#[tokio::test]
async fn stopping_leaves_no_broker() {
    let fresh = async || {
        let bench = broker();
        bench.execute(BrokerAction::Start).await.expect("a free port");
        bench
    };
    let check = async |bench: &Workbench<MqttBroker>| {
        (listens(bench).await, bench.collect().await.expect("memory").alive)
    };
    let passed =
        verify_action_idempotency(fresh, BrokerAction::Stop, 3, check).await.expect("none each time");
    assert!(passed.cuts > 0, "it waits for the tasks to end");
}
