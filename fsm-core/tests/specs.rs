//! What a parent says of its children, and how two sayings are compared.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;
use std::time::Duration;

use fsm_core::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Port {
    port: u16,
}

impl Config for Port {}

fn spec(name: &str) -> ChildSpec {
    ChildSpec::try_new(name, "kind").unwrap()
}

// spec: S-10
#[test]
fn a_name_is_declared_once_and_the_first_stays() {
    let mut all = ChildrenSpecs::with_capacity(2);
    all.try_add(spec("a").with_enabled(false)).unwrap();
    let error = all.try_add(spec("a")).unwrap_err();
    assert_eq!(error, DuplicateChild { name: ChildName::try_new("a").unwrap() });
    assert_eq!(error.to_string(), "the name `a` is declared twice among these children: rename one of them");
    assert!(all.len() == 1 && !all.get("a").unwrap().enabled);
    assert!(ChildrenSpecs::try_from_iter([spec("a"), spec("b"), spec("a")]).is_err());
}

#[test]
fn declared_order_is_kept() {
    let mut all = ChildrenSpecs::try_from_iter([spec("c"), spec("a"), spec("b")]).unwrap();
    let names = |all: &ChildrenSpecs| all.iter().map(|s| s.name.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!((names(&all).as_str(), all.at(1).unwrap().name.as_str()), ("c a b", "a"));
    assert!(all.at(3).is_none() && all.get("d").is_none());

    all.replace_at(1, Arc::new(spec("a").with_fingerprint(5))).unwrap();
    assert_eq!((names(&all).as_str(), all.get("a").unwrap().fingerprint), ("c a b", 5));
    let refused = all.replace_at(1, Arc::new(spec("b"))).unwrap_err();
    assert_eq!(refused.name.as_str(), "b", "another name is given back");
    assert!(all.replace_at(9, refused).is_err());
    for spec in all.values_mut() {
        *spec = Arc::new(ChildSpec::clone(spec).with_enabled(false));
    }
    assert!(all.iter().all(|s| !s.enabled));
    assert!(ChildrenSpecs::new().is_empty() && !all.is_empty());
}

#[test]
fn a_clone_is_changed_alone_and_says_where() {
    let many = || ChildrenSpecs::try_from_iter((0..700).map(|n| spec(&format!("s{n}")))).unwrap();
    let before = many();
    let mut after = before.clone();
    assert_eq!(after.differing(&before).count(), 0);
    for at in [699, 3, 256] {
        after.replace_at(at, Arc::new(spec(&format!("s{at}")).with_enabled(false))).unwrap();
    }
    after.try_add(spec("new")).unwrap();
    assert_eq!(after.differing(&before).collect::<Vec<_>>(), [3, 256, 699, 700]);
    assert_eq!(before.differing(&after).collect::<Vec<_>>(), [3, 256, 699]);
    assert!(!after.has_names_of(&before) && before == many() && before.has_names_of(&many()));
    assert!(before.iter().all(|s| s.enabled), "who shared it sees no change");
    assert_eq!(after.iter().rev().position(|s| !s.enabled), Some(1), "in declared order");
    assert_eq!((after.len(), after.get("s256").map(|s| s.enabled)), (701, Some(false)));
    after.shrink_to_fit();
    assert_eq!(after.iter().filter(|s| s.enabled).count(), 698);
}

// spec: S-11
#[test]
fn a_raw_config_equals_the_typed_one_that_is_read_from_it() {
    let raw = spec("a").with_config(json!({"port": 502}));
    let typed = spec("a").with_typed_config(Port { port: 502 });
    assert_eq!(raw, typed);
    assert_eq!(typed, raw);
    assert_ne!(raw, spec("a").with_config(json!({"port": 503})));
    assert_ne!(typed, spec("a").with_typed_config(Port { port: 503 }));
    assert_ne!(typed, spec("a").with_config(json!({"port": "502"})));
    assert_ne!(typed.config, ChildConfig::typed(()), "of another type");
    assert_eq!(typed.config.to_value(), raw.config.to_value());
    assert_eq!(format!("{:?} {:?}", raw.config, typed.config), r#"Raw({"port":502}) Typed({"port":502})"#);
}

// spec: S-11
#[test]
fn each_part_of_a_spec_makes_a_difference_and_the_fingerprint_none() {
    let base = || spec("a");
    assert_eq!(base(), base().with_fingerprint(7));
    let sibling = Dependency::on(ChildName::try_new("b").unwrap());
    for other in [
        spec("b"),
        ChildSpec::try_new("a", "other").unwrap(),
        base().with_enabled(false),
        base().with_config(json!({})),
        base().with_variables(Vars::from_iter([("ip".to_owned(), json!(1))])),
        base().with_start_when(StartWhen::Phases(vec![Phase::Running])),
        base().with_dependency(sibling.clone()),
        base().with_stop_timeout(Duration::from_secs(1)),
        ChildSpec::invalid(ChildName::try_new("a").unwrap(), "kind", DeriveError::config("no")),
    ] {
        assert_ne!(base(), other);
        assert_eq!(other, other.clone());
    }
    assert_eq!(base().with_dependency(sibling.clone()).depends_on(), [sibling]);
    assert!(base().depends_on().is_empty());
    let policy: PolicyOverride = serde_json::from_value(json!({"stop_timeout": "1s"})).unwrap();
    assert_eq!(base().with_policy(policy), base().with_stop_timeout(Duration::from_secs(1)));
    assert!(ChildSpec::try_new("A", "kind").is_err());
}

// spec: S-16
#[test]
fn a_child_starts_in_the_states_or_phases_that_it_names() {
    let holds = |when: &StartWhen| when.holds("Up", Phase::Running);
    assert!(holds(&StartWhen::default()));
    assert!(holds(&StartWhen::States(vec!["Down".into(), "Up".into()])));
    assert!(!holds(&StartWhen::States(vec!["up".into()])));
    assert!(holds(&StartWhen::Phases(vec![Phase::Running])));
    assert!(!holds(&StartWhen::Phases(vec![Phase::Degraded])));
    let read: StartWhen = serde_json::from_value(json!({"states": ["Up"]})).unwrap();
    assert!(holds(&read));
}

// spec: S-15
#[test]
fn a_dependency_waits_for_health_unless_it_says_otherwise() {
    let read = |value| serde_json::from_value::<Dependency>(value);
    let bare = read(json!({"child": "broker"})).unwrap();
    assert_eq!(bare, Dependency::on(ChildName::try_new("broker").unwrap()));
    assert!(bare.condition == Condition::Healthy && !bare.stop_when_unmet);
    assert!(read(json!({"child": "broker", "when": "healthy"})).is_err());
}

#[test]
fn a_desired_state_shares_the_config_of_its_spec() {
    let user = UserSpec::new(Port { port: 1 });
    let desired = DesiredState::stopped(&user.clone()).with_children(ChildrenSpecs::new());
    assert!(Arc::ptr_eq(&desired.config, &user.config));
    assert_eq!((desired.state, desired.children_specs.map(|c| c.len())), (Target::Stopped, Some(0)));
    let erased = DesiredState::running(&user).erase();
    assert_eq!((erased.state, erased.config.to_value()), (Target::Running, json!({"port": 1})));
}

#[test]
fn an_error_says_what_where_and_why() {
    let cause = || std::io::Error::other("the disk is full");
    let derive = DeriveError::config("no port").at("read.input").with_source(cause());
    assert_eq!(derive.to_string(), "read.input: no port");
    assert_eq!((derive.kind(), derive.field()), (DeriveErrorKind::Config, Some("read.input")));
    assert_eq!(&*chain(&derive), "read.input: no port: the disk is full");
    assert_eq!(derive, DeriveError::config("no port").at("read.input"), "equal when they read the same");
    assert_ne!(derive, DeriveError::new(DeriveErrorKind::Type, "no port").at("read.input"));
    assert_eq!(
        &*CollectError::new("can't look").with_source(cause()).chain(),
        "can't look: the disk is full"
    );
    let passing =
        ActionError::transient("busy").with_retry_after(Duration::from_secs(3)).with_source(cause());
    assert_eq!((passing.is_permanent(), passing.retry_after()), (false, Some(Duration::from_secs(3))));
    assert_eq!((&*passing.chain(), passing.to_string().as_str()), ("busy: the disk is full", "busy"));
    assert!(ActionError::permanent("gone").is_permanent());
}
