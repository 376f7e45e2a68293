//! What operators ask for, and what they see.

use fsm_core::{ChildName, ChildSpec, Dependency, Goal, NodePath};
use fsm_supervisor::{Command, CommandError, EventKind, Remembered, What};
use serde_json::{Value, json};

use crate::group::{Decl, group, unit};
use crate::rig::{Rig, ms, secs};
use crate::world::{self, Tell};

fn path(text: &str) -> NodePath {
    text.parse().unwrap()
}

fn name(text: &str) -> ChildName {
    ChildName::try_new(text).unwrap()
}

fn stop(rig: &mut Rig, at: &str) -> Result<(), CommandError> {
    rig.command(Command::Stop { path: path(at), who: "op".into() })
}

fn start(rig: &mut Rig, at: &str) -> Result<(), CommandError> {
    rig.command(Command::Start { path: path(at), who: "op".into() })
}

fn upsert(rig: &mut Rig, parent: &str, spec: ChildSpec) -> Result<(), CommandError> {
    rig.command(Command::Upsert { parent: path(parent), spec: spec.into(), who: "op".into() })
}

fn delete(rig: &mut Rig, parent: &str, child: &str) -> Result<(), CommandError> {
    rig.command(Command::Delete { parent: path(parent), name: name(child), who: "op".into() })
}

// spec: S-26
#[test]
fn a_stop_by_an_operator_stays_until_start() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    stop(&mut rig, "/r/a").unwrap();
    rig.run(secs(3));
    let node = rig.node("/r/a");
    assert_eq!((node.state, node.goal, node.stopped_by.as_deref()), ("Stopped", Goal::Stop, Some("op")));
    assert_eq!(node.reason, "stopped by op: `start` ends it");
    let stored = |rig: &Rig, set: bool| {
        rig.changes
            .iter()
            .any(|c| matches!(&c.what, What::Override { stopped_by } if stopped_by.is_some() == set))
    };
    assert!(stored(&rig, true) && !stored(&rig, false));
    // A reload, a change of its config and a restart don't end it.
    rig.declare(&group("r", vec![unit("a").config(json!({"value": 3})), unit("b")]));
    rig.run(secs(3));
    rig.command(Command::Restart { path: path("/r/a"), who: "op".into() }).unwrap();
    rig.run(secs(3));
    assert_eq!(rig.node("/r/a").stopped_by.as_deref(), Some("op"));
    assert_eq!(rig.state("/r/a"), "Stopped");
    start(&mut rig, "/r/a").unwrap();
    rig.run(secs(3));
    assert_eq!((rig.state("/r/a"), rig.node("/r/a").stopped_by.clone()), ("Running", None));
    assert!(stored(&rig, false));
    for event in ["override_set", "override_cleared", "command"] {
        assert!(rig.names("/r/a").contains(&event));
    }
}

// spec: S-26 (a changed `enabled` ends it)
#[test]
fn a_changed_enabled_ends_an_operators_stop() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    stop(&mut rig, "/r/a").unwrap();
    rig.run(secs(3));
    rig.declare(&group("r", vec![unit("a").disabled()]));
    rig.run(secs(1));
    assert_eq!(rig.node("/r/a").stopped_by, None);
    rig.declare(&group("r", vec![unit("a")]));
    rig.run(secs(3));
    assert_eq!(rig.state("/r/a"), "Running");
}

// spec: S-26
#[test]
fn an_operators_stop_outlives_the_removal_of_its_path() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    stop(&mut rig, "/r/a").unwrap();
    rig.declare(&group("r", vec![unit("b")]));
    rig.run(secs(5));
    assert!(!rig.has("/r/a"));
    rig.declare(&group("r", vec![unit("a"), unit("b")]));
    rig.run(secs(5));
    assert_eq!(rig.node("/r/a").stopped_by.as_deref(), Some("op"));
}

// spec: S-51
#[test]
fn commands_about_nobody_say_so() {
    let mut rig = Rig::settled(&group("r", vec![unit("a").disabled(), Decl::new("bad", "toaster")]));
    for at in ["/r/x", "/x", "/r/a/b"] {
        let error = stop(&mut rig, at).unwrap_err();
        assert_eq!(error, CommandError::NoSuchNode { path: path(at) });
        assert!(error.to_string().contains(at));
    }
    let error = rig.command(Command::Collect { path: path("/r/a") }).unwrap_err();
    assert!(matches!(error, CommandError::NotNow { .. }), "{error}");
    for at in ["/r/bad", "/r/a"] {
        rig.command(Command::Retry { path: path(at), who: "op".into() }).unwrap();
        stop(&mut rig, at).unwrap();
        start(&mut rig, at).unwrap();
    }
    rig.run(secs(1));
    assert!(rig.node("/r/bad").invalid);
}

// spec: S-19
#[test]
fn a_child_can_be_added_changed_and_removed_at_run_time() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    upsert(&mut rig, "/r", unit("x").config(json!({"value": 1})).spec()).unwrap();
    rig.run(secs(2));
    let node = rig.node("/r/x");
    assert!(node.dynamic);
    assert_eq!((node.state, world::view("/r")), ("Running", "a=running x=running".into()));
    upsert(&mut rig, "/r", unit("x").config(json!({"value": 2})).spec()).unwrap();
    rig.run(secs(2));
    assert_eq!(world::thing("/r/x", |thing| thing.value), 2);
    assert_eq!(rig.node("/r/x").incarnation, node.incarnation);
    // The same again is no work.
    rig.forget();
    upsert(&mut rig, "/r", unit("x").config(json!({"value": 2})).spec()).unwrap();
    rig.run(ms(10));
    assert_eq!(rig.evaluated, 0);
    // What can't change in place makes a new incarnation.
    upsert(&mut rig, "/r", unit("x").config(json!({"value": 2, "socket": 1})).spec()).unwrap();
    rig.run(secs(5));
    assert_ne!(rig.node("/r/x").incarnation, node.incarnation);
    upsert(&mut rig, "/r", Decl::new("x", "other").spec()).unwrap();
    rig.run(secs(5));
    assert_eq!((&*rig.node("/r/x").kind, rig.state("/r/x")), ("other", "Running"));
    delete(&mut rig, "/r", "x").unwrap();
    rig.run(secs(5));
    assert!(!rig.has("/r/x"));
    assert_eq!(rig.state("/r"), "Running");
}

// spec: S-19 (kept by its parent's next derive, also by one without children, and over its restart)
#[test]
fn a_child_added_at_run_time_is_kept() {
    let tree = |value: u32, children| {
        let mut g = group("g", children);
        g.config["hold"] = json!(false);
        group("r", vec![g.variable("v", value)])
    };
    let mut rig = Rig::settled(&tree(1, vec![unit("a")]));
    upsert(&mut rig, "/r/g", unit("x").spec()).unwrap();
    rig.run(secs(2));
    let before = rig.node("/r/g/x").incarnation;
    rig.declare(&tree(2, vec![]));
    rig.run(secs(5));
    assert_eq!(rig.node("/r/g/x").incarnation, before);
    assert_eq!(world::variables("/r/g/x").user["v"], 2);
    rig.command(Command::Restart { path: path("/r/g"), who: "op".into() }).unwrap();
    rig.run(secs(10));
    let node = rig.node("/r/g/x");
    assert!(node.incarnation != before && node.dynamic);
    assert_eq!(node.state, "Running");
}

// spec: S-19 (kept also when one above its parent starts over, or when its parent could not be made for a while)
#[test]
fn a_child_added_at_run_time_survives_whatever_happens_above_it() {
    let tree = |g: Decl| group("r", vec![group("m", vec![g])]);
    let good = || group("g", vec![unit("a")]);
    let mut rig = Rig::settled(&tree(good()));
    upsert(&mut rig, "/r/m/g", unit("x").spec()).unwrap();
    upsert(&mut rig, "/r/m/g/x", unit("y").spec()).unwrap_err();
    rig.run(secs(2));
    upsert(&mut rig, "/r/m/g/x", unit("y").spec()).unwrap();
    rig.run(secs(2));
    for above in ["/r/m/g", "/r/m", "/r"] {
        let before = rig.node("/r/m/g/x/y").incarnation;
        rig.command(Command::Restart { path: path(above), who: "op".into() }).unwrap();
        rig.run(secs(20));
        let node = rig.node("/r/m/g/x/y");
        assert!(node.dynamic && node.incarnation != before && node.state == "Running", "{above}: {node:?}");
    }
    let mut next = Rig::prepared(&tree(Decl::new("g", "toaster")), |engine| {
        let mut g = Remembered::default();
        g.dynamic = vec![unit("x").spec().into()];
        engine.restore(path("/r/m/g"), g);
    });
    next.run(secs(2));
    assert!(next.node("/r/m/g").invalid && !next.has("/r/m/g/x"), "nobody runs below what can't be made");
    next.declare(&tree(good()));
    next.run(secs(5));
    assert_eq!(next.state("/r/m/g/x"), "Running");
    // What is no longer declared is gone with everything below it.
    next.declare(&group("r", vec![group("m", vec![])]));
    next.run(secs(5));
    next.declare(&tree(good()));
    next.run(secs(5));
    assert!(next.has("/r/m/g") && !next.has("/r/m/g/x"));
}

// spec: S-19, S-26 (what a store keeps of a path comes back with it in another process)
#[test]
fn what_was_done_at_run_time_outlives_the_process() {
    let tree = group("r", vec![unit("a"), unit("b")]);
    let mut rig = Rig::settled(&tree);
    let dynamic = |rig: &Rig| {
        let of = |change: &fsm_supervisor::Change| {
            let What::Dynamic { children } = &change.what else { return None };
            Some((change.path.to_string(), children.clone()))
        };
        rig.changes.iter().filter_map(of).collect::<Vec<_>>()
    };
    upsert(&mut rig, "/r/a", unit("x").config(json!({"value": 3})).spec()).unwrap();
    upsert(&mut rig, "/r/a", unit("x").config(json!({"value": 3})).spec()).unwrap();
    rig.run(secs(2));
    let told = dynamic(&rig);
    assert_eq!(told.len(), 1, "an equal spec is no change");
    assert_eq!((told[0].0.as_str(), told[0].1[0].name.as_str()), ("/r/a", "x"));

    let mut bad = unit("bad").spec();
    bad.kind = "toaster".into();
    let mut next = Rig::prepared(&tree, |engine| {
        let mut a = Remembered::default();
        (a.created_at, a.starts, a.dynamic) = (77, 4, told[0].1.clone());
        a.dynamic.push(bad.into());
        engine.restore(path("/r/a"), a);
        let mut b = Remembered::default();
        b.stopped_by = Some("op".into());
        engine.restore(path("/r/b"), b);
    });
    next.run(secs(3));
    let x = next.node("/r/a/x");
    assert!(x.dynamic && x.state == "Running");
    assert_eq!(world::thing("/r/a/x", |thing| thing.value), 3);
    assert_eq!((next.node("/r/a").starts, next.state("/r/b")), (5, "Stopped"));
    assert_eq!(next.node("/r/b").stopped_by.as_deref(), Some("op"));
    assert_eq!(world::variables("/r/a").internal.created_at, 77);
    // One that can't be used any more is shown, and kept.
    let bad = next.node("/r/a/bad");
    assert!(bad.invalid && bad.error.as_ref().unwrap().contains("toaster"), "{bad:?}");
    next.forget();
    delete(&mut next, "/r/a", "x").unwrap();
    next.run(ms(10));
    let names: Vec<_> = dynamic(&next)[0].1.iter().map(|spec| spec.name.to_string()).collect();
    assert_eq!(names, ["bad"]);
}

// spec: S-19, S-21 (kept when its parent comes back as a new incarnation under another config)
#[test]
fn a_child_added_at_run_time_comes_back_with_its_parent() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    upsert(&mut rig, "/r/a", unit("x").spec()).unwrap();
    rig.run(secs(2));
    let (a, x) = (rig.node("/r/a").incarnation, rig.node("/r/a/x").incarnation);
    rig.declare(&group("r", vec![unit("a").config(json!({"socket": 1})), unit("b")]));
    rig.run(secs(10));
    assert_ne!(rig.node("/r/a").incarnation, a, "this change needs a new incarnation");
    let node = rig.node("/r/a/x");
    assert!(node.dynamic && node.incarnation != x);
    assert_eq!(node.state, "Running");
    // Another kind is another worker: nothing of the old one's comes along.
    rig.declare(&group("r", vec![Decl::new("a", "other"), unit("b")]));
    rig.run(secs(10));
    assert_eq!(&*rig.node("/r/a").kind, "other");
    assert!(!rig.has("/r/a/x"));
}

// spec: S-19 (a declared child of the same name wins and ends it)
#[test]
fn a_declared_child_wins_over_one_added_at_run_time() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    upsert(&mut rig, "/r", unit("x").config(json!({"value": 1})).spec()).unwrap();
    upsert(&mut rig, "/r", unit("y").spec()).unwrap();
    rig.run(secs(2));
    let y = rig.node("/r/y").incarnation;
    let declared = unit("x").config(json!({"value": 9}));
    rig.declare(&group("r", vec![declared, unit("a"), unit("y").config(json!({"socket": 4}))]));
    rig.run(secs(5));
    assert!(!rig.node("/r/x").dynamic && !rig.node("/r/y").dynamic);
    assert_eq!(world::thing("/r/x", |thing| thing.value), 9);
    assert_ne!(rig.node("/r/y").incarnation, y, "a change that needs a restart gets one");
    assert_eq!(world::view("/r"), "x=running a=running y=running");
    rig.declare(&group("r", vec![unit("a")]));
    rig.run(secs(5));
    assert!(!rig.has("/r/x") && !rig.has("/r/y"));
}

// spec: S-19, S-10
#[test]
fn a_bad_child_is_refused_when_it_is_added() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), Decl::new("bad", "toaster")]));
    for (spec, wanted) in [
        (unit("x").config(json!({"value": "x"})), "value"),
        (Decl::new("x", "toaster"), "toaster"),
        (unit("x").on("nobody"), "nobody"),
        (unit("x").on("x"), "x → x"),
        (unit("x").policy(|p| p.interval = Some(ms(1).into())), "out of bounds"),
    ] {
        let error = upsert(&mut rig, "/r", spec.spec()).unwrap_err();
        assert!(
            matches!(error, CommandError::BadSpec { .. }) && error.to_string().contains(wanted),
            "{error}"
        );
    }
    assert_eq!(
        upsert(&mut rig, "/r", unit("a").spec()).unwrap_err(),
        CommandError::Declared { path: path("/r/a") }
    );
    assert_eq!(delete(&mut rig, "/r", "a").unwrap_err(), CommandError::Declared { path: path("/r/a") });
    assert_eq!(delete(&mut rig, "/r/a", "x").unwrap_err(), CommandError::NoSuchNode { path: path("/r/a/x") });
    let error = upsert(&mut rig, "/r/bad", unit("x").spec()).unwrap_err();
    assert!(matches!(error, CommandError::NotNow { .. }), "{error}");
    assert!(!rig.has("/r/x"));
    upsert(&mut rig, "/r", unit("x").on("a").spec()).unwrap();
    upsert(&mut rig, "/r", unit("y").on("x").spec()).unwrap();
    let error = upsert(&mut rig, "/r", unit("x").on("y").spec()).unwrap_err();
    assert!(error.to_string().contains("x → y → x"), "{error}");
    rig.run(secs(3));
    assert_eq!((rig.state("/r/x"), rig.state("/r/y")), ("Running", "Running"));
}

// spec: S-19, S-20
#[test]
fn a_child_added_at_run_time_that_removes_itself_stays_away() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    world::thing("/r/x", |thing| thing.tell = Tell::Remove);
    upsert(&mut rig, "/r", unit("x").spec()).unwrap();
    rig.run(secs(20));
    assert!(!rig.has("/r/x"));
    assert_eq!(rig.happened("/r/x", |e| matches!(e, EventKind::NodeCreated { .. })), 1);
}

// spec: S-19 (a waiting dependency of a dynamic child)
#[test]
fn a_changed_dependency_of_a_child_added_at_run_time_counts() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    upsert(&mut rig, "/r", unit("x").spec()).unwrap();
    rig.run(secs(2));
    let needs =
        Dependency { child: name("a"), condition: fsm_core::Condition::Healthy, stop_when_unmet: true };
    upsert(&mut rig, "/r", unit("x").depends(needs).spec()).unwrap();
    rig.run(secs(1));
    world::thing("/r/a", |thing| thing.healthy = false);
    rig.run(secs(4));
    assert_eq!(rig.state("/r/x"), "Stopped");
}

// spec: S-50
#[test]
fn everything_about_a_node_can_be_seen_at_any_moment() {
    let child = unit("a").config(json!({"value": 4})).variable("site", "berlin");
    let rig = Rig::settled(&group("r", vec![child]));
    let node = rig.node("/r/a");
    assert_eq!((node.state, node.goal, node.starts, node.restarts), ("Running", Goal::Run, 1, 0));
    assert_eq!((node.desired, node.observed_under), (fsm_core::Generation::new(1), Some(node.desired)));
    assert_eq!(node.config["value"], 4);
    assert_eq!(node.variables["site"], "berlin");
    assert_eq!(node.observed.as_ref().unwrap()["value"], 4);
    assert!(node.observed_at.is_some() && node.next_look.is_some());
    assert_eq!(node.action.as_ref().unwrap().name, "start");
    let states: Vec<&str> = node.history.iter().map(|h| h.state).collect();
    assert!(states.contains(&"TryingToStart") && *states.last().unwrap() == "Running", "{states:?}");
    let parent = rig.node("/r");
    assert_eq!(parent.children.healthy, 1);
    assert_eq!(parent.children_specs["a"]["config"]["value"], 4);
    let json: Value = serde_json::to_value(&node).unwrap();
    assert_eq!((&json["path"], &json["phase"]), (&json!("/r/a"), &json!("running")));
}

// spec: S-51, S-50 — other repeats are folded: `fold.rs` has the rule
#[test]
fn what_an_operator_did_is_never_folded() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    for _ in 0..20 {
        rig.command(Command::Retry { path: path("/r/a"), who: "op".into() }).unwrap();
        rig.run(ms(100));
    }
    assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::Command { .. })), 20);
}

// spec: S-51: each link carries its cause
#[test]
fn a_chain_of_effects_carries_one_cause() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    stop(&mut rig, "/r/a").unwrap();
    rig.run(ms(1));
    let cause = |name: &str| rig.events.iter().find(|e| e.kind.name() == name).unwrap().cause;
    assert_eq!(cause("override_set"), cause("state_transition"));
    assert_eq!(rig.node("/r/a").cause, cause("override_set"));
}

// spec: S-10, S-11 (the root is a node like any other)
#[test]
fn the_root_can_change_its_config_its_kind_and_its_name() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    let before = rig.node("/r").incarnation;
    rig.declare(&group("r", vec![unit("a"), unit("b")]));
    rig.run(secs(2));
    assert_eq!(rig.node("/r").incarnation, before);
    rig.declare(&group("edge", vec![unit("a")]));
    rig.run(secs(5));
    assert!(!rig.has("/r"));
    assert_eq!(rig.state("/edge/a"), "Running");
    // Changed and changed back before the old one is gone: what was said last counts.
    world::thing("/edge/a", |thing| thing.act_takes = secs(3));
    rig.declare(&unit("edge"));
    rig.run(secs(1));
    rig.declare(&group("edge", vec![unit("a")]));
    rig.run(secs(20));
    assert_eq!((&*rig.node("/edge").kind, rig.state("/edge/a")), ("group", "Running"));
    rig.declare(&Decl::new("edge", "toaster"));
    rig.run(secs(20));
    assert!(rig.node("/edge").invalid && rig.engine.len() == 1, "{}", rig.show());
    rig.declare(&group("edge", vec![unit("a")]));
    rig.run(secs(5));
    assert_eq!(rig.state("/edge/a"), "Running");
}
