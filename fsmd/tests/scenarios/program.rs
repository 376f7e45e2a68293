//! `fsmd scenario` as people meet it.

use std::process::{Command, Output};

use fsmd::scenario::ALL;

fn fsmd(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fsmd")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

// spec: U-14
#[test]
fn the_list_names_every_scenario_with_one_line() {
    let output = fsmd(&["scenario", "--list"]);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), ALL.len());
    for (line, scenario) in lines.iter().zip(ALL) {
        assert!(line.starts_with(scenario.name) && line.ends_with(scenario.about), "{line}");
    }
}

// spec: U-14, K-8
#[test]
fn one_scenario_tells_its_steps_and_with_trace_what_happened_between_them() {
    let output = fsmd(&["scenario", "hello"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    let steps = text(&output.stdout);
    assert!(steps.contains("\n  +1s1ms    the mood file says fine\n"), "{steps}");
    assert!(steps.contains("\nok: hello (virtual 3.0 s in "), "{steps}");
    assert!(!steps.contains("/greeter"), "{steps}");

    let output = fsmd(&["scenario", "hello", "--trace"]);
    let trace = text(&output.stdout);
    assert!(trace.contains("+1s1ms  /greeter  Running -> Degraded: the mood is sad\n"), "{trace}");
}

// spec: U-14
#[test]
fn what_a_script_breaks_is_told_in_the_story_only() {
    let output = fsmd(&["scenario", "panic-in-next", "--trace"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert!(text(&output.stdout).contains("circuit open after 3 panics"));
}

// spec: U-14
#[test]
fn an_unknown_scenario_gets_the_nearest_name_and_64() {
    let output = fsmd(&["scenario", "helo"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(output.stdout.is_empty());
    let said = text(&output.stderr);
    assert!(said.contains("there is no scenario `helo`") && said.contains("did you mean `hello`?"), "{said}");
}

// spec: U-14
#[test]
fn programs_get_a_scenario_as_json() {
    let output = fsmd(&["scenario", "same-name", "-o", "json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer[0]["name"], &answer[0]["ok"]), (&"same-name".into(), &true.into()));
    assert_eq!(answer.as_array().unwrap().len(), 1);
}
