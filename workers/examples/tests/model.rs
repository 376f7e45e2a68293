//! The model check of the example kinds, and their diagrams in docs/workers.

use fsm_core::{ChildName, Dependency, Outcome};
use fsm_templating::Template;
use fsm_testkit::{Report, listed, model_check};
use fsm_worker_examples::child::*;
use fsm_worker_examples::failing::*;
use fsm_worker_examples::hello::*;
use fsm_worker_examples::panicking::*;
use fsm_worker_examples::parent::*;
use fsm_worker_examples::slow::*;
use fsm_worker_examples::template_demo::*;
use serde_json::json;

/// The committed diagram is what the states do.
#[track_caller]
fn diagram(report: &Report) {
    let file = format!("{}/../../docs/workers/{}.md", env!("CARGO_MANIFEST_DIR"), report.kind);
    report.graph().check_file(file).unwrap_or_else(|error| panic!("{error}"));
}

fn hello() -> HelloConfig {
    HelloConfig::new("/mood", "/greeting")
}

fn seen(mood: Mood, greeting: Option<&str>) -> HelloObserved {
    HelloObserved::new(mood, greeting.map(Into::into))
}

// spec: K-6, K-9
#[test]
fn hello_passes_the_model_check() {
    let report = model_check::<Hello>()
        .configs(listed![hello(), hello().with_greeting("hi"), hello().with_initially(Initially::Running)])
        .observations(listed![
            seen(Mood::Unknown, None),
            seen(Mood::Sad, None),
            seen(Mood::Happy, Some("hello")),
            seen(Mood::Sad, Some("hello")),
            seen(Mood::Unknown, Some("hi"))
        ])
        .observations(listed![seen(Mood::Sad, Some("hi")), seen(Mood::Unknown, Some("hello"))])
        .after("greet", |config, seen| seen.greeting.as_deref() == Some(&config.greeting))
        .assert();
    diagram(&report);
}

fn linked(port: u16) -> ChildObserved {
    ChildObserved::linked(([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], port).into())
}

fn elsewhere() -> ChildObserved {
    ChildObserved::linked(([127, 0, 0, 1], 7).into(), ([127, 0, 0, 1], 7).into())
}

// spec: K-6, K-9
#[test]
fn child_passes_the_model_check() {
    let report = model_check::<Child>()
        .configs(listed![
            ChildConfig::default(),
            ChildConfig::default().with_listen(([127, 0, 0, 1], 7).into()),
            ChildConfig::default().with_leave_after(3)
        ])
        .observations(listed![
            ChildObserved::default(),
            linked(1_024),
            elsewhere(),
            linked(1_024).with_visitors(3, true)
        ])
        .after("connect", |config, seen| seen.link.as_ref().is_some_and(|link| link.listen == config.listen))
        .after("disconnect", |_, seen| seen.link.is_none())
        .assert();
    diagram(&report);
}

fn family() -> ParentConfig {
    let child = |name| ParentChild::new(ChildName::try_new(name).expect("a good name"), "child");
    let first = Dependency::on(ChildName::try_new("first").expect("a good name"));
    ParentConfig::new([
        child("first"),
        child("second").with_dependency(first),
        child("off").with_enabled(false),
    ])
}

// spec: K-6, K-9 — the product with the states of its children.
#[test]
fn parent_passes_the_model_check() {
    let report = model_check::<Parent>()
        .configs(listed![family(), ParentConfig::default()])
        .child::<Child>("first")
        .child::<Child>("second")
        .assert();
    diagram(&report);
}

fn demo() -> TemplateDemoConfig {
    let template = json!({"input": {"mqtt": {"topic": "{{ name }}"}}, "output": {"drop": {}}});
    TemplateDemoConfig::new(Template::from_value(&template).expect("a good template"))
}

// spec: K-6, K-9
#[test]
fn template_demo_passes_the_model_check() {
    let report = model_check::<TemplateDemo>().configs(listed![demo()]).assert();
    diagram(&report);
}

// spec: K-6, K-9
#[test]
fn failing_passes_the_model_check() {
    let report = model_check::<Failing>()
        .configs(listed![
            FailingConfig::default(),
            FailingConfig::default().with_fails(Fails::Always).with_restart_after(2)
        ])
        .observations(listed![FailingObserved::new(false), FailingObserved::new(true)])
        .after("start", |_, seen| seen.up)
        .after("stop", |_, seen| !seen.up)
        .failures(2)
        .assert();
    diagram(&report);
}

// spec: K-6, K-9
#[test]
fn slow_passes_the_model_check() {
    let report = model_check::<Slow>()
        .configs(listed![SlowConfig::default(), SlowConfig::default().with_start_by(Spending::Blocking)])
        .observations(listed![SlowObserved::new(false), SlowObserved::new(true)])
        .outcomes([Outcome::Success, Outcome::Failure, Outcome::Timeout])
        .after("start", |_, seen| seen.up)
        .after("start_blocking", |_, seen| seen.up)
        .after("stop", |_, seen| !seen.up)
        .assert();
    diagram(&report);
}

// spec: K-6, K-9 — but for the panics that it is told of, which are its purpose.
#[test]
fn panicking_passes_the_model_check() {
    let report = model_check::<Panicking>()
        .configs(listed![PanickingConfig::new(Place::Next), PanickingConfig::new(Place::Stop)])
        .observations(listed![PanickingObserved::new(false), PanickingObserved::new(true)])
        .outcomes([Outcome::Success, Outcome::Failure, Outcome::Panic])
        .after("start", |_, seen| seen.up)
        .after("stop", |_, seen| !seen.up)
        .assert();
    diagram(&report);
}
