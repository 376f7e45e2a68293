//! The specs of children as a derive gave them: typed, compared with those before, and checked against each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use fsm_core::{ChildConfig, ChildName, ChildSpec, ChildrenSpecs, DeriveError, NodePath};

use super::Engine;
use super::arena::NONE;
use super::flags::Flags;
use crate::cycles::cycle_among;

/// What specs are beside those before them.
#[derive(Default)]
struct Settled {
    /// The same names in the same order.
    aligned: bool,
    /// Where specs differ.
    places: Vec<u32>,
    /// A spec that differs names a sibling.
    dependent: bool,
    /// How many more specs can't be used.
    faults: i64,
}

impl Engine {
    /// Takes the specs of a good derive: raw configs become typed ones, what can't be used gets its fault, and what is equal
    /// to before keeps its `Arc`.
    pub(super) fn take_specs(&mut self, index: u32, specs: Option<ChildrenSpecs>) {
        let has_supervisor = self.arena.cold(index).supervisor.is_some();
        let mut specs = match specs {
            None if !has_supervisor => return,
            None => ChildrenSpecs::new(),
            Some(specs) if specs.is_empty() && !has_supervisor => return,
            Some(specs) => specs,
        };
        let mut supervisor = self.arena.cold_mut(index).supervisor.take().unwrap_or_default();
        let mut settled = self.settle(index, &mut specs, &supervisor.specs);
        specs.shrink_to_fit();
        let changed = !settled.aligned || !settled.places.is_empty();
        if changed && (settled.dependent || supervisor.with_dependencies) {
            Self::check_dependencies(&mut specs);
            supervisor.with_dependencies = specs.iter().any(|spec| !spec.depends_on().is_empty());
            settled.aligned = false;
        }
        supervisor.faults = match settled.aligned {
            true => supervisor.faults.saturating_add_signed(settled.faults as isize),
            false => specs.iter().filter(|spec| spec.fault.is_some()).count(),
        };
        supervisor.places = settled.aligned.then_some(settled.places);
        let dynamic_only = supervisor.dynamic.keys().any(|name| specs.get(name.as_str()).is_some());
        supervisor.specs = specs;
        self.arena.cold_mut(index).supervisor = Some(supervisor);
        if changed || dynamic_only {
            self.arena.hot_mut(index).flags.set(Flags::MEMBERS);
        }
    }

    /// Types what is new among `specs`, and says how they differ from those before. An unchanged spec is known by its pointer
    /// and not read.
    fn settle(&self, index: u32, specs: &mut ChildrenSpecs, before: &ChildrenSpecs) -> Settled {
        let mut settled = Settled { aligned: specs.has_names_of(before), ..Settled::default() };
        for at in specs.differing(before).collect::<Vec<_>>() {
            let Some(spec) = specs.at(at) else { break };
            let old = match before.at(at).filter(|old| old.name == spec.name) {
                Some(old) => Some(old),
                None => before.get(spec.name.as_str()),
            };
            if old.is_some_and(|old| Arc::ptr_eq(old, spec)) {
                continue;
            }
            let typed = self.type_spec(index, spec);
            let settled_spec = match old {
                Some(old) if **old == typed && old.fingerprint == typed.fingerprint => Arc::clone(old),
                // Equal, though made from something else: the parent must find what it made it from the next time.
                Some(old) if **old == typed => {
                    Arc::new(ChildSpec { fingerprint: typed.fingerprint, ..ChildSpec::clone(old) })
                }
                Some(_) | None => {
                    settled.places.push(at as u32);
                    settled.dependent |= !typed.depends_on().is_empty();
                    settled.faults += i64::from(typed.fault.is_some());
                    settled.faults -= i64::from(old.is_some_and(|old| old.fault.is_some()));
                    Arc::new(typed)
                }
            };
            let replaced = specs.replace_at(at, settled_spec);
            debug_assert!(replaced.is_ok(), "it has the name of the one that it replaces");
        }
        settled
    }

    /// The spec with a typed config, or with the fault that keeps it from being used.
    pub(super) fn type_spec(&self, parent: u32, spec: &ChildSpec) -> ChildSpec {
        let mut typed = spec.clone();
        if typed.fault.is_some() {
            return typed;
        }
        let Some(kind) = self.names.get(&*typed.kind) else {
            let error = self.unknown_kind(&typed.kind);
            typed.fault = Some(Arc::new(error));
            return typed;
        };
        let kind = &self.kinds[*kind as usize];
        typed.kind = kind.kind().into();
        if let Some(extras) = &typed.extras
            && let Err(error) = kind.policy().with(&extras.policy)
        {
            let path = self.child_path(parent, &typed.name);
            let error =
                DeriveError::config(format!("the policy of {path} contradicts itself")).with_source(error);
            typed.fault = Some(Arc::new(error.at("policy")));
            return typed;
        }
        match &typed.config {
            ChildConfig::Raw(raw) => match kind.read_config(raw) {
                Ok(config) => typed.config = ChildConfig::Typed(config),
                Err(error) => {
                    typed.fault = Some(Arc::new(DeriveError::config(error.to_string()).at("config")))
                }
            },
            ChildConfig::Typed(config) if kind.accepts(config.as_ref()) => {}
            ChildConfig::Typed(_) => {
                typed.fault = Some(Arc::new(
                    DeriveError::config("the typed config belongs to another kind").at("config"),
                ))
            }
        }
        typed
    }

    fn unknown_kind(&self, kind: &str) -> DeriveError {
        let known: Vec<&str> = self.names.keys().copied().collect();
        DeriveError::config(format!("there is no kind `{kind}`; registered are: {}", known.join(", ")))
            .at("kind")
    }

    pub(super) fn child_path(&self, parent: u32, name: &ChildName) -> NodePath {
        if parent == NONE { NodePath::root(name) } else { self.arena.path(parent).join(name) }
    }

    /// Unknown siblings and cycles are faults of the children concerned (S-15). A fault of this sort ends when another
    /// sibling changes, so those that came with a spec from before are looked at afresh.
    fn check_dependencies(specs: &mut ChildrenSpecs) {
        let mut faults = dependency_faults(specs);
        for spec in specs.values_mut() {
            let now = faults.remove(&spec.name).map(Arc::new);
            let own = spec.fault.as_ref().filter(|fault| fault.field() != Some(DEPENDS_ON));
            if own.is_none() && spec.fault != now {
                *spec = Arc::new(ChildSpec { fault: now, ..ChildSpec::clone(spec) });
            }
        }
    }
}

/// Where faults of dependencies are reported.
const DEPENDS_ON: &str = "depends_on";

/// Who depends on nobody, and who waits in a circle: every circle is found.
fn dependency_faults(specs: &ChildrenSpecs) -> BTreeMap<ChildName, DeriveError> {
    let mut faults = BTreeMap::new();
    for spec in specs.iter() {
        if let Some(unknown) = spec.depends_on().iter().find(|d| specs.get(d.child.as_str()).is_none()) {
            let what = format!("there is no sibling `{}` to depend on", unknown.child);
            faults.insert(spec.name.clone(), DeriveError::config(what).at(DEPENDS_ON));
        }
    }
    loop {
        let edges = |name: &ChildName| {
            let spec = specs.get(name.as_str()).filter(|_| !faults.contains_key(name));
            spec.map_or_else(Vec::new, |s| s.depends_on().iter().map(|d| d.child.clone()).collect())
        };
        let Some(cycle) = cycle_among(specs.iter().map(|s| s.name.clone()), edges) else { return faults };
        let text: Vec<&str> = cycle.iter().map(ChildName::as_str).collect();
        let what = format!("these wait for each other: {}", text.join(" → "));
        for name in &cycle {
            faults.insert(name.clone(), DeriveError::config(what.as_str()).at(DEPENDS_ON));
        }
    }
}
