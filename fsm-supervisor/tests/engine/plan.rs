//! The reconcile plan as a pure value: it converges in one step, is minimal, and keeps the declared order.

use std::sync::Arc;

use fsm_core::{ChildName, ChildSpec, ChildrenSpecs};
use fsm_supervisor::{CurrentChild, PlanStep, ReconcilePlan, plan};
use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::json;

/// A child as these tests know it.
#[derive(Debug, Clone, PartialEq)]
struct Child {
    spec: Arc<ChildSpec>,
    leaving: bool,
    dynamic: bool,
}

type Children = IndexMap<ChildName, Child>;

fn spec(name: u8, kind: bool, value: u8, socket: u8) -> ChildSpec {
    ChildSpec::try_new(format!("c{name}"), if kind { "one" } else { "two" })
        .unwrap()
        .with_config(json!({"value": value, "socket": socket}))
}

fn any_spec() -> impl Strategy<Value = ChildSpec> {
    (0..8_u8, any::<bool>(), 0..3_u8, 0..2_u8)
        .prop_map(|(name, kind, value, socket)| spec(name, kind, value, socket))
}

fn any_specs() -> impl Strategy<Value = ChildrenSpecs> {
    prop::collection::vec(any_spec(), 0..8).prop_map(|specs| {
        let mut all = ChildrenSpecs::new();
        for spec in specs {
            // A name that comes twice is refused; the first stays.
            let _taken = all.try_add(spec);
        }
        all
    })
}

fn any_children() -> impl Strategy<Value = Children> {
    prop::collection::vec((any_spec(), prop::bool::weighted(0.2), prop::bool::weighted(0.2)), 0..8).prop_map(
        |all| {
            let child = |(spec, leaving, dynamic): (ChildSpec, bool, bool)| {
                (spec.name.clone(), Child { spec: spec.into(), leaving, dynamic })
            };
            all.into_iter().map(child).collect()
        },
    )
}

fn needs_restart(new: &ChildSpec, old: &ChildSpec) -> bool {
    new.config.to_value()["socket"] != old.config.to_value()["socket"]
}

fn plan_of(children: &Children, specs: &ChildrenSpecs) -> ReconcilePlan {
    let current = children.iter().map(|(name, child)| {
        (
            name,
            CurrentChild {
                spec: &child.spec,
                leaving: child.leaving,
                dynamic: child.dynamic,
                refused: false,
            },
        )
    });
    plan(current, specs, &needs_restart)
}

/// What the engine makes of a plan once everybody who leaves is gone.
fn apply(children: &Children, specs: &ChildrenSpecs, plan: &ReconcilePlan) -> Children {
    let mut after = children.clone();
    for entry in &plan.entries {
        match entry.step {
            PlanStep::Remove => {
                after.shift_remove(&entry.name);
            }
            PlanStep::Create | PlanStep::Update | PlanStep::Restart | PlanStep::Await => {
                let spec = Arc::clone(specs.get(entry.name.as_str()).unwrap());
                after.insert(entry.name.clone(), Child { spec, leaving: false, dynamic: false });
            }
        }
    }
    after.retain(|_, child| !child.leaving);
    let order = |name: &ChildName| specs.iter().position(|s| s.name == *name).unwrap_or(usize::MAX);
    after.sort_by(|a, _, b, _| order(a).cmp(&order(b)));
    after
}

proptest! {
    // spec: S-18
    #[test]
    fn a_plan_converges_in_one_step_and_applying_it_twice_changes_nothing(children in any_children(), specs in any_specs()) {
        let once = apply(&children, &specs, &plan_of(&children, &specs));
        let declared: Vec<_> = once.values().filter(|c| !c.dynamic).map(|c| ChildSpec::clone(&c.spec)).collect();
        let wanted: Vec<_> = specs.iter().map(|s| ChildSpec::clone(s)).collect();
        prop_assert_eq!(declared, wanted);
        let again = plan_of(&once, &specs);
        prop_assert!(again.is_empty(), "{:?}", again);
        prop_assert_eq!(again.kept, specs.len());
        prop_assert_eq!(apply(&once, &specs, &again), once);
    }

    // spec: S-18
    #[test]
    fn a_plan_is_minimal_and_every_entry_has_its_reason(children in any_children(), specs in any_specs()) {
        let plan = plan_of(&children, &specs);
        let mut names: Vec<_> = plan.entries.iter().map(|e| e.name.clone()).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), plan.entries.len(), "one entry per child");
        for entry in &plan.entries {
            prop_assert!(!entry.reason.is_empty());
            let (child, spec) = (children.get(&entry.name), specs.get(entry.name.as_str()));
            let fits = match (entry.step, child, spec) {
                (PlanStep::Create, None, Some(_)) => true,
                (PlanStep::Remove, Some(child), None) => !child.leaving && !child.dynamic,
                (PlanStep::Await, Some(child), Some(_)) => child.leaving,
                (PlanStep::Restart, Some(child), Some(spec)) => {
                    !child.leaving && (child.spec.kind != spec.kind || needs_restart(spec, &child.spec))
                }
                (PlanStep::Update, Some(child), Some(spec)) => {
                    !child.leaving
                        && child.spec.kind == spec.kind
                        && !needs_restart(spec, &child.spec)
                        && (child.dynamic || *child.spec != **spec)
                }
                (PlanStep::Create | PlanStep::Remove | PlanStep::Await | PlanStep::Restart | PlanStep::Update, ..) => false,
            };
            prop_assert!(fits, "{:?}", entry);
        }
    }

    // spec: S-18, S-15
    #[test]
    fn removals_come_first_in_reverse_order_and_the_rest_as_declared(children in any_children(), specs in any_specs()) {
        let plan = plan_of(&children, &specs);
        let removals = plan.entries.iter().take_while(|e| e.step == PlanStep::Remove).count();
        prop_assert!(plan.entries[removals..].iter().all(|e| e.step != PlanStep::Remove));
        let present = |name: &ChildName| children.get_index_of(name).unwrap();
        prop_assert!(plan.entries[..removals].windows(2).all(|w| present(&w[0].name) > present(&w[1].name)));
        let declared = |name: &ChildName| specs.iter().position(|s| s.name == *name).unwrap();
        prop_assert!(plan.entries[removals..].windows(2).all(|w| declared(&w[0].name) < declared(&w[1].name)));
    }
}

// spec: S-18
#[test]
fn a_change_of_order_alone_is_seen() {
    let children: Children = [1, 2, 3]
        .map(|n| spec(n, true, 0, 0))
        .map(|s| (s.name.clone(), Child { spec: s.into(), leaving: false, dynamic: false }))
        .into();
    let specs = ChildrenSpecs::try_from_iter([3, 1, 2].map(|n| spec(n, true, 0, 0))).unwrap();
    let plan = plan_of(&children, &specs);
    assert!(plan.entries.is_empty() && plan.reordered && plan.kept == 3);
}
