//! Every scenario is a test: it holds its rules by itself, and the small ones tell the same story each time.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod changes;
mod program;
mod troubles;
mod whole;

use fsmd::scenario::{ALL, find, play};

/// The scenario goes as it should.
#[track_caller]
fn holds(name: &str) -> String {
    let played = play(find(name).unwrap());
    if let Err(broken) = &played.outcome {
        panic!("{broken}\n{}", played.story.trace());
    }
    played.story.trace().to_owned()
}

/// It does, and its story is the one that was read and found right.
#[track_caller]
fn golden(name: &str) {
    insta::assert_snapshot!(name, holds(name));
}

#[test]
fn every_scenario_is_a_test() {
    let tests = [include_str!("changes.rs"), include_str!("troubles.rs"), include_str!("whole.rs")].concat();
    for scenario in ALL {
        let name = scenario.name;
        let tested = ["holds", "golden"].iter().any(|how| tests.contains(&format!("{how}(\"{name}\")")));
        assert!(tested, "{name}");
        assert_eq!(ALL.iter().filter(|other| other.name == name).count(), 1, "{name}");
        assert!(scenario.about.len() <= 90 && !scenario.about.ends_with('.'), "{name}");
    }
}

// spec: K-4
#[test]
fn a_scenario_tells_the_same_each_time() {
    for name in ["hello", "parent", "restart-budget", "clock"] {
        assert_eq!(holds(name), holds(name), "{name}");
    }
}
