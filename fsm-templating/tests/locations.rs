//! Locations: levels, merging, gaps.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use fsm_templating::{GapPolicy, Level, Location, LocationError, Node, codes};
use serde_json::json;

fn location(text: &str) -> (Location, Node) {
    let node = Node::parse("c.yaml", text).unwrap();
    (Location::from_node(&node).unwrap_or_else(|e| panic!("{e}")), node)
}

// spec: T-4
#[test]
fn names_and_numbers_are_the_same_levels() {
    let (a, _) = location("{enterprise: ACME, site: Factory-1, line: 4, '7': x}");
    let (b, _) = location("{0: ACME, 1: Factory-1, 3: '4', 7: x}");
    assert_eq!(a, b);
    assert_eq!(a.get(Level::number(3)), Some("4"));
    assert_eq!(
        serde_json::to_value(&a).unwrap(),
        json!({"enterprise": "ACME", "site": "Factory-1", "line": "4", "7": "x"})
    );
    assert_eq!(
        serde_json::from_value::<Location>(json!({"0": "ACME", "1": "Factory-1", "3": 4, "7": "x"})).unwrap(),
        a
    );
}

#[test]
fn gaps_are_skipped_or_filled() {
    let (a, _) = location("{enterprise: ACME, site: Factory-1, line: Line-A, cell: Cell-5}");
    assert_eq!(a.fill_gaps(GapPolicy::Skip).path(), "ACME.Factory-1.Line-A.Cell-5");
    assert_eq!(a.fill_gaps(GapPolicy::Unknown).path(), "ACME.Factory-1.unknown.Line-A.Cell-5");
    assert_eq!(Location::default().fill_gaps(GapPolicy::Unknown).topic(), "");
    assert!(Location::default().is_empty());
}

#[test]
fn a_child_adds_and_fills_but_never_overrides() {
    let (agent, agent_node) = location("enterprise: acme\nline: l1\n");
    let (child, _) = location("{site: s, line: l1, '5': x}");
    assert_eq!(Location::merge(&agent, &child).unwrap().topic(), "acme/s/l1/x");
    let (child, child_node) = location("{site: s, 0: other, line: l2}");
    assert!(matches!(Location::merge(&agent, &child), Err(LocationError::Override { .. })));
    assert_eq!(Location::merge_lenient(&agent, &child).topic(), "acme/s/l1");
    let errors = Location::merge_nodes(&agent, Some(&agent_node), &child, &child_node).unwrap_err();
    insta::assert_snapshot!(errors.to_string());
}

#[test]
fn segments_must_fit_a_topic() {
    for (text, code) in [
        ("{enterprise: ''}", codes::BAD_SEGMENT),
        ("{enterprise: a/b}", codes::BAD_SEGMENT),
        ("{enterprise: 'a+'}", codes::BAD_SEGMENT),
        ("{enterprise: 'a#'}", codes::BAD_SEGMENT),
        ("{enterprise: ' a'}", codes::BAD_SEGMENT),
        ("{enterprise: \"a\\nb\"}", codes::BAD_SEGMENT),
        ("{enterprise: \"\\0\"}", codes::BAD_SEGMENT),
        ("{enterprize: a}", codes::BAD_LEVEL),
        ("{-1: a}", codes::BAD_LEVEL),
        ("{256: a}", codes::BAD_LEVEL),
        ("{enterprise: [a]}", codes::WRONG_TYPE),
        ("[a]", codes::WRONG_TYPE),
        ("{enterprise: a, 0: a}", codes::DUPLICATE_KEY),
    ] {
        let node = Node::parse("c.yaml", text).unwrap();
        let errors = Location::from_node(&node).unwrap_err();
        assert_eq!(errors.iter().next().unwrap().code, code, "{text}: {errors}");
        assert!(serde_json::from_value::<Location>(node.to_value()).is_err(), "{text}");
    }
    assert!(Location::from_pairs([("site", "x".repeat(256).as_str())]).is_err());
}
