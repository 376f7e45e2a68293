//! The words that cross every border: names, paths, durations, moments, reasons, variables.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn name(text: &str) -> ChildName {
    ChildName::try_new(text).unwrap()
}

// spec: S-10
#[test]
fn a_name_is_refused_with_what_is_wrong_and_where() {
    let refused = |text: &str| ChildName::try_new(text).unwrap_err();
    assert_eq!(refused(""), NameError::Empty);
    let long = "a".repeat(MAX_NAME_BYTES + 1);
    assert_eq!(refused(&long), NameError::TooLong { name: long.clone(), len: 64 });
    assert!(ChildName::try_new(&long[1..]).is_ok());
    for (text, found, at) in
        [("Press", 'P', 0), ("a b", ' ', 1), ("a-", '-', 1), ("-a", '-', 0), ("_", '_', 0), ("aß", 'ß', 1)]
    {
        assert_eq!(refused(text), NameError::BadCharacter { name: text.into(), found, at });
    }
    assert!(refused("a/b").to_string().contains("`/` at byte 1"));
}

// spec: S-10
#[test]
fn a_name_read_from_json_is_checked_too() {
    assert_eq!(serde_json::from_value::<ChildName>(json!("press-7")).unwrap(), name("press-7"));
    let error = serde_json::from_value::<ChildName>(json!("Press 7")).unwrap_err();
    assert!(error.to_string().contains("`P` at byte 0"), "{error}");
    assert!("press_7".parse::<ChildName>().is_ok());
    let schema = schemars::schema_for!(ChildName);
    assert_eq!(schema.get("maxLength"), Some(&json!(63)));
}

#[test]
fn a_name_is_its_text() {
    let a = name("a");
    assert_eq!((a.to_string().as_str(), format!("{a:?}").as_str(), a.as_str()), ("a", "\"a\"", "a"));
    assert_eq!(<ChildName as Borrow<str>>::borrow(&a), "a");
    assert!(Arc::ptr_eq(a.shared(), a.clone().shared()), "clones share the text");
    assert_eq!(a, name("a"));
    assert!(a < name("b"));
    assert!(BTreeSet::from([name("b"), name("a")]).contains("a"), "found by its text");
}

// spec: S-10
#[test]
fn a_path_is_refused_with_the_rule_that_it_breaks() {
    let error = NodePath::try_new("a/b").unwrap_err();
    assert_eq!(error, PathError::NotAbsolute { path: "a/b".into() });
    for (path, source) in [
        ("/", NameError::Empty),
        ("/a//b", NameError::Empty),
        ("/a/", NameError::Empty),
        ("/a/B", NameError::BadCharacter { name: "B".into(), found: 'B', at: 0 }),
    ] {
        assert_eq!(NodePath::try_new(path), Err(PathError::BadSegment { path: path.into(), source }));
    }
    let error = serde_json::from_value::<NodePath>(json!("a")).unwrap_err();
    assert!(error.to_string().contains("must begin with `/`"), "{error}");
}

#[test]
fn a_path_knows_its_parts() {
    let root = NodePath::root(&name("edge-01"));
    assert_eq!((root.as_str(), root.parent(), root.name()), ("/edge-01", None, "edge-01"));
    let read = root.join(&name("press-7")).join(&name("read"));
    assert_eq!(read, "/edge-01/press-7/read".parse().unwrap());
    assert_eq!(read.parent().unwrap().to_string(), "/edge-01/press-7");
    assert_eq!(read.segments().collect::<Vec<_>>(), ["edge-01", "press-7", "read"]);
    assert_eq!((format!("{read:?}"), json!(read)), (format!("\"{read}\""), json!("/edge-01/press-7/read")));
    assert_eq!(<NodePath as Borrow<str>>::borrow(&root), &**root.shared());
    assert_eq!(serde_json::from_value::<NodePath>(json!("/a/b")).unwrap().name(), "b");
}

// spec: S-17
#[test]
fn the_id_of_a_path_never_changes_with_a_release() {
    // FNV-1a of `/a`, computed apart from this code, so that ids in stores and topics keep their meaning.
    assert_eq!(&*NodePath::try_new("/a").unwrap().id(), "07d66707b49cd92d");
}

#[test]
fn an_identity_is_what_templates_see_of_a_node() {
    let id = NodeId::new(3, Incarnation::new(2));
    let child = Identity::new(NodePath::try_new("/edge/press").unwrap(), "bridge", id, 17, 4);
    let internal = child.internal();
    assert_eq!((&*internal.name, &*internal.path, internal.created_at), ("press", "/edge/press", 17));
    assert_eq!(internal.parent_id, NodePath::try_new("/edge").unwrap().id());
    let root = Identity::new(NodePath::try_new("/edge").unwrap(), "group", id, 17, 1);
    assert_eq!(&*root.internal().parent_id, "", "a root has no parent");
}

#[test]
fn a_duration_is_written_as_people_write_it() {
    for (text, nanos) in [
        ("0s", 0),
        ("1ns", 1),
        ("1us", 1_000),
        ("500ms", 500_000_000),
        ("1.5s", 1_500_000_000),
        ("1m30s", 90_000_000_000),
        (" 2h 5m ", 7_500_000_000_000),
        ("1d", 86_400_000_000_000),
    ] {
        assert_eq!(text.parse::<HumanDuration>().unwrap().get(), Duration::from_nanos(nanos), "{text}");
    }
    for text in ["", "  ", "5", "s", "1 s", "-1s", "1x", "1.2.3s", "99999999999d", "1s x"] {
        let error = text.parse::<HumanDuration>().unwrap_err();
        assert_eq!(error.text, text);
        assert!(error.to_string().contains("as in `500ms`"), "{error}");
    }
}

#[test]
fn a_duration_crosses_json_as_text() {
    let d = HumanDuration::from(Duration::from_secs(90));
    assert_eq!((json!(d), format!("{d:?}"), d), (json!("1m30s"), "1m30s".into(), "90s".parse().unwrap()));
    assert_eq!(serde_json::from_value::<HumanDuration>(json!("90s")).unwrap(), d);
    assert!(serde_json::from_value::<HumanDuration>(json!(90)).is_err(), "a number has no unit");
    assert!(
        HumanDuration::new(Duration::MAX).to_string().parse::<HumanDuration>().is_ok(),
        "the longest too"
    );
    let schema = schemars::schema_for!(HumanDuration);
    assert_eq!(schema.get("type"), Some(&json!("string")));
}

#[test]
fn moments_saturate_instead_of_wrapping() {
    let second = Duration::from_secs(1);
    assert_eq!(Moment::FAR + second, Moment::FAR);
    assert_eq!(Moment::ZERO - second, Moment::ZERO);
    assert_eq!(Moment::ZERO + Duration::MAX, Moment::FAR);
    assert_eq!(Moment::FAR - Duration::MAX, Moment::ZERO);
    assert_eq!(Moment::after_start(second), Moment::from_nanos(1_000_000_000));
    assert_eq!(Moment::after_start(second).since(Moment::FAR), Duration::ZERO, "never negative");
    assert_eq!(Moment::after_start(second).as_nanos(), 1_000_000_000);
}

#[track_caller]
fn check_reason(reason: impl Into<Reason>, expected: &str) {
    let reason = reason.into();
    assert_eq!((reason.to_string().as_str(), json!(reason)), (expected, json!(expected)));
}

#[test]
fn a_reason_puts_its_arguments_in_place() {
    check_reason("plain", "plain");
    check_reason(("{} of {}", 3_u64, 5_u32), "3 of 5");
    check_reason(("{} at {}", 7_usize, -3_i64), "7 at -3");
    check_reason(("{} and {}", -1_i32, 0.123_456_f64), "-1 and 0.123");
    check_reason(("{}: {}", "word", Arc::<str>::from("text")), "word: text");
    check_reason(("{}", &Arc::<str>::from("shared")), "shared");
    check_reason(("for {}", Duration::from_nanos(61_999_999_999)), "for 1m1s");
    check_reason(("for {}", Duration::from_nanos(1_234_567_890)), "for 1s234ms");
    check_reason(("for {}", Duration::from_nanos(1_500)), "for 1us500ns");
    check_reason(("until {}", Moment::after_start(Duration::from_secs(90))), "until +1m30s");
    // Too few or too many placeholders are ugly, not fatal.
    check_reason(("{} {} {}", 1_u64, 2_u64), "1 2 ");
    check_reason(("none", 1_u64), "none");
}

#[test]
fn reasons_are_the_same_by_their_text() {
    let a = Reason::from(("{} left", 3_u64));
    assert!(a.same_text(&("{} left", 4_u64).into()) && a != ("{} left", 4_u64).into());
    assert!(!a.same_text(&Reason::new("none left")));
    assert_eq!((a.text(), &a.args()[0], &a.args()[1]), ("{} left", &Arg::Count(3), &Arg::None));
}

fn vars(value: Value) -> Vars {
    serde_json::from_value(value).unwrap()
}

// spec: T-6
#[test]
fn a_variable_may_not_hide_a_part_of_the_scope() {
    for reserved in RESERVED_NAMES {
        let error = VariableBundle::default().with_user(vars(json!({ reserved: 1 }))).unwrap_err();
        assert_eq!(error, ReservedName { name: reserved.into() });
        assert!(error.to_string().contains(reserved), "{error}");
    }
    assert!(RESERVED_NAMES.contains(&"name"), "`name` is what is rendered");
    assert!(check_names(&vars(json!({"globals": 1, "names": 2}))).is_ok());
}

// spec: S-17, T-10
#[test]
fn own_variables_win_and_globals_pass_through() {
    let parent = VariableBundle::default()
        .with_user(vars(json!({"ip": "a", "port": 1})))
        .unwrap()
        .with_global(vars(json!({"broker": "b"})));
    let child = parent.child(&vars(json!({"ip": "c", "unit": 9})));
    let flat = child.flatten();
    let keys: Vec<_> = flat.keys().map(String::as_str).collect();
    assert_eq!(keys, ["ip", "port", "unit", "global", "internal"], "declared order is kept");
    assert_eq!((&flat["ip"], &flat["port"]), (&json!("c"), &json!(1)));
    assert_eq!(flat["global"], json!({"broker": "b"}));
    assert_eq!(flat["internal"]["created_at"], json!(0));
    let same = parent.child(&Vars::new());
    assert!(Arc::ptr_eq(&parent.user, &same.user), "nothing to add costs nothing");
    let back: VariableBundle = serde_json::from_value(json!(child)).unwrap();
    assert_eq!(back, child);
}

#[test]
fn words_are_the_same_in_code_json_and_text() {
    for phase in Phase::ALL {
        assert_eq!(json!(phase), json!(phase.as_str()));
        assert_eq!(format!("{phase:>9}"), format!("{:>9}", phase.as_str()), "padded in tables");
        assert_eq!(phase.is_at_rest(), matches!(phase, Phase::Stopped | Phase::Completed));
    }
    assert_eq!(Outcome::ALL.len(), 5, "five endings, everywhere");
    let words = |all: &[&str]| all.join(" ");
    assert_eq!(words(&Goal::ALL.iter().map(|w| w.as_str()).collect::<Vec<_>>()), "run stop remove");
    assert_eq!(words(&Sort::ALL.iter().map(|w| w.as_str()).collect::<Vec<_>>()), "trying working passive");
    assert_eq!(Signal::NeedsRemoval.to_string(), "needs_removal");
    assert_eq!(Target::Running.to_string(), "running");
    assert_eq!(serde_json::from_value::<Condition>(json!("completed")).unwrap(), Condition::Completed);
}

#[test]
fn ids_count_and_show_their_number() {
    assert_eq!(Generation::new(1).next().get(), 2);
    assert_eq!((ActionId::new(7).to_string(), CauseId::default().to_string()), ("7".into(), "0".into()));
    let node = NodeId::new(4, Incarnation::new(9));
    assert_eq!((node.index(), node.incarnation().get(), node.incarnation().to_string()), (4, 9, "9".into()));
    assert_ne!(node, NodeId::new(4, Incarnation::new(10)), "another life is another node");
}

proptest! {
    #[test]
    fn a_duration_that_was_written_reads_back(nanos in 0..1_u64 << 52) {
        // Below 2^52 ns (52 days) a nanosecond is exact.
        let d = HumanDuration::new(Duration::from_nanos(nanos));
        prop_assert_eq!(d.to_string().parse::<HumanDuration>().unwrap(), d);
    }

    #[test]
    fn any_text_is_a_name_or_an_error_never_a_panic(text in "\\PC{0,70}") {
        if let Ok(name) = ChildName::try_new(&text) {
            prop_assert!(text.len() <= MAX_NAME_BYTES && !text.contains('/'));
            prop_assert_eq!(name.as_str(), text.as_str());
        }
        let _ = (text.parse::<HumanDuration>(), NodePath::try_new(&text));
    }

    #[test]
    fn joining_and_parent_are_inverse(names in prop::collection::vec("[a-z][a-z0-9]{0,8}", 1..8)) {
        let names: Vec<_> = names.iter().map(|n| name(n)).collect();
        let path = NodePath::from_names(&names);
        prop_assert_eq!(path.segments().collect::<Vec<_>>(), names.iter().map(ChildName::as_str).collect::<Vec<_>>());
        prop_assert_eq!(path.join(&name("x")).parent(), Some(path.clone()));
        prop_assert_eq!(NodePath::try_new(path.as_str()).unwrap().id(), path.id());
    }
}
