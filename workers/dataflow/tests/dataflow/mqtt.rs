//! Nothing is lost between two brokers, whatever goes away meanwhile.

use serde_json::json;

use crate::support::{Broker, Running, numbers, pool, until};

fn bridge(source: &Broker, sink: &Broker) -> serde_json::Value {
    json!({
        "input": {"mqtt": {"url": source.url(), "topic": "in/#"}},
        "pipeline": [{"topic": {"expr": "\"out/\" + $meta.topic"}}],
        "output": {"mqtt": {"url": sink.url()}}
    })
}

// spec: D-1, D-8, P33
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_reordered_over_restarts_of_both_brokers() {
    const EACH: u64 = 10_000;
    let mut source = Broker::start().await;
    let mut sink = Broker::start().await;
    let mut subscriber = sink.subscriber("check").await;
    sink.down().await;
    let pool = pool("restart");
    let flow = Running::start("/bridge", bridge(&source, &sink), &pool);
    until("the subscription", || (source.logged("SUBSCRIBE") > 0).then_some(())).await;

    // The target is away: the source is held back.
    let numbers = numbers(EACH);
    tokio::join!(source.publish("in/a", &numbers), source.publish("in/b", &numbers));
    let held = flow.until("back-pressure", |s| s.in_flight == 1024).await;
    assert_eq!((held.messages_in, held.messages_out), (1024, 0));

    // It comes, and goes again, and the source with it.
    sink.up().await;
    flow.until("some to pass", |s| s.messages_out > 2_000).await;
    source.down().await;
    source.up().await;
    flow.until("more to pass", |s| s.messages_out > 8_000).await;
    sink.down().await;
    sink.up().await;

    subscriber.expect_in_order(2, EACH).await;
    let end = flow.until("the end", |s| s.in_flight == 0).await;
    assert!(end.messages_out >= 2 * EACH);
    assert!(end.reconnects >= 2, "{end:?}");
    assert!(end.retries > 0, "what was under way to the sink was written again, and counted: {end:?}");
    flow.stop().await.unwrap();
}

// spec: D-1: what a crash of the daemon leaves unacknowledged comes again
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_that_is_killed_leaves_its_messages_with_the_source() {
    let source = Broker::start().await;
    let mut sink = Broker::start().await;
    let mut subscriber = sink.subscriber("check").await;
    sink.down().await;
    let killed = pool("crash");
    let flow = Running::start("/bridge", bridge(&source, &sink), &killed);
    until("the subscription", || (source.logged("SUBSCRIBE") > 0).then_some(())).await;
    source.publish("in/a", &numbers(3_000)).await;
    flow.until("messages under way", |s| s.in_flight == 1024).await;
    // All tasks end at once, as in a kill: nothing is unsubscribed, nothing acknowledged.
    drop(flow);
    drop(killed);

    sink.up().await;
    let flow = Running::start("/bridge", bridge(&source, &sink), &pool("crash"));
    subscriber.expect_in_order(1, 3_000).await;
    let end = flow.until("the end", |s| s.in_flight == 0 && s.messages_out >= 3_000).await;
    assert!(end.duplicates > 0, "the broker says which ones it sent before: {end:?}");
}

// spec: D-1: a flow that is stopped and started in place
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_flow_fetches_what_the_one_before_had_not_delivered() {
    let source = Broker::start().await;
    let mut sink = Broker::start().await;
    let mut subscriber = sink.subscriber("check").await;
    sink.down().await;
    let pool = pool("restart-in-place");
    let flow = Running::start("/bridge", bridge(&source, &sink), &pool);
    until("the subscription", || (source.logged("SUBSCRIBE") > 0).then_some(())).await;
    source.publish("in/a", &numbers(2_000)).await;
    flow.until("messages under way", |s| s.in_flight == 1024).await;
    drop(flow);
    // Nobody listens for a moment; the subscription is still there.
    source.publish("in/a", "2000\n").await;

    sink.up().await;
    let flow = Running::start("/bridge", bridge(&source, &sink), &pool);
    subscriber.expect_in_order(1, 2_001).await;
    flow.until("the end", |s| s.in_flight == 0).await;
    assert_eq!(pool.sessions(), 2);
}

// spec: D-1, D-2: all qualities of service, both versions
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_pass_in_every_version_and_quality() {
    let broker = Broker::start().await;
    let pool = pool("versions");
    for version in ["auto", "5", "3.1.1"] {
        for qos in 0..=2 {
            let name = format!("{version}-{qos}");
            let mut subscriber = broker.subscriber(&format!("check-{name}")).await;
            let input =
                json!({"url": broker.url(), "topic": format!("in/{name}"), "qos": qos, "version": version});
            let output =
                json!({"url": broker.url(), "topic": format!("out/{name}"), "qos": qos, "version": version});
            let flow =
                Running::start(&name, json!({"input": {"mqtt": input}, "output": {"mqtt": output}}), &pool);
            let subscribed = format!("in/{name} (QoS {qos})");
            until("the subscription", || (broker.logged(&subscribed) > 0).then_some(())).await;
            broker.publish(&format!("in/{name}"), &numbers(50)).await;
            let mut got = Vec::new();
            while got.len() < 50 {
                let (topic, payload) = subscriber.next().await;
                if topic == format!("out/{name}") {
                    got.push(payload.parse::<u64>().unwrap());
                }
            }
            assert_eq!(got, (0..50).collect::<Vec<_>>(), "{name}");
            let end = flow.until("the end", |s| s.in_flight == 0 && s.messages_out == 50).await;
            assert_eq!(end.retries, 0, "{name}");
            flow.stop().await.unwrap();
        }
    }
}

// spec: D-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_messages_are_dropped_counted_and_do_not_stop_the_rest() {
    let broker = Broker::start().await;
    let mut subscriber = broker.subscriber("check").await;
    let pool = pool("bad");
    let config = json!({
        "input": {"mqtt": {"url": broker.url(), "topic": "in"}},
        "pipeline": [{"map": ".v"}, {"topic": {"expr": "\"out/\" + tostring"}}],
        "output": {"mqtt": {"url": broker.url()}}
    });
    let flow = Running::start("/bad", config, &pool);
    until("the subscription", || (broker.logged("in (QoS 1)") > 0).then_some(())).await;
    broker.publish("in", "{\"v\": 1}\nnot json\n{\"v\": \"a#\"}\n{\"v\": 2}\n").await;
    let end = flow.until("all four", |s| s.messages_in == 4 && s.in_flight == 0).await;
    use fsm_worker_dataflow::stats::{DropReason, ErrorKind, Stage};
    assert_eq!(end.messages_out, 2);
    assert_eq!(end.dropped(DropReason::Error), 2);
    assert_eq!(end.errors(Stage::Pipeline, ErrorKind::Json), 1);
    assert_eq!(end.errors(Stage::Pipeline, ErrorKind::Topic), 1);
    let mut out = Vec::new();
    while out.len() < 2 {
        let (topic, payload) = subscriber.next().await;
        if topic.starts_with("out/") {
            out.push((topic, payload));
        }
    }
    assert_eq!(out, [("out/1".into(), "1".into()), ("out/2".into(), "2".into())]);
}

// spec: D-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_message_stops_the_flow_if_asked_and_stays_with_the_source() {
    let broker = Broker::start().await;
    let pool = pool("stop");
    let config = |map: &str| {
        json!({
            "input": {"mqtt": {"url": broker.url(), "topic": "in"}},
            "pipeline": [{"map": map}],
            "output": {"mqtt": {"url": broker.url(), "topic": "out"}},
            "on_error": "stop"
        })
    };
    let mut flow = Running::start("/stop", config(".v"), &pool);
    until("the subscription", || (broker.logged("in (QoS 1)") > 0).then_some(())).await;
    broker.publish("in", "{\"v\": 1}\n17\n{\"v\": 2}\n").await;
    let error = flow.ended().await.unwrap_err();
    assert!(error.to_string().contains("pipeline[0].map"), "{error}");
    drop(flow);

    let mut subscriber = broker.subscriber("check").await;
    let flow = Running::start("/stop", config(".v? // ."), &pool);
    flow.until("the rest", |s| s.messages_out >= 2 && s.in_flight == 0).await;
    let mut out = Vec::new();
    while !out.contains(&"2".to_owned()) {
        let (topic, payload) = subscriber.next().await;
        if topic == "out" {
            out.push(payload);
        }
    }
    assert!(out.contains(&"17".to_owned()), "{out:?}");
}

// spec: D-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_arrives_as_it_came() {
    let broker = Broker::start().await;
    let mut subscriber = broker.subscriber("check").await;
    let pool = pool("dead");
    let config = json!({
        "input": {"mqtt": {"url": broker.url(), "topic": "in"}},
        "pipeline": [{"topic": "out"}, {"map": ".v"}],
        "output": {"mqtt": {"url": broker.url()}},
        "on_error": {"dead_letter": {"mqtt": {"url": broker.url(), "topic": "dead"}}}
    });
    let flow = Running::start("/dead", config, &pool);
    until("the subscription", || (broker.logged("in (QoS 1)") > 0).then_some(())).await;
    broker.publish("in", "garbage\n").await;
    let letter = loop {
        let (topic, payload) = subscriber.next().await;
        if topic == "dead" {
            break payload;
        }
    };
    assert_eq!(letter, "garbage");
    flow.until("the end", |s| s.in_flight == 0).await;
}
