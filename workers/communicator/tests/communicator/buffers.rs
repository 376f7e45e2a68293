//! Backpressure: what happens waits, commands wait, and everything goes on when there is room.

use std::sync::Arc;

use fsm_worker_communicator::Message;
use serde_json::json;

use crate::support::{Rig, kept, relay, soon};

// spec: W-4
#[tokio::test]
async fn a_buffer_that_is_nearly_full_asks_to_wait_and_nothing_is_lost_or_out_of_order() {
    let mut relay = relay().await;
    relay.close().await;
    let mut rig = Rig::with(relay, Arc::default(), json!({"buffer": {"up": 200}})).await;
    rig.happens(0..1_000).await;
    let seen = rig.observed("pressure", |seen| seen["pressed_up"] == true).await;
    assert_eq!(seen["unsent"], 151, "49 places are free");
    kept(&rig.store, "out", 151).await;
    rig.relay.reopen().await.unwrap();
    assert_eq!(rig.arrived(1_000).await, (0..1_000).collect::<Vec<_>>());
    rig.state("Syncing").await;
    let seen = rig.observed("an empty buffer", |seen| seen["unsent"] == 0).await;
    assert_eq!((&seen["pressed_up"], &seen["lost"]), (&json!(false), &json!(0)));
    kept(&rig.store, "out", 0).await;
    rig.shutdown().await;
}

// spec: W-4
#[tokio::test]
async fn more_commands_than_there_is_room_for_are_all_carried_out_once() {
    let rig = Rig::start(json!({"buffer": {"up": 200, "down": 200}})).await;
    for n in 0..400 {
        rig.relay.send(&Message::new(format!("c-{n}"), "start", "", json!({"path": format!("/n{n}")})));
    }
    soon(
        "all receipts",
        rig.relay.until(|book| (0..400).all(|n| book.receipts(&format!("c-{n}")).count() > 0)),
    )
    .await;
    let mut orders: Vec<_> = rig.world.orders().iter().map(|order| format!("{order:?}")).collect();
    assert_eq!(orders.len(), 400);
    orders.dedup();
    assert_eq!(orders.len(), 400);
    rig.shutdown().await;
}
