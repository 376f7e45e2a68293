//! Stopping: children first, nobody waits for ever, and a report of who did not stop by itself.

use fsm_core::{Goal, Phase};
use fsm_supervisor::{Command, EventKind};
use serde_json::json;

use crate::group::{Decl, group, unit};
use crate::rig::{Rig, at, ms, secs};
use crate::world::{self, Act, Collect};

fn stopped_in_order() -> Vec<String> {
    world::take_done().into_iter().filter(|(_, what)| *what == "stopped").map(|(path, _)| path).collect()
}

fn shutdown(rig: &mut Rig, within: u64) {
    rig.command(Command::Shutdown { within: secs(within) }).unwrap();
}

// spec: S-24
#[test]
fn a_tree_shuts_down_children_before_parents() {
    let g = group("g", vec![unit("a"), group("h", vec![unit("x"), unit("y")])]);
    let mut rig = Rig::settled(&group("r", vec![g, unit("b")]));
    world::thing("/r/g/h/x", |thing| thing.act_takes = secs(1));
    shutdown(&mut rig, 30);
    assert!(rig.engine.shutdown_report().is_none());
    rig.run(secs(5));
    let report = rig.engine.shutdown_report().expect("it is complete");
    assert!(report.forced.is_empty(), "{report:?}");
    let order = stopped_in_order();
    assert_eq!(order.len(), 7);
    let place = |path: &str| order.iter().position(|p| p == path).unwrap();
    assert!(
        place("/r/g/h/x") < place("/r/g/h") && place("/r/g/h") < place("/r/g") && place("/r/g") < place("/r")
    );
    assert!(place("/r/b") < place("/r/g/h/x"), "siblings stop side by side");
    assert!(rig.jobs.is_empty(), "A-10: nothing goes on");
    rig.forget();
    rig.run(secs(600));
    assert_eq!(rig.visited, 0);
}

// spec: S-24 (while a parent waits its reason names the child)
#[test]
fn a_parent_that_waits_names_the_child() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    world::thing("/r/a", |thing| thing.act_takes = secs(5));
    world::thing("/r/b", |thing| thing.act_takes = secs(3));
    shutdown(&mut rig, 30);
    rig.run(secs(2));
    assert_eq!(rig.reason("/r"), "waiting for child b to stop", "in reverse declared order");
    rig.run(secs(2));
    assert_eq!(rig.reason("/r"), "waiting for child a to stop");
    rig.run(secs(5));
    assert!(rig.engine.shutdown_report().unwrap().forced.is_empty());
}

// spec: S-24, S-25
#[test]
fn neither_stale_data_nor_an_open_circuit_nor_an_action_prevents_stopping() {
    let names = ["stale", "acting", "circuit", "blind", "backing-off"];
    let mut rig = Rig::new(&group("r", names.map(unit).to_vec()));
    world::thing("/r/acting", |thing| thing.act = Act::Hangs);
    world::thing("/r/blind", |thing| thing.collect = Collect::Fails);
    world::thing("/r/backing-off", |thing| thing.act = Act::Fails);
    rig.run(secs(2));
    world::thing("/r/stale", |thing| thing.collect = Collect::Fails);
    world::thing("/r/circuit", |thing| {
        thing.panics_in = Some("next");
        thing.healthy = false;
    });
    rig.run(secs(15));
    assert!(rig.node("/r/stale").stale && rig.node("/r/circuit").circuit_open);
    for name in ["acting", "backing-off"] {
        world::thing(&format!("/r/{name}"), |thing| thing.act = Act::Works);
    }
    shutdown(&mut rig, 30);
    rig.run(secs(40));
    let report = rig.engine.shutdown_report().unwrap_or_else(|| panic!("{}", rig.show()));
    // Who can't see whether it stopped is the only one that can't stop by itself.
    let forced: Vec<String> = report.forced.iter().map(ToString::to_string).collect();
    assert_eq!(forced, ["/r/stale"], "{}", rig.show());
}

// spec: S-24
#[test]
fn one_deadline_is_shared_out_by_depth_and_names_who_was_forced() {
    let g = group("g", vec![group("h", vec![unit("x"), unit("y")])]);
    let mut rig = Rig::settled(&group("r", vec![g, unit("b")]));
    for path in ["/r/g/h/x", "/r/b"] {
        world::thing(path, |thing| thing.unstoppable = true);
    }
    let began = rig.now;
    shutdown(&mut rig, 20);
    rig.until("it is over", |rig| rig.engine.shutdown_report().is_some());
    let report = rig.engine.shutdown_report().unwrap();
    assert!(rig.now.since(began) <= secs(20), "{:?}", rig.now.since(began));
    let forced: Vec<String> = report.forced.iter().map(ToString::to_string).collect();
    assert_eq!(forced, ["/r/g/h/x", "/r/b"], "children end before their parents");
    assert!(rig.reason("/r/b").starts_with("forced"), "{}", rig.reason("/r/b"));
    let timed_out = rig.events.iter().find(|e| matches!(e.kind, EventKind::StopTimedOut { .. })).unwrap();
    // Four levels share 20 s: the deepest has 5 s, the one below the root 15 s.
    assert!(timed_out.at.since(began) >= secs(5) && timed_out.at.since(began) < ms(5_100));
    assert_eq!(stopped_in_order().last().unwrap(), "/r");
}

// spec: S-24 (a second signal forces)
#[test]
fn force_ends_the_waiting_at_once() {
    let mut rig = Rig::settled(&group("r", vec![group("g", vec![unit("a"), unit("b")]), unit("c")]));
    for path in ["/r/g/a", "/r/c"] {
        world::thing(path, |thing| thing.act_takes = secs(600));
    }
    shutdown(&mut rig, 600);
    rig.run(secs(5));
    assert!(rig.engine.shutdown_report().is_none());
    let asked = rig.now;
    rig.command(Command::Force).unwrap();
    rig.until("it is over", |rig| rig.engine.shutdown_report().is_some());
    assert!(rig.now.since(asked) <= ms(5), "{:?}", rig.now.since(asked));
    assert!(rig.engine.shutdown_report().unwrap().forced.len() >= 2);
    assert!(rig.jobs.is_empty(), "A-10: a forced node leaves no job");
}

// spec: S-24 (a group at rest with children awake is not at rest)
#[test]
fn a_parent_at_rest_waits_for_its_grandchildren() {
    let busy = unit("x").config(json!({"running_at_first": true}));
    let mut rig = Rig::new(&group("r", vec![group("g", vec![busy]).disabled()]));
    world::thing("/r/g/x", |thing| {
        thing.running = true;
        thing.act_takes = secs(2);
    });
    rig.run(ms(10));
    assert_eq!((rig.state("/r/g"), rig.state("/r/g/x")), ("Stopped", "TryingToStop"));
    shutdown(&mut rig, 30);
    rig.run(secs(1));
    assert_eq!(rig.reason("/r"), "waiting for child g to stop");
    assert!(rig.engine.shutdown_report().is_none(), "{}", rig.show());
    rig.run(secs(20));
    assert!(rig.engine.shutdown_report().is_some(), "{}", rig.show());
    assert_eq!(stopped_in_order(), ["/r/g/x", "/r"]);
}

// spec: S-24: the longest path, 3 levels inside its budget
#[test]
fn three_levels_of_slow_nodes_stop_inside_the_deadline() {
    let mut rig = Rig::settled(&group("r", vec![group("g", vec![unit("a"), unit("b")]), unit("c")]));
    for path in ["/r/g/a", "/r/g/b", "/r/c"] {
        world::thing(path, |thing| thing.act_takes = secs(4));
    }
    shutdown(&mut rig, 30);
    rig.run(secs(6));
    assert!(rig.engine.shutdown_report().unwrap().forced.is_empty());
}

// spec: A-6 (stop waits for an observation after an action, but one timeout at most)
#[test]
fn stop_is_asked_without_an_observation_when_none_comes_after_an_action() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    world::thing("/r/a", |thing| thing.act_takes = secs(1));
    rig.declare(&group("r", vec![unit("a").disabled()]));
    rig.run(ms(500));
    world::thing("/r/a", |thing| thing.collect = Collect::Lost);
    rig.run(ms(700));
    assert_eq!(world::did_stop_see("/r/a"), Some(true));
    assert_eq!(rig.reason("/r/a"), "waiting for an observation after stop ended with success");
    let asked = world::times("/r/a", "stop");
    rig.run(secs(2));
    assert_eq!(world::times("/r/a", "stop"), asked);
    rig.run(ms(500));
    assert_eq!(world::did_stop_see("/r/a"), Some(false));
}

// spec: S-10, S-21
#[test]
fn a_node_that_does_not_stop_in_time_is_forced() {
    let quick = |name: &str| unit(name).policy(|p| p.stop_timeout = Some(secs(7).into()));
    let mut rig = Rig::settled(&group("r", vec![quick("a"), unit("b")]));
    world::thing("/r/a", |thing| thing.unstoppable = true);
    let told = rig.now;
    rig.declare(&group("r", vec![quick("a").disabled(), unit("b")]));
    rig.until("it is forced", |rig| {
        rig.happened("/r/a", |e| matches!(e, EventKind::StopTimedOut { .. })) > 0
    });
    assert!(rig.now.since(told) >= secs(7) && rig.now.since(told) < ms(7_005));
    rig.run(secs(1));
    assert_eq!((rig.node("/r/a").phase, rig.node("/r/a").goal), (Phase::Stopped, Goal::Stop));
    assert!(rig.reason("/r/a").starts_with("forced"), "{}", rig.reason("/r/a"));
    // What a forced worker left behind is not trusted: it comes back as a new incarnation.
    let before = rig.node("/r/a").incarnation;
    rig.declare(&group("r", vec![quick("a"), unit("b")]));
    rig.run(secs(5));
    assert_ne!(rig.node("/r/a").incarnation, before);
    assert_eq!(rig.state("/r/a"), "Running");
}

// spec: J1, S-21 (a forced parent that comes back takes no orphan along)
#[test]
fn a_forced_parent_comes_back_after_its_old_children_are_gone() {
    let tree = |enabled: bool| {
        let mut g = group("g", vec![unit("a"), unit("b")]);
        g.enabled = enabled;
        group("r", vec![g])
    };
    let mut rig = Rig::settled(&tree(true));
    let old = rig.node("/r/g/a").incarnation;
    world::thing("/r/g", |thing| thing.panics_in = Some("stop"));
    rig.declare(&tree(false));
    rig.until("it is forced", |rig| rig.reason("/r/g").starts_with("forced"));
    world::thing("/r/g", |thing| thing.panics_in = None);
    rig.declare(&tree(true));
    rig.run(secs(10));
    assert_ne!(rig.node("/r/g/a").incarnation, old);
    assert_eq!((rig.state("/r/g"), rig.engine.len()), ("Running", 4));
}

// spec: I4 (design §8.11)
#[test]
fn a_goal_that_returns_to_run_while_the_worker_is_stopping_is_reached() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    world::thing("/r/a", |thing| thing.act_takes = secs(3));
    let before = rig.node("/r/a").incarnation;
    rig.declare(&group("r", vec![unit("a").disabled()]));
    rig.run(secs(1));
    assert_eq!(rig.state("/r/a"), "TryingToStop");
    rig.declare(&group("r", vec![unit("a")]));
    rig.run(secs(10));
    let node = rig.node("/r/a");
    assert_eq!((node.state, node.goal, node.incarnation), ("Running", Goal::Run, before));
    // The deadline of the former stop is void.
    rig.run(secs(60));
    assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::StopTimedOut { .. })), 0);
}

// spec: I4
#[test]
fn next_is_never_asked_of_a_node_that_should_stop() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    world::thing("/r/a", |thing| thing.act_takes = secs(5));
    let asked = world::times("/r/a", "next");
    rig.declare(&group("r", vec![]));
    for _ in 0..40 {
        world::thing("/r/a", |thing| thing.healthy = !thing.healthy);
        rig.run(ms(500));
    }
    assert_eq!(world::times("/r/a", "next"), asked);
    assert!(!rig.has("/r/a"));
}

// spec: A-5, A-10
#[test]
fn a_cancelled_action_has_its_grace_and_no_more() {
    let mut rig = Rig::new(&group("r", vec![unit("a")]));
    world::thing("/r/a", |thing| {
        thing.act = Act::Hangs;
        thing.cancel_takes = secs(600);
    });
    rig.run(secs(3));
    let told = rig.now;
    rig.declare(&group("r", vec![]));
    rig.until("stop is asked", |_| world::times("/r/a", "stop") > 0);
    assert!(rig.now.since(told) >= secs(5) && rig.now.since(told) < ms(5_100));
    world::thing("/r/a", |thing| thing.act = Act::Works);
    rig.until("it is gone", |rig| !rig.has("/r/a"));
    assert!(rig.now < at(secs(60)));
}

/// The names in the chain of the longest stop, and its seconds.
fn longest(root: &Decl) -> (Vec<String>, u64) {
    let longest = Rig::settled(root).engine.longest_stop();
    (longest.chain.iter().map(|stop| stop.path.name().to_owned()).collect(), longest.takes.as_secs())
}

fn within(name: &str, seconds: u64) -> Decl {
    unit(name).policy(|p| p.stop_timeout = Some(secs(seconds).into()))
}

// spec: S-24 (the longest possible stop path is known before)
#[test]
fn the_longest_chain_of_stops_is_known_before() {
    let timeout =
        |seconds: u64| move |p: &mut fsm_core::PolicyOverride| p.stop_timeout = Some(secs(seconds).into());
    let g = group("g", vec![within("a", 3), within("b", 7)]).policy(timeout(2));
    let root = group("r", vec![g, within("c", 8)]).policy(timeout(1));
    assert_eq!(longest(&root), (vec!["b".into(), "g".into(), "r".into()], 10), "children side by side");
    // Who depends on it stops first; its own children meanwhile.
    let g = group("g", vec![within("a", 3), within("b", 7)]).policy(timeout(2));
    let root = group("r", vec![g, within("c", 8).on("g"), within("d", 1).on("c")]).policy(timeout(1));
    let chain = ["d", "c", "g", "r"].map(String::from).to_vec();
    assert_eq!(longest(&root), (chain, 12));
}

// spec: S-24 (levels that need longer get more of the deadline)
#[test]
fn a_deadline_of_the_longest_chain_forces_nobody_that_keeps_its_time() {
    let root = group("r", vec![within("a", 59), within("b", 1)]);
    let root = root.policy(|p| p.stop_timeout = Some(secs(1).into()));
    let mut rig = Rig::settled(&root);
    let longest = rig.engine.longest_stop().takes;
    assert_eq!(longest, secs(60));
    world::thing("/r/a", |thing| thing.act_takes = secs(57));
    rig.command(Command::Shutdown { within: longest }).unwrap();
    rig.until("all stopped", |rig| rig.engine.shutdown_report().is_some());
    let report = rig.engine.shutdown_report().unwrap();
    assert_eq!(report.forced, []);
    assert!(report.took >= secs(57) && report.took <= longest, "{report:?}");
}
