//! Many flows, one session, and each with its own back-pressure.

use serde_json::json;

use crate::support::{Broker, Running, numbers, pool, until};

// spec: D-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_flows_to_one_broker_are_one_connection() {
    const FLOWS: u64 = 200;
    let broker = Broker::start().await;
    let mut subscriber = broker.subscriber("check").await;
    let pool = pool("sharing");
    let flows: Vec<_> = (0..FLOWS)
        .map(|n| {
            let config = json!({
                "input": {"mqtt": {"url": broker.url(), "topic": format!("in/{n}")}},
                "output": {"mqtt": {"url": broker.url(), "topic": format!("out/{n}")}}
            });
            Running::start(&format!("/flow-{n}"), config, &pool)
        })
        .collect();
    until("all subscriptions", || (broker.logged("(QoS 1)") as u64 >= FLOWS).then_some(())).await;
    for n in 0..FLOWS {
        if n % 20 == 0 {
            broker.publish(&format!("in/{n}"), &numbers(10)).await;
        }
    }
    let mut seen = 0;
    while seen < 100 {
        seen += u64::from(subscriber.next().await.0.starts_with("out/"));
    }
    assert_eq!(pool.sessions(), 1);
    // The second flow widens the window, for which the session connects once more.
    let connects =
        broker.lines("New client connected from").into_iter().filter(|l| l.contains(" as fsm")).count();
    assert!((1..=2).contains(&connects), "{connects}");
    drop(flows);
}

// spec: D-10: per-flow back-pressure
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_flow_does_not_hold_back_its_neighbours_and_loses_nothing() {
    const STALLED: u64 = 5_000;
    const LIVELY: u64 = 5_000;
    let source = Broker::start().await;
    let mut away = Broker::start().await;
    let mut late = away.subscriber("late").await;
    away.down().await;
    let good = Broker::start().await;
    let mut early = good.subscriber("early").await;
    let pool = pool("stalled");
    let to = |topic: &str, sink: &Broker| {
        json!({
            "input": {"mqtt": {"url": source.url(), "topic": topic}},
            "output": {"mqtt": {"url": sink.url()}}
        })
    };
    let stalled = Running::start("/stalled", to("in/stalled", &away), &pool);
    let lively = Running::start("/lively", to("in/lively", &good), &pool);
    until("both subscriptions", || (source.logged("(QoS 1)") >= 2).then_some(())).await;

    source.publish("in/stalled", &numbers(STALLED)).await;
    stalled.until("the stall", |s| s.in_flight == 1024).await;
    source.publish("in/lively", &numbers(LIVELY)).await;
    early.expect_in_order(1, LIVELY).await;
    lively.until("all of the lively one", |s| s.in_flight == 0).await;
    assert_eq!(stalled.watch.snapshot().messages_out, 0);

    // More for the stalled one: it waits at the broker, on a connection of its own.
    until("the move", || (source.logged("UNSUBSCRIBE") > 0).then_some(())).await;
    let more: String = (STALLED..2 * STALLED).map(|n| format!("{n}\n")).collect();
    source.publish("in/stalled", &more).await;
    source.publish("in/lively", &numbers(1)).await;
    away.up().await;
    late.expect_in_order(1, 2 * STALLED).await;
    stalled.until("all of the stalled one", |s| s.in_flight == 0).await;
}

// spec: D-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flows_with_the_same_filter_each_get_every_message() {
    let broker = Broker::start().await;
    let pool = pool("same-filter");
    let config = |n: u32| {
        json!({
            "input": {"mqtt": {"url": broker.url(), "topic": "in/#"}},
            "output": {"mqtt": {"url": broker.url(), "topic": format!("out/{n}")}}
        })
    };
    let flows = [Running::start("/one", config(1), &pool), Running::start("/two", config(2), &pool)];
    until("both subscriptions", || (broker.logged("(QoS 1)") >= 1).then_some(())).await;
    for flow in &flows {
        flow.until("the connection", |s| s.input_up).await;
    }
    broker.publish("in/x", &numbers(100)).await;
    for flow in &flows {
        let end = flow.until("all messages", |s| s.messages_out == 100 && s.in_flight == 0).await;
        assert_eq!(end.messages_in, 100);
    }
    assert_eq!(pool.sessions(), 1);
}

// spec: D-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dedicated_flow_has_its_own_connection() {
    let broker = Broker::start().await;
    let pool = pool("dedicated");
    let config = |dedicated: bool| {
        json!({
            "input": {"mqtt": {"url": broker.url(), "topic": "in", "dedicated": dedicated}},
            "output": {"drop": {}}
        })
    };
    let flows = [false, false, true, true].iter().enumerate();
    let flows: Vec<_> = flows.map(|(n, d)| Running::start(&format!("/{n}"), config(*d), &pool)).collect();
    for flow in &flows {
        flow.until("the connection", |s| s.input_up).await;
    }
    assert_eq!(pool.sessions(), 3);
}

// spec: D-10, D-1: what waits on a moved flow's own session is found by the next life of the process
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_a_flow_has_its_own_connection_loses_nothing() {
    const EACH: u64 = 2_000;
    let source = Broker::start().await;
    let mut away = Broker::start().await;
    let mut late = away.subscriber("late").await;
    away.down().await;
    let to = |topic: &str, output: serde_json::Value| json!({"input": {"mqtt": {"url": source.url(), "topic": topic}}, "output": output});
    let stalled = to("in/stalled", json!({"mqtt": {"url": away.url()}}));
    let killed = pool("killed");
    let flow = Running::start("/stalled", stalled.clone(), &killed);
    let other = Running::start("/other", to("in/other", json!({"drop": {}})), &killed);
    until("both subscriptions", || (source.logged("(QoS 1)") >= 2).then_some(())).await;
    source.publish("in/stalled", &numbers(EACH)).await;
    until("the move", || (source.logged("UNSUBACK") > 0).then_some(())).await;
    let more: String = (EACH..2 * EACH).map(|n| format!("{n}\n")).collect();
    source.publish("in/stalled", &more).await;
    drop((flow, other));
    drop(killed);

    // Nothing stalls this time, so that nothing else leads to the flow's own session.
    away.up().await;
    let pool = pool("killed");
    let flow = Running::start("/stalled", stalled, &pool);
    late.expect_in_order(1, 2 * EACH).await;
    flow.until("all of it", |s| s.in_flight == 0).await;
    until("its own session to end", || (pool.sessions() == 2).then_some(())).await;
}
