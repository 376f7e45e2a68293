//! Panics, circuits and restarts: a failure stays with its node, nothing loops tightly, nothing is given up for ever.

use fsm_core::{Moment, Phase, Strategy};
use fsm_supervisor::{Command, EventKind};
use serde_json::json;

use crate::group::{Decl, group, unit};
use crate::rig::{Rig, ms, secs};
use crate::world::{self, Act, Tell};

/// A node under `/r` that panics in this method from now on, and a healthy sibling.
fn panicking(method: &'static str) -> Rig {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    world::thing("/r/a", |thing| {
        thing.panics_in = Some(method);
        thing.healthy = false;
    });
    rig.command(Command::Collect { path: "/r/a".parse().unwrap() }).unwrap();
    rig
}

// spec: S-40, S-42 (design §8.4)
#[test]
fn a_panic_in_next_leaves_the_node_as_it_was_and_its_sibling_alone() {
    let mut rig = panicking("next");
    rig.run(ms(100));
    let node = rig.node("/r/a");
    assert_eq!((node.state, node.acting), ("Running", None));
    assert!(node.reason.contains("next panicked: scripted panic in next of /r/a"), "{}", node.reason);
    assert!(node.next_look.is_some());
    assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::Panic { r#where: "next", .. })), 1);
    assert_eq!(rig.state("/r/b"), "Running");
    world::thing("/r/b", |thing| thing.healthy = false);
    rig.run(secs(2));
    assert_eq!(rig.state("/r/b"), "Degraded", "the sibling goes on");
    world::thing("/r/a", |thing| thing.panics_in = None);
    rig.run(secs(5));
    assert_eq!(rig.state("/r/a"), "Degraded", "it is asked again: {}", rig.reason("/r/a"));
}

// spec: S-40
#[test]
fn three_panics_open_the_circuit_until_the_window_is_empty() {
    let mut rig = panicking("next");
    rig.until("the circuit is open", |rig| rig.node("/r/a").circuit_open);
    let (asked, opened) = (world::times("/r/a", "next"), rig.now);
    assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::CircuitOpened { panics: 3 })), 1);
    rig.run(secs(60));
    let node = rig.node("/r/a");
    assert_eq!((node.phase, &*node.reason), (Phase::Degraded, "panic circuit open after 3 panics"));
    assert_eq!(world::times("/r/a", "next"), asked, "while it is open next is not called");
    world::thing("/r/a", |thing| thing.panics_in = None);
    rig.until("it closes", |rig| !rig.node("/r/a").circuit_open);
    assert!(rig.now.since(opened) >= secs(299) && rig.now.since(opened) <= secs(301));
    rig.run(secs(2));
    assert_eq!(rig.state("/r/a"), "Degraded", "and the worker is asked again");
}

// spec: S-40 (it closes when its spec or variables change)
#[test]
fn a_change_of_spec_or_variables_closes_the_circuit() {
    for variables in [false, true] {
        let mut rig = panicking("next");
        rig.until("the circuit is open", |rig| rig.node("/r/a").circuit_open);
        world::thing("/r/a", |thing| thing.panics_in = None);
        let root = if variables {
            group("r", vec![unit("a"), unit("b")]).variable("x", 1)
        } else {
            group("r", vec![unit("a").config(json!({"label": "new"})), unit("b")])
        };
        rig.declare(&root);
        rig.run(secs(2));
        assert!(!rig.node("/r/a").circuit_open);
        assert_eq!(rig.state("/r/a"), "Degraded");
        assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::CircuitClosed)), 1);
    }
}

// spec: S-40 (it closes on retry)
#[test]
fn retry_closes_the_circuit_and_looks_at_once() {
    let mut rig = panicking("next");
    rig.until("the circuit is open", |rig| rig.node("/r/a").circuit_open);
    world::thing("/r/a", |thing| thing.panics_in = None);
    rig.command(Command::Retry { path: "/r/a".parse().unwrap(), who: "op".into() }).unwrap();
    rig.run(ms(50));
    assert_eq!((rig.node("/r/a").circuit_open, rig.state("/r/a")), (false, "Degraded"));
}

// spec: S-40
#[test]
fn a_panic_in_derive_keeps_the_last_good_state_and_opens_the_circuit() {
    let mut rig = Rig::settled(&group("r", vec![unit("a").config(json!({"value": 1})), unit("b")]));
    world::thing("/r/a", |thing| thing.panics_in = Some("derive"));
    rig.declare(&group("r", vec![unit("a").config(json!({"value": 2})), unit("b")]));
    rig.run(secs(1));
    let node = rig.node("/r/a");
    assert!(node.invalid && node.reason.contains("derive panicked"), "{}", node.reason);
    assert_eq!(node.config["value"], 1);
    rig.until("the circuit is open", |rig| rig.node("/r/a").circuit_open);
    let tries = world::times("/r/a", "derive");
    rig.run(secs(100));
    assert_eq!(world::times("/r/a", "derive"), tries);
    world::thing("/r/a", |thing| thing.panics_in = None);
    rig.until("it closes", |rig| !rig.node("/r/a").circuit_open);
    rig.run(secs(3));
    assert_eq!((rig.node("/r/a").invalid, world::thing("/r/a", |thing| thing.value)), (false, 2));
}

// spec: S-40 (a stop that panics is tried again with back-off and forced at its stop_timeout)
#[test]
fn a_stop_that_panics_is_tried_again_and_forced_in_time() {
    let mut rig = panicking("stop");
    rig.run(secs(2));
    let told = rig.now;
    rig.declare(&group("r", vec![unit("b")]));
    rig.run(ms(10));
    assert!(rig.reason("/r/a").contains("stop panicked"), "{}", rig.reason("/r/a"));
    rig.until("it is gone", |rig| !rig.has("/r/a"));
    assert!(rig.now.since(told) >= secs(30) && rig.now.since(told) < secs(31));
    let tries = world::times("/r/a", "stop");
    assert!((4..=7).contains(&tries), "1, 2, 4, 8 s: {tries}");
    assert_eq!(rig.state("/r/b"), "Running");
}

// spec: S-40 (while it is open its stop is called)
#[test]
fn a_node_with_an_open_circuit_is_asked_to_stop() {
    let mut rig = panicking("next");
    rig.until("the circuit is open", |rig| rig.node("/r/a").circuit_open);
    rig.declare(&group("r", vec![unit("b")]));
    rig.run(secs(3));
    assert!(!rig.has("/r/a"), "{}", rig.show());
}

fn restarts(rig: &Rig, path: &str) -> Vec<(Moment, f64)> {
    rig.events
        .iter()
        .filter(|e| e.path.as_str() == path)
        .filter_map(|e| {
            let EventKind::Restart { back_off, .. } = &e.kind else { return None };
            Some((e.at, back_off.as_secs_f64()))
        })
        .collect()
}

// spec: S-21
#[test]
fn a_restart_makes_a_new_incarnation_in_the_initial_state() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    let before = rig.node("/r/a").incarnation;
    world::thing("/r/a", |thing| thing.tell = Tell::Restart);
    rig.until("it restarts", |rig| !restarts(rig, "/r/a").is_empty());
    world::thing("/r/a", |thing| thing.tell = Tell::Nothing);
    rig.until("it is a new one", |rig| rig.node("/r/a").incarnation != before);
    assert_eq!((rig.state("/r/a"), rig.node("/r/a").starts), ("Stopped", 2));
    rig.run(ms(10));
    assert!(rig.reason("/r/a").starts_with("restarts at +"), "{}", rig.reason("/r/a"));
    rig.run(secs(3));
    assert_eq!(rig.state("/r/a"), "Running");
    assert_eq!(world::view("/r"), "a=running b=running");
}

// spec: S-21 (forced, and still restarts)
#[test]
fn a_restart_whose_clean_up_takes_too_long_is_forced_and_still_restarts() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    let before = rig.node("/r/a").incarnation;
    world::thing("/r/a", |thing| {
        thing.tell = Tell::Restart;
        thing.unstoppable = true;
    });
    rig.until("it is forced", |rig| {
        rig.happened("/r/a", |e| matches!(e, EventKind::StopTimedOut { .. })) == 1
    });
    world::thing("/r/a", |thing| thing.tell = Tell::Nothing);
    rig.run(secs(5));
    assert_ne!(rig.node("/r/a").incarnation, before);
    assert_eq!(rig.state("/r/a"), "Running");
}

// spec: S-22
#[test]
fn a_node_that_restarts_again_and_again_is_probed_slowly_and_never_given_up() {
    let mut rig = Rig::counting(&group("r", vec![unit("a"), unit("b")]));
    world::thing("/r/a", |thing| thing.tell = Tell::Restart);
    rig.run(secs(3_000));
    let all = restarts(&rig, "/r/a");
    let waits: Vec<f64> = all.iter().map(|(_, wait)| *wait).collect();
    // Events are folded after five in a minute, so the sixth is seen by its successor only.
    for (n, wait) in waits.iter().take(5).enumerate() {
        let wanted = 2_f64.powi(n as i32);
        assert!((wanted * 0.8..=wanted * 1.2).contains(wait), "{waits:?}");
    }
    assert!(waits.iter().skip(5).all(|wait| *wait == 300.0), "then every five minutes: {waits:?}");
    assert!((7..=17).contains(&waits.len()), "{waits:?}");
    assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::BudgetSpent { .. })), 1);
    let node = rig.node("/r/a");
    assert_eq!(node.phase, Phase::Degraded, "the failure goes to the parent: {}", node.reason);
    assert!(node.reason.starts_with("restart budget spent"), "{}", node.reason);
    assert_eq!(rig.state("/r"), "Degraded");
    world::thing("/r/a", |thing| thing.tell = Tell::Nothing);
    rig.run(secs(310));
    assert_eq!((rig.state("/r/a"), rig.state("/r")), ("Running", "Running"));
    // A healthy run of one window gives the budget back.
    rig.run(secs(61));
    rig.forget();
    world::thing("/r/a", |thing| thing.tell = Tell::Restart);
    rig.run(secs(2));
    assert!(restarts(&rig, "/r/a")[0].1 <= 1.2, "{:?}", restarts(&rig, "/r/a"));
}

// spec: S-22 (at once when its desired state changes, or on retry)
#[test]
fn a_spent_budget_ends_with_a_change_or_a_retry() {
    for retry in [false, true] {
        let mut rig = Rig::counting(&group("r", vec![unit("a")]));
        world::thing("/r/a", |thing| thing.tell = Tell::Restart);
        rig.until("the budget is spent", |rig| rig.reason("/r/a").starts_with("restart budget spent"));
        world::thing("/r/a", |thing| thing.tell = Tell::Nothing);
        if retry {
            rig.command(Command::Retry { path: "/r/a".parse().unwrap(), who: "op".into() }).unwrap();
        } else {
            rig.declare(&group("r", vec![unit("a").config(json!({"value": 5}))]));
        }
        rig.run(secs(2));
        assert_eq!((rig.state("/r/a"), rig.node("/r").phase), ("Running", Phase::Running), "{}", rig.show());
    }
}

// spec: S-22 (per subtree)
#[test]
fn children_share_the_budget_that_their_parent_has_for_them() {
    let below = |children: Vec<Decl>| group("g", children).policy(|p| p.max_restarts_below = Some(3));
    let g = below(vec![unit("a"), unit("b"), unit("c")]);
    let outer = group("o", vec![g, unit("d")]).policy(|p| p.max_restarts_below = Some(10));
    let mut rig = Rig::counting(&group("r", vec![outer, unit("e")]));
    rig.run(secs(10));
    for path in ["/r/o/g/a", "/r/o/g/b"] {
        world::thing(path, |thing| thing.tell = Tell::Restart);
    }
    rig.until("the budget of g is spent", |rig| {
        rig.happened("/r/o/g", |e| matches!(e, EventKind::BudgetSpent { restarts: 3 })) == 1
    });
    let restarted = restarts(&rig, "/r/o/g/a").len() + restarts(&rig, "/r/o/g/b").len();
    assert_eq!(restarted, 4, "the fourth spends it");
    assert_eq!(rig.node("/r/o/g").phase, Phase::Degraded, "{}", rig.show());
    rig.run(secs(20));
    let (a, b) = (restarts(&rig, "/r/o/g/a"), restarts(&rig, "/r/o/g/b"));
    assert_eq!(
        (a.last().unwrap().1, b.last().unwrap().1),
        (300.0, 300.0),
        "then every five minutes: {a:?} {b:?}"
    );
    // It is charged to who is above as one restart: far from ten.
    assert_eq!(rig.happened("/r/o", |e| matches!(e, EventKind::BudgetSpent { .. })), 0);
    world::thing("/r/o/g/c", |thing| thing.tell = Tell::Restart);
    rig.run(secs(5));
    assert_eq!(
        restarts(&rig, "/r/o/g/c")[0].1,
        300.0,
        "what fails now waits as long, for the first time too"
    );
    world::thing("/r/o/g/c", |thing| thing.tell = Tell::Nothing);
    for path in ["/r/o/d", "/r/e"] {
        assert_eq!((rig.state(path), restarts(&rig, path).len()), ("Running", 0), "{path} goes on");
    }
    for path in ["/r/o/g/a", "/r/o/g/b"] {
        world::thing(path, |thing| thing.tell = Tell::Nothing);
    }
    rig.run(secs(400));
    for path in ["/r/o/g/a", "/r/o/g/b", "/r/o/g"] {
        assert_eq!((rig.state(path), rig.node(path).phase), ("Running", Phase::Running), "{}", rig.show());
    }
}

// spec: S-22 (per subtree: up the tree)
#[test]
fn a_spent_budget_below_is_one_restart_for_who_is_above() {
    let g = |name: &str| group(name, vec![unit("a")]).policy(|p| p.max_restarts_below = Some(1));
    let root = group("r", vec![g("x"), g("y"), g("z")]).policy(|p| p.max_restarts_below = Some(2));
    let mut rig = Rig::counting(&root);
    rig.run(secs(10));
    for path in ["/r/x/a", "/r/y/a", "/r/z/a"] {
        world::thing(path, |thing| thing.tell = Tell::Restart);
    }
    rig.until("the root's is spent", |rig| {
        rig.happened("/r", |e| matches!(e, EventKind::BudgetSpent { restarts: 2 })) == 1
    });
    assert_eq!(rig.node("/r").phase, Phase::Degraded);
    for path in ["/r/x/a", "/r/y/a", "/r/z/a"] {
        world::thing(path, |thing| thing.tell = Tell::Nothing);
    }
    rig.command(Command::Retry { path: "/r".parse().unwrap(), who: "op".into() }).unwrap();
    rig.run(secs(400));
    assert_eq!(rig.node("/r").phase, Phase::Running, "{}", rig.show());
}

// spec: S-12, S-21 (a spec that changes while the node is restarting)
#[test]
fn a_restarting_node_comes_back_under_its_newest_spec() {
    let tree = |value: u32, tag: &str, kind: &str| {
        let child = Decl::new("a", kind).config(json!({"value": value})).variable("tag", tag);
        group("r", vec![child, unit("b")])
    };
    let mut rig = Rig::settled(&tree(1, "one", "unit"));
    world::thing("/r/a", |thing| {
        thing.tell = Tell::Restart;
        thing.act_takes = secs(3);
    });
    rig.until("it restarts", |rig| !restarts(rig, "/r/a").is_empty());
    world::thing("/r/a", |thing| thing.tell = Tell::Nothing);
    rig.run(secs(1));
    rig.declare(&tree(2, "two", "unit"));
    rig.run(secs(20));
    assert_eq!((rig.state("/r/a"), world::thing("/r/a", |t| t.value)), ("Running", 2));
    assert_eq!(world::variables("/r/a").user["tag"], "two");
    world::thing("/r/a", |thing| thing.tell = Tell::Restart);
    rig.until("it restarts again", |rig| rig.node("/r/a").goal == fsm_core::Goal::Remove);
    world::thing("/r/a", |thing| thing.tell = Tell::Nothing);
    rig.declare(&tree(3, "three", "other"));
    rig.run(secs(20));
    assert_eq!((&*rig.node("/r/a").kind, rig.state("/r/a")), ("other", "Running"));
}

// spec: S-14, S-21 (nor is it lost when that spec can't be used)
#[test]
fn a_restarting_node_whose_spec_turns_bad_comes_back_under_its_last_good_one() {
    let mut rig = Rig::settled(&group("r", vec![unit("a").config(json!({"value": 1})), unit("b")]));
    world::thing("/r/a", |thing| {
        thing.tell = Tell::Restart;
        thing.act_takes = secs(3);
    });
    rig.until("it restarts", |rig| !restarts(rig, "/r/a").is_empty());
    world::thing("/r/a", |thing| thing.tell = Tell::Nothing);
    rig.run(secs(1));
    let bad = group("r", vec![unit("a").config(json!({"value": "x"})), unit("b")]);
    rig.declare(&bad);
    rig.run(secs(20));
    let node = rig.node("/r/a");
    assert_eq!((node.state, node.invalid, node.starts), ("Running", true, 2), "{}", rig.show());
    // And one that is bad already survives a restart.
    world::thing("/r/a", |thing| thing.tell = Tell::Restart);
    rig.until("it restarts again", |rig| rig.node("/r/a").starts == 3);
    world::thing("/r/a", |thing| thing.tell = Tell::Nothing);
    rig.run(secs(20));
    assert_eq!((rig.state("/r/a"), rig.node("/r/a").invalid), ("Running", true));
    rig.declare(&group("r", vec![unit("a").config(json!({"value": 2})), unit("b")]));
    rig.run(secs(5));
    assert_eq!((rig.state("/r/a"), rig.node("/r/a").invalid), ("Running", false));
}

// spec: S-21 (an operator's restart waits for nothing and is not charged)
#[test]
fn an_operator_can_restart_a_node_that_was_made_and_one_that_was_not() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), Decl::new("bad", "toaster")]));
    for path in ["/r/a", "/r/bad"] {
        let before = rig.node(path).incarnation;
        rig.command(Command::Restart { path: path.parse().unwrap(), who: "op".into() }).unwrap();
        rig.run(ms(500));
        assert_ne!(rig.node(path).incarnation, before, "{path}");
        assert_eq!(rig.node(path).restarts, 0);
    }
    assert_eq!(rig.state("/r/a"), "Running");
    assert!(rig.node("/r/bad").invalid);
}

fn with_strategy(strategy: Strategy) -> Rig {
    let children = vec![unit("a"), unit("b"), unit("c")];
    let g = group("g", children).policy(|p| p.strategy = Some(strategy));
    let mut rig = Rig::settled(&group("r", vec![g, unit("d")]));
    world::thing("/r/g/b", |thing| thing.tell = Tell::Restart);
    rig.until("it restarts", |rig| !restarts(rig, "/r/g/b").is_empty());
    world::thing("/r/g/b", |thing| thing.tell = Tell::Nothing);
    rig.run(secs(10));
    assert_eq!(rig.state("/r/g"), "Running", "{}", rig.show());
    rig
}

// spec: S-23
#[test]
fn a_strategy_says_who_restarts_with_a_failed_child() {
    for (strategy, starts) in [
        (Strategy::OneForOne, [1, 2, 1, 1]),
        (Strategy::OneForAll, [2, 2, 2, 1]),
        (Strategy::RestForOne, [1, 2, 2, 1]),
    ] {
        let rig = with_strategy(strategy);
        let seen = ["/r/g/a", "/r/g/b", "/r/g/c", "/r/d"].map(|path| rig.node(path).starts);
        assert_eq!(seen, starts, "{strategy:?}");
    }
}

// spec: S-23 (an open panic circuit of a child is a failure)
#[test]
fn an_open_circuit_restarts_the_siblings_that_its_parent_names() {
    let g = group("g", vec![unit("a"), unit("b")]).policy(|p| p.strategy = Some(Strategy::OneForAll));
    let mut rig = Rig::settled(&group("r", vec![g]));
    world::thing("/r/g/a", |thing| (thing.panics_in, thing.healthy) = (Some("next"), false));
    rig.until("its circuit opens", |rig| rig.node("/r/g/a").circuit_open);
    world::thing("/r/g/a", |thing| (thing.panics_in, thing.healthy) = (None, true));
    rig.run(secs(10));
    assert_eq!((rig.node("/r/g/a").starts, rig.node("/r/g/b").starts), (2, 2));
    assert_eq!(rig.state("/r/g"), "Running");
}

// spec: S-23 (a failed action is no failure in this sense)
#[test]
fn a_failed_action_restarts_nobody() {
    let g = group("g", vec![unit("a"), unit("b")]).policy(|p| p.strategy = Some(Strategy::OneForAll));
    let mut rig = Rig::counting(&group("r", vec![g]));
    world::thing("/r/g/a", |thing| thing.act = Act::Fails);
    rig.run(secs(100));
    assert_eq!((rig.node("/r/g/a").starts, rig.node("/r/g/b").starts), (1, 1));
}

// design §4: a livelock is reported and slowed down
#[test]
fn eight_moves_without_news_are_a_livelock_and_wait_one_interval() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    world::thing("/r/a", |thing| thing.tell = Tell::Flip);
    rig.run(secs(10));
    assert!(rig.happened("/r/a", |e| matches!(e, EventKind::Livelock { .. })) >= 5);
    let asked = world::times("/r/a", "next");
    rig.run(secs(10));
    let asked = world::times("/r/a", "next") - asked;
    assert!((70..=100).contains(&asked), "eight moves each second: {asked}");
    assert_eq!(rig.state("/r/b"), "Running");
    world::thing("/r/a", |thing| thing.tell = Tell::Nothing);
    rig.run(secs(3));
    assert_eq!(rig.state("/r/a"), "Running");
}

// spec: S-22, S-26 (found by the simulation)
#[test]
fn a_node_whose_budget_is_spent_counts_as_failed_only_while_it_should_run() {
    let mut rig = Rig::counting(&group("r", vec![group("g", vec![unit("a"), unit("b")])]));
    world::thing("/r/g/a", |thing| thing.tell = Tell::Restart);
    let spent = |rig: &Rig| rig.happened("/r/g/a", |e| matches!(e, EventKind::BudgetSpent { .. })) > 0;
    rig.until("its budget is spent", spent);
    rig.run(secs(5));
    assert_eq!(rig.node("/r/g/a").phase, Phase::Degraded);
    rig.command(Command::Stop { path: "/r/g".parse().unwrap(), who: "op".into() }).unwrap();
    rig.run(secs(5));
    assert_eq!((rig.node("/r/g/a").phase, rig.node("/r/g").children.stopped), (Phase::Stopped, 2));
    rig.command(Command::Start { path: "/r/g".parse().unwrap(), who: "op".into() }).unwrap();
    rig.run(secs(5));
    assert_eq!(rig.node("/r/g/a").phase, Phase::Degraded);
}

// spec: S-22 (found by the simulation)
#[test]
fn the_back_off_grows_also_when_failures_come_slowly() {
    let mut rig = Rig::counting(&group("r", vec![unit("a")]));
    let mut waits = Vec::new();
    for _ in 0..6 {
        // Healthy for half a window, then it fails again: never five times in one.
        rig.until("it runs", |rig| rig.state("/r/a") == "Running");
        rig.run(secs(30));
        rig.forget();
        world::thing("/r/a", |thing| thing.tell = Tell::Restart);
        rig.until("it is restarted", |rig| !rig.events.is_empty());
        rig.run(ms(10));
        world::thing("/r/a", |thing| thing.tell = Tell::Nothing);
        waits.extend(rig.events.iter().filter_map(|event| {
            let EventKind::Restart { back_off, .. } = &event.kind else { return None };
            Some(*back_off)
        }));
        rig.run(secs(2));
    }
    assert_eq!(waits.len(), 6);
    assert!(waits.windows(2).all(|pair| pair[1] > pair[0]), "{waits:?}");
    // A healthy run of one window begins anew.
    rig.until("it runs", |rig| rig.state("/r/a") == "Running");
    rig.run(secs(65));
    rig.forget();
    world::thing("/r/a", |thing| thing.tell = Tell::Restart);
    let restarted = |rig: &Rig| {
        rig.happened("/r/a", |e| matches!(e, EventKind::Restart { back_off, .. } if back_off.as_secs() < 2))
            > 0
    };
    rig.until("it is restarted, soon", restarted);
}
