//! Infrastructure: one probe and one incident for all who need it, and nobody decides on what it can't reach.

use fsm_core::{Moment, Phase};
use fsm_supervisor::{Command, Event, EventKind};
use serde_json::json;

use crate::group::{Decl, group, unit};
use crate::rig::{Rig, ms, secs};
use crate::world::{self, Act, Collect};

const BROKER: &str = "broker:1883";

fn needing(name: &str, key: &str) -> Decl {
    unit(name).config(json!({"needs": key}))
}

/// Three nodes under two parents need the broker, one needs something else, one needs nothing.
fn plant() -> Rig {
    let g = group("g", vec![needing("c", BROKER)]);
    let children = vec![needing("a", BROKER), needing("b", BROKER), g, needing("d", "db:5432"), unit("e")];
    Rig::settled(&group("r", children))
}

/// The broker is gone, and one of those who need it notices.
fn broken() -> Rig {
    let mut rig = plant();
    world::cut(BROKER, true);
    world::thing("/r/b", |thing| thing.collect = Collect::Fails);
    rig.until("the incident is open", |rig| !rig.engine.incidents().is_empty());
    rig
}

fn told(rig: &Rig, name: &str) -> Vec<Event> {
    rig.events.iter().filter(|event| event.kind.name() == name).cloned().collect()
}

fn gaps(moments: &[Moment]) -> Vec<f64> {
    moments.windows(2).map(|two| two[1].since(two[0]).as_secs_f64()).collect()
}

// spec: S-41
#[test]
fn what_cannot_be_reached_is_one_incident_for_all_who_need_it() {
    let mut rig = broken();
    let opened = rig.now;
    rig.run(ms(100));
    for path in ["/r/a", "/r/b", "/r/g/c"] {
        let node = rig.node(path);
        assert!(node.cut_off, "{path}");
        assert_eq!(node.phase, Phase::Degraded, "nobody believes that {path} runs");
        assert_eq!(node.reason, "incident: broker:1883 can't be reached: connection refused");
        assert!(node.next_look.is_some(), "{path}");
    }
    for path in ["/r/d", "/r/e"] {
        assert_eq!((rig.node(path).cut_off, rig.node(path).phase), (false, Phase::Running), "{path}");
    }
    let [incident] = &rig.engine.incidents()[..] else {
        panic!("one incident: {:?}", rig.engine.incidents())
    };
    assert_eq!((&*incident.key, &*incident.error, incident.since), (BROKER, "connection refused", opened));
    assert_eq!(
        incident.nodes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["/r/a", "/r/b", "/r/g/c"]
    );
    let [event] = &told(&rig, "incident_opened")[..] else { panic!("told once") };
    assert!(
        matches!(&event.kind, EventKind::IncidentOpened { key, nodes: 3, .. } if &**key == BROKER),
        "{event:?}"
    );
}

// spec: S-41
#[test]
fn nobody_is_asked_for_next_while_what_it_needs_cannot_be_reached() {
    let mut rig = broken();
    rig.run(ms(10));
    let asked = world::times("/r/a", "next");
    world::thing("/r/a", |thing| thing.healthy = false);
    rig.run(secs(30));
    assert_eq!((rig.state("/r/a"), world::times("/r/a", "next")), ("Running", asked));
    world::cut(BROKER, false);
    rig.until("the incident is closed", |rig| rig.engine.incidents().is_empty());
    rig.run(secs(2));
    assert_eq!(rig.state("/r/a"), "Degraded", "it is asked again");
    assert_eq!(rig.node("/r/g/c").phase, Phase::Running);
}

// spec: S-41, S-24
#[test]
fn an_incident_never_prevents_stopping() {
    let mut rig = broken();
    world::thing("/r/b", |thing| thing.collect = Collect::Works);
    let path = "/r/a".parse().unwrap();
    rig.command(Command::Stop { path, who: "op".into() }).unwrap();
    rig.run(secs(5));
    assert_eq!((rig.state("/r/a"), rig.node("/r/a").phase), ("Stopped", Phase::Stopped));
    rig.command(Command::Shutdown { within: secs(30) }).unwrap();
    rig.until("all stopped", |rig| rig.engine.shutdown_report().is_some());
    assert_eq!(rig.engine.shutdown_report().unwrap().forced, []);
}

// spec: S-41
#[test]
fn one_probe_per_key_runs_with_growing_pauses_and_recovery_counts_from_the_opening() {
    let mut rig = broken();
    let opened = rig.now;
    rig.run(secs(300));
    let probes = rig.probes(BROKER);
    let waits = gaps(&probes);
    for (n, wait) in waits.iter().enumerate() {
        let wanted = 2_f64.powi(n as i32).min(60.0);
        assert!((wanted * 0.79..=(wanted * 1.21).min(60.1)).contains(wait), "pause {n} of {waits:?}");
    }
    assert!(waits.len() >= 8, "{waits:?}");
    assert_eq!(told(&rig, "incident_opened").len(), 1);
    world::cut(BROKER, false);
    world::thing("/r/b", |thing| thing.collect = Collect::Works);
    rig.until("the incident is closed", |rig| rig.engine.incidents().is_empty());
    let [event] = &told(&rig, "incident_closed")[..] else { panic!("told once") };
    let EventKind::IncidentClosed { down, recovered: true, .. } = &event.kind else { panic!("{event:?}") };
    assert_eq!(*down, rig.now.since(opened));
    rig.run(secs(5));
    assert!(["/r/a", "/r/b", "/r/g/c"].iter().all(|path| rig.node(path).phase == Phase::Running));
    let so_far = rig.probes(BROKER).len();
    rig.run(secs(3_600));
    assert_eq!(rig.probes(BROKER).len(), so_far, "who is well is not probed");
}

// spec: S-41
#[test]
fn after_five_failed_probes_it_is_escalated_once_with_the_runbook() {
    let mut rig = broken();
    rig.run(secs(600));
    let [event] = &told(&rig, "incident_escalated")[..] else { panic!("told once") };
    let EventKind::IncidentEscalated { probes, runbook, key, down, .. } = &event.kind else {
        panic!("{event:?}")
    };
    assert_eq!((*probes, &**key), (5, BROKER));
    assert!(*down >= secs(10) && *down <= secs(20), "{down:?}");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    assert!(std::path::Path::new(root).join(runbook).exists(), "there is no {runbook}");
}

// spec: S-41
#[test]
fn trouble_asks_for_a_probe_at_once_and_then_now_and_again() {
    let mut rig = plant();
    rig.run(secs(600));
    assert_eq!(rig.probes(BROKER), [], "a healthy tree probes nothing");
    world::thing("/r/a", |thing| thing.collect = Collect::Fails);
    let began = rig.now;
    rig.run(secs(600));
    let probes = rig.probes(BROKER);
    assert!(probes[0].since(began) <= secs(1), "at the first failure");
    let waits = gaps(&probes);
    assert!(waits.iter().all(|wait| *wait >= 0.99), "no more than one in a second: {waits:?}");
    assert!(rig.engine.incidents().is_empty());
    assert!(rig.probes("db:5432").is_empty(), "only what the one in trouble needs");
    rig.forget();
    world::thing("/r/d", |thing| (thing.running, thing.act) = (false, Act::Fails));
    rig.command(Command::Collect { path: "/r/d".parse().unwrap() }).unwrap();
    rig.until("a failed action asks too", |rig| !rig.probes("db:5432").is_empty());
}

// spec: S-41 (one that comes, goes or changes its mind meanwhile)
#[test]
fn who_comes_during_an_incident_is_cut_off_and_who_needs_something_else_is_not() {
    let mut rig = broken();
    let root = |key: &str| {
        group(
            "r",
            vec![
                needing("a", key),
                needing("b", key),
                group("g", vec![needing("c", key)]),
                needing("f", BROKER),
            ],
        )
    };
    rig.declare(&root("other:1"));
    rig.run(secs(2));
    assert_eq!((rig.node("/r/a").cut_off, rig.node("/r/f").cut_off), (false, true), "{}", rig.show());
    assert_eq!(rig.engine.incidents()[0].nodes.len(), 1);
    rig.declare(&group("r", vec![unit("e")]));
    rig.until("nobody needs it", |rig| rig.engine.incidents().is_empty());
    let [event] = &told(&rig, "incident_closed")[..] else { panic!("told once") };
    assert!(matches!(event.kind, EventKind::IncidentClosed { recovered: false, .. }), "{event:?}");
    let probes = rig.probes(BROKER).len();
    rig.run(secs(600));
    assert_eq!(rig.probes(BROKER).len(), probes, "what nobody needs is not probed");
}

// spec: S-41, J3 (a probe that ends after everybody left, and one of a former need)
#[test]
fn a_late_answer_changes_nothing() {
    let mut rig = broken();
    let number = rig.probes(BROKER).len() as u64;
    for (key, number) in [(BROKER, number), (BROKER, 99), ("nobody:1", 1)] {
        rig.input(fsm_supervisor::Input::Probed { key: key.into(), number, result: Ok(()) });
    }
    rig.run(ms(10));
    assert_eq!(rig.engine.incidents().len(), 1);
    assert!(rig.node("/r/a").cut_off);
}

// spec: S-41
#[test]
fn an_operator_who_retries_has_it_probed_at_once() {
    let mut rig = broken();
    rig.run(secs(300));
    world::cut(BROKER, false);
    let asked = rig.now;
    rig.command(Command::Retry { path: "/r/a".parse().unwrap(), who: "op".into() }).unwrap();
    rig.until("the incident is closed", |rig| rig.engine.incidents().is_empty());
    assert!(rig.now.since(asked) <= ms(10), "{:?}", rig.now.since(asked));
}
