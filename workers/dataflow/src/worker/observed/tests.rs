//! The judgement of D-6, by hand-made figures.

use super::*;
use crate::stats::FlowStats;

fn config() -> FlowConfig {
    serde_json::from_value(serde_json::json!({
        "input": {"generate": {}}, "output": {"drop": {}}, "expect_every": "2m"
    }))
    .unwrap()
}

/// A connected flow that has run for a minute.
fn snapshot() -> FlowSnapshot {
    let mut s = FlowStats::new().snapshot(0, 0);
    (s.input_up, s.output_up, s.running) = (true, true, Duration::from_secs(60));
    s
}

#[track_caller]
fn judged(change: impl FnOnce(&mut FlowSnapshot), is: impl FnOnce(&Health) -> bool) {
    let mut s = snapshot();
    change(&mut s);
    let health = health(&config(), &s);
    assert!(is(&health), "{health:?}");
}

const SECOND: Duration = Duration::from_secs(1);

// spec: D-6
#[tokio::test]
async fn the_figures_amount_to_what_the_rules_say() {
    judged(|_| {}, |h| *h == Health::Idle);
    judged(|s| s.since_out = Some(30 * SECOND), |h| *h == Health::Active);
    judged(|s| s.since_out = Some(31 * SECOND), |h| *h == Health::Idle);
    judged(|s| (s.in_flight, s.stalled) = (4, 30 * SECOND), |h| *h == Health::Idle);
    judged(
        |s| (s.in_flight, s.stalled, s.since_out) = (4, 31 * SECOND, Some(31 * SECOND)),
        |h| matches!(h, Health::Degraded(Trouble::Stalled(4, time)) if time.get() == 31 * SECOND),
    );
    judged(|s| s.since_in = Some(121 * SECOND), |h| matches!(h, Health::Degraded(Trouble::Silent(_))));
    judged(|s| s.running = 121 * SECOND, |h| matches!(h, Health::Degraded(Trouble::Silent(_))));
    judged(|s| s.recent_errors = 2, |h| *h == Health::Idle);
    judged(
        |s| {
            (s.recent_errors, s.since_out) = (3, Some(SECOND));
            s.last_error = Some((Stage::Pipeline, "bad".into()));
        },
        |h| matches!(h, Health::Degraded(Trouble::Errors(text)) if &**text == "bad"),
    );
    judged(|s| s.input_up = false, |h| matches!(h, Health::Degraded(Trouble::NoSource(_))));
    judged(
        |s| {
            s.output_up = false;
            s.last_error = Some((Stage::Output, "refused".into()));
        },
        |h| matches!(h, Health::Degraded(Trouble::NoTarget(text)) if &**text == "refused"),
    );
}

#[tokio::test(start_paused = true)]
async fn errors_older_than_a_minute_are_forgotten() {
    let stats = FlowStats::new();
    for _ in 0..3 {
        stats.error(Stage::Pipeline, ErrorKind::Json, "bad".into());
    }
    assert_eq!(stats.snapshot(0, 0).recent_errors, 3);
    tokio::time::advance(ERROR_WINDOW + SECOND).await;
    assert_eq!(stats.snapshot(0, 0).recent_errors, 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_is_counted_from_the_first_message_or_the_last_progress() {
    let stats = FlowStats::new();
    tokio::time::advance(100 * SECOND).await;
    assert_eq!(stats.snapshot(0, 0).stalled, Duration::ZERO);
    stats.received(1, tokio::time::Instant::now(), true);
    tokio::time::advance(10 * SECOND).await;
    stats.received(1, tokio::time::Instant::now(), false);
    assert_eq!(stats.snapshot(2, 2).stalled, 10 * SECOND);
    stats.delivered(10 * SECOND, 1, 1);
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(stats.snapshot(1, 1).stalled, 5 * SECOND);
}
