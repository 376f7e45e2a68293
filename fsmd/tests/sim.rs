//! A config under simulation: its own tree, in the same way each time, and what is wrong is told.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::Path;
use std::process::{Command, Output};

use fsm_core::{ChildSpec, Registry};
use fsm_testkit::simulate::{Faults, Stage, simulate};
use fsm_testkit::workers::{Script, Scripted, ScriptedConfig, Where, World};
use fsmd::sim::Mix;
use fsmd::{config, kinds, sim};

const QUICKSTART: &str = "../examples/quickstart.yaml";

fn fsmd(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fsmd")).arg("sim").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn holds(mix: Mix, seeds: std::ops::Range<u64>) -> u64 {
    let loaded = config::load(Path::new(QUICKSTART), &kinds::for_checking().unwrap()).unwrap();
    let simulation = sim::simulation(&loaded).faults(mix.faults(None));
    let mut faults = 0;
    for seed in seeds {
        match simulation.run_seed(seed) {
            Ok(report) => faults += report.faults,
            Err(failure) => panic!("{failure}"),
        }
    }
    faults
}

// spec: K-10, K-2, K-3
#[test]
fn the_quickstart_keeps_every_rule_whatever_goes_wrong() {
    assert!(holds(Mix::Quick, 0..4) > 20);
    assert!(holds(Mix::Calm, 0..2) > 5);
    assert!(holds(Mix::Storm, 0..2) > 40);
}

// spec: K-10
#[test]
fn without_faults_the_whole_tree_comes_up_and_is_the_real_one() {
    let loaded = config::load(Path::new(QUICKSTART), &kinds::for_checking().unwrap()).unwrap();
    let (report, trace) = sim::simulation(&loaded).faults(Faults::none()).trace().unwrap();
    assert_eq!(report.faults, 0);
    for line in [
        // What a template was rendered to, a dependency, and the states of the kinds themselves.
        r#"/quickstart/press-1/connection StateTransition { from: "Probing", to: "Up", phase: Running, reason: "mqtt://127.0.0.1:18830 answers" }"#,
        r#"/quickstart/mill-2/read StateTransition { from: "TryingToStart", to: "Active", phase: Running, reason: "messages pass" }"#,
        r#"/quickstart/plant StateTransition { from: "TryingToStart", to: "Running""#,
    ] {
        assert!(trace.contains(line), "{line} is missing in\n{trace}");
    }
    let at = |what: &str| trace.find(what).unwrap_or_else(|| panic!("{what} is missing in\n{trace}"));
    let broker = at(r#"/quickstart/broker StateTransition { from: "TryingToStart", to: "Running""#);
    assert!(
        broker < at(r#"/quickstart/plant StateTransition { from: "Stopped""#),
        "it depends on the broker"
    );
    // And ends before it.
    assert!(
        at(r#"/quickstart/plant StateTransition { from: "TryingToStop", to: "Stopped""#)
            < at(r#"/quickstart/broker StateTransition { from: "Running", to: "TryingToStop""#)
    );
}

// spec: K-10, K-4
#[test]
fn the_same_seed_is_told_in_the_same_words() {
    let run = || fsmd(&[QUICKSTART, "--seed", "7", "--seeds", "2", "--faults", "storm"]);
    let (first, second) = (run(), run());
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stdout));
    assert_eq!(text(&first.stdout), text(&second.stdout));
    let said = text(&first.stdout);
    assert!(said.starts_with("seed 7: every rule held: ") && said.contains("\nseed 8: every rule"), "{said}");
    assert!(said.contains("\nok: 2 seeds from 7: ") && said.contains("slowest recovery"), "{said}");
}

// spec: K-10
#[test]
fn hours_are_what_the_faults_are_spread_over() {
    let (minutes, day) = (Mix::Quick.faults(None), Mix::Quick.faults(Some(24)));
    assert_eq!(day.within.as_secs(), 24 * 3_600);
    assert_eq!(day.most, 24 * minutes.most);
    assert!(Mix::Calm.faults(None).jobs.is_empty() && !Mix::Calm.faults(None).kills);
    assert!(Mix::Storm.faults(None).most > minutes.most);
    assert_eq!(Mix::None.faults(Some(1)).most, 0);
}

// spec: U-14, C-2
#[test]
fn a_bad_config_is_told_as_check_tells_it() {
    let bad = "tests/bad/cycle.yaml";
    let check = Command::new(env!("CARGO_BIN_EXE_fsmd")).args(["check", bad]).output().unwrap();
    let sim = fsmd(&[bad]);
    assert_eq!((sim.status.code(), check.status.code()), (Some(1), Some(1)));
    assert_eq!(text(&sim.stderr), text(&check.stderr));
    assert!(sim.stdout.is_empty() && !sim.stderr.is_empty());
}

// spec: U-14
#[test]
fn bad_flags_end_with_64_and_say_why() {
    for (args, wanted) in [
        (&[QUICKSTART, "--faults", "stormy"][..], "storm"),
        (&[QUICKSTART, "--seed", "one"], "invalid digit"),
        (&[QUICKSTART, "--hours", "0"], "1..=8760"),
        (&[QUICKSTART, "--seeds", "0"], "1.."),
        (&[], "<CONFIG>"),
    ] {
        let output = fsmd(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(text(&output.stderr).contains(wanted), "{args:?}: {}", text(&output.stderr));
    }
}

// spec: K-10, K-3
#[test]
fn a_broken_rule_is_told_with_its_script_and_how_to_see_it_again() {
    // A world in which it can't be: it never starts.
    let simulation = simulate(|| {
        let world = World::new();
        world.set("/lamp", Script::hanging(Where::Start));
        let root =
            ChildSpec::try_new("lamp", "scripted").unwrap().with_typed_config(ScriptedConfig::default());
        let registry = move || {
            let mut registry = Registry::new();
            registry.register(Scripted::new(&world)).unwrap();
            registry
        };
        Stage::new(registry, root)
    });
    let failure = simulation.seed(3).faults(Mix::Quick.faults(None)).run().unwrap_err();
    let told = sim::broken(&failure, "fsmd sim lamp.yaml --seed 3 --faults quick");
    assert!(told.starts_with("J5 is broken with seed 3: /lamp is TryingToStart"), "{told}");
    assert!(told.contains("  (nothing has to happen)\n"), "{told}");
    assert!(told.ends_with("To see it again: fsmd sim lamp.yaml --seed 3 --faults quick\n"), "{told}");
}
