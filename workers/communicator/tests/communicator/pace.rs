//! The back-off in a real tree, under virtual time: a relay that is away is asked as the table says.

use std::sync::Arc;

use fsm_core::Moment;
use fsm_supervisor::EventKind;
use fsm_worker_communicator::Pace;
use serde_json::json;

use crate::support::{Rig, relay};

// spec: W-3, A-4
#[tokio::test(start_paused = true)]
async fn a_relay_that_is_away_is_asked_after_2_4_8_16_32_and_60_seconds_and_reset_at_the_fifth() {
    let mut relay = relay().await;
    relay.close().await;
    let rig = Rig::at(relay, Arc::default(), json!({}), Pace::REAL).await;
    let mut events = rig.tree.events();
    let (mut ended, mut resets): (Vec<Moment>, Vec<usize>) = (Vec::new(), Vec::new());
    while ended.len() < 9 {
        let event = events.next().await.unwrap();
        if let EventKind::ActionEnded { action, .. } = event.kind {
            match action {
                "authenticate" => ended.push(event.at),
                "reset_transport" => resets.push(ended.len()),
                other => panic!("{other} without a session"),
            }
        }
    }
    let gaps: Vec<_> = ended.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
    assert_eq!(gaps, [2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(resets, [5]);
}
