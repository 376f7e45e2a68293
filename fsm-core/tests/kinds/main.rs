//! Kinds without their type: what a registry refuses, what an engine asks, and the helpers of authors.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod contexts;
mod door;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use fsm_core::erase::{Collected, DynStep, DynWorker, JobSpec};
use fsm_core::table::Case;
use fsm_core::*;
use serde_json::{Value, json};

use door::{Door, DoorConfig, DoorSeen, DoorState, QuietHost, ready};

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register(Door).unwrap().alias("gate", "door").unwrap();
    registry
}

fn id() -> NodeId {
    NodeId::new(0, Incarnation::new(1))
}

#[test]
fn a_name_is_taken_once_by_kinds_and_aliases_together() {
    let mut registry = registry();
    assert_eq!(registry.register(Door).unwrap_err(), RegisterError::Taken { kind: "door" });
    assert_eq!(registry.alias("gate", "door").unwrap_err(), RegisterError::Taken { kind: "gate" });
    let error = registry.alias("hatch", "window").unwrap_err();
    assert_eq!(error, RegisterError::NoSuchKind { alias: "hatch", kind: "window" });
    assert!(error.to_string().contains("register the kind first"));
    assert_eq!(registry.get("gate").unwrap().kind(), "door", "an alias is the kind");
    assert_eq!(registry.names().collect::<Vec<_>>(), ["door", "gate"]);
    assert_eq!((registry.kinds().count(), format!("{registry:?}").as_str()), (1, r#"["door", "gate"]"#));
    let (kinds, aliases) = registry.into_parts();
    assert_eq!((kinds.len(), aliases["gate"]), (1, "door"));
}

#[test]
fn a_kind_that_contradicts_itself_is_refused() {
    let refused = |policy| Registry::new().register_as("odd", policy, Door).unwrap_err();
    let never_stale = Policy::DEFAULT.with_stale_after(Duration::from_millis(1));
    assert!(matches!(refused(never_stale), RegisterError::Policy { kind: "odd", .. }));
    // A door observes something, so `Observed` can't be made of nothing.
    let error = refused(Policy::DEFAULT.without_observation());
    assert_eq!(error, RegisterError::NothingToObserve { kind: "odd" });
    assert!(error.to_string().contains("must be `()`"));
}

#[test]
fn an_engine_sees_what_a_kind_says_of_itself() {
    let registry = registry();
    let door = registry.get("door").unwrap();
    let states: Vec<_> = door.states().iter().map(|s| (s.name, s.phase, s.sort)).collect();
    assert_eq!(states[1], ("Opening", Phase::Starting, Sort::Trying));
    assert_eq!((states.len(), door.action_names()), (3, &["push"][..]));
    assert_eq!(*door.policy(), Door::POLICY);
    assert_eq!(door.metrics()[0], MetricSpec::counter("pushes", "Pushes.").with_labels(&["side"]));
    assert_eq!(door.config_schema()["properties"]["width"]["type"], json!("integer"));
    let error = door.read_config(&json!({"width": -1})).unwrap_err();
    assert_eq!((error.kind, error.field.as_str()), ("door", "width"));
    assert!(error.to_string().starts_with("the config of kind `door` does not fit at `width`:"), "{error}");
    assert!(door.read_config(&Value::Null).is_ok(), "nothing reads as an empty map");
    let other = ChildConfig::typed(());
    let ChildConfig::Typed(other) = other else { panic!("typed") };
    assert!(!door.accepts(other.as_ref()));
    assert!(door.needs_restart(other.as_ref(), other.as_ref()), "what isn't its own can't be taken in place");
}

// spec: S-11
#[test]
fn a_restart_is_asked_for_by_the_config_itself() {
    let registry = registry();
    let door = registry.get("door").unwrap();
    let read =
        |width: u32, colour: &str| door.read_config(&json!({"width": width, "colour": colour})).unwrap();
    assert!(door.needs_restart(read(2, "red").as_ref(), read(1, "red").as_ref()));
    assert!(!door.needs_restart(read(1, "blue").as_ref(), read(1, "red").as_ref()));
}

/// The kind, with one node of it.
fn with_cell() -> (Box<dyn DynWorker>, erase::Slot) {
    let (mut kinds, _) = registry().into_parts();
    let mut door = kinds.remove(0);
    let config = door.read_config(&json!({"width": 1})).unwrap();
    let (slot, state) = door.insert(&config, &VariableBundle::default());
    assert_eq!(state.get(), 0, "the default state");
    (door, slot)
}

pub(crate) fn job() -> JobSpec {
    let identity = Identity::new(NodePath::try_new("/door").unwrap(), "door", id(), 0, 1);
    JobSpec { identity: Arc::new(identity), generation: Generation::new(1) }
}

struct NoPath;

impl PathOf for NoPath {
    fn path_of(&self, _node: NodeId) -> NodePath {
        NodePath::try_new("/door").unwrap()
    }
}

fn ask<T>(asked: impl FnOnce(&SnapshotCore<'_>) -> T) -> T {
    let name = ChildName::try_new("door").unwrap();
    asked(&SnapshotCore {
        whoami: Whoami::new(&name, "door", id(), 1, &NoPath),
        now: Moment::ZERO,
        wake: Cell::new(None),
        children: ChildrenView::none(),
        last_action: None,
        attempts: 0,
        failures: 0,
        retry_after: None,
        entered_at: Moment::ZERO,
        observation: None,
        desired: Generation::new(1),
    })
}

// spec: I16
#[test]
fn a_cell_takes_only_its_own_type_and_says_what_matters() {
    let (mut door, slot) = with_cell();
    assert!(door.observed(slot).is_none());
    assert_eq!(door.accept(slot, Arc::new("open")), None, "another type is refused");
    assert!(door.observed(slot).is_none());
    assert_eq!(
        door.accept(slot, Arc::new(DoorSeen { open: false, draught: 0.1 })),
        Some(true),
        "the first one"
    );
    assert_eq!(
        door.accept(slot, Arc::new(DoorSeen { open: false, draught: 0.9 })),
        Some(false),
        "only measures"
    );
    assert_eq!(
        door.observed(slot).unwrap().to_value(),
        json!({"open": false, "draught": 0.9}),
        "and is kept"
    );
    assert_eq!(door.accept(slot, Arc::new(DoorSeen { open: true, draught: 0.9 })), Some(true));
}

#[test]
fn a_cell_is_freed_and_its_place_is_taken_again() {
    let (mut door, slot) = with_cell();
    let wide = door.read_config(&json!({"width": 9})).unwrap();
    door.set_config(slot, &wide);
    assert_eq!(door.config(slot).to_value()["width"], json!(9));
    door.accept(slot, Arc::new(DoorSeen { open: true, draught: 0.0 }));
    door.remove(slot);
    let (again, _) = door.insert(&wide, &VariableBundle::default());
    assert_eq!(again, slot);
    assert!(door.observed(again).is_none(), "nothing is left of the former life");
    assert_ne!(door.insert(&wide, &VariableBundle::default()).0, slot);
}

#[test]
fn decisions_come_through_without_their_type() {
    let (mut door, slot) = with_cell();
    let states = [0, 1, 2].map(|at| door.states()[at].name);
    assert_eq!(states, ["Closed", "Opening", "Open"]);
    door.accept(slot, Arc::new(DoorSeen { open: false, draught: 0.0 }));
    let (_, closed) = door.insert(&door.config(slot), &VariableBundle::default());
    let decision = ask(|core| door.next(slot, closed, core, None)).unwrap();
    let DynStep::Move(opening) = decision.step else { panic!("moves") };
    assert_eq!((opening.get(), decision.reason.to_string().as_str()), (1, "told to run"));
    let DynStep::Act(push) = ask(|core| door.next(slot, opening, core, None)).unwrap().step else {
        panic!("acts")
    };
    assert_eq!((push.name(), push.describe().as_str()), ("push", "Push"));
    assert!(matches!(ask(|core| door.stop(slot, opening, core, true)).step, DynStep::Move(_)));
    assert!(matches!(ask(|core| door.stop(slot, closed, core, false)).step, DynStep::Remove));
}

#[test]
fn jobs_run_with_the_config_and_the_last_observation() {
    let (mut door, slot) = with_cell();
    let host: Arc<dyn Host> = Arc::new(QuietHost::default());
    let collect =
        |door: &mut Box<dyn DynWorker>| ready(door.collect_run(slot, job())(Arc::clone(&host))).unwrap();
    let Collected::Changed(first) = collect(&mut door) else { panic!("the first one is news") };
    assert_eq!(door.accept(slot, first), Some(true));
    assert!(matches!(collect(&mut door), Collected::Same));
    door.accept(slot, Arc::new(DoorSeen { open: false, draught: 0.7 }));
    assert!(matches!(collect(&mut door), Collected::Similar(_)));

    let push = door.request("push", Value::Null).unwrap();
    let run = door.action_run(slot, push, job());
    assert!(ready(run(1, Arc::clone(&host))).is_err(), "a door sticks at the first push");
    assert!(ready(run(2, Arc::clone(&host))).is_ok(), "and the attempt is told");
    let error = door.request("kick", Value::Null).err().unwrap();
    assert_eq!(error.to_string(), r#"no action `kick` can be asked for here; known: ["push"]"#);
}

#[test]
fn a_monitor_judges_what_it_polls() {
    let mut registry = Registry::new();
    let judge = |free: &u64| match free {
        0..10 => Verdict::Degraded(format!("only {free} GiB free")),
        10.. => Verdict::Healthy,
    };
    monitor("disk", Duration::from_secs(5), || async { Ok(3_u64) }, judge).register(&mut registry).unwrap();
    let again =
        monitor("disk", Duration::from_secs(5), || async { Ok(3_u64) }, judge).register(&mut registry).err();
    assert_eq!(again, Some(RegisterError::Taken { kind: "disk" }));
    let hasty = monitor("hasty", Duration::from_millis(1), || async { Ok(3_u64) }, judge)
        .register(&mut registry)
        .err();
    assert!(matches!(hasty, Some(RegisterError::Policy { kind: "hasty", .. })));

    let (mut kinds, _) = registry.into_parts();
    let disk = &mut kinds[0];
    assert!(disk.read_config(&json!({"path": "/"})).is_err(), "a monitor has no config");
    let config = disk.read_config(&Value::Null).unwrap();
    let desired = disk.derive(
        &config,
        &VariableBundle::default(),
        &DeriveContext::new(&VariableBundle::default(), None, &()),
    );
    assert_eq!(desired.unwrap().state, Target::Running);
    let (slot, stopped) = disk.insert(&config, &VariableBundle::default());
    let Ok(Collected::Changed(seen)) = ready(disk.collect_run(slot, job())(Arc::new(QuietHost::default())))
    else {
        panic!("seen")
    };
    disk.accept(slot, seen);
    assert_eq!(disk.observed(slot).unwrap().to_value()["value"], json!(3));
    let decision = ask(|core| disk.next(slot, stopped, core, None)).unwrap();
    let DynStep::Move(degraded) = decision.step else { panic!("moves") };
    assert_eq!(disk.states()[degraded.get()].phase, Phase::Degraded);
    assert_eq!(decision.reason.to_string(), "only 3 GiB free");
    let stays = ask(|core| disk.next(slot, degraded, core, None)).unwrap();
    let again = ask(|core| disk.next(slot, degraded, core, Some(&stays.reason)));
    assert!(again.is_none(), "to stay for the same reason is no news");
    assert!(matches!(stays.step, DynStep::Stay), "asked twice it stays");
    assert!(matches!(ask(|core| disk.stop(slot, degraded, core, true)).step, DynStep::Move(_)));
    assert!(matches!(ask(|core| disk.stop(slot, stopped, core, false)).step, DynStep::Stay));
}

fn case() -> Case<Door> {
    Case::new(DoorConfig::default()).observed(DoorSeen { open: false, draught: 0.0 })
}

#[track_caller]
fn fails(expectation: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(expectation)).is_err(), "a wrong expectation was not noticed");
}

#[test]
fn a_case_builds_the_situation_that_it_names() {
    case().failures(3).next(DoorState::Opening).stays().because("stuck after 3 pushes");
    case().after("push", Outcome::Timeout).next(DoorState::Opening).acts("push").because("timeout");
    case().after("push", Outcome::Success).next(DoorState::Opening).acts("push").because("success");
    case().starts(9).next(DoorState::Closed).restarts().because("worn out");
    case().outdated().next(DoorState::Open).stays().because("the observation is old");
    case()
        .child("bell", Phase::Running, "Ringing")
        .next(DoorState::Open)
        .moves_to(DoorState::Closed)
        .because("Ringing");
    case().in_state_for(Duration::from_secs(1)).next(DoorState::Open).moves_to(DoorState::Closed);
    case().stop(DoorState::Closed).removes();
    assert!(case().derive().is_ok());
    let own = Vars::from_iter([("locked".to_owned(), json!(true))]);
    let locked = case().variables(VariableBundle::default().with_user(own).unwrap());
    assert!(
        locked.derive().unwrap_err().to_string().contains("/test/case"),
        "derive sees variables and identity"
    );
}

#[test]
fn a_wrong_expectation_fails_the_table() {
    fails(|| drop(case().next(DoorState::Closed).stays()));
    fails(|| drop(case().next(DoorState::Closed).moves_to(DoorState::Open)));
    fails(|| drop(case().next(DoorState::Closed).acts("push")));
    fails(|| drop(case().next(DoorState::Opening).acts("kick")));
    fails(|| drop(case().next(DoorState::Closed).removes()));
    fails(|| drop(case().next(DoorState::Closed).restarts()));
    fails(|| drop(case().next(DoorState::Closed).because("no reason")));
    fails(|| drop(case().next(DoorState::Closed).wakes()));
    fails(|| drop(Case::<Door>::new(DoorConfig::default()).next(DoorState::Closed)));
    fails(|| drop(case().child("No Name", Phase::Running, "")));
}

#[test]
fn children_are_counted_by_phase() {
    let mut counts = ChildrenCounts::default();
    for phase in Phase::ALL {
        *counts.of(*phase) += 1;
    }
    assert_eq!((counts.healthy, counts.stopped, counts.completed, counts.degraded), (1, 1, 1, 3));
    let view = ChildrenView::new(counts, &());
    assert_eq!(
        (view.len(), view.healthy(), view.stopped(), view.completed(), view.degraded()),
        (6, 1, 1, 1, 3)
    );
    assert!(!view.all_healthy() && !view.all_stopped() && !view.is_empty());
    let none = ChildrenView::none();
    assert!(none.all_healthy() && none.all_stopped() && none.is_empty() && none.iter().next().is_none());
    assert!(none.get("a").is_none() && format!("{view:?}").contains("healthy: 1"));
}
