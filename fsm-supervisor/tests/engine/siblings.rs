//! What a child waits for: its parent's state, its siblings, its parent's goal; and what flows down to it.

use fsm_core::{ChildName, Condition, Dependency, Goal, Phase, StartWhen, Vars};
use serde_json::json;

use crate::group::{Decl, GroupConfig, group, group_with, unit};
use crate::rig::{Rig, ms, secs};
use crate::world::{self, Collect};

fn on(child: &str, condition: Condition, stop_when_unmet: bool) -> Dependency {
    Dependency { child: ChildName::try_new(child).unwrap(), condition, stop_when_unmet }
}

// spec: S-16
#[test]
fn a_child_runs_in_the_states_of_its_parent_that_it_names() {
    let child = || unit("a").start_when(StartWhen::States(vec!["Running".into(), "Degraded".into()]));
    let config = |hold| GroupConfig { children: vec![child()], hold, ..Default::default() };
    let mut rig = Rig::counting(&group("r", vec![group_with("g", config(true))]));
    rig.run(secs(2));
    assert_eq!((rig.state("/r/g"), rig.state("/r/g/a")), ("Starting", "Stopped"));
    assert_eq!(rig.reason("/r/g/a"), "held while its parent is Starting");
    // Its parent can't become healthy while the child is held: so it is told to run by its phase.
    let by_phase = unit("a").start_when(StartWhen::Phases(vec![Phase::Starting]));
    let config = GroupConfig { children: vec![by_phase], hold: true, ..Default::default() };
    rig.declare(&group("r", vec![group_with("g", config)]));
    rig.run(secs(2));
    assert_eq!(rig.state("/r/g/a"), "Running");
}

// spec: S-16
#[test]
fn a_child_stops_when_its_parent_leaves_the_named_states() {
    let child = unit("a").start_when(StartWhen::Phases(vec![Phase::Running]));
    let free = unit("b");
    let mut rig = Rig::counting(&group("r", vec![free.clone(), group("g", vec![])]));
    rig.run(secs(2));
    rig.declare(&group("r", vec![free.clone(), child.clone(), group("g", vec![])]));
    rig.run(ms(5));
    // The new child is stopped at first, so its parent is degraded and the child held.
    assert_eq!((rig.state("/r"), rig.state("/r/a")), ("Degraded", "Stopped"));
    assert_eq!(rig.reason("/r/a"), "held while its parent is Degraded");
    rig.run(secs(10));
    assert_eq!(rig.node("/r/a").goal, Goal::Stop);
}

// spec: S-15
#[test]
fn a_child_waits_until_its_sibling_is_healthy() {
    let b = || unit("b").config(json!({"linger_ms": 3_000}));
    let mut rig = Rig::counting(&group("r", vec![unit("a").on("b"), b()]));
    rig.run(secs(2));
    assert_eq!((rig.state("/r/b"), rig.state("/r/a")), ("TryingToStart", "Stopped"));
    assert_eq!(rig.reason("/r/a"), "waiting until b is healthy");
    rig.run(secs(3));
    assert_eq!(rig.state("/r/a"), "Running");
    // A later loss doesn't stop it.
    world::thing("/r/b", |thing| thing.healthy = false);
    rig.run(secs(5));
    assert_eq!((rig.state("/r/b"), rig.state("/r/a")), ("Degraded", "Running"));
    // But the condition is looked at afresh when it starts again.
    rig.declare(&group("r", vec![unit("a").on("b").disabled(), b()]));
    rig.run(secs(3));
    rig.declare(&group("r", vec![unit("a").on("b"), b()]));
    rig.run(secs(3));
    assert_eq!(rig.reason("/r/a"), "waiting until b is healthy");
}

// spec: S-15
#[test]
fn a_child_that_says_so_stops_when_its_condition_is_lost() {
    let a = unit("a").depends(on("b", Condition::Healthy, true));
    let mut rig = Rig::settled(&group("r", vec![a, unit("b")]));
    assert_eq!(rig.state("/r/a"), "Running");
    world::thing("/r/b", |thing| thing.healthy = false);
    rig.run(secs(4));
    assert_eq!(rig.state("/r/a"), "Stopped");
    world::thing("/r/b", |thing| thing.healthy = true);
    rig.run(secs(4));
    assert_eq!(rig.state("/r/a"), "Running");
}

// spec: S-15 (design §4: effective phase: nobody believes a stale node)
#[test]
fn a_stale_sibling_is_not_healthy() {
    let a = unit("a").depends(on("b", Condition::Healthy, true));
    let mut rig = Rig::settled(&group("r", vec![a, unit("b")]));
    world::thing("/r/b", |thing| thing.collect = Collect::Fails);
    rig.run(secs(15));
    assert_eq!(rig.node("/r/b").phase, Phase::Degraded);
    assert_eq!(rig.state("/r/a"), "Stopped");
}

// spec: S-15
#[test]
fn started_and_completed_are_conditions_of_their_own() {
    let after_start = unit("s").depends(on("b", Condition::Started, false));
    let after_end = unit("e").depends(on("b", Condition::Completed, false));
    let mut rig = Rig::counting(&group("r", vec![after_start, after_end, unit("b")]));
    world::thing("/r/b", |thing| thing.healthy = false);
    rig.run(secs(3));
    assert_eq!((rig.state("/r/s"), rig.state("/r/e")), ("Running", "Stopped"));
    assert_eq!(rig.reason("/r/e"), "waiting until b is completed");
    world::thing("/r/b", |thing| (thing.healthy, thing.done) = (true, true));
    rig.run(secs(3));
    assert_eq!((rig.state("/r/b"), rig.state("/r/e")), ("Completed", "Running"));
}

// spec: S-15
#[test]
fn a_cycle_is_refused_with_the_cycle_printed_and_ends_when_it_is_broken() {
    let tree = |broken: bool| {
        let c = if broken { unit("c") } else { unit("c").on("a") };
        let other = vec![unit("x").on("y"), unit("y").on("x"), unit("free")];
        group("r", [vec![unit("a").on("b"), unit("b").on("c"), c], other].concat())
    };
    let mut rig = Rig::settled(&tree(false));
    for path in ["/r/a", "/r/b", "/r/c"] {
        let reason = rig.reason(path);
        assert!(reason.contains("depends_on: these wait for each other: a → b → c → a"), "{reason}");
    }
    for path in ["/r/x", "/r/y"] {
        assert!(rig.reason(path).contains("x → y → x"), "every cycle is found: {}", rig.reason(path));
    }
    assert_eq!(rig.state("/r/free"), "Running");
    rig.declare(&tree(true));
    rig.run(secs(5));
    for path in ["/r/a", "/r/b", "/r/c"] {
        assert_eq!(rig.state(path), "Running", "{}", rig.show());
    }
    assert!(rig.node("/r/x").invalid);
}

// spec: S-15
#[test]
fn a_dependency_on_nobody_is_refused_until_that_sibling_is_there() {
    let mut rig = Rig::settled(&group("r", vec![unit("a").on("nobody")]));
    assert!(rig.reason("/r/a").contains("no sibling `nobody`"), "{}", rig.reason("/r/a"));
    rig.declare(&group("r", vec![unit("a").on("nobody"), unit("nobody")]));
    rig.run(secs(5));
    assert_eq!(rig.state("/r/a"), "Running", "{}", rig.show());
}

// spec: S-24 (siblings in reverse order where a depends_on forbids it)
#[test]
fn a_dependency_stops_after_those_that_depend_on_it() {
    let children =
        vec![unit("broker"), unit("reader").on("broker"), unit("writer").on("broker"), unit("free")];
    let mut rig = Rig::settled(&group("r", vec![group("g", children)]));
    world::thing("/r/g/writer", |thing| thing.act_takes = secs(3));
    rig.declare(&group("r", vec![group("g", vec![]).disabled()]));
    rig.declare(&group("r", vec![]));
    rig.run(secs(2));
    assert_eq!(rig.state("/r/g/broker"), "Running");
    assert_eq!(rig.reason("/r/g/broker"), "waiting for writer to stop, which depends on it");
    rig.run(secs(10));
    let stopped: Vec<String> =
        world::take_done().into_iter().filter(|(_, what)| *what == "stopped").map(|(path, _)| path).collect();
    assert_eq!(stopped.last().unwrap(), "/r/g", "children before parents: {stopped:?}");
    let place = |path: &str| stopped.iter().position(|p| p == path).unwrap();
    assert!(place("/r/g/broker") > place("/r/g/writer") && place("/r/g/broker") > place("/r/g/reader"));
    assert!(place("/r/g/free") < place("/r/g/broker"), "nobody else waits");
}

// spec: S-17
#[test]
fn variables_flow_down_and_the_nearest_wins() {
    let tree = |site: &str, line: Option<&str>| {
        let mut g = group("g", vec![unit("a").variable("tag", "t1"), unit("b").variable("site", "own")]);
        if let Some(line) = line {
            g = g.variable("line", line);
        }
        group("r", vec![g]).variable("site", site).variable("line", "root")
    };
    let mut rig = Rig::settled(&tree("berlin", Some("l7")));
    let seen = world::variables("/r/g/a");
    assert_eq!(seen.user["site"], "berlin");
    assert_eq!(seen.user["line"], "l7");
    assert_eq!(seen.user["tag"], "t1");
    assert_eq!(world::variables("/r/g/b").user["site"], "own");
    assert_eq!(world::variables("/r/g").user["line"], "l7");
    assert!(!world::variables("/r/g").user.contains_key("tag"), "nothing flows up");
    let own = world::times("/r/g/b", "derive");
    rig.declare(&tree("paris", Some("l7")));
    rig.run(ms(1));
    assert_eq!(world::variables("/r/g/a").user["site"], "paris");
    assert_eq!(world::times("/r/g/b", "derive"), own, "who hides the variable is not concerned");
    rig.declare(&tree("paris", None));
    rig.run(ms(1));
    assert_eq!(world::variables("/r/g/a").user["line"], "root");
}

// spec: S-17
#[test]
fn global_variables_reach_everybody_and_internal_is_the_nodes_own() {
    let root = group("r", vec![group("g", vec![unit("a")])]);
    let mut rig = Rig::settled(&root);
    let first = world::variables("/r/g/a").internal;
    assert_eq!((&*first.path, &*first.name), ("/r/g/a", "a"));
    assert_eq!(first.parent_id, world::variables("/r/g").internal.id);
    let mut global = Vars::new();
    global.insert("domain".into(), json!("plant.example"));
    rig.declare_with(&root, global);
    rig.run(ms(1));
    assert_eq!(world::variables("/r/g/a").global["domain"], "plant.example");
    assert_eq!(world::variables("/r/g/a").internal, first, "stable over ticks");
    let before = first.created_at;
    rig.declare_with(&group("r", vec![]), Vars::new());
    rig.run(secs(5));
    assert!(!rig.has("/r/g/a"));
    rig.declare_with(&root, Vars::new());
    rig.run(secs(5));
    assert_eq!(world::variables("/r/g/a").internal.created_at, before, "created_at is the path's");
    assert_eq!(rig.node("/r/g/a").starts, 2);
}

// spec: S-24, S-13
#[test]
fn children_of_a_stopped_parent_stop_first_and_come_back_with_it() {
    let tree = |enabled: bool| {
        let mut g = group("g", vec![unit("a"), group("h", vec![unit("x")])]);
        g.enabled = enabled;
        group("r", vec![g])
    };
    let mut rig = Rig::settled(&tree(true));
    world::thing("/r/g/h/x", |thing| thing.act_takes = secs(2));
    rig.declare(&tree(false));
    rig.run(secs(1));
    assert_eq!(rig.reason("/r/g"), "waiting for child h to stop");
    assert_eq!(rig.reason("/r/g/h"), "waiting for child x to stop");
    rig.run(secs(5));
    for path in ["/r/g", "/r/g/a", "/r/g/h", "/r/g/h/x"] {
        assert_eq!(rig.state(path), "Stopped");
    }
    assert_eq!(rig.reason("/r/g/a"), "its parent is stopped");
    rig.declare(&tree(true));
    rig.run(secs(5));
    assert_eq!((rig.state("/r/g"), rig.state("/r/g/h/x")), ("Running", "Running"));
}

// spec: S-35
#[test]
fn a_parent_is_degraded_by_a_child_and_recovers_with_it() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    for _ in 0..2 {
        world::thing("/r/a", |thing| thing.healthy = false);
        world::thing("/r/b", |thing| thing.healthy = false);
        rig.run(secs(2));
        assert_eq!(rig.state("/r"), "Degraded");
        assert_eq!(rig.reason("/r"), "only 0 of 2 are well");
        world::thing("/r/a", |thing| thing.healthy = true);
        world::thing("/r/b", |thing| thing.healthy = true);
        rig.run(secs(2));
        assert_eq!(rig.state("/r"), "Running");
    }
}

// spec: S-16, S-13
#[test]
fn a_derived_target_holds_a_node_in_stopped() {
    let mut rig = Rig::settled(&group("r", vec![unit("a").config(json!({"stopped": true}))]));
    assert_eq!((rig.state("/r/a"), rig.node("/r/a").goal), ("Stopped", Goal::Stop));
    assert_eq!(rig.reason("/r/a"), "its desired state is stopped");
    rig.declare(&group("r", vec![Decl::new("a", "unit")]));
    rig.run(secs(2));
    assert_eq!(rig.state("/r/a"), "Running");
    rig.declare(&group("r", vec![unit("a").config(json!({"stopped": true}))]));
    rig.run(secs(4));
    assert_eq!(rig.state("/r/a"), "Stopped");
}
