//! How a node is run: defaults, overrides, and times that contradict each other.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use fsm_core::*;
use serde_json::{Value, json};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn over(value: Value) -> PolicyOverride {
    serde_json::from_value(value).unwrap()
}

// spec: S-30, S-31
#[test]
fn defaults_follow_the_interval() {
    let second = Policy::default();
    assert_eq!(second.interval(), Some(s(1)));
    assert_eq!(second.collect_timeout(), Duration::from_millis(2_200));
    assert_eq!((second.stale_after(), second.collector_timeout()), (s(10), s(20)));

    let slow = Policy::DEFAULT.poll_every(s(60));
    assert_eq!(slow.collect_timeout(), Duration::from_millis(61_200));
    assert_eq!(slow.stale_after(), Duration::from_millis(241_200), "three intervals and a timeout");
    assert_eq!(slow.collector_timeout(), slow.stale_after() * 2);

    let pushed = Policy::DEFAULT.push(s(60));
    assert_eq!((pushed.interval(), pushed.collect_timeout()), (Some(s(60)), Duration::from_millis(2_200)));
    assert_eq!(Policy::DEFAULT.without_observation().interval(), None);
    for policy in [second, slow, pushed, Policy::DEFAULT.without_observation()] {
        assert_eq!(policy.check(), Ok(()));
    }
}

// spec
#[test]
fn an_action_has_its_own_policy_or_that_of_the_kind() {
    const ACTIONS: &[ActionPolicy] = &[ActionPolicy::new("start", s(30))
        .with_retry(RetryPolicy::NEVER)
        .with_on_change(OnChange::Supersede)
        .blocking()];
    let policy = Policy::DEFAULT
        .with_actions(ACTIONS)
        .with_retry(RetryPolicy { retries: 7, ..RetryPolicy::default() });
    assert_eq!(policy.action("start"), ACTIONS[0]);
    assert_eq!(
        (ACTIONS[0].retry.retries, ACTIONS[0].on_change, ACTIONS[0].blocking),
        (0, OnChange::Supersede, true)
    );
    let other = policy.action("other");
    assert_eq!((other.name, other.timeout, other.retry.retries), ("other", s(300), 7));
    assert_eq!((other.on_change, other.blocking), (OnChange::Finish, false));
}

// spec: S-10, S-30
#[test]
fn a_node_overrides_what_it_names_and_nothing_else() {
    let all = over(json!({
        "interval": "2s", "collect_timeout": "3s", "stale_after": "20s", "collector_timeout": "1m",
        "action_timeout": "5s", "retries": 1, "stop_timeout": "4s", "max_restarts": 2, "strategy": "rest_for_one",
    }));
    let policy = Policy::DEFAULT.with(&all).unwrap();
    assert_eq!((policy.interval(), policy.collect_timeout()), (Some(s(2)), s(3)));
    assert_eq!((policy.stale_after(), policy.collector_timeout()), (s(20), s(60)));
    assert_eq!((policy.action_timeout, policy.retry.retries, policy.stop_timeout), (s(5), 1, s(4)));
    assert_eq!((policy.restart.max_restarts, policy.strategy), (2, Strategy::RestForOne));
    assert_eq!(policy.restart.window, RestartPolicy::DEFAULT.window);

    assert_eq!(Policy::DEFAULT.with(&PolicyOverride::default()).unwrap(), Policy::DEFAULT);
    let heartbeat = Policy::DEFAULT.push(s(60)).with(&over(json!({"interval": "30s"}))).unwrap();
    assert_eq!(heartbeat.collect, CollectMode::Push { heartbeat: s(30) }, "still pushed");
    assert_eq!(json!(all)["stale_after"], json!("20s"), "and written as it was read");
    assert_eq!(json!(PolicyOverride::default()), json!({}));
}

#[test]
fn an_override_that_nobody_knows_is_an_error() {
    let error = serde_json::from_value::<PolicyOverride>(json!({"intervall": "2s"})).unwrap_err();
    assert!(error.to_string().contains("unknown field `intervall`"), "{error}");
}

#[track_caller]
fn contradicts(value: Value, expected: &str) {
    let error = Policy::DEFAULT.with(&over(value)).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

// spec: I2, I7, I11
#[test]
fn times_that_contradict_each_other_are_named() {
    let tail = "shorten the first or lengthen the second";
    contradicts(
        json!({"stale_after": "20s", "collector_timeout": "20s"}),
        &format!("stale_after (20s) must be shorter than collector_timeout (20s): {tail}"),
    );
    contradicts(
        json!({"collect_timeout": "30s", "stale_after": "20s"}),
        &format!("collect_timeout (30s) must be shorter than stale_after (20s): {tail}"),
    );
    contradicts(
        json!({"interval": "20s", "stale_after": "20s"}),
        &format!("interval (20s) must be shorter than stale_after (20s): {tail}"),
    );
    contradicts(json!({"interval": "49ms"}), "the interval 49ms is out of bounds: use 50ms to 1d");
    contradicts(json!({"interval": "25h"}), "the interval 1d1h is out of bounds: use 50ms to 1d");
    assert!(Policy::DEFAULT.with(&over(json!({"interval": "50ms"}))).is_ok());
    assert!(Policy::DEFAULT.with(&over(json!({"interval": "1d"}))).is_ok());
}

// spec: S-37
#[test]
fn a_kind_that_observes_nothing_has_no_interval() {
    let error = Policy::DEFAULT.without_observation().with(&over(json!({"interval": "2s"}))).unwrap_err();
    assert_eq!(error, PolicyError::NothingToCollect);
    assert!(error.to_string().contains("leave `interval` out"));
}

#[test]
fn each_setting_of_a_kind_is_kept() {
    let policy = Policy::DEFAULT
        .with_collect_timeout(s(3))
        .with_stale_after(s(30))
        .with_collector_timeout(s(90))
        .with_stop_timeout(s(7))
        .blocking_collect();
    assert_eq!(
        (policy.collect_timeout(), policy.stale_after(), policy.collector_timeout()),
        (s(3), s(30), s(90))
    );
    assert_eq!((policy.stop_timeout, policy.blocking_collect), (s(7), true));
}
