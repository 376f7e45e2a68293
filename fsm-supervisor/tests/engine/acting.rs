//! Actions: one at a time, paced, believed only by what is seen afterwards.

use std::time::Duration;

use fsm_core::{ActionId, ActionReport, Moment, Outcome};
use fsm_supervisor::{Command, CommandError, EventKind, Input};
use serde_json::json;

use crate::group::{group, unit};
use crate::rig::{Rig, ms, secs};
use crate::world::{self, Act};

fn one() -> crate::group::Decl {
    group("r", vec![unit("a")])
}

/// The moments at which an action was asked for.
fn asked(rig: &Rig, path: &str) -> Vec<Duration> {
    rig.executions(path).into_iter().map(|at| at.since(Moment::ZERO)).collect()
}

fn act(path: &str, rig: &mut Rig, name: &str) -> Result<(), CommandError> {
    let action = rig.engine.request_action(&"/r/a".parse().unwrap(), name, json!(null)).unwrap();
    let path = path.parse().unwrap();
    rig.command(Command::Act { path, action, who: "op".into() })
}

// spec: S-1, S-5, A-6
#[test]
fn a_worker_starts_and_runs_long_before_the_second_tick_interval() {
    let mut rig = Rig::new(&one());
    rig.tick();
    rig.run(ms(1));
    assert_eq!(rig.reason("/r/a"), "waiting for first observation");
    rig.run(ms(100));
    assert_eq!(rig.state("/r/a"), "Running", "{}", rig.show());
    assert_eq!(rig.state("/r"), "Running");
    assert_eq!(world::thing("/r/a", |thing| thing.starts), 1);
}

// spec: A-6 (design §8.1)
#[test]
fn an_action_that_changed_nothing_is_asked_for_again_on_an_equal_observation() {
    let mut rig = Rig::counting(&one());
    world::thing("/r/a", |thing| thing.act = Act::Pretends);
    rig.run(ms(5_500));
    // One state acts at most once per tick interval, and it does act again.
    let times = asked(&rig, "/r/a");
    assert_eq!(times.len(), 6, "{times:?}");
    assert!(times.windows(2).all(|w| w[1] - w[0] >= secs(1) && w[1] - w[0] < ms(1_100)), "{times:?}");
}

// spec: A-6
#[test]
fn nothing_is_decided_between_the_end_of_an_action_and_what_is_seen_after_it() {
    let mut rig = Rig::counting(&one());
    world::thing("/r/a", |thing| thing.collect_takes = ms(200));
    rig.until("an action", |rig| rig.state("/r/a") == "TryingToStart" && rig.node("/r/a").acting.is_some());
    let before = world::times("/r/a", "next");
    rig.until("its end", |rig| rig.node("/r/a").acting.is_none());
    rig.run(ms(150));
    assert_eq!(world::times("/r/a", "next"), before, "the old observation says nothing");
    assert_eq!(rig.reason("/r/a"), "waiting for an observation after start ended with success");
    rig.run(ms(100));
    assert!(world::times("/r/a", "next") > before);
    assert_eq!(world::thing("/r/a", |thing| thing.starts), 1);
}

// spec: S-34
#[test]
fn an_observation_is_collected_as_soon_as_an_action_ends() {
    let mut rig = Rig::new(&one());
    rig.until("an action", |rig| rig.state("/r/a") == "TryingToStart" && rig.node("/r/a").acting.is_some());
    rig.until("its end", |rig| rig.node("/r/a").acting.is_none());
    rig.tick();
    assert_eq!(rig.collections("/r/a").last(), Some(&rig.now));
}

// spec: A-4, A-8 (what a decision sees of the tries before it)
#[test]
fn a_state_sees_how_often_it_tried_and_until_when_it_has_to_wait() {
    let mut rig = Rig::counting(&one());
    world::thing("/r/a", |thing| thing.act = Act::Fails);
    for failures in 1..=4 {
        rig.until("another failure", |rig| {
            let ended = rig.happened("/r/a", |e| matches!(e, EventKind::ActionEnded { .. }));
            ended == failures as usize && world::tries("/r/a").1 == failures
        });
        let (attempts, failed, wait) = world::tries("/r/a");
        assert_eq!((attempts, failed), (failures, failures));
        let wait = wait.expect("a moment to wait for").since(rig.now).as_secs_f64();
        let wanted = 2_f64.powi(failures as i32 - 1);
        assert!((wanted * 0.79..=wanted * 1.21).contains(&wait), "after failure {failures}: {wait} s");
    }
    world::thing("/r/a", |thing| thing.act = Act::Pretends);
    rig.until("a success", |_| world::tries("/r/a").1 == 0);
    assert_eq!(world::tries("/r/a").0, 5, "attempts count on");
    world::thing("/r/a", |thing| thing.act = Act::Works);
    rig.until("another state", |rig| rig.state("/r/a") == "Running");
    rig.run(secs(2));
    assert_eq!(world::tries("/r/a"), (0, 0, None), "another state begins anew");
}

// spec: A-6 (design §4: one state acts once per interval, counted from its start)
#[test]
fn after_a_success_a_state_acts_again_one_interval_after_it_began() {
    let mut rig = Rig::counting(&one());
    world::thing("/r/a", |thing| {
        thing.act = Act::Pretends;
        thing.act_takes = ms(600);
    });
    rig.run(secs(20));
    let gaps: Vec<f64> = asked(&rig, "/r/a").windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
    assert!(gaps.len() >= 15, "{gaps:?}");
    assert!(gaps.iter().all(|gap| (0.999..1.1).contains(gap)), "{gaps:?}");
}

// spec: A-1, J2
#[test]
fn a_slow_action_holds_its_own_node_and_nobody_else() {
    let mut rig = Rig::counting(&group("r", vec![unit("slow"), unit("b")]));
    world::thing("/r/slow", |thing| thing.act = Act::Hangs);
    rig.run(secs(30));
    assert!(rig.reason("/r/slow").starts_with("acting: start since +"), "{}", rig.reason("/r/slow"));
    assert_eq!(asked(&rig, "/r/slow").len(), 1);
    assert_eq!(rig.node("/r/slow").acting, Some("start"), "spec: A-8");
    let asked = world::times("/r/slow", "next");
    world::thing("/r/b", |thing| thing.healthy = false);
    rig.run(secs(2));
    assert_eq!(rig.state("/r/b"), "Degraded");
    assert_eq!(world::times("/r/slow", "next"), asked, "while it acts it is not asked");
}

// spec: A-4, S-14 (design §4: after failures back-off 1 s → 60 s)
#[test]
fn after_failures_a_state_waits_longer_each_time_up_to_a_minute() {
    let mut rig = Rig::counting(&one());
    world::thing("/r/a", |thing| thing.act = Act::Fails);
    rig.run(secs(600));
    let times = asked(&rig, "/r/a");
    let gaps: Vec<f64> = times.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
    for (n, gap) in gaps.iter().enumerate() {
        let wanted = 2_f64.powi(n as i32).min(60.0);
        assert!((wanted * 0.79..=wanted.max(1.0) * 1.21 + 0.1).contains(gap), "gap {n} is {gap}: {gaps:?}");
    }
    assert!(gaps.len() >= 10, "{gaps:?}");
    assert!(gaps.windows(2).any(|w| (w[0] * 2.0 - w[1]).abs() > 0.001), "there is jitter: {gaps:?}");
    assert!(!rig.reason("/r/a").is_empty());
}

// spec: A-4
#[test]
fn a_failure_that_says_when_to_come_back_is_believed() {
    let mut rig = Rig::new(&one());
    world::thing("/r/a", |thing| thing.act = Act::FailsWithRetryAfter(secs(17)));
    rig.run(secs(60));
    let times = asked(&rig, "/r/a");
    assert!(times.windows(2).all(|w| w[1] - w[0] >= secs(17) && w[1] - w[0] < ms(17_100)), "{times:?}");
    assert_eq!(times.len(), 4);
}

// design §4: one state acts at most once per tick interval, also when it comes back from another state
#[test]
fn a_thing_that_dies_at_once_is_started_once_per_interval() {
    let mut rig = Rig::counting(&group("r", vec![crate::group::Decl::new("a", "fast")]));
    for _ in 0..20 {
        rig.until("it runs", |rig| rig.state("/r/a") == "Running");
        world::thing("/r/a", |thing| thing.running = false);
        rig.until("that is seen", |rig| rig.state("/r/a") != "Running");
    }
    let times = asked(&rig, "/r/a");
    assert!(times.windows(2).all(|w| w[1] - w[0] >= secs(1)), "{times:?}");
}

// spec: A-7
#[test]
fn a_panic_in_an_action_is_an_outcome_of_its_own() {
    let mut rig = Rig::new(&group("r", vec![unit("a"), unit("b")]));
    world::thing("/r/a", |thing| thing.act = Act::Panics);
    rig.run(ms(900));
    assert_eq!(rig.node("/r/a").action.clone().unwrap().outcome, Some(Outcome::Panic));
    assert_eq!(rig.state("/r/b"), "Running");
    world::thing("/r/a", |thing| thing.act = Act::Works);
    rig.run(secs(5));
    assert_eq!(rig.state("/r/a"), "Running");
}

// spec: A-2
#[test]
fn a_refused_action_is_simply_asked_for_again() {
    let mut rig = Rig::new(&one());
    world::thing("/r/a", |thing| thing.act = Act::Refused);
    rig.run(ms(3_500));
    assert_eq!(rig.reason("/r/a"), "action pool full");
    assert_eq!(asked(&rig, "/r/a").len(), 4);
    world::thing("/r/a", |thing| thing.act = Act::Works);
    rig.run(secs(2));
    assert_eq!(rig.state("/r/a"), "Running");
}

// spec: A-8, S-50
#[test]
fn the_outcome_of_an_action_is_in_the_view_and_in_the_history() {
    let mut rig = Rig::new(&one());
    world::thing("/r/a", |thing| thing.act = Act::Fails);
    rig.run(ms(500));
    let node = rig.node("/r/a");
    let action = node.action.clone().unwrap();
    assert_eq!((action.name, action.outcome, action.attempts), ("start", Some(Outcome::Failure), 1));
    assert_eq!(action.error.as_deref(), Some("refused"));
    assert!(node.history.iter().any(|h| h.action == Some("start")));
    let names = rig.names("/r/a");
    for name in ["action_queued", "action_started", "action_ended"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
}

// spec: A-5, S-25
#[test]
fn a_node_told_to_stop_while_acting_cancels_and_then_asks_stop() {
    let mut rig = Rig::counting(&one());
    world::thing("/r/a", |thing| {
        thing.act = Act::Hangs;
        thing.cancel_takes = secs(3);
    });
    rig.run(secs(5));
    rig.declare(&group("r", vec![unit("a").disabled()]));
    rig.run(ms(2_900));
    assert_eq!(world::times("/r/a", "stop"), 0, "stop comes after the action has ended");
    assert_eq!(rig.reason("/r/a"), "waiting for the cancelled action start to end");
    world::thing("/r/a", |thing| thing.act = Act::Works);
    rig.run(secs(1));
    assert_eq!(rig.state("/r/a"), "Stopped", "{}", rig.show());
    assert_eq!(rig.node("/r/a").action.clone().unwrap().outcome, Some(Outcome::Cancelled));
}

// spec: A-5, J3
#[test]
fn the_result_of_an_action_that_is_not_in_flight_changes_nothing() {
    let mut rig = Rig::settled(&one());
    let node = rig.node("/r/a");
    let id = fsm_core::NodeId::new(1, node.incarnation);
    let stale = fsm_core::NodeId::new(1, fsm_core::Incarnation::new(node.incarnation.get() + 1));
    for node in [id, stale] {
        let report = ActionReport::new(ActionId::new(999), "start", Outcome::Failure, rig.now, secs(1));
        rig.input(Input::ActionEnded { node, report });
    }
    rig.run(ms(10));
    assert_eq!(rig.evaluated, 0);
    assert_eq!(rig.node("/r/a").action, node.action);
}

// spec: A-5, X-22
#[test]
fn an_operator_cancels_the_action_that_was_meant_and_no_later_one() {
    let mut rig = Rig::settled(&one());
    world::thing("/r/a", |thing| thing.act_takes = secs(30));
    act("/r/a", &mut rig, "start").unwrap();
    let path: fsm_core::NodePath = "/r/a".parse().unwrap();
    let id = rig.engine.acting(&path).unwrap();
    let cancel = |action| Command::CancelAction { path: path.clone(), action, who: "op".into() };
    let other = rig.command(cancel(ActionId::new(id.get() + 1))).unwrap_err();
    assert!(matches!(other, CommandError::NotNow { .. }), "{other}");
    assert_eq!(rig.engine.acting(&path), Some(id));
    rig.command(cancel(id)).unwrap();
    rig.run(secs(2));
    assert_eq!(rig.node("/r/a").action.unwrap().outcome, Some(Outcome::Cancelled));
    assert!(rig.command(cancel(id)).is_err(), "it has ended");
}

// spec: S-50
#[test]
fn an_operator_can_ask_for_an_action_when_the_slot_is_free() {
    let mut rig =
        Rig::new(&group("r", vec![unit("a"), crate::group::Decl::new("bad", "unit").config(json!(7))]));
    rig.run(secs(5));
    act("/r/a", &mut rig, "start").unwrap();
    let busy = act("/r/a", &mut rig, "start").unwrap_err();
    assert!(matches!(busy, CommandError::Busy { action: "start", .. }), "{busy}");
    rig.run(secs(1));
    assert_eq!(world::thing("/r/a", |thing| thing.starts), 2);
    let unknown = rig.engine.request_action(&"/r/a".parse().unwrap(), "explode", json!(null)).err().unwrap();
    let unknown = fsm_core::chain(&unknown).to_string();
    assert!(unknown.contains("explode") && unknown.contains("start"), "{unknown}");
    let unmade = rig.engine.request_action(&"/r/bad".parse().unwrap(), "start", json!(null)).err().unwrap();
    assert!(unmade.to_string().contains("/r/bad"), "{unmade}");
    let refused = act("/r/bad", &mut rig, "start").unwrap_err();
    assert!(matches!(refused, CommandError::NotNow { .. }), "{refused}");
    rig.declare(&group("r", vec![unit("a").disabled()]));
    rig.run(secs(5));
    let stopped = act("/r/a", &mut rig, "start").unwrap_err();
    assert!(matches!(stopped, CommandError::NotNow { .. }), "{stopped}");
}
