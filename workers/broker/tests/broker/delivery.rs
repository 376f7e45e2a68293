//! Who gets what.

use rumqttc::{Packet, QoS};

use crate::support::{Client, Subscriber, ask, config, connect, from_json, publish, start};

#[tokio::test]
async fn each_qos_of_each_version_reaches_each_other() {
    let broker = start(config()).await;
    for subscriber_version in ["mqttv311", "mqttv5"] {
        let mut subscriber =
            Subscriber::start(&broker, &format!("-V {subscriber_version} -t plant/+/value -q 2")).await;
        for publisher_version in ["mqttv311", "mqttv5"] {
            for qos in 0..3 {
                let args =
                    format!("-V {publisher_version} -t plant/p{qos}/value -q {qos} -m {publisher_version}");
                let output = publish(&broker, &args, "").await;
                assert!(output.status.success(), "{output:?}");
                let expected = format!("plant/p{qos}/value|{publisher_version}|q{qos}|r0");
                assert_eq!(subscriber.message().await, expected);
            }
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_subscription_lowers_the_promise() {
    let broker = start(config()).await;
    let mut subscriber = Subscriber::start(&broker, "-t a -q 1").await;
    publish(&broker, "-t a -q 2 -m x", "").await;
    assert_eq!(subscriber.message().await, "a|x|q1|r0");
}

#[tokio::test]
async fn wildcards_select_and_spare() {
    let broker = start(config()).await;
    let mut levels = Subscriber::start(&broker, "-t plant/+/temperature").await;
    let mut below = Subscriber::start(&broker, "-t plant/#").await;
    for topic in ["other", "plant/p/pressure", "plant/p/temperature"] {
        publish(&broker, &format!("-t {topic} -m 1"), "").await;
    }
    assert_eq!(levels.message().await, "plant/p/temperature|1|q0|r0");
    assert_eq!(below.message().await, "plant/p/pressure|1|q0|r0");
    assert_eq!(below.message().await, "plant/p/temperature|1|q0|r0");
}

#[tokio::test]
async fn a_retained_message_waits_for_later_subscribers_until_it_is_erased() {
    let broker = start(config()).await;
    publish(&broker, "-t state -m old -r -q 1", "").await;
    publish(&broker, "-t state -m running -r -q 1", "").await;
    for version in ["mqttv311", "mqttv5"] {
        let mut late = Subscriber::start(&broker, &format!("-V {version} -t # -q 1")).await;
        assert_eq!(late.message().await, "state|running|q1|r1");
        publish(&broker, "-t live -m 1 -r", "").await;
        assert_eq!(late.message().await, "live|1|q0|r0", "a live message is not marked as retained");
        publish(&broker, "-t live -n -r", "").await;
        assert_eq!(late.message().await, "live||q0|r0");
    }
    publish(&broker, "-t state -n -r -q 1", "").await;
    assert_eq!(broker.handle().stats().retained, 0);
}

#[tokio::test]
async fn members_of_a_group_share_the_messages() {
    let broker = start(config()).await;
    let mut first = Subscriber::start(&broker, "-V mqttv5 -t $share/g/job -q 1").await;
    let mut second = Subscriber::start(&broker, "-V mqttv5 -t $share/g/job -q 1").await;
    publish(&broker, "-t job -q 1 -l", "1\n2\n3\n4\n").await;
    assert_eq!([first.message().await, first.message().await], ["job|1|q1|r0", "job|3|q1|r0"]);
    assert_eq!([second.message().await, second.message().await], ["job|2|q1|r0", "job|4|q1|r0"]);
}

#[tokio::test]
async fn properties_of_mqtt_5_arrive_unchanged() {
    let broker = start(config()).await;
    let mut client = connect(&broker).await;
    ask(&mut client, b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01x", 10).await;
    // Subscription identifier 7.
    ask(&mut client, b"\x82\x09\x00\x01\x02\x0b\x07\x00\x01p\x01", 6).await;
    let args = "-V mqttv5 -t p -q 1 -m hello -D publish user-property by line-1 \
                -D publish content-type json -D publish message-expiry-interval 3600";
    publish(&broker, args, "").await;
    // The order of the publisher's own properties is its own.
    let mut answer = ask(&mut client, &[], 40).await;
    assert_eq!(answer[..9], *b"\x32\x26\x00\x01p\x00\x01\x1b\x02");
    let seconds = u32::from_be_bytes([answer[9], answer[10], answer[11], answer[12]]);
    assert!((3_500..=3_600).contains(&seconds), "{seconds} s are left");
    assert_eq!(answer[13..15], [0x0b, 7]);
    assert!(answer.ends_with(b"hello"));
    let kept = answer.drain(15..35).collect::<Vec<_>>();
    let (user, content) = (b"\x26\x00\x02by\x00\x06line-1", b"\x03\x00\x04json");
    assert!(kept.windows(13).any(|bytes| bytes == user), "{kept:x?}");
    assert!(kept.windows(7).any(|bytes| bytes == content), "{kept:x?}");
}

#[tokio::test]
async fn no_message_of_five_thousand_is_lost_or_reordered() {
    for qos in [1, 2] {
        let broker = start(config()).await;
        let mut subscriber = Subscriber::start(&broker, &format!("-t n -q {qos}")).await;
        let input: String = (0..5_000).map(|n| format!("{n}\n")).collect();
        let args = format!("-t n -q {qos} -l");
        let publisher = publish(&broker, &args, &input);
        let reader = async {
            for n in 0..5_000 {
                assert_eq!(subscriber.message().await, format!("n|{n}|q{qos}|r0"));
            }
        };
        let (output, ()) = tokio::join!(publisher, reader);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(broker.handle().stats().dropped, 0);
        broker.stop().await;
    }
}

/// More than the queue holds, at QoS 0, which no acknowledgement slows: the subscriber holds the publisher up.
#[tokio::test]
async fn a_slow_subscriber_slows_its_publisher_and_loses_nothing() {
    let broker = start(from_json(r#"{"max_queued": 100}"#)).await;
    let mut subscriber = Client::new(&broker, "slow", true);
    subscriber.subscribe("flood", QoS::AtMostOnce).await;
    let mut publisher = Client::new(&broker, "fast", true);
    assert!(!publisher.connected().await);
    let reader = async {
        for n in 0..20_000_u32 {
            assert_eq!(subscriber.message().await.payload, n.to_string());
        }
    };
    let writer = async {
        for n in 0..20_000_u32 {
            publisher.client.try_publish("flood", QoS::AtMostOnce, false, n.to_string()).expect("room");
            if n % 500 == 0 {
                publisher.publish("fence", "").await;
            }
        }
        publisher.publish("fence", "").await;
    };
    tokio::join!(reader, writer);
    assert_eq!(broker.handle().stats().dropped, 0);
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_costs_only_its_own_messages() {
    let broker = start(from_json(r#"{"max_queued": 100}"#)).await;
    let mut deaf = Client::new(&broker, "deaf", true);
    deaf.subscribe("flood", QoS::AtMostOnce).await;
    let mut good = Client::new(&broker, "good", true);
    good.subscribe("flood", QoS::AtMostOnce).await;
    let mut publisher = Client::new(&broker, "fast", true);
    assert!(!publisher.connected().await);
    // From here on `deaf` is not polled: its socket fills, then its queue.
    let payload = "x".repeat(100_000);
    let reader = async {
        for _ in 0..500 {
            assert_eq!(good.message().await.payload.len(), payload.len());
        }
    };
    let writer = async {
        for _ in 0..500 {
            publisher.client.publish("flood", QoS::AtMostOnce, false, payload.as_str()).await.expect("alive");
            publisher.publish("fence", "").await;
        }
    };
    tokio::join!(reader, writer);
    assert!(broker.handle().stats().dropped > 0, "a queue of 100 held 500 messages");
}

#[tokio::test]
async fn a_message_is_never_sent_back_where_no_local_forbids_it() {
    let broker = start(config()).await;
    let (client, mut events) = rumqttc::v5::AsyncClient::new(
        rumqttc::v5::MqttOptions::new("self", "127.0.0.1", broker.handle().addr().port()),
        10,
    );
    let mut filter = rumqttc::v5::mqttbytes::v5::Filter::new("t", rumqttc::v5::mqttbytes::QoS::AtLeastOnce);
    filter.nolocal = true;
    client.subscribe_many([filter]).await.expect("alive");
    client.subscribe("end", rumqttc::v5::mqttbytes::QoS::AtLeastOnce).await.expect("alive");
    for topic in ["t", "end"] {
        client.publish(topic, rumqttc::v5::mqttbytes::QoS::AtLeastOnce, false, "x").await.expect("alive");
    }
    let got = crate::support::soon("a message", async {
        loop {
            if let rumqttc::v5::Event::Incoming(rumqttc::v5::Incoming::Publish(publish)) =
                events.poll().await.expect("connected")
            {
                return publish.topic;
            }
        }
    })
    .await;
    assert_eq!(got, "end", "the client's own message came back");
}

#[tokio::test]
async fn an_unsubscribed_topic_is_silent() {
    let broker = start(config()).await;
    let mut client = Client::new(&broker, "c", true);
    client.subscribe("a", QoS::AtLeastOnce).await;
    client.subscribe("b", QoS::AtLeastOnce).await;
    client.client.unsubscribe("a").await.expect("alive");
    while !matches!(client.packet().await, Packet::UnsubAck(_)) {}
    publish(&broker, "-t a -q 1 -m gone", "").await;
    publish(&broker, "-t b -q 1 -m there", "").await;
    assert_eq!(client.message().await.topic, "b");
    assert_eq!(broker.handle().stats().subscriptions, 1);
}
