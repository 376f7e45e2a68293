//! What reaches a subscriber.

use std::collections::BTreeMap;
use std::time::Duration;

use fsm_worker_broker::{Broker, BrokerConfig, Listen};
use fsm_worker_simulator::{Plant, Value};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Mosquitto, Subscriber, config, free_port, soon, start, until};

const PRESS: &str = r#"{"interval": "10ms", "machines": [{"name": "press-1", "type": "press"}]}"#;

#[tokio::test]
async fn a_real_broker_gets_the_signals_of_the_plant() {
    let mosquitto = Mosquitto::anonymous(free_port().await).await;
    let mut subscriber = Subscriber::start(mosquitto.port, "-t plant/#").await;
    let config = config(mosquitto.port, PRESS);
    let (handle, _tasks) = start(&config);
    let mut seen = BTreeMap::new();
    let mut last_time = 0;
    for _ in 0..70 {
        let (topic, payload, _) = subscriber.message().await;
        let payload: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
        let time = payload["timestamp_ms"].as_u64().expect("a number");
        assert!(time >= last_time, "time ran backwards");
        last_time = time;
        seen.insert(topic, payload["value"].clone());
    }
    let topics: Vec<_> = seen.keys().map(String::as_str).collect();
    assert_eq!(
        topics,
        ["force", "parts", "power", "speed", "state", "temperature", "vibration"]
            .map(|name| format!("plant/press-1/{name}"))
    );
    assert_eq!(seen["plant/press-1/state"], json!("running"));
    assert!(seen["plant/press-1/temperature"].as_f64().expect("a number") > 50.0);
    assert_eq!(handle.status().error, None);
}

#[tokio::test]
async fn our_own_broker_gets_them_too_at_once_and_every_value_is_the_models() {
    let broker = Broker::start(BrokerConfig::listening_on(Listen::loopback(0))).await.expect("a free port");
    let port = broker.handle().addr().port();
    let mut subscriber = Subscriber::start(port, "-t line/+/mill/+ -q 1").await;
    // With an interval of an hour only the values of the new connection can arrive.
    let json = r#"{"seed": 9, "interval": "1h", "machines": [{"name": "m", "type": "mill"}],
        "mqtt": {"topic": "line/{machine}/{type}/{signal}", "payload": "value", "qos": 1}}"#;
    let config = config(port, json);
    let (handle, _tasks) = start(&config);
    let mut plant = Plant::new(9, &config.machines);
    let mut got = Vec::new();
    for signal in plant.step(Duration::ZERO) {
        let (topic, payload, qos) = subscriber.message().await;
        assert_eq!((topic, qos.as_str()), (format!("line/m/mill/{}", signal.name), "1"));
        got.push(payload);
    }
    let mut step = |ms| {
        plant.step(Duration::from_millis(ms)).iter().map(|signal| text(signal.value)).collect::<Vec<_>>()
    };
    assert!((0..60_000).any(|ms| step(ms) == got), "the model never says {got:?}");
    until("the acknowledgements", || handle.status().unacknowledged == 0).await;
    broker.stop().await;
}

fn text(value: Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Count(count) => count.to_string(),
        Value::Word(word) => word.to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_connects_again_by_itself_and_sends_nothing_old() {
    let port = free_port().await;
    let config = config(port, PRESS);
    let (handle, _tasks) = start(&config);
    until("an error", || handle.status().error.is_some()).await;
    until("steps without a broker", || handle.status().skipped >= 21).await;
    assert_eq!(handle.status().published, 0, "nobody is there");
    for _ in 0..2 {
        let mosquitto = Mosquitto::anonymous(port).await;
        until("a connection", || handle.status().connected).await;
        let skipped = handle.status().skipped;
        assert!(skipped > 0);
        let mut subscriber = Subscriber::start(port, "-t plant/#").await;
        let (_, payload, _) = subscriber.message().await;
        let payload: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
        assert!(
            payload["timestamp_ms"].as_u64() > Some(skipped / 7),
            "{payload} is from before the connection"
        );
        mosquitto.kill().await;
        until("the loss", || !handle.status().connected).await;
        until("its reason", || handle.status().error.is_some()).await;
    }
}

#[tokio::test]
async fn a_refused_login_is_told() {
    let broker = serde_json::from_str::<BrokerConfig>(
        r#"{"listen": "127.0.0.1:0", "auth": {"users": {"sim": "right"}}}"#,
    );
    let broker = Broker::start(broker.expect("valid")).await.expect("a free port");
    let port = broker.handle().addr().port();
    let with = |password: &str| {
        config(port, &json!({"mqtt": {"username": "sim", "password": password}}).to_string())
    };
    let (handle, _tasks) = start(&with("wrong"));
    until("an error", || handle.status().error.is_some()).await;
    let error = handle.status().error.expect("waited for");
    assert!(error.contains("BadUserNamePassword"), "{error}");
    let (handle, _tasks) = start(&with("right"));
    until("a connection", || handle.status().connected).await;
}

/// What a peer sees, byte by byte.
#[tokio::test]
async fn the_last_word_is_a_disconnect() {
    let peer = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (handle, _tasks) = start(&config(peer.local_addr().expect("bound").port(), PRESS));
    let (mut stream, _) = soon("the simulator", peer.accept()).await.expect("a connection");
    let mut bytes = vec![0; 2];
    soon("a CONNECT", stream.read_exact(&mut bytes)).await.expect("connected");
    assert_eq!(bytes[0], 0x10);
    stream.write_all(&[0x20, 2, 0, 0]).await.expect("connected");
    until("values", || handle.status().published > 0).await;
    handle.stop();
    soon("the end", stream.read_to_end(&mut bytes)).await.expect("an orderly end");
    assert!(bytes.ends_with(&[0xe0, 0]), "no goodbye");
}

// spec: A-10
#[tokio::test]
async fn stopping_ends_the_task() {
    for connected in [true, false] {
        let broker =
            Broker::start(BrokerConfig::listening_on(Listen::loopback(0))).await.expect("a free port");
        let port = broker.handle().addr().port();
        let away = free_port().await;
        let (handle, mut tasks) = start(&config(if connected { port } else { away }, PRESS));
        if connected {
            until("a connection", || handle.status().connected).await;
        } else {
            until("an error", || handle.status().error.is_some()).await;
        }
        handle.stop();
        soon("the end", handle.ended()).await;
        soon("the task", tasks.join_next()).await.expect("one task").expect("no panic");
        assert!(handle.has_ended() && !handle.status().connected);
        until("the broker to see it", || broker.handle().stats().connections == 0).await;
        broker.stop().await;
    }
}
