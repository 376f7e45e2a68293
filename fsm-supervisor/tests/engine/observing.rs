//! Observations: when they are taken, what is believed, and what happens when none comes.

use fsm_core::{Generation, Incarnation, Moment, NodeId, Phase};
use fsm_supervisor::{EventKind, Input};
use serde_json::json;

use crate::group::{Decl, group, unit};
use crate::rig::{Rig, at, ms, secs};
use crate::unit::observation;
use crate::world::{self, Collect};

fn one() -> Decl {
    group("r", vec![unit("a")])
}

fn id(rig: &Rig, path: &str) -> NodeId {
    let incarnation = rig.node(path).incarnation;
    rig.jobs
        .values()
        .filter_map(crate::rig::Job::node)
        .find(|node| node.incarnation() == incarnation)
        .unwrap_or(NodeId::new(1, incarnation))
}

// spec: S-5, I3
#[test]
fn before_the_first_observation_nothing_is_decided() {
    let mut rig = Rig::counting(&one());
    world::thing("/r/a", |thing| thing.collect = Collect::Fails);
    rig.run(secs(8));
    assert_eq!(world::times("/r/a", "next"), 0);
    assert_eq!(rig.reason("/r/a"), "waiting for first observation: connection refused");
    world::thing("/r/a", |thing| thing.collect = Collect::Works);
    rig.run(secs(2));
    assert_eq!(rig.state("/r/a"), "Running");
}

// spec: S-5, S-25
#[test]
fn a_node_that_waits_for_its_first_observation_can_be_stopped() {
    let running = unit("a").config(json!({"running_at_first": true}));
    let mut rig = Rig::counting(&group("r", vec![running.clone()]));
    world::thing("/r/a", |thing| {
        thing.collect = Collect::Lost;
        thing.running = true;
    });
    rig.run(ms(500));
    assert_eq!(rig.state("/r/a"), "Running");
    rig.declare(&group("r", vec![running.disabled()]));
    rig.run(ms(500));
    assert_eq!(world::did_stop_see("/r/a"), Some(false), "stop is asked without an observation");
    assert_eq!(world::thing("/r/a", |thing| thing.stops), 1);
}

// spec: S-30, I8
#[test]
fn a_collector_runs_on_its_own_interval() {
    let mut rig = Rig::settled(&group("r", vec![unit("a"), Decl::new("f", "fast")]));
    rig.run(secs(10));
    let slow = rig.collections("/r/a");
    assert_eq!(slow.len(), 10);
    assert!(slow.windows(2).all(|w| w[1].since(w[0]) >= secs(1) && w[1].since(w[0]) < ms(1_005)), "{slow:?}");
    assert!((190..=200).contains(&rig.collections("/r/f").len()), "{}", rig.collections("/r/f").len());
}

// spec: S-30
#[test]
fn a_node_overrides_the_interval_of_its_kind() {
    let slow = unit("a").policy(|policy| policy.interval = Some(secs(5).into()));
    let mut rig = Rig::settled(&group("r", vec![slow]));
    rig.run(secs(20));
    assert_eq!(rig.collections("/r/a").len(), 4);
}

// spec: S-31, C-5
#[test]
fn other_bounds_of_freshness_count_at_once() {
    let bound = |stale: u64| {
        let policy = move |p: &mut fsm_core::PolicyOverride| {
            p.stale_after = Some(secs(stale).into());
            p.collector_timeout = Some(secs(2 * stale).into());
        };
        group("r", vec![unit("a").policy(policy)])
    };
    let mut rig = Rig::settled(&bound(600));
    rig.declare(&bound(4));
    rig.run(secs(2));
    world::thing("/r/a", |thing| thing.collect = Collect::Fails);
    let last = rig.node("/r/a").observed_at.unwrap();
    rig.until("it is stale", |rig| rig.node("/r/a").stale);
    assert!(rig.now.since(last) < ms(4_010), "{:?}", rig.now.since(last));
    world::thing("/r/a", |thing| thing.collect = Collect::Works);
    rig.until("it is fresh", |rig| !rig.node("/r/a").stale);
    // The timer from before the change is still in the wheel: it must not count beside the new one.
    rig.declare(&bound(600));
    rig.run(secs(2));
    world::thing("/r/a", |thing| thing.collect = Collect::Fails);
    let last = rig.node("/r/a").observed_at.unwrap();
    rig.run(secs(590));
    assert!(!rig.node("/r/a").stale);
    rig.until("it is stale", |rig| rig.node("/r/a").stale);
    assert!(rig.now.since(last) < ms(600_010), "{:?}", rig.now.since(last));
    assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::ObservationStale { .. })), 2);
}

// spec: I12 (design §4)
#[test]
fn equal_observations_cost_no_evaluation_however_often_they_come() {
    let mut rig = Rig::settled(&group("r", vec![Decl::new("f", "fast")]));
    rig.run(secs(20));
    assert_eq!((rig.evaluated, rig.visited), (0, 0));
    assert!(rig.collections("/r/f").len() > 300);
}

// spec: S-31 (design §3: what only measures replaces the value without a decision)
#[test]
fn a_value_that_cannot_change_a_decision_is_shown_and_wakes_nobody() {
    let mut rig = Rig::settled(&one());
    world::thing("/r/a", |thing| thing.noise = 42);
    rig.run(secs(3));
    assert_eq!((rig.evaluated, rig.visited), (0, 0));
    assert_eq!(rig.node("/r/a").observed.unwrap()["noise"], 42);
}

// spec: S-31, I3, S-52
#[test]
fn a_stale_node_is_not_evaluated_and_says_so() {
    let mut rig = Rig::settled(&one());
    world::thing("/r/a", |thing| thing.collect = Collect::Fails);
    let last = rig.node("/r/a").observed_at.unwrap();
    rig.until("it is stale", |rig| rig.node("/r/a").stale);
    assert!(rig.now.since(last) >= secs(10) && rig.now.since(last) < ms(10_010), "{:?}", rig.now.since(last));
    assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::ObservationStale { .. })), 1);
    rig.run(ms(5));
    let node = rig.node("/r/a");
    assert!(node.reason.contains("stale") && node.reason.contains("connection refused"), "{}", node.reason);
    assert_eq!((node.state, node.phase), ("Running", Phase::Degraded), "nobody believes a stale node");
    assert_eq!(rig.state("/r"), "Degraded");
    assert_eq!(world::times("/r/a", "next"), rig_asked(&rig));
    rig.forget();
    world::thing("/r/a", |thing| thing.collect = Collect::Works);
    rig.run(secs(2));
    assert_eq!((rig.node("/r/a").phase, rig.state("/r")), (Phase::Running, "Running"));
    assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::ObservationFresh)), 1);
}

fn rig_asked(_rig: &Rig) -> u32 {
    world::times("/r/a", "next")
}

// spec: S-31, S-52
#[test]
fn the_reason_of_a_stale_node_follows_the_newest_error() {
    let mut rig = Rig::settled(&one());
    world::thing("/r/a", |thing| thing.collect = Collect::Fails);
    rig.run(secs(11));
    assert!(rig.reason("/r/a").contains("connection refused"));
    world::thing("/r/a", |thing| thing.collect = Collect::Panics);
    rig.run(secs(2));
    assert!(rig.reason("/r/a").contains("panicked"), "{}", rig.reason("/r/a"));
}

// spec: S-31, S-21, I1
#[test]
fn a_collector_that_gives_nothing_is_restarted_later_each_time_and_then_its_node() {
    let mut rig = Rig::settled(&one());
    let first = rig.node("/r/a").incarnation;
    let last = rig.node("/r/a").observed_at.unwrap();
    world::thing("/r/a", |thing| thing.collect = Collect::Lost);
    rig.until("the node is restarted", |rig| rig.node("/r/a").incarnation != first);
    let restarts: Vec<_> = rig
        .events
        .iter()
        .filter_map(|e| {
            let EventKind::CollectorRestarted { restart } = e.kind else { return None };
            Some((restart, e.at.since(last).as_secs_f64()))
        })
        .collect();
    // While it is on its way out the count begins anew.
    assert_eq!(restarts.iter().map(|(n, _)| *n).take(4).collect::<Vec<_>>(), [1, 2, 3, 1]);
    // At 20 s; then after back-offs of 2, 4 and 6 s and one timeout each.
    let wanted = [20.0, 24.2, 30.4];
    for ((_, at), wanted) in restarts.iter().zip(wanted) {
        assert!((at - wanted).abs() < 0.1, "{restarts:?}");
    }
    world::thing("/r/a", |thing| thing.collect = Collect::Works);
    rig.run(secs(10));
    assert_eq!(rig.state("/r/a"), "Running");
    assert_eq!(rig.node("/r/a").starts, 2);
}

// spec: S-31
#[test]
fn a_hanging_collector_is_dropped_and_asked_again() {
    let mut rig = Rig::settled(&one());
    world::thing("/r/a", |thing| thing.collect = Collect::Hangs);
    rig.run(secs(7));
    world::thing("/r/a", |thing| thing.collect = Collect::Works);
    rig.run(secs(5));
    assert!(!rig.node("/r/a").stale);
    assert_eq!(rig.node("/r/a").starts, 1);
    assert_eq!(rig.state("/r/a"), "Running");
}

// spec: S-40 (panics of collect are observation errors)
#[test]
fn a_panic_in_a_collector_is_an_observation_error() {
    let mut rig = Rig::new(&group("r", vec![unit("a"), unit("b")]));
    world::thing("/r/a", |thing| thing.collect = Collect::Panics);
    rig.run(secs(5));
    assert!(rig.reason("/r/a").contains("panicked"), "{}", rig.reason("/r/a"));
    assert!(!rig.node("/r/a").circuit_open);
    assert_eq!(rig.state("/r/b"), "Running");
}

// spec: S-37
#[test]
fn a_kind_without_observation_is_neither_held_nor_stale() {
    let mut rig = Rig::settled(&group("r", vec![group("g", vec![])]));
    rig.run(secs(120));
    assert_eq!(rig.state("/r/g"), "Running");
    assert!(rig.collections("/r/g").is_empty());
    assert_eq!(rig.visited, 0);
}

// spec: I16 (design §8.10)
#[test]
fn a_late_or_foreign_observation_changes_nothing() {
    let mut rig = Rig::settled(&one());
    rig.until("a collection is under way", |rig| rig.jobs.values().any(crate::rig::Job::is_collect));
    let node = id(&rig, "/r/a");
    let before = rig.node("/r/a").observed_at;
    let other = NodeId::new(node.index() as u32, Incarnation::new(node.incarnation().get() + 7));
    let started = rig.collections("/r/a").last().copied().unwrap();
    let desired = rig.node("/r/a").desired;
    for (node, started, generation) in [
        (other, started, desired),
        (node, started - ms(1), desired),
        (NodeId::new(9_999, node.incarnation()), started, desired),
    ] {
        let result = Ok(fsm_core::erase::Collected::Changed(observation(false, 99)));
        rig.input(Input::Observed { node, started, taken: rig.now, generation, result });
    }
    assert_eq!(rig.node("/r/a").observed_at, before);
    assert_eq!(rig.node("/r/a").observed.unwrap()["running"], true);
}

// spec: S-30 — a late observation is known by more than its path
#[test]
fn an_observation_from_before_a_change_of_the_desired_state_is_dropped() {
    let mut rig = Rig::settled(&one());
    world::thing("/r/a", |thing| thing.collect_takes = ms(300));
    rig.until("a collection is under way", |rig| {
        rig.jobs.values().filter(|j| j.is_collect()).count() > 0
            && rig.jobs.keys().all(|(at, _)| at.since(rig.now) > ms(100))
    });
    let started = *rig.collections("/r/a").last().unwrap();
    rig.declare(&group("r", vec![unit("a").config(json!({"value": 5}))]));
    rig.tick();
    let again = *rig.collections("/r/a").last().unwrap();
    assert!(again > started, "another look is taken under the new desired state");
    let node = id(&rig, "/r/a");
    let result = Ok(fsm_core::erase::Collected::Changed(observation(true, 5)));
    rig.input(Input::Observed { node, started, taken: rig.now, generation: Generation::new(1), result });
    assert_eq!(rig.node("/r/a").observed.unwrap()["value"], 0);
}

// spec: S-2 (an observation's generation is an input)
#[test]
fn an_equal_observation_under_a_new_desired_state_is_news() {
    let config = |label: &str| unit("a").config(json!({"strict": true, "label": label}));
    let mut rig = Rig::settled(&group("r", vec![config("one")]));
    assert_eq!(rig.state("/r/a"), "Running");
    rig.declare(&group("r", vec![config("two")]));
    rig.run(ms(1));
    assert_eq!(rig.state("/r/a"), "Degraded");
    rig.run(secs(3));
    assert_eq!(rig.state("/r/a"), "Running", "{}", rig.reason("/r/a"));
    assert_eq!(rig.node("/r/a").observed_under, Some(Generation::new(2)));
}

// spec: S-30 (push)
#[test]
fn a_pushed_observation_is_believed_and_the_heartbeat_goes_on() {
    let mut rig = Rig::settled(&group("r", vec![Decl::new("p", "pushed")]));
    assert_eq!(rig.state("/r/p"), "Running");
    let node = NodeId::new(1, rig.node("/r/p").incarnation);
    rig.input(Input::Pushed { node, taken: rig.now, value: observation(true, 0) });
    rig.run(ms(1));
    assert_eq!(rig.evaluated, 0, "an equal value is no news");
    rig.input(Input::Pushed { node, taken: rig.now, value: observation(false, 0) });
    rig.run(ms(1));
    assert_eq!(rig.state("/r/p"), "TryingToStart");
    rig.run(secs(200));
    assert!(rig.collections("/r/p").len() >= 3, "{:?}", rig.collections("/r/p"));
    assert_eq!(rig.state("/r/p"), "Running");
}

// spec: I16
#[test]
fn a_pushed_value_of_another_type_is_ignored() {
    let mut rig = Rig::new(&group("r", vec![Decl::new("p", "pushed")]));
    world::thing("/r/p", |thing| thing.collect = Collect::Lost);
    rig.run(ms(10));
    let node = NodeId::new(1, rig.node("/r/p").incarnation);
    rig.input(Input::Pushed { node, taken: rig.now, value: std::sync::Arc::new("no observation") });
    rig.run(ms(10));
    assert_eq!(rig.reason("/r/p"), "waiting for first observation");
    assert_eq!(rig.happened("/r/p", |e| matches!(e, EventKind::Panic { .. })), 0);
}

// spec: I3
#[test]
fn an_observation_that_is_too_old_when_it_arrives_is_not_fresh() {
    let mut rig = Rig::counting(&one());
    world::thing("/r/a", |thing| thing.collect = Collect::Lost);
    rig.run(secs(15));
    let asked = world::times("/r/a", "next");
    let (node, started) = (id(&rig, "/r/a"), *rig.collections("/r/a").last().unwrap());
    rig.jobs.clear();
    let result = Ok(fsm_core::erase::Collected::Changed(observation(false, 0)));
    let taken = started + ms(5);
    rig.input(Input::Observed { node, started, taken, generation: Generation::new(1), result });
    rig.run(ms(1));
    assert_eq!(world::times("/r/a", "next"), asked, "{}", rig.reason("/r/a"));
    assert!(rig.node("/r/a").stale);
}

// spec: S-30
#[test]
fn a_node_at_rest_is_not_looked_at() {
    let mut rig = Rig::settled(&group("r", vec![unit("a").disabled()]));
    rig.run(secs(60));
    assert!(rig.collections("/r/a").is_empty());
    assert_eq!(rig.visited, 0);
    assert!(rig.engine.next_wake().is_none_or(|wake| wake > at(secs(120)) || wake == Moment::FAR));
}

// spec: S-31, C-5 (the policy of the kind counts again when a spec overrides nothing any more)
#[test]
fn an_override_that_goes_away_counts_at_once() {
    let slow = |p: &mut fsm_core::PolicyOverride| p.interval = Some(secs(3_600).into());
    let mut rig = Rig::settled(&group("r", vec![unit("a").policy(slow)]));
    rig.declare(&one());
    rig.run(secs(5));
    assert!(rig.collections("/r/a").len() >= 4, "{:?}", rig.collections("/r/a"));
    world::thing("/r/a", |thing| thing.collect = Collect::Fails);
    rig.run(secs(12));
    assert!(rig.node("/r/a").stale);
}

// spec: S-31
#[test]
fn shorter_bounds_do_not_punish_a_collector_that_did_nothing_wrong() {
    let slow = |p: &mut fsm_core::PolicyOverride| p.interval = Some(secs(60).into());
    let mut rig = Rig::settled(&group("r", vec![unit("a").policy(slow)]));
    rig.run(secs(40));
    rig.declare(&one());
    rig.run(secs(5));
    assert_eq!(rig.happened("/r/a", |e| matches!(e, EventKind::CollectorRestarted { .. })), 0);
    assert!(!rig.node("/r/a").stale);
}

// spec: I16, S-5 (found by the simulation)
#[test]
fn a_collected_value_of_another_type_is_an_error_and_never_an_observation() {
    let mut rig = Rig::counting(&one());
    world::thing("/r/a", |thing| thing.collect = Collect::Lost);
    rig.run(ms(100));
    let node = id(&rig, "/r/a");
    let started = rig.collections("/r/a")[0];
    let generation = rig.node("/r/a").desired;
    let value: std::sync::Arc<dyn std::any::Any + Send + Sync> = std::sync::Arc::new("garbage");
    let result = Ok(fsm_core::erase::Collected::Changed(value));
    rig.input(Input::Observed { node, started, taken: rig.now, generation, result });
    rig.run(ms(100));
    assert_eq!(world::times("/r/a", "next"), 0);
    let view = rig.node("/r/a");
    assert!(view.collect_error.as_ref().is_some_and(|error| error.contains("another type")), "{view:?}");
    assert_eq!(view.observed, None);
}
