//! The list of rules: the name that waivers use, and how to mend a finding.

use std::fmt;

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// From 1; 0 is the file as a whole.
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    pub(crate) what: String,
}

struct Rule {
    name: &'static str,
    fix: &'static str,
    /// Shown and never failed on: a hint at something that only a reader can judge.
    note: bool,
}

const fn rule(name: &'static str, fix: &'static str) -> Rule {
    Rule { name, fix, note: false }
}

const fn note(name: &'static str, fix: &'static str) -> Rule {
    Rule { name, fix, note: true }
}

const RULES: &[Rule] = &[
    // Layout and names.
    rule("file-length", "split it by idea (plan, state, loop, handle) into `name.rs` and `name/`"),
    note("file-long", "look whether it holds two ideas; the hard limit is 800 lines"),
    rule("median-length", "split the longest files of the crates named"),
    rule("no-mod-rs", "rename `name/mod.rs` to `name.rs` beside the folder `name/`"),
    rule("module-doc", "begin the file with a `//!` line that says why the module exists"),
    rule(
        "lib-rs",
        "move it into a module: lib.rs holds docs, `mod` lines in reading order and `pub use`, nothing else",
    ),
    rule("example-number", "number it (`examples/01-name`): the examples are read in order"),
    rule("required-file", "write it"),
    rule("words", "use the project's word: worker, kind, node, supervisor"),
    rule("error-name", "name it by its operation (`DeriveError`), the variants by cause"),
    rule("new-fallible", "name it `try_new`: `new` can't fail"),
    rule("test-name", "name the test as the rule it holds: `removed_child_never_acts_again`"),
    rule("constant-reason", "write above it why it has this value"),
    rule("non-exhaustive", "add `#[non_exhaustive]`: public errors and events grow"),
    rule("expect-reason", "add `reason = \"…\"`"),
    // Tests.
    rule("ignored-test", "make it run everywhere, or delete it"),
    rule(
        "should-panic",
        "assert on the error or on `catch_unwind`'s message: `should_panic` passes for any panic",
    ),
    rule(
        "sleep-in-test",
        "wait on a condition (channel, notify, watch), or use `#[tokio::test(start_paused = true)]`",
    ),
    rule("thread-sleep", "nothing in this project sleeps on a thread: wait on a condition"),
    rule("empty-assert", "assert something that can fail"),
    rule(
        "idempotency-test",
        "call `verify_action_idempotency` for it in the crate's tests, and name the action in that call",
    ),
    rule("unfinished", "finish it, or delete it: there is no later"),
    rule("spec-id", "write `// spec: S-10, S-11`: ids with commas, then nothing, ` — words` or `: words`"),
    // Async.
    rule(
        "select-note",
        "say in a comment at the `select!` why each arm is cancel-safe (the word cancel is looked for)",
    ),
    rule("biased-reason", "say in a comment beside `biased;` why the order matters"),
    rule("missed-ticks", "call `set_missed_tick_behavior` on the interval"),
    rule("unbounded", "use a bounded channel, and say why the bound is what it is"),
    // Manifests.
    rule("lints", "add `[lints]` with `workspace = true`"),
    rule("description", "say in one sentence, without a full stop, what the crate is"),
    rule("inherit", "take it from the workspace: `field.workspace = true`"),
    rule(
        "anyhow",
        "return an error enum of the operation (thiserror): anyhow is for binaries, xtask and tests",
    ),
    // Docs and text.
    rule("link", "mend or remove the link"),
    rule("test-reference", "name a function of the file that is linked before it"),
    rule("file-reference", "name a file of this repository, or say what it says instead"),
    rule("architecture-length", "move detail to docs/: it is a bird's eye view of at most 300 lines"),
    note("comment-share", "comments say why; look whether these say what, or whether a why is missing"),
    rule("text-form", "end lines without blanks and with LF, and the file with one line break"),
    rule("parse", "mend the syntax"),
    rule("waiver", "write `tidy: allow(rule): reason` on the line or above it, only where it is needed"),
];

impl Finding {
    pub(crate) fn new(path: &str, line: usize, rule: &'static str, what: impl Into<String>) -> Self {
        debug_assert!(is_rule(rule), "{rule} is not in the list of rules");
        Self { path: path.to_owned(), line, rule, what: what.into() }
    }

    pub(crate) fn is_note(&self) -> bool {
        RULES.iter().any(|rule| rule.name == self.rule && rule.note)
    }
}

/// Whether a waiver may name it.
pub(crate) fn is_rule(name: &str) -> bool {
    RULES.iter().any(|rule| rule.name == name)
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, what } = self;
        write!(out, "{path}")?;
        if *line > 0 {
            write!(out, ":{line}")?;
        }
        let kind = if self.is_note() { "note " } else { "" };
        let fix = RULES.iter().find(|known| known.name == *rule).map_or("", |rule| rule.fix);
        write!(out, ": {kind}[{rule}] {what}\n    → {fix}")
    }
}
