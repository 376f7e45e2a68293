//! The model check of `communicator`, and its diagram in docs/workers.

use std::sync::Arc;

use fsm_core::Moment;
use fsm_testkit::{listed, model_check};
use fsm_worker_communicator::{Communicator, CommunicatorConfig, CommunicatorObserved};
use serde_json::json;

fn config(batch: usize) -> CommunicatorConfig {
    let config = json!({"url": "https://relay.example.com", "auth_token": "T", "batch": batch});
    serde_json::from_value(config).expect("a good config")
}

fn off() -> CommunicatorObserved {
    CommunicatorObserved::default()
}

fn opened() -> CommunicatorObserved {
    let mut seen = off();
    seen.alive = true;
    seen
}

fn worn_out() -> CommunicatorObserved {
    let mut seen = opened();
    (seen.reset_due, seen.login_after) = (true, Some(Moment::FAR));
    seen
}

fn refused() -> CommunicatorObserved {
    let mut seen = off();
    let refused = json!({"code": "invalid_token", "what": "status 401"});
    seen.refused = Some(serde_json::from_value(refused).expect("a refusal"));
    seen
}

fn on(batch: usize) -> CommunicatorObserved {
    let mut seen = opened();
    (seen.session, seen.deployed) = (true, Some(Arc::new(config(batch))));
    seen
}

fn to_push(batch: usize) -> CommunicatorObserved {
    let mut seen = on(batch);
    seen.unsent = 1;
    seen
}

fn to_refresh() -> CommunicatorObserved {
    let mut seen = on(50);
    seen.refresh_at = Some(Moment::ZERO);
    seen
}

fn failing() -> CommunicatorObserved {
    let mut seen = to_push(50);
    let trouble = json!({"operation": "push", "class": "network", "in_a_row": 1, "what": "refused"});
    seen.trouble = Some(serde_json::from_value(trouble).expect("trouble"));
    seen
}

fn failing_for_long() -> CommunicatorObserved {
    let mut seen = failing();
    seen.reset_due = true;
    seen
}

fn pressed() -> CommunicatorObserved {
    let mut seen = to_push(50);
    seen.pressed_up = true;
    seen
}

// spec: K-6, K-9
#[test]
fn communicator_passes_the_model_check() {
    let report = model_check::<Communicator>()
        .configs(listed![config(50), config(7)])
        .observations(listed![
            off(),
            opened(),
            worn_out(),
            refused(),
            on(50),
            on(7),
            to_push(50),
            to_push(7),
            to_refresh(),
            failing(),
            failing_for_long(),
            pressed()
        ])
        .after("authenticate", |config, seen| {
            let fine = seen.trouble.is_none() && !seen.pressed_up && seen.refresh_at.is_none();
            seen.session && fine && seen.deployed.as_deref() == Some(config)
        })
        .after("sync_push", |config, seen| {
            let fine = seen.trouble.is_none() && !seen.pressed_up && seen.refresh_at.is_none();
            seen.session && fine && seen.unsent == 0 && seen.deployed.as_deref() == Some(config)
        })
        // Told to go on, the connections are new; told to stop, nothing is left. The world shows either.
        .after("reset_transport", |config, seen| {
            let goes_on = seen.session && seen.trouble.is_none() && seen.deployed.as_deref() == Some(config);
            (!seen.alive && seen.refused.is_none()) || goes_on
        })
        // Hanging up is one of its ways, and in a starting state it only makes new connections.
        .stop_may("reset_transport")
        // A refusal ends when the token, the url or the instance is another one.
        .by_itself(|_, seen| *seen == off())
        .assert();
    let file = format!("{}/../../docs/workers/{}.md", env!("CARGO_MANIFEST_DIR"), report.kind);
    report.graph().check_file(file).unwrap_or_else(|error| panic!("{error}"));
}
