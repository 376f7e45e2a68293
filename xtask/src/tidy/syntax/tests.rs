//! Each rule with a snippet that breaks it and one that keeps it.

use super::*;

#[track_caller]
fn check_at(path: &str, text: &str, expected: &[(usize, &str)]) {
    let found = check(&File::new(path.into(), text.into()));
    let found: Vec<_> = found.iter().map(|finding| (finding.line, finding.rule)).collect();
    assert_eq!(found, expected, "{text}");
}

#[track_caller]
fn check_src(text: &str, expected: &[(usize, &str)]) {
    check_at("fsm-core/src/a.rs", text, expected);
}

#[track_caller]
fn check_test(text: &str, expected: &[(usize, &str)]) {
    check_at("fsm-core/tests/a.rs", text, expected);
}

#[test]
fn lib_rs_holds_docs_modules_and_reexports() {
    let lib = |text, expected| check_at("fsm-core/src/lib.rs", text, expected);
    lib("//! Doc.\nmod a;\npub use a::B;\n#[cfg(test)]\nmod tests;\n", &[]);
    lib("//! Doc.\n#[cfg(doctest)]\n#[doc = include_str!(\"../README.md\")]\nstruct Readme;\n", &[]);
    lib("mod a;\nfn b() {}\n", &[(2, "lib-rs")]);
    check_at("examples/01-a/src/lib.rs", "fn b() {}\n", &[]);
    lib("use a::B;\n", &[(1, "lib-rs")]);
    lib("mod a { fn b() {} }\n", &[(1, "lib-rs")]);
    lib("#[proc_macro]\npub fn a(b: C) -> C { b }\n", &[]);
}

#[test]
fn tests_run_and_say_what_they_expect() {
    check_test("#[test]\n#[ignore]\nfn a_rule_holds() {}\n", &[(2, "ignored-test")]);
    check_test("#[test]\n#[ignore = \"slow\"]\nfn a_rule_holds() {}\n", &[(2, "ignored-test")]);
    check_test(
        "proptest! {\n #[test]\n #[should_panic(expected = \"x\")]\n fn a() {}\n}\n",
        &[(3, "should-panic")],
    );
    check_test("#[test]\nfn a_rule_holds() { assert!(true); }\n", &[(2, "empty-assert")]);
    check_test("#[test]\nfn a_rule_holds() { assert!(truth); }\n", &[]);
    check_test("#[test]\nfn test_a() {}\n", &[(2, "test-name")]);
    check_test("fn test_a() {}\n", &[]);
}

#[test]
fn tests_sleep_only_in_paused_time() {
    let sleeping =
        |attr: &str| format!("{attr}\nasync fn a_rule_holds() {{\n tokio::time::sleep(d).await;\n}}\n");
    check_test(&sleeping("#[tokio::test]"), &[(3, "sleep-in-test")]);
    check_test(&sleeping("#[tokio::test(start_paused = true)]"), &[]);
    check_src(
        &format!("#[cfg(test)]\nmod tests {{\n{}}}\n", sleeping("#[tokio::test]")),
        &[(5, "sleep-in-test")],
    );
    check_src(&sleeping("#[inline]"), &[]);
    check_src("fn a() { std::thread::sleep(d); }\n", &[(1, "thread-sleep")]);
    check_test("#[tokio::test]\nasync fn a_rule_holds() { world.sleep(d); }\n", &[]);
}

#[test]
fn nothing_is_left_for_later() {
    check_src("fn a() { todo!() }\n", &[(1, "unfinished")]);
    check_src("fn a() { unimplemented!(\"x\") }\n", &[(1, "unfinished")]);
    check_src("// todo!() is a macro\nfn a() { b(\"todo!()\") }\n", &[]);
}

#[test]
fn exceptions_to_lints_have_a_reason() {
    check_src("#[expect(dead_code)]\nfn a() {}\n", &[(1, "expect-reason")]);
    check_src("#[expect(dead_code, reason = \"read by the debugger\")]\nfn a() {}\n", &[]);
    check_src("fn a() { b.expect(\"why\"); }\n", &[]);
}

#[test]
fn selects_are_noted_and_their_order_has_a_reason() {
    let select =
        |notes: &str, body: &str| format!("async fn a() {{\n{notes}\n tokio::select! {{ {body} }}\n}}\n");
    check_src(&select("", "_ = b() => {}"), &[(3, "select-note")]);
    check_src(&select("// Cancel-safe: a receive.", "_ = b() => {}"), &[]);
    check_src(&select("", "biased; _ = b() => {}"), &[(3, "select-note"), (3, "biased-reason")]);
    check_src(&select("// Cancel-safe. Stop comes first: work may never end.", "biased; _ = b() => {}"), &[]);
    check_test(&select("", "_ = b() => {}"), &[]);
}

#[test]
fn intervals_say_what_happens_to_missed_ticks() {
    check_src("fn a() { let b = tokio::time::interval(c); }\n", &[(1, "missed-ticks")]);
    check_src(
        "fn a() { let mut b = tokio::time::interval(c); b.set_missed_tick_behavior(MissedTickBehavior::Delay); }\n",
        &[],
    );
    check_test("fn a() { let b = tokio::time::interval(c); }\n", &[]);
    check_src("fn a() { b.interval(); }\nfn interval() {}\n", &[]);
}

#[test]
fn channels_are_bounded() {
    check_src("fn a() { let b = mpsc::unbounded_channel(); }\n", &[(1, "unbounded")]);
    check_src("fn a() { let b = mpsc::channel(8); }\n", &[]);
    check_test("fn a() { let b = mpsc::unbounded_channel(); }\n", &[]);
}

#[test]
fn names_use_the_projects_words() {
    check_src("struct ChildManager;\n", &[(1, "words")]);
    check_src("enum ActorState { A }\n", &[(1, "words")]);
    check_src("struct Managers; struct ClassicMode; struct Worker;\n", &[]);
    check_src("pub struct Error;\n", &[(1, "error-name")]);
}

#[test]
fn public_errors_and_events_may_grow() {
    check_src("#[derive(Debug, thiserror::Error)]\npub enum DeriveError { A }\n", &[(2, "non-exhaustive")]);
    check_src("#[derive(thiserror::Error)]\n#[non_exhaustive]\npub enum DeriveError { A }\n", &[]);
    check_src("pub enum OnError { Drop }\n", &[]);
    check_src("pub enum EngineEvent { A }\n", &[(1, "non-exhaustive")]);
    check_src("pub(crate) enum EngineEvent { A }\n", &[]);
    check_at("fsmd/src/a.rs", "#[derive(thiserror::Error)]\npub enum RunError { A }\n", &[]);
}

#[test]
fn new_can_not_fail() {
    check_src("impl A { fn new() -> Result<Self, B> { c() } }\n", &[(1, "new-fallible")]);
    check_src("impl A { fn try_new() -> Result<Self, B> { c() } fn new() -> Self { d() } }\n", &[]);
}

#[test]
fn constants_say_why_they_have_their_value() {
    check_src("const LIMIT: usize = 64;\n", &[(1, "constant-reason")]);
    check_src("const WAIT: Duration = Duration::from_secs(5);\n", &[(1, "constant-reason")]);
    check_src("/// Fits one page.\nconst LIMIT: usize = 64;\n", &[]);
    check_src("// Fit one page.\nconst LIMIT: usize = 64;\nconst OTHER: usize = 32;\n", &[]);
    check_src("const LIMIT: usize = 64;\nconst OTHER: usize = 32;\n", &[(1, "constant-reason")]);
    check_src("const LIMIT: usize = 64; // one page\n", &[]);
    check_src("const NAMES: &[&str] = &[\"a\"];\nconst FIRST: u32 = 0;\n", &[]);
    check_test("const LIMIT: usize = 64;\n", &[]);
}

#[test]
fn what_does_not_parse_is_a_finding_with_its_line() {
    check_src("fn a() {\n let = ;\n}\n", &[(2, "parse")]);
}
