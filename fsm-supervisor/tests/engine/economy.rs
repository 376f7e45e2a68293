//! A tick costs what changed: what is not evaluated, and what is, exactly once.

use fsm_core::{Moment, NodeId};
use fsm_supervisor::{Command, EngineConfig, EventKind, Input};
use serde_json::json;

use crate::group::{Decl, group, unit};
use crate::rig::{Rig, ms, secs};
use crate::unit::observation;
use crate::world;

/// Ten groups of ten.
fn hundred() -> Decl {
    let children = |_| (0..10).map(|n| unit(&format!("u{n}"))).collect();
    group("r", (0..10).map(|g| group(&format!("g{g}"), children(g))).collect())
}

// design §4, §8.3, P1, P12
#[test]
fn when_nothing_changed_nothing_is_evaluated_whatever_time_passes() {
    let mut rig = Rig::settled(&hundred());
    rig.run(secs(60));
    assert_eq!((rig.evaluated, rig.visited), (0, 0));
    assert!(rig.collections("/r/g3/u3").len() == 60);
    assert!(rig.events.is_empty() && rig.changes.is_empty());
}

// design §4 (also of the first state)
#[test]
fn one_that_begins_in_a_passive_state_is_not_asked_again_for_equal_observations() {
    let mut rig = Rig::counting(&group("r", vec![unit("a").config(json!({"running_at_first": true}))]));
    world::thing("/r/a", |thing| thing.running = true);
    rig.until("it runs", |rig| rig.state("/r/a") == "Running" && world::times("/r/a", "next") > 0);
    let asked = world::times("/r/a", "next");
    rig.run(secs(30));
    assert_eq!(world::times("/r/a", "next"), asked);
}

// spec: S-17 (its creation is told as time on the wall)
#[test]
fn a_node_knows_when_its_path_was_first_there() {
    let mut rig = Rig::counting(&group("r", vec![unit("a")]));
    rig.run(secs(90));
    let at = rig.now.as_nanos() / 1_000_000;
    rig.declare(&group("r", vec![unit("a"), unit("b")]));
    rig.run(secs(1));
    assert_eq!(world::variables("/r/a").internal.created_at, 1_700_000_000_000);
    assert_eq!(world::variables("/r/b").internal.created_at, 1_700_000_000_000 + at);
}

// spec: S-4
#[test]
fn a_slow_tick_is_counted_and_its_slowest_node_is_named() {
    let mut rig = Rig::settled(&hundred());
    let slow = |rig: &mut Rig, takes| {
        rig.forget();
        for n in 0..10 {
            world::thing(&format!("/r/g3/u{n}"), |thing| thing.healthy = !thing.healthy);
        }
        world::thing("/r/g3/u7", |thing| thing.asking_takes = takes);
        rig.run(secs(2));
        let told = |event: &fsm_supervisor::Event| {
            let EventKind::TickOverrun { took } = event.kind else { return None };
            Some((event.path.to_string(), took))
        };
        rig.events.iter().filter_map(told).collect::<Vec<_>>()
    };
    // A tenth of the interval, one second, is not yet too long.
    assert_eq!(slow(&mut rig, ms(100)), []);
    let mut told = slow(&mut rig, ms(101)).into_iter();
    let (first, took) = told.next().expect("a tick took too long");
    assert!(first.starts_with("/r/g3/") && took == ms(101), "{first} {took:?}");
    let rest: Vec<_> = told.chain(slow(&mut rig, ms(101))).collect();
    assert!(rest.len() >= 2 && rest.iter().all(|(path, _)| path == "/r/g3/u7"), "{rest:?}");
}

// design §4, P2
#[test]
fn what_changed_is_evaluated_once_and_only_its_parents_are_visited() {
    let mut rig = Rig::settled(&hundred());
    let asked = |rig: &Rig| {
        rig.engine
            .tree()
            .iter()
            .map(|e| (e.path.to_string(), world::times(e.path.as_str(), "next")))
            .collect::<Vec<_>>()
    };
    let before = asked(&rig);
    for n in 0..3 {
        let path = format!("/r/g{n}/u1");
        world::thing(&path, |thing| thing.noise += 1);
        world::thing(&path, |thing| thing.value = 0);
        rig.command(Command::Collect { path: path.parse().unwrap() }).unwrap();
    }
    rig.forget();
    rig.run(ms(4));
    // Three looks are under way; their values are equal for decisions.
    rig.run(ms(100));
    assert_eq!(rig.evaluated, 0);
    for n in 0..3 {
        let path = format!("/r/g{n}/u1");
        world::thing(&path, |thing| thing.healthy = false);
        rig.command(Command::Collect { path: path.parse().unwrap() }).unwrap();
    }
    rig.run(ms(50));
    let after = asked(&rig);
    let touched: Vec<(&str, u32)> = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before.1 != after.1)
        .map(|(before, after)| (before.0.as_str(), after.1 - before.1))
        .collect();
    // Each moved once and then stayed; its parents saw one change, moved and stayed.
    let expected = [
        ("/r", 2),
        ("/r/g0", 2),
        ("/r/g0/u1", 2),
        ("/r/g1", 2),
        ("/r/g1/u1", 2),
        ("/r/g2", 2),
        ("/r/g2/u1", 2),
    ];
    assert_eq!(touched, expected);
}

// design §4: a view's inputs are changed entries, coalesced
#[test]
fn children_that_change_together_are_one_input_of_their_parent() {
    let mut rig = Rig::settled(&group("r", (0..50).map(|n| unit(&format!("u{n}"))).collect()));
    let before = world::times("/r", "next");
    for n in 0..50 {
        let node = NodeId::new(n + 1, rig.node(&format!("/r/u{n}")).incarnation);
        rig.input(Input::Pushed { node, taken: rig.now, value: observation(false, 0) });
    }
    rig.tick();
    assert_eq!((rig.evaluated, rig.visited), (50, 50));
    rig.tick();
    assert_eq!(world::times("/r", "next") - before, 1, "one evaluation for fifty changes");
    assert_eq!(rig.state("/r"), "Degraded");
}

// design §4: one evaluation per node and tick; what becomes due behind the cursor runs in a follow-up pass at once
#[test]
fn a_move_is_followed_by_another_pass_at_the_same_moment() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    let node = NodeId::new(1, rig.node("/r/a").incarnation);
    rig.input(Input::Pushed { node, taken: rig.now, value: observation(false, 0) });
    rig.tick();
    assert_eq!((rig.evaluated, rig.state("/r/a")), (1, "TryingToStart"));
    assert_eq!(rig.engine.next_wake(), Some(rig.now), "design §8.2: what is left over is due now");
    rig.tick();
    assert_eq!(rig.node("/r/a").acting, Some("start"));
}

// spec: S-1
#[test]
fn a_command_or_an_observation_wakes_the_engine_at_once() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    assert!(rig.engine.next_wake().unwrap() > rig.now);
    rig.command(Command::Stop { path: "/r/a".parse().unwrap(), who: "op".into() }).unwrap();
    assert_eq!(rig.engine.next_wake(), Some(rig.now));
}

// design §8.11: a wake-up booked by a former state is void
#[test]
fn a_wake_up_that_a_former_state_booked_does_not_fire() {
    let mut rig = Rig::counting(&group("r", vec![unit("a").config(json!({"linger_ms": 60_000}))]));
    rig.run(secs(10));
    assert_eq!(rig.reason("/r/a"), "it runs, for a moment yet");
    rig.declare(&group("r", vec![unit("a").config(json!({"linger_ms": 0}))]));
    rig.run(secs(5));
    assert_eq!(rig.state("/r/a"), "Running");
    rig.forget();
    rig.run(secs(120));
    assert_eq!((rig.evaluated, rig.visited), (0, 0));
}

// The moment that a state asks for is when it is asked again.
#[test]
fn a_booked_moment_is_reached_on_time() {
    let mut rig = Rig::counting(&group("r", vec![unit("a").config(json!({"linger_ms": 7_300}))]));
    rig.until("it lingers", |rig| rig.state("/r/a") == "TryingToStart");
    let entered = rig.node("/r/a").since;
    rig.until("it runs", |rig| rig.state("/r/a") == "Running");
    let took = rig.now.since(entered);
    assert!(took >= ms(7_300) && took < ms(7_303), "{took:?}");
}

// design §8.8
#[test]
fn new_arguments_of_one_reason_are_shown_but_neither_stored_nor_told() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b"), unit("c")]));
    world::thing("/r/a", |thing| thing.healthy = false);
    rig.run(secs(2));
    assert_eq!(rig.reason("/r"), "only 2 of 3 are well");
    let (history, changes) = (rig.node("/r").history.len(), rig.changes.len());
    world::thing("/r/b", |thing| thing.healthy = false);
    rig.run(secs(2));
    assert_eq!(rig.reason("/r"), "only 1 of 3 are well");
    assert_eq!(rig.node("/r").history.len(), history);
    assert!(rig.changes[changes..].iter().all(|change| change.path.as_str() != "/r"));
}

// design §4: clean nodes are re-evaluated by sampling, and a different answer is a reported violation
#[test]
fn an_impure_answer_is_found_by_sampling() {
    let mut config = EngineConfig::default();
    config.check_purity = true;
    let mut rig = Rig::with_config(&group("r", vec![unit("a")]), config);
    rig.run(secs(5));
    assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::PurityViolation { .. })), 0);
    world::lie("/r/a");
    let mut effects = fsm_supervisor::Effects::new();
    let violation = (0..200).any(|_| {
        rig.engine.tick(rig.now, &mut effects, &());
        effects.drain().any(|effect| {
            matches!(effect, fsm_supervisor::Effect::Emit(event)
                if matches!(event.kind, EventKind::PurityViolation { .. }) && event.path.as_str() == "/r/a")
        })
    });
    assert!(violation);
}

// spec: S-1 (time that goes backwards, or jumps, does no harm)
#[test]
fn a_jump_of_the_clock_makes_everybody_stale_and_all_recover() {
    let mut rig = Rig::settled(&hundred());
    rig.jobs.clear();
    rig.now = rig.now + secs(3_600);
    rig.tick();
    assert_eq!(rig.engine.tree().iter().filter(|e| e.stale).count(), 100);
    let nexts = world::times("/r/g1/u1", "next");
    rig.run(ms(1));
    assert_eq!(world::times("/r/g1/u1", "next"), nexts, "I3: never on stale data");
    rig.run(secs(120));
    assert_eq!(rig.state("/r"), "Running", "{}", rig.show());
    rig.engine.tick(Moment::ZERO, &mut fsm_supervisor::Effects::new(), &());
    assert_eq!(rig.state("/r"), "Running");
}

// design §4: parents and children that answer each other never hold up the rest
#[test]
fn a_parent_and_a_child_that_push_each_other_are_slowed_down_too() {
    use fsm_core::{Phase, StartWhen};
    // The child runs only while its parent is not healthy; the parent is healthy only when the child rests.
    let child =
        Decl::new("mirror", "mirror").start_when(StartWhen::Phases(vec![Phase::Starting, Phase::Degraded]));
    let mut rig = Rig::counting(&group("r", vec![group("g", vec![child]), unit("b")]));
    rig.run(secs(20));
    assert_eq!(rig.state("/r/b"), "Running");
    assert!(rig.ticks < 3_000, "{} ticks", rig.ticks);
}
