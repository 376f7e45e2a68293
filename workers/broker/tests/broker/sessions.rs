//! What outlives a connection, and who may have one.

use rumqttc::{Packet, QoS};

use crate::support::{Client, Subscriber, ask, config, connect, from_json, publish, read_to_close, start};

#[tokio::test]
async fn a_session_keeps_its_subscriptions_and_messages_while_the_client_is_away() {
    let broker = start(config()).await;
    let mut client = Client::new(&broker, "shift-2", false);
    assert!(!client.connected().await, "there was no session before");
    client.subscribe("orders", QoS::AtLeastOnce).await;
    drop(client);
    publish(&broker, "-t orders -q 1 -l", "1\n2\n3\n").await;
    publish(&broker, "-t orders -q 0 -m fleeting", "").await;
    let mut client = Client::new(&broker, "shift-2", false);
    assert!(client.connected().await, "the session is gone");
    for n in ["1", "2", "3"] {
        assert_eq!(client.message().await.payload, n);
    }
    drop(client);
    let mut fresh = Client::new(&broker, "shift-2", true);
    assert!(!fresh.connected().await, "a clean session has a past");
    assert_eq!(broker.handle().stats().subscriptions, 0);
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_and_marked() {
    let broker = start(config()).await;
    // A client made by hand: it subscribes at QoS 1 and never acknowledges.
    let mut mute = connect(&broker).await;
    let hello = b"\x10\x10\x00\x04MQTT\x04\x00\x00\x00\x00\x04mute";
    assert_eq!(ask(&mut mute, hello, 4).await, [0x20, 2, 0, 0]);
    assert_eq!(ask(&mut mute, b"\x82\x06\x00\x01\x00\x01a\x01", 5).await, [0x90, 3, 0, 1, 1]);
    publish(&broker, "-t a -q 1 -m x", "").await;
    assert_eq!(ask(&mut mute, &[], 8).await, b"\x32\x06\x00\x01a\x00\x01x");
    drop(mute);
    let mut mute = connect(&broker).await;
    assert_eq!(ask(&mut mute, hello, 4).await, [0x20, 2, 1, 0], "the session is present");
    assert_eq!(ask(&mut mute, &[], 8).await, b"\x3a\x06\x00\x01a\x00\x01x", "again, with the duplicate flag");
    // The acknowledgement ends it: the next connection gets nothing but the answer to its ping.
    assert_eq!(ask(&mut mute, b"\x40\x02\x00\x01\xc0\x00", 2).await, [0xd0, 0]);
    drop(mute);
    let mut mute = connect(&broker).await;
    assert_eq!(ask(&mut mute, hello, 4).await, [0x20, 2, 1, 0]);
    assert_eq!(ask(&mut mute, b"\xc0\x00", 2).await, [0xd0, 0]);
}

#[tokio::test]
async fn a_repeated_qos_2_message_is_passed_on_once() {
    let broker = start(config()).await;
    let mut subscriber = Subscriber::start(&broker, "-t # -q 2").await;
    let mut client = connect(&broker).await;
    let hello = b"\x10\x10\x00\x04MQTT\x04\x00\x00\x00\x00\x04twin";
    ask(&mut client, hello, 4).await;
    let received = ask(&mut client, b"\x34\x06\x00\x01a\x00\x07x", 4).await;
    assert_eq!(received, [0x50, 2, 0, 7]);
    drop(client);
    let mut client = connect(&broker).await;
    ask(&mut client, hello, 4).await;
    assert_eq!(ask(&mut client, b"\x3c\x06\x00\x01a\x00\x07x", 4).await, [0x50, 2, 0, 7]);
    assert_eq!(ask(&mut client, b"\x62\x02\x00\x07", 4).await, [0x70, 2, 0, 7]);
    // After the release the identifier is a new message's.
    assert_eq!(ask(&mut client, b"\x34\x06\x00\x01b\x00\x07y", 4).await, [0x50, 2, 0, 7]);
    assert_eq!(subscriber.message().await, "a|x|q2|r0");
    assert_eq!(subscriber.message().await, "b|y|q2|r0", "the repetition was passed on");
}

#[tokio::test]
async fn a_will_speaks_for_a_client_that_vanishes_and_is_silent_for_one_that_leaves() {
    let broker = start(config()).await;
    let mut watcher = Subscriber::start(&broker, "-t will/#").await;
    let leaving =
        Subscriber::start(&broker, "-t x --will-topic will/left --will-payload w -C 1 -i leaving").await;
    publish(&broker, "-t x -m end", "").await;
    let mut leaving = leaving;
    leaving.message().await;
    let vanishing = Subscriber::start(&broker, "-t x --will-topic will/lost --will-payload w").await;
    vanishing.kill().await;
    assert_eq!(watcher.message().await, "will/lost|w|q0|r0");
}

#[tokio::test]
async fn a_second_connection_takes_the_session_over() {
    let broker = start(config()).await;
    let mut first = connect(&broker).await;
    // MQTT 5, session expiry 60 s.
    let hello = b"\x10\x16\x00\x04MQTT\x05\x00\x00\x00\x05\x11\x00\x00\x00\x3c\x00\x04twin";
    let answer = ask(&mut first, hello, 4).await;
    assert_eq!(answer[2..], [0, 0]);
    let mut second = connect(&broker).await;
    assert_eq!(ask(&mut second, hello, 4).await[2..], [1, 0], "the session goes on");
    let farewell = read_to_close(&mut first).await;
    assert!(farewell.ends_with(&[0xe0, 1, 0x8e]), "{farewell:x?}");
    assert_eq!(broker.handle().stats().connections, 1);
}

#[tokio::test]
async fn only_named_users_with_their_password_get_in() {
    let broker = start(from_json(r#"{"auth": {"users": {"line-1": "hunter2"}}}"#)).await;
    let good = publish(&broker, "-t a -m x -q 1 -u line-1 -P hunter2", "").await;
    assert!(good.status.success(), "{good:?}");
    for (args, why) in [
        ("-t a -m x -q 1 -u line-1 -P hunter3", "a wrong password"),
        ("-t a -m x -q 1 -u line-2 -P hunter2", "an unknown user"),
        ("-t a -m x -q 1", "nobody"),
        ("-V mqttv5 -t a -m x -q 1 -u line-1 -P no", "a wrong password over MQTT 5"),
    ] {
        let output = publish(&broker, args, "").await;
        assert!(!output.status.success(), "{why} got in");
        let text = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(text.contains("bad user name or password"), "{why}: {output:?}");
    }
    assert_eq!(broker.handle().stats().received, 1);
    assert_eq!(broker.handle().stats().refused, 4);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let broker = start(from_json(r#"{"max_connections": 2}"#)).await;
    let _one = Subscriber::start(&broker, "-t a").await;
    let two = Subscriber::start(&broker, "-t a").await;
    let output = publish(&broker, "-V mqttv5 -t a -m x -q 1", "").await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("unavailable"), "{output:?}");
    two.kill().await;
    let mut client = Client::new(&broker, "next", true);
    // The broker learns of the killed client from its socket, a moment later.
    let packet = loop {
        match crate::support::soon("a place", client.events.poll()).await {
            Ok(rumqttc::Event::Incoming(packet)) => break packet,
            Ok(rumqttc::Event::Outgoing(_)) | Err(_) => {}
        }
    };
    assert!(matches!(packet, Packet::ConnAck(_)), "{packet:?}");
}
