//! What has to be done so that a node's children become what its specs say: a pure value with a reason per entry (S-18).

use std::sync::Arc;

use fsm_core::{ChildName, ChildSpec, ChildrenSpecs};
use indexmap::IndexMap;
use serde::Serialize;

/// What happens to one child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStep {
    /// A new node.
    Create,
    /// The node takes its new spec in place.
    Update,
    /// The node is stopped and leaves.
    Remove,
    /// The node is stopped, leaves, and comes back as a new incarnation.
    Restart,
    /// The node is leaving already; when it is gone it is created afresh.
    Await,
}

/// One entry of a plan. Unchanged children have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanEntry {
    /// Which child.
    pub name: ChildName,
    /// What happens to it.
    pub step: PlanStep,
    /// Why.
    pub reason: &'static str,
}

/// What has to be done, in the order in which it is done: removals in reverse declared order, then the rest in declared order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use]
pub struct ReconcilePlan {
    /// The changes.
    pub entries: Vec<PlanEntry>,
    /// Children that stay as they are.
    pub kept: usize,
    /// Whether the declared order of those that stay differs from the present one.
    pub reordered: bool,
}

impl ReconcilePlan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.reordered
    }

    /// For how many children this is to be done.
    pub(crate) fn count(&self, step: PlanStep) -> usize {
        self.entries.iter().filter(|entry| entry.step == step).count()
    }
}

/// A child as it is now.
#[derive(Debug, Clone, Copy)]
pub struct CurrentChild<'a> {
    /// The spec it runs under.
    pub spec: &'a Arc<ChildSpec>,
    /// It is leaving already.
    pub leaving: bool,
    /// It was added at run time: specs that don't name it leave it alone (S-19).
    pub dynamic: bool,
    /// A newer spec couldn't be used, so it runs on under this one.
    pub refused: bool,
}

/// Whether a change of config needs a new incarnation, as the child's kind says.
pub type NeedsRestart<'a> = dyn Fn(&ChildSpec, &ChildSpec) -> bool + 'a;

/// Compares present children with specs. `current` is in present order; `needs_restart(new, old)` is asked only for two specs
/// of one kind whose configs differ.
pub fn plan<'a>(
    current: impl ExactSizeIterator<Item = (&'a ChildName, CurrentChild<'a>)> + Clone,
    specs: &ChildrenSpecs,
    needs_restart: &NeedsRestart<'_>,
) -> ReconcilePlan {
    let mut plan = ReconcilePlan::default();
    // The common case: same names in the same order, so no map is needed.
    let aligned = current.len() == specs.len()
        && current.clone().zip(specs.iter()).all(|((name, _), s)| *name == s.name);
    if aligned {
        for ((_, child), spec) in current.zip(specs.iter()) {
            compare(&mut plan, &child, spec, needs_restart);
        }
        return plan;
    }
    let present: IndexMap<&str, CurrentChild<'_>> =
        current.map(|(name, child)| (name.as_str(), child)).collect();
    for (name, child) in present.iter().rev() {
        if !child.leaving && !child.dynamic && specs.get(name).is_none() {
            plan.push(child.spec.name.clone(), PlanStep::Remove, "no longer declared");
        }
    }
    let mut last = None;
    for spec in specs.iter() {
        match present.get_full(spec.name.as_str()) {
            None => plan.push(spec.name.clone(), PlanStep::Create, "declared and not there"),
            Some((place, _, child)) => {
                plan.reordered |= last.is_some_and(|last| last > place);
                last = Some(place);
                compare(&mut plan, child, spec, needs_restart);
            }
        }
    }
    plan
}

/// The same where names and order are as before and only the specs at these places changed.
pub(crate) fn plan_places<'a>(
    child: impl Fn(&ChildName) -> Option<CurrentChild<'a>>,
    specs: &ChildrenSpecs,
    places: &[u32],
    needs_restart: &NeedsRestart<'_>,
) -> ReconcilePlan {
    let mut plan = ReconcilePlan { kept: specs.len() - places.len(), ..ReconcilePlan::default() };
    for spec in places.iter().filter_map(|place| specs.at(*place as usize)) {
        match child(&spec.name) {
            Some(child) => compare(&mut plan, &child, spec, needs_restart),
            None => plan.push(spec.name.clone(), PlanStep::Create, "declared and not there"),
        }
    }
    plan
}

fn compare(
    plan: &mut ReconcilePlan,
    child: &CurrentChild<'_>,
    spec: &Arc<ChildSpec>,
    needs_restart: &NeedsRestart<'_>,
) {
    if child.leaving {
        plan.push(spec.name.clone(), PlanStep::Await, "declared again while it is leaving");
    } else if !child.dynamic && (Arc::ptr_eq(child.spec, spec) || **child.spec == **spec) {
        if child.refused {
            plan.push(spec.name.clone(), PlanStep::Update, "its spec can be used again");
        } else {
            plan.kept += 1;
        }
    } else if spec.fault.is_some() {
        plan.push(spec.name.clone(), PlanStep::Update, "its spec can't be used: what runs goes on");
    } else if child.spec.kind != spec.kind {
        plan.push(spec.name.clone(), PlanStep::Restart, "its kind changed");
    } else if child.spec.config != spec.config && needs_restart(spec, child.spec) {
        plan.push(spec.name.clone(), PlanStep::Restart, "its config changed where it can't change in place");
    } else if child.dynamic {
        plan.push(spec.name.clone(), PlanStep::Update, "declared: that ends the child added at run time");
    } else {
        plan.push(spec.name.clone(), PlanStep::Update, "its spec changed");
    }
}

impl ReconcilePlan {
    fn push(&mut self, name: ChildName, step: PlanStep, reason: &'static str) {
        self.entries.push(PlanEntry { name, step, reason });
    }
}
