//! What probes mean: the table of `connection`, and which configs it takes.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::table::Case;
use fsm_core::{Action, Observed, Phase, Registry, State};
use fsm_worker_bridge::connection::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const TARGET: &str = "tcp://device:502";

fn config() -> ConnectionConfig {
    ConnectionConfig::try_tcp("device", 502).unwrap()
}

fn up(changes: u32) -> ConnectionObserved {
    ConnectionObserved::up(TARGET.into()).with_changes(changes)
}

fn down(changes: u32) -> ConnectionObserved {
    let failure = Failure::new(FailureClass::Refused, "connection refused");
    ConnectionObserved::down(TARGET.into(), failure).with_changes(changes)
}

fn case(observed: ConnectionObserved) -> Case<Connection> {
    Case::new(config()).observed(observed)
}

#[test]
fn each_state_answers_each_situation() {
    use ConnectionState::*;
    // Up to three changes the answer counts, from four on it flaps; a flapping one is steady again from two down.
    for changes in 0..=3 {
        for state in [Probing, Up, Down] {
            let (good, bad) = (case(up(changes)).next(state), case(down(changes)).next(state));
            match state {
                Up => {
                    (good.stays(), bad.moves_to(Down).because("tcp://device:502 is down: connection refused"))
                }
                Down => (good.moves_to(Up), bad.stays().because("refused")),
                Probing | Stopped | Flapping => (good.moves_to(Up), bad.moves_to(Down)),
            };
        }
    }
    for changes in 4..=5 {
        for observed in [up, down] {
            for state in [Probing, Up, Down] {
                case(observed(changes))
                    .next(state)
                    .moves_to(Flapping)
                    .because("changes between up and down within 1m");
            }
            case(observed(changes)).next(Flapping).stays();
            case(observed(3)).next(Flapping).stays();
        }
    }
    case(up(2)).next(Flapping).moves_to(Up);
    case(down(2)).next(Flapping).moves_to(Down);
    case(up(0)).next(Stopped).moves_to(Probing);
    for state in ConnectionState::ALL {
        let answers = [case(up(0)).stop(*state), Case::<Connection>::new(config()).stop(*state)];
        for answer in answers {
            if *state == Stopped {
                answer.stays()
            } else {
                answer.moves_to(Stopped)
            };
        }
    }
}

#[test]
fn what_was_seen_of_another_target_is_not_believed() {
    let other = || ConnectionObserved::up("tcp://other:502".into());
    for state in [ConnectionState::Up, ConnectionState::Down, ConnectionState::Flapping] {
        case(other()).next(state).moves_to(ConnectionState::Probing).because("changed to tcp://device:502");
    }
    case(other()).next(ConnectionState::Probing).stays().because("first probe");
}

#[test]
fn only_up_is_healthy() {
    let healthy: Vec<_> = ConnectionState::ALL.iter().filter(|s| s.phase() == Phase::Running).collect();
    assert_eq!(healthy, [&ConnectionState::Up]);
}

#[test]
fn latency_and_wording_decide_nothing() {
    let mut slow = up(0);
    slow.latency = Duration::from_secs(1);
    slow.status = Some(204);
    assert!(slow.same_for_decisions(&up(0)) && slow != up(0));
    let other_words = Failure::new(FailureClass::Refused, "refused again");
    assert!(ConnectionObserved::down(TARGET.into(), other_words).same_for_decisions(&down(0)));
    let other_class = Failure::new(FailureClass::TimedOut, "connection refused");
    assert!(!ConnectionObserved::down(TARGET.into(), other_class).same_for_decisions(&down(0)));
    assert!(!up(1).same_for_decisions(&up(0)));
    assert!(!up(0).same_for_decisions(&down(0)));
}

#[test]
fn only_a_probe_can_be_asked_for() {
    assert_eq!(ConnectionAction::from_request("probe", Value::Null).unwrap(), ConnectionAction::Probe);
    assert!(ConnectionAction::from_request("reboot", Value::Null).is_err());
}

#[track_caller]
fn check_refused(config: Value, parts: &[&str]) {
    let error = serde_json::from_value::<ConnectionConfig>(config.clone()).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "expected `{part}` in `{error}` of {config}");
    }
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_bad_config_says_what_where_and_what_to_do() {
    check_refused(json!({}), &["exactly one of", "found 0"]);
    check_refused(json!({"tcp": {"host": "a", "port": 1}, "mqtt": {"url": "mqtt://a"}}), &["found 2"]);
    check_refused(json!({"tcp": {"host": " ", "port": 1}}), &["tcp.host is empty"]);
    check_refused(json!({"tls": {"host": "a", "port": 0}}), &["tls.port may not be 0"]);
    check_refused(json!({"tcp": {"host": "a", "port": 1, "prot": 2}}), &["prot"]);
    check_refused(json!({"http": {"url": "mqtt://a"}}), &["http.url", "use http:// or https://"]);
    check_refused(json!({"http": {"url": "10.0.0.7:80/health"}}), &["http.url", "http://host:port"]);
    check_refused(json!({"http": {"url": "http://a:70000"}}), &["http.url"]);
    check_refused(json!({"mqtt": {"url": "mqtt://u:hunter2@a"}}), &["mqtt.url", "`username` and `password`"]);
    check_refused(json!({"mqtt": {"url": "mqtt://a/topic"}}), &["mqtt.url", "path"]);
    check_refused(json!({"mqtt": {"url": "mqtt://a", "password": "hunter2"}}), &["mqtt.username"]);
    check_refused(json!({"mqtt": {"url": "mqtt://a"}, "timeout": "6s"}), &["timeout is 6s", "1ms to 5s"]);
    check_refused(
        json!({"mqtt": {"url": "mqtt://a"}, "flapping": {"changes": 1}}),
        &["flapping.changes is 1"],
    );
    check_refused(json!({"mqtt": {"url": "mqtt://a"}, "flapping": {"within": "0s"}}), &["flapping.within"]);
}

#[test]
fn the_field_of_an_error_is_known_to_the_engine() {
    let mut registry = Registry::new();
    fsm_worker_bridge::register(&mut registry).unwrap();
    let kind = registry.get("connection").unwrap();
    let error = kind.read_config(&json!({"tcp": {"host": "a", "port": "x"}})).unwrap_err();
    assert_eq!(error.field, "tcp.port");
}

#[test]
fn a_password_is_never_shown() {
    let config: ConnectionConfig =
        serde_json::from_value(json!({"mqtt": {"url": "mqtt://a", "username": "u", "password": "hunter2"}}))
            .unwrap();
    for shown in [format!("{config:?}"), serde_json::to_string(&config).unwrap(), config.label().to_string()]
    {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

fn target() -> impl Strategy<Value = Value> {
    let host = prop_oneof![Just("a.example"), Just("10.0.0.7"), Just("fd00::1")];
    let port = 1_u16..;
    prop_oneof![
        (host.clone(), port.clone()).prop_map(|(host, port)| json!({"tcp": {"host": host, "port": port}})),
        (host, port.clone(), any::<bool>()).prop_map(
            |(host, port, insecure)| json!({"tls": {"host": host, "port": port, "insecure": insecure, "ca": "/ca.pem"}})
        ),
        (port.clone(), prop_oneof![Just("HEAD"), Just("GET")])
            .prop_map(|(port, method)| json!({"http": {"url": format!("https://[::1]:{port}/a?b"), "method": method}})),
        port.prop_map(|port| json!({"mqtt": {"url": format!("mqtts://a:{port}"), "username": "u"}})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // The store writes a config and reads it back.
    #[test]
    fn a_config_survives_writing_and_reading(mut raw in target(), millis in 1_u64..5_000, changes in 2_u32..64) {
        raw["timeout"] = json!(format!("{millis}ms"));
        raw["flapping"] = json!({"changes": changes});
        let config: ConnectionConfig = serde_json::from_value(raw).unwrap();
        let written = serde_json::to_value(&config).unwrap();
        prop_assert_eq!(&serde_json::from_value::<ConnectionConfig>(written).unwrap(), &config);
        let seen = ConnectionObserved::up(Arc::clone(config.label()));
        let written = serde_json::to_value(&seen).unwrap();
        prop_assert_eq!(serde_json::from_value::<ConnectionObserved>(written).unwrap(), seen);
    }
}
