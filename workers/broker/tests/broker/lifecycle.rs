//! Start, stop, start again: the port, the tasks and the clients.

use std::error::Error;

use fsm_worker_broker::{Broker, BrokerConfig, Listen, StartError};
use tokio::net::TcpListener;

use crate::support::{Subscriber, ask, config, connect, publish, read_to_close, start};

// spec: A-10
#[tokio::test]
async fn stopping_frees_the_port_ends_every_task_and_cuts_every_client_off() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let broker = start(config()).await;
    let addr = broker.handle().addr();
    let handle = broker.handle().clone();
    let mut polite = connect(&broker).await;
    ask(&mut polite, b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01x", 5).await;
    let mut wordless = connect(&broker).await;
    let _subscriber = Subscriber::start(&broker, "-t a").await;
    assert!(handle.is_listening());
    assert!(metrics.num_alive_tasks() > before);
    broker.stop().await;
    assert!(!handle.is_listening());
    assert_eq!(metrics.num_alive_tasks(), before, "a task outlived the broker");
    assert_eq!(handle.stats().connections, 0);
    let farewell = read_to_close(&mut polite).await;
    assert!(farewell.ends_with(&[0xe0, 1, 0x8b]), "shutting down: {farewell:x?}");
    assert!(read_to_close(&mut wordless).await.is_empty());
    TcpListener::bind(addr).await.expect("the port is free");
}

#[tokio::test]
async fn it_starts_again_on_the_same_port_again_and_again() {
    let first = start(config()).await;
    let again = BrokerConfig::listening_on(Listen::try_new(first.handle().addr()).expect("loopback"));
    let mut broker = first;
    for _ in 0..20 {
        let output = publish(&broker, "-t a -q 1 -m x", "").await;
        assert!(output.status.success(), "{output:?}");
        broker.stop().await;
        broker = start(again.clone()).await;
    }
}

#[tokio::test]
async fn a_dropped_broker_frees_its_port_too() {
    let broker = start(config()).await;
    let handle = broker.handle().clone();
    let mut client = connect(&broker).await;
    ask(&mut client, b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01x", 4).await;
    drop(broker);
    read_to_close(&mut client).await;
    assert!(!handle.is_listening());
    TcpListener::bind(handle.addr()).await.expect("the port is free");
}

#[tokio::test]
async fn a_taken_port_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = taken.local_addr().expect("bound");
    let error = Broker::start(BrokerConfig::listening_on(Listen::try_new(addr).expect("loopback")))
        .await
        .expect_err("two listeners on one port");
    assert!(matches!(error, StartError::AddressInUse { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&addr.to_string()) && text.contains("another port in `listen`"), "{text}");
    assert!(error.source().is_none(), "the text says it all");
}

#[tokio::test]
async fn a_stopped_broker_has_forgotten_its_sessions() {
    let broker = start(config()).await;
    let addr = broker.handle().addr();
    publish(&broker, "-t state -m x -r -q 1", "").await;
    assert_eq!(broker.handle().stats().retained, 1);
    broker.stop().await;
    let broker = start(BrokerConfig::listening_on(Listen::try_new(addr).expect("loopback"))).await;
    assert_eq!(broker.handle().stats().retained, 0);
}
