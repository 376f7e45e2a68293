//! Membership: what the specs say becomes nodes, one bad child hurts nobody, and what leaves leaves no trace.

use fsm_core::{Goal, Phase};
use fsm_supervisor::EventKind;
use serde_json::json;

use crate::group::{Decl, group, unit};
use crate::rig::{Rig, ms, secs};
use crate::world::{self, Tell};

// spec: S-10, S-15, S-35
#[test]
fn children_are_created_in_declared_order_and_shown_so() {
    let rig = Rig::settled(&group("r", vec![unit("c"), unit("a"), group("b", vec![unit("x"), unit("a")])]));
    let paths: Vec<String> = rig.engine.tree().iter().map(|e| e.path.to_string()).collect();
    assert_eq!(paths, ["/r", "/r/c", "/r/a", "/r/b", "/r/b/x", "/r/b/a"]);
    assert_eq!(world::view("/r"), "c=running a=running b=running");
}

// spec: S-10
#[test]
fn the_same_child_name_under_two_parents_is_two_nodes() {
    let mut rig =
        Rig::settled(&group("r", vec![group("one", vec![unit("a")]), group("two", vec![unit("a")])]));
    world::thing("/r/one/a", |thing| thing.healthy = false);
    rig.run(secs(2));
    assert_eq!((rig.state("/r/one/a"), rig.state("/r/two/a")), ("Degraded", "Running"));
    rig.declare(&group("r", vec![group("one", vec![]), group("two", vec![unit("a")])]));
    rig.run(secs(5));
    assert!(!rig.has("/r/one/a"));
    assert_eq!(rig.state("/r/two/a"), "Running");
}

// spec: S-11
#[test]
fn a_child_that_is_no_longer_declared_stops_and_leaves() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    rig.declare(&group("r", vec![unit("b")]));
    rig.run(secs(5));
    assert!(!rig.has("/r/a"));
    assert!(!world::thing("/r/a", |thing| thing.running));
    assert_eq!(rig.names("/r/a").last(), Some(&"node_removed"));
    assert_eq!(world::view("/r"), "b=running");
    assert_eq!(rig.node("/r/b").starts, 1);
}

// spec: S-11
#[test]
fn a_changed_config_is_taken_in_place() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    let before = rig.node("/r/a");
    rig.declare(&group("r", vec![unit("a").config(json!({"value": 7})), unit("b")]));
    rig.run(secs(5));
    let after = rig.node("/r/a");
    assert_eq!(after.incarnation, before.incarnation);
    assert_eq!((after.state, after.desired.get()), ("Running", before.desired.get() + 1));
    assert_eq!(world::thing("/r/a", |thing| thing.value), 7);
    assert!(!rig.names("/r/b").contains(&"state_transition"));
}

// spec: S-11
#[test]
fn a_config_that_cannot_change_in_place_makes_a_new_incarnation_after_the_old_one() {
    let mut rig = Rig::settled(&group("r", vec![unit("a")]));
    let before = rig.node("/r/a").incarnation;
    rig.declare(&group("r", vec![unit("a").config(json!({"socket": 9}))]));
    rig.run(secs(5));
    let after = rig.node("/r/a");
    assert_ne!(after.incarnation, before);
    assert_eq!((after.state, after.starts, after.restarts), ("Running", 2, 0));
    let done: Vec<&str> = world::take_done().into_iter().map(|(_, what)| what).collect();
    assert_eq!(done, ["stop", "stopped", "start"]);
}

// spec: S-11 (kind changed under one name)
#[test]
fn a_changed_kind_stops_removes_and_creates_again() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    let before = rig.node("/r/a").incarnation;
    rig.declare(&group("r", vec![Decl::new("a", "other"), unit("b")]));
    rig.run(secs(5));
    let after = rig.node("/r/a");
    assert_eq!((&*after.kind, after.state), ("other", "Running"));
    assert_ne!(after.incarnation, before);
    assert_eq!(world::thing("/r/a", |thing| (thing.starts, thing.stops)), (2, 1));
    assert_eq!(world::view("/r"), "a=running b=running", "declared order is kept");
}

// spec: S-11
#[test]
fn an_unchanged_config_is_no_work_at_all() {
    let root = group("r", vec![unit("a"), group("g", vec![unit("x"), unit("y")])]);
    let mut rig = Rig::settled(&root);
    rig.declare(&root);
    rig.run(ms(500));
    assert_eq!((rig.evaluated, rig.visited, rig.events.len(), rig.changes.len()), (0, 0, 0, 0));
}

// spec: S-11
#[test]
fn a_change_in_one_child_leaves_its_siblings_alone() {
    let tree = |value: u32| {
        let changed = unit("x").config(json!({"value": value}));
        group("r", vec![group("g", vec![changed, unit("y")]), group("h", vec![unit("z")])])
    };
    let mut rig = Rig::settled(&tree(1));
    let derives: Vec<u32> = ["/r/g/y", "/r/h", "/r/h/z"].map(|p| world::times(p, "derive")).to_vec();
    rig.declare(&tree(2));
    rig.run(ms(1));
    assert_eq!(["/r/g/y", "/r/h", "/r/h/z"].map(|p| world::times(p, "derive")).to_vec(), derives);
    rig.run(secs(5));
    assert_eq!(rig.state("/r/g/x"), "Running");
    assert!(rig.names("/r/h").is_empty() && rig.names("/r/g/y").is_empty());
}

// spec: S-12
#[test]
fn a_child_declared_again_before_it_is_gone_is_drained_and_then_created_fresh() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    let before = rig.node("/r/a").incarnation;
    world::thing("/r/a", |thing| thing.act_takes = secs(4));
    rig.declare(&group("r", vec![unit("b")]));
    rig.run(secs(2));
    assert_eq!(rig.node("/r/a").goal, Goal::Remove);
    rig.declare(&group("r", vec![unit("a"), unit("b")]));
    rig.run(secs(1));
    assert_eq!(rig.node("/r/a").incarnation, before, "it is drained first");
    rig.run(secs(10));
    let after = rig.node("/r/a");
    assert_ne!(after.incarnation, before);
    assert_eq!((after.state, after.goal), ("Running", Goal::Run), "no flag of the old life survives");
    assert_eq!(world::thing("/r/a", |thing| (thing.starts, thing.stops)), (2, 1));
    assert_eq!(world::view("/r"), "a=running b=running");
}

// spec: S-13
#[test]
fn a_disabled_child_stays_resident_and_an_absent_one_does_not() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    let before = rig.node("/r/a").incarnation;
    rig.declare(&group("r", vec![unit("a").disabled(), unit("b")]));
    rig.run(secs(5));
    let node = rig.node("/r/a");
    assert_eq!((node.state, node.goal, node.incarnation), ("Stopped", Goal::Stop, before));
    assert_eq!(node.reason, "disabled in its spec");
    rig.declare(&group("r", vec![unit("a"), unit("b")]));
    rig.run(secs(5));
    assert_eq!((rig.state("/r/a"), rig.node("/r/a").incarnation), ("Running", before));
}

// spec: S-14
#[test]
fn an_invalid_child_is_shown_with_its_error_and_its_siblings_go_on() {
    let bad = Decl::new("bad", "unit").config(json!({"value": "seven"}));
    let unknown = Decl::new("odd", "toaster");
    let extra = Decl::new("extra", "unit").config(json!({"colour": "red"}));
    let mut torn = unit("torn");
    torn.fault = Some("`port` is undefined".into());
    let policy = unit("policy").policy(|p| p.interval = Some(ms(1).into()));
    let mut rig = Rig::settled(&group("r", vec![bad, unknown, unit("good"), extra, torn, policy]));
    for (path, wanted) in [
        ("/r/bad", "value"),
        ("/r/odd", "no kind `toaster`"),
        ("/r/extra", "colour"),
        ("/r/torn", "`port` is undefined"),
        ("/r/policy", "out of bounds"),
    ] {
        let node = rig.node(path);
        assert!(node.reason.starts_with("invalid: ") && node.reason.contains(wanted), "{}", node.reason);
        assert!(node.invalid && node.error.clone().unwrap().contains(wanted));
        assert_eq!(node.phase, Phase::Degraded, "the parent counts it as degraded");
    }
    assert_eq!(rig.state("/r/good"), "Running");
    assert_eq!(rig.node("/r").children.degraded, 5);
    rig.run(secs(60));
    assert_eq!(rig.visited, 0, "nothing is tried in a tight loop");
    rig.declare(&group("r", vec![unit("bad"), unit("odd"), unit("good"), unit("extra"), unit("torn")]));
    rig.run(secs(3));
    assert_eq!(world::view("/r"), "bad=running odd=running good=running extra=running torn=running");
    assert!(!rig.has("/r/policy"));
}

// spec: S-51, S-14
#[test]
fn a_child_that_can_never_be_made_tells_why_once() {
    let bad = Decl::new("bad", "unit").config(json!({"value": "seven"}));
    let mut rig = Rig::new(&group("r", vec![bad]));
    rig.run(secs(60));
    assert_eq!(rig.names("/r/bad"), ["node_created", "template_error"]);
}

// spec: S-14 (design §6: it keeps its last good desired state)
#[test]
fn a_running_child_whose_spec_turns_bad_runs_on_and_says_so() {
    let mut rig = Rig::settled(&group("r", vec![unit("a").config(json!({"value": 3})), unit("b")]));
    rig.declare(&group("r", vec![unit("a").config(json!({"value": "x"})), unit("b")]));
    rig.run(secs(5));
    let node = rig.node("/r/a");
    assert!(node.invalid && node.reason.contains("last good"), "{}", node.reason);
    assert_eq!((node.state, node.phase, &node.config["value"]), ("Running", Phase::Degraded, &json!(3)));
    assert_eq!(rig.state("/r"), "Degraded");
    // Another change nearby is no work for it; another kind that can't be used doesn't end it either.
    rig.forget();
    rig.declare(&group(
        "r",
        vec![unit("a").config(json!({"value": "x"})), unit("b").config(json!({"label": "l"}))],
    ));
    rig.run(ms(1));
    assert!(
        rig.names("/r/a").is_empty()
            && rig.happened("/r", |e| matches!(e, EventKind::PlanApplied { updated: 1, .. })) == 1
    );
    rig.declare(&group("r", vec![Decl::new("a", "toaster"), unit("b")]));
    rig.run(secs(1));
    assert_eq!((rig.state("/r/a"), rig.node("/r/a").starts), ("Running", 1));
    assert!(rig.reason("/r/a").contains("toaster"));
    // What ran before is good again.
    rig.declare(&group("r", vec![unit("a").config(json!({"value": 3})), unit("b")]));
    rig.run(secs(1));
    assert!(!rig.node("/r/a").invalid, "{}", rig.reason("/r/a"));
    rig.declare(&group("r", vec![unit("a").config(json!({"value": "x"})), unit("b")]));
    rig.run(secs(1));
    rig.declare(&group("r", vec![unit("a").config(json!({"value": 4})), unit("b")]));
    rig.run(secs(3));
    assert_eq!((rig.node("/r/a").phase, rig.state("/r")), (Phase::Running, "Running"));
    assert_eq!(world::thing("/r/a", |thing| thing.value), 4);
}

// spec: S-14
#[test]
fn a_derive_that_fails_is_tried_again_with_back_off_and_at_once_on_a_change() {
    let mut rig = Rig::counting(&group("r", vec![unit("a"), unit("b")]));
    world::thing("/r/a", |thing| thing.derive_fails = Some("no such variable"));
    rig.run(secs(600));
    let tries = world::times("/r/a", "derive");
    assert!((12..=18).contains(&tries), "1, 2, 4 … 60 s in ten minutes: {tries}");
    let node = rig.node("/r/a");
    assert!(node.reason.contains("template: no such variable"), "{}", node.reason);
    assert!(node.next_look.is_some());
    assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::TemplateError { .. })), 1, "told once");
    assert_eq!(rig.state("/r/b"), "Running");
    world::thing("/r/a", |thing| thing.derive_fails = None);
    rig.declare(&group("r", vec![unit("a").config(json!({"value": 1})), unit("b")]));
    rig.run(secs(1));
    assert_eq!(rig.state("/r/a"), "Running");
}

// spec: S-14, S-20
#[test]
fn a_child_that_was_never_made_can_leave() {
    let mut rig = Rig::settled(&group("r", vec![Decl::new("bad", "toaster"), unit("b")]));
    rig.declare(&group("r", vec![unit("b")]));
    rig.run(ms(10));
    assert!(!rig.has("/r/bad"));
    assert_eq!(world::view("/r"), "b=running");
}

// spec: S-2, S-14 (a failing parent can still remove a child)
#[test]
fn a_parent_that_fails_keeps_its_children_and_its_last_good_specs() {
    let mut rig = Rig::settled(&group("r", vec![group("g", vec![unit("a")])]));
    world::thing("/r/g", |thing| thing.derive_fails = Some("broken"));
    rig.declare(&group("r", vec![group("g", vec![unit("a"), unit("new")])]));
    rig.run(secs(5));
    assert!(rig.node("/r/g").invalid && !rig.has("/r/g/new"));
    assert_eq!(rig.state("/r/g/a"), "Running");
    world::thing("/r/g", |thing| thing.derive_fails = None);
    rig.run(secs(20));
    assert_eq!(rig.state("/r/g/new"), "Running");
    assert!(!rig.node("/r/g").invalid);
}

// spec: S-2 (membership is never gated)
#[test]
fn a_parent_with_an_open_circuit_still_finishes_removing_a_child() {
    let mut rig = Rig::settled(&group("r", vec![group("g", vec![unit("a"), unit("b")])]));
    world::thing("/r/g/a", |thing| thing.act_takes = secs(20));
    rig.declare(&group("r", vec![group("g", vec![unit("b")])]));
    rig.run(secs(1));
    world::thing("/r/g", |thing| thing.panics_in = Some("next"));
    world::thing("/r/g/b", |thing| thing.healthy = false);
    rig.until("the circuit is open", |rig| rig.node("/r/g").circuit_open);
    assert!(rig.has("/r/g/a"));
    rig.run(secs(30));
    assert!(!rig.has("/r/g/a"), "{}", rig.show());
    assert_eq!(rig.node("/r/g").children.degraded, 1);
}

// spec: S-20
#[test]
fn a_child_that_removed_itself_stays_away_until_its_spec_changes() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    world::thing("/r/a", |thing| thing.tell = Tell::Remove);
    rig.run(secs(5));
    assert!(!rig.has("/r/a"));
    world::thing("/r/a", |thing| thing.tell = Tell::Nothing);
    rig.forget();
    rig.declare(&group("r", vec![unit("a"), unit("b").config(json!({"value": 2}))]));
    rig.run(secs(5));
    assert!(!rig.has("/r/a"), "its own spec is the same");
    let created = rig.happened("/r", |e| matches!(e, EventKind::PlanApplied { created: 1, .. }));
    assert_eq!(created, 0, "and no plan says that it was created");
    rig.declare(&group("r", vec![unit("a").config(json!({"value": 1})), unit("b")]));
    rig.run(secs(5));
    assert_eq!(rig.state("/r/a"), "Running");
}

// spec: S-20
#[test]
fn a_last_look_is_taken_before_a_node_leaves() {
    let mut rig = Rig::settled(&group("r", vec![group("g", vec![unit("a")]), unit("b")]));
    world::thing("/r/g/a", |thing| thing.noise = 5);
    rig.declare(&group("r", vec![unit("b")]));
    rig.until("it rests", |rig| rig.state("/r/g/a") == "Stopped");
    world::thing("/r/g/a", |thing| thing.collect_takes = ms(30));
    let resting = rig.now;
    rig.until("it is gone", |rig| !rig.has("/r/g/a"));
    let took = rig.now.since(resting);
    assert!(took >= ms(29) && took < ms(50), "the look ends and so does the node: {took:?}");
    rig.until("all are gone", |rig| !rig.has("/r/g"));
}

// spec: S-20
#[test]
fn a_last_look_that_hangs_is_given_up_after_one_timeout() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    rig.declare(&group("r", vec![unit("b")]));
    rig.until("it stops", |rig| rig.state("/r/a") == "TryingToStop");
    rig.until("its action ended", |rig| {
        world::thing("/r/a", |t| t.stops == 1) && rig.state("/r/a") == "Stopped"
    });
    rig.jobs.clear();
    let resting = rig.now;
    rig.until("it is gone", |rig| !rig.has("/r/a"));
    assert!(rig.now.since(resting) <= ms(2_205), "{:?}", rig.now.since(resting));
}

// design: a leaving node keeps its rhythm
#[test]
fn a_node_on_its_way_out_is_not_looked_at_more_often_than_before() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), unit("b")]));
    world::thing("/r/a", |thing| thing.unstoppable = true);
    rig.declare(&group("r", vec![unit("b")]));
    rig.run(secs(10));
    assert_eq!(rig.node("/r/a").goal, Goal::Remove);
    let looks = rig.collections("/r/a").len();
    assert!(looks <= 22, "{looks} looks in 10 s");
}

// spec: S-20 (design §8.5, §8.6)
#[test]
fn removal_keeps_the_declared_order_of_those_who_stay() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut rig = Rig::settled(&group("r", names.map(unit).to_vec()));
    rig.declare(&group("r", vec![unit("f"), unit("a"), unit("new"), unit("d"), unit("e")]));
    rig.run(secs(5));
    assert_eq!(world::view("/r"), "f=running a=running new=running d=running e=running");
    // The order of visits follows: all move at once, in declared order.
    rig.forget();
    for name in ["a", "d", "e", "f", "new"] {
        world::thing(&format!("/r/{name}"), |thing| thing.healthy = false);
        rig.command(fsm_supervisor::Command::Collect { path: format!("/r/{name}").parse().unwrap() })
            .unwrap();
    }
    rig.run(ms(100));
    let moved: Vec<&str> = rig
        .events
        .iter()
        .filter(|e| matches!(e.kind, EventKind::StateTransition { to: "Degraded", .. }))
        .map(|e| e.path.name())
        .filter(|name| *name != "r")
        .collect();
    assert_eq!(moved, ["f", "a", "new", "d", "e"]);
}

// spec: S-10, S-20 — 10 000 children added and removed
#[test]
fn many_children_come_and_go_and_leave_nothing() {
    let many: Vec<Decl> = (0..300).map(|n| unit(&format!("c{n}"))).collect();
    let mut rig = Rig::new(&group("r", many));
    rig.run(ms(100));
    assert_eq!(rig.node("/r").children.healthy, 300);
    rig.declare(&group("r", vec![]));
    rig.run(secs(5));
    assert_eq!(rig.engine.len(), 1);
    assert!(rig.jobs.is_empty());
}

// spec: S-14 (design §4: an invalid node without a desired state is Degraded)
#[test]
fn a_child_that_was_never_derived_counts_as_degraded_and_one_that_rests_on_its_last_good_state_does_not() {
    let root = |label: &str| {
        let rests = unit("rests").config(json!({"stopped": true, "label": label}));
        group("r", vec![unit("a"), rests])
    };
    let mut rig = Rig::prepared(&root("one"), |_| {
        world::thing("/r/a", |thing| thing.derive_fails = Some("no such variable"));
    });
    rig.run(secs(5));
    assert_eq!((rig.node("/r/a").phase, rig.state("/r/a")), (Phase::Degraded, "Stopped"), "{}", rig.show());
    assert_eq!(rig.node("/r").children.degraded, 1);
    world::thing("/r/rests", |thing| thing.derive_fails = Some("no such variable"));
    rig.declare(&root("two"));
    rig.run(secs(5));
    let rests = rig.node("/r/rests");
    assert!(rests.invalid, "{}", rig.show());
    assert_eq!((rests.phase, rig.node("/r").children.stopped), (Phase::Stopped, 1), "{}", rig.show());
}
