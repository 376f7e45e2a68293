//! Bytes that no client should send.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, pause};

use crate::support::{Subscriber, ask, config, connect, from_json, publish, read_to_close, start};

const HELLO: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01x";
const HELLO_5: &[u8] = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01x";

#[test]
fn random_bytes_end_their_own_connection_and_nothing_else() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let broker = runtime.block_on(start(config()));
    let mut subscriber = runtime.block_on(Subscriber::start(&broker, "-t alive -q 1"));
    let noise = (
        prop_oneof![Just(&b""[..]), Just(HELLO), Just(HELLO_5)],
        // Frames with a true length reach deeper than noise does.
        proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..8),
        any::<bool>(),
    );
    TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() })
        .run(&noise, |(hello, frames, framed)| {
            let mut bytes = hello.to_vec();
            for (first, body) in frames {
                bytes.push(first);
                if framed {
                    bytes.push(body.len() as u8);
                }
                bytes.extend(body);
            }
            runtime.block_on(async {
                let mut stream = connect(&broker).await;
                // The broker may close before it has read all.
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                read_to_close(&mut stream).await;
            });
            Ok(())
        })
        .expect("the broker closes each connection");
    runtime.block_on(async {
        publish(&broker, "-t alive -q 1 -m still", "").await;
        assert_eq!(subscriber.message().await, "alive|still|q1|r0");
    });
    let stats = broker.handle().stats();
    assert_eq!(stats.panics, 0);
    assert!(stats.broken > 0, "no case was hostile");
    runtime.block_on(broker.stop());
}

#[track_caller]
fn check_farewell(answer: &[u8], expected: &[u8], what: &str) {
    assert!(answer.ends_with(expected), "{what}: {answer:x?}");
}

#[tokio::test]
async fn a_client_that_breaks_a_rule_is_told_which_kind_it_was() {
    let broker = start(from_json(r#"{"max_payload": 1000}"#)).await;
    let mut long = vec![0x30, 0xed, 0x07, 0, 1, b'a', 0];
    long.resize(3 + 1005, b'x');
    for (bytes, code, what) in [
        (&b"\x36\x05\x00\x01a\x00\x01"[..], 0x81, "QoS 3"),
        (b"\x30\x04\x00\x01+\x00", 0x81, "a wildcard in a topic"),
        (b"\x30\x07\x00\x01a\x03\x23\x00\x01", 0x82, "a topic alias that was not granted"),
        (b"\x82\x03\x00\x01\x00", 0x82, "a subscription to nothing"),
        (b"\x30\xff\xff\xff\x7f", 0x95, "a packet of 256 MiB"),
        (b"\x30\xff\xff\xff\xff\x01", 0x81, "a length without end"),
        (&long, 0x95, "a payload above the limit"),
        (HELLO_5, 0x82, "a second CONNECT"),
        (b"\xf0\x00", 0x82, "authentication out of nowhere"),
        (b"\x20\x02\x00\x00", 0x81, "a packet of brokers"),
    ] {
        let mut stream = connect(&broker).await;
        ask(&mut stream, HELLO_5, 5).await;
        stream.write_all(bytes).await.expect("connected");
        check_farewell(&read_to_close(&mut stream).await, &[0xe0, 1, code], what);
    }
    assert_eq!(broker.handle().stats().broken, 10);
}

#[tokio::test]
async fn other_protocol_levels_are_refused_in_words_they_know() {
    let broker = start(config()).await;
    for hello in [
        &b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01x"[..],
        b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x01x",
    ] {
        let mut stream = connect(&broker).await;
        stream.write_all(hello).await.expect("connected");
        assert_eq!(read_to_close(&mut stream).await, [0x20, 2, 0, 1]);
    }
}

/// Time is paused only while no timer but the broker's is armed: then it jumps exactly there.
#[tokio::test]
async fn a_silent_client_is_cut_off_after_one_and_a_half_periods() {
    let broker = start(config()).await;
    let mut stream = connect(&broker).await;
    // Keep-alive of 10 s.
    ask(&mut stream, b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x01x", 10).await;
    pause();
    let mut farewell = Vec::new();
    let before = Instant::now();
    stream.read_to_end(&mut farewell).await.expect("an orderly end");
    assert_eq!(farewell, [0xe0, 1, 0x8d]);
    assert_eq!(before.elapsed().as_secs(), 15);
    // A socket that never says a word.
    let mut stream = connect(&broker).await;
    let before = Instant::now();
    stream.read_to_end(&mut farewell).await.expect("an orderly end");
    assert_eq!(farewell.len(), 3, "there is nothing to say to it");
    assert_eq!(before.elapsed().as_secs(), 10);
}
