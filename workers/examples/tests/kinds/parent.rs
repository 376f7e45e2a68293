//! The table of `parent`, and the children it derives.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::table::Case;
use fsm_core::{
    ChildName, ChildrenSpecs, Dependency, DeriveContext, Phase, StartWhen, State, UserSpec, VariableBundle,
    Worker,
};
use fsm_worker_examples::parent::*;
use proptest::prelude::*;

fn child(name: &str) -> ParentChild {
    ParentChild::new(ChildName::try_new(name).unwrap(), "child")
}

fn config() -> ParentConfig {
    ParentConfig::new([child("a"), child("b"), child("off").with_enabled(false)])
}

fn case(a: Phase, b: Phase) -> Case<Parent> {
    let case = Case::new(config()).child("a", a, "A").child("b", b, "B");
    case.child("off", Phase::Stopped, "Stopped")
}

// spec: S-35 — the table: every state with well, starting, degraded, stopped and completed children.
#[test]
fn each_state_answers_each_situation() {
    use ParentState::*;
    for b in Phase::ALL {
        let ask = |state| case(Phase::Running, *b).next(state);
        ask(Stopped).moves_to(TryingToStart);
        if matches!(b, Phase::Running | Phase::Completed) {
            ask(TryingToStart).moves_to(Running);
            ask(Running).stays();
            ask(Degraded).moves_to(Running);
        } else {
            ask(TryingToStart).stays().wakes().because("1 of 3");
            ask(Running).moves_to(Degraded);
            ask(Degraded).stays();
        }
        case(Phase::Running, *b).stop(Stopped).stays();
        for state in ParentState::CHILDREN_RUN {
            case(Phase::Stopped, *b).stop(state).moves_to(Stopped);
        }
    }
}

#[test]
fn children_that_do_not_start_in_time_degrade_it() {
    let late = case(Phase::Running, Phase::Starting).in_state_for(Duration::from_secs(30));
    late.next(ParentState::TryingToStart).moves_to(ParentState::Degraded).because("in time");
    let early = case(Phase::Running, Phase::Starting).in_state_for(Duration::from_secs(29));
    early.next(ParentState::TryingToStart).stays();
}

#[test]
fn without_children_it_is_well() {
    Case::<Parent>::new(ParentConfig::default()).next(ParentState::Running).stays().because("no children");
}

// spec: S-13, S-15, S-16
#[test]
fn children_are_derived_in_order_with_their_conditions() {
    let second = child("b").with_dependency(Dependency::on(ChildName::try_new("a").unwrap()));
    let desired =
        Case::<Parent>::new(ParentConfig::new([child("a"), second, child("c").with_enabled(false)]))
            .derive()
            .unwrap();
    let specs = desired.children_specs.unwrap();
    assert_eq!(specs.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(specs.get("b").unwrap().depends_on()[0].child.as_str(), "a");
    assert_eq!(specs.iter().map(|s| s.enabled).collect::<Vec<_>>(), [true, true, false]);
    for spec in specs.iter() {
        let start_when = &spec.extras.as_ref().unwrap().start_when;
        assert_ne!(*start_when, StartWhen::Always);
        for state in ParentState::ALL {
            let runs = *state != ParentState::Stopped;
            assert_eq!(start_when.holds(state.name(), state.phase()), runs, "{state:?}");
        }
    }
}

// spec: S-10
#[test]
fn two_children_of_one_name_are_refused_with_the_place() {
    let error = Case::<Parent>::new(ParentConfig::new([child("a"), child("a")])).derive().unwrap_err();
    assert_eq!(error.field(), Some("children[1].name"));
    assert!(fsm_core::chain(&error).contains("`a` is declared twice"), "{}", fsm_core::chain(&error));
}

fn derive(config: &ParentConfig, previous: Option<&ChildrenSpecs>) -> ChildrenSpecs {
    let variables = VariableBundle::default();
    let cx = DeriveContext::new(&variables, previous, &());
    Parent::derive_desired_state(&UserSpec::new(config.clone()), &cx).unwrap().children_specs.unwrap()
}

#[test]
fn an_unchanged_child_keeps_its_spec() {
    let before = derive(&ParentConfig::new([child("a"), child("b")]), None);
    let changed = child("b").with_config(serde_json::json!({"leave_after": 3}));
    let after = derive(&ParentConfig::new([child("new"), child("a"), changed]), Some(&before));
    assert!(Arc::ptr_eq(before.get("a").unwrap(), after.get("a").unwrap()));
    assert!(!Arc::ptr_eq(before.get("b").unwrap(), after.get("b").unwrap()));
}

prop_compose! {
    fn children()(specs in prop::collection::btree_map("[a-z][a-z0-9]{0,5}", (any::<bool>(), 0_u64..9), 0..6)) -> ParentConfig {
        ParentConfig::new(specs.into_iter().map(|(name, (enabled, leave_after))| {
            child(&name).with_enabled(enabled).with_config(serde_json::json!({"leave_after": leave_after}))
        }))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Capability 3: the same input gives the same output, whatever was derived before.
    #[test]
    fn derive_is_pure(config in children(), other in children()) {
        let first = derive(&config, None);
        prop_assert_eq!(&first, &derive(&config, None));
        prop_assert_eq!(&first, &derive(&config, Some(&first)));
        prop_assert_eq!(&first, &derive(&config, Some(&derive(&other, None))));
    }
}
