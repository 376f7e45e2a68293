//! The table of `hello`, and its two files.

use std::time::Duration;

use fsm_core::table::Case;
use fsm_core::{Action, Goal, Outcome, Phase, Registry, Signal, State, UserSpec, Worker};
use fsm_worker_examples::hello::*;

use crate::node::Node;

fn config() -> HelloConfig {
    HelloConfig::new("/mood", "/greeting")
}

fn case(mood: Mood, greeting: Option<&str>) -> Case<Hello> {
    Case::new(config()).observed(HelloObserved::new(mood, greeting.map(Into::into)))
}

#[test]
fn each_state_answers_each_situation() {
    use HelloState::*;
    for mood in [Mood::Unknown, Mood::Happy, Mood::Sad] {
        for greeting in [None, Some("hello"), Some("good bye")] {
            let ask = |state| case(mood, greeting).next(state);
            ask(Stopped).moves_to(TryingToGreet);
            if greeting != Some("hello") {
                ask(TryingToGreet).acts("greet");
                ask(Running).moves_to(TryingToGreet);
                ask(Degraded).moves_to(TryingToGreet);
            } else if mood == Mood::Sad {
                ask(TryingToGreet).moves_to(Degraded).because("sad");
                ask(Running).moves_to(Degraded).because("sad");
                ask(Degraded).stays().because("sad");
            } else {
                ask(TryingToGreet).moves_to(Running);
                ask(Running).stays();
                ask(Degraded).moves_to(Running);
            }
            for state in HelloState::ALL {
                match state {
                    Stopped => case(mood, greeting).stop(*state).stays(),
                    TryingToGreet | Running | Degraded => case(mood, greeting).stop(*state).moves_to(Stopped),
                };
            }
        }
    }
    // spec: S-25 — told to stop before anything was seen.
    Case::<Hello>::new(config()).stop(TryingToGreet).moves_to(Stopped);
}

#[test]
fn a_failed_greeting_is_asked_for_again() {
    case(Mood::Happy, None).after("greet", Outcome::Failure).next(HelloState::TryingToGreet).acts("greet");
    case(Mood::Happy, None)
        .failures(9)
        .in_state_for(Duration::from_secs(60))
        .next(HelloState::TryingToGreet)
        .acts("greet");
}

#[test]
fn the_config_chooses_the_initial_state() {
    let begins = |initially| Hello::initial_state(&UserSpec::new(config().with_initially(initially)));
    assert_eq!(begins(Initially::Stopped).phase(), Phase::Stopped);
    assert_eq!(begins(Initially::Running).phase(), Phase::Running);
}

#[test]
fn a_config_that_contradicts_itself_is_refused_with_the_field() {
    let error = Case::<Hello>::new(HelloConfig::new("/a", "/a")).derive().unwrap_err();
    assert_eq!(error.field(), Some("greeting_file"));
    let error = Case::<Hello>::new(config().with_greeting("x".repeat(70_000))).derive().unwrap_err();
    assert_eq!(error.field(), Some("greeting"));

    let mut registry = Registry::new();
    fsm_worker_examples::register(&mut registry).unwrap();
    let kind = registry.get("hello").unwrap();
    let error = kind.read_config(&serde_json::json!({"mood_file": "/a"})).unwrap_err();
    assert!(error.to_string().contains("greeting_file"), "{error}");
    let error = kind.read_config(&serde_json::json!({"mood_file": "/a", "greeting_file": 3})).unwrap_err();
    assert_eq!(error.field, "greeting_file");
}

// spec: S-34, A-6 — the hello scenario of the file that says sad.
#[tokio::test]
async fn the_mood_of_the_file_degrades_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let (mood, greeting) = (dir.path().join("mood"), dir.path().join("greeting"));
    let mut node = Node::new(Hello, HelloConfig::new(&mood, &greeting));

    assert!(node.settle(Goal::Run).await.reason().to_string().contains("no mood"));
    assert_eq!(node.state, HelloState::Running);
    assert_eq!(std::fs::read_to_string(&greeting).unwrap(), "hello");

    std::fs::write(&mood, "sad\n").unwrap();
    let _ = node.settle(Goal::Run).await;
    assert_eq!(node.state, HelloState::Degraded);

    std::fs::write(&mood, "saddle up!").unwrap();
    let decision = node.settle(Goal::Run).await;
    assert_eq!((node.state, decision.signal()), (HelloState::Running, Signal::None));

    std::fs::remove_file(&greeting).unwrap();
    let _ = node.settle(Goal::Run).await;
    assert_eq!(std::fs::read_to_string(&greeting).unwrap(), "hello", "a lost greeting is written again");
    assert_eq!(node.ran, ["greet", "greet"]);

    let _ = node.settle(Goal::Stop).await;
    assert_eq!(node.state, HelloState::Stopped);
}

#[tokio::test]
async fn greeting_twice_writes_once() {
    let dir = tempfile::tempdir().unwrap();
    let greeting = dir.path().join("greeting");
    let mut node = Node::new(Hello, HelloConfig::new(dir.path().join("mood"), &greeting));
    node.execute(HelloAction::Greet).await.unwrap();
    let written = std::fs::metadata(&greeting).unwrap().modified().unwrap();
    // Read-only: a second write of any sort would fail or change the time.
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&greeting).unwrap());
    for _ in 0..3 {
        node.execute(HelloAction::Greet).await.unwrap();
    }
    let after = std::fs::metadata(&greeting).unwrap();
    assert_eq!(after.modified().unwrap(), written);
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&after), inode, "the file was not replaced");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
}

#[tokio::test]
async fn a_greeting_without_a_folder_is_a_permanent_failure() {
    let dir = tempfile::tempdir().unwrap();
    let mut node =
        Node::new(Hello, HelloConfig::new(dir.path().join("mood"), dir.path().join("no/greeting")));
    let error = node.execute(HelloAction::Greet).await.unwrap_err();
    assert!(error.is_permanent());
    assert!(error.to_string().contains("create its folder first"), "{error}");
}

#[tokio::test]
async fn a_mood_that_cannot_be_read_is_an_error_not_a_mood() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::new(Hello, HelloConfig::new(dir.path(), dir.path().join("greeting")));
    let error = node.collect().await.unwrap_err();
    assert!(error.to_string().contains("can't read"), "{error}");
}

#[test]
fn only_greet_can_be_asked_for() {
    assert_eq!(HelloAction::from_request("greet", serde_json::Value::Null).unwrap(), HelloAction::Greet);
    assert!(HelloAction::from_request("shout", serde_json::Value::Null).is_err());
}
