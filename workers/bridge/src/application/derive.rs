//! From the entries to the children's specs: in step with the last derive while nothing changed, anew from where it did.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use fsm_core::{ChildSpec, ChildrenSpecs, DeriveContext, DeriveError};

use super::config::Inner;
use super::rows::Scope;
use super::unit::Unit;

/// A child to be: the entry, and which of its rows.
type Place<'a> = (&'a Unit, usize);

/// What was made before the names turned out to have moved, by position.
type Made = HashMap<usize, Arc<ChildSpec>, FixedState>;

pub(super) fn derive(app: &Inner, cx: &DeriveContext<'_>) -> Result<ChildrenSpecs, DeriveError> {
    let scope = Scope::new(cx);
    let derive = Derive { app, scope: &scope };
    match cx.previous() {
        Some(previous) => match derive.in_step(previous) {
            Ok(children) => Ok(children),
            Err(made) => derive.anew(previous, made),
        },
        None => derive.anew(&ChildrenSpecs::new(), Made::default()),
    }
}

struct Derive<'a> {
    app: &'a Inner,
    scope: &'a Scope<'a>,
}

impl<'a> Derive<'a> {
    /// The previous specs with the changed ones replaced and new ones added at the end; an error when names moved.
    ///
    /// This is the derive of a reload: it reads one number per child, and makes what changed.
    fn in_step(&self, previous: &ChildrenSpecs) -> Result<ChildrenSpecs, Made> {
        if self.app.children < previous.len() {
            return Err(Made::default());
        }
        let mut changed = Vec::new();
        let mut at = 0;
        for unit in &self.app.units {
            for row in 0..unit.len() {
                let made_from = unit.made_from(row, self.scope);
                if previous.at(at).is_none_or(|old| old.fingerprint != made_from) {
                    changed.push((at, (unit, row)));
                    // Beyond this a rebuild costs less than replacing one by one.
                    if changed.len() > 16 && changed.len() > self.app.children / 2 {
                        return Err(Made::default());
                    }
                }
                at += 1;
            }
        }
        let mut made = Made::default();
        for (at, (unit, row)) in changed {
            let spec = Arc::new(unit.make(row, self.app, self.scope));
            let has_moved = match previous.at(at) {
                Some(old) => old.name != spec.name,
                // A name that is taken: it moved, or the rebuild says by whom.
                None => previous.get(spec.name.as_str()).is_some(),
            };
            made.insert(at, spec);
            if has_moved {
                return Err(made);
            }
        }
        let mut children = previous.clone();
        let mut new: Vec<_> = made.drain().collect();
        new.sort_unstable_by_key(|(at, _)| *at);
        for (at, spec) in new {
            let is_in = match previous.at(at) {
                Some(old) if *old == spec => true,
                Some(_) => children.replace_at(at, spec).is_ok(),
                None => children.try_add(spec).is_ok(),
            };
            if !is_in {
                return Err(Made::default());
            }
        }
        Ok(children)
    }

    /// All children in order; those that were made from the same keep their specs, wherever they stand now.
    fn anew(&self, previous: &ChildrenSpecs, mut made: Made) -> Result<ChildrenSpecs, DeriveError> {
        let mut kept: HashMap<u64, &Arc<ChildSpec>, FixedState> =
            HashMap::with_capacity_and_hasher(previous.len(), FixedState::default());
        kept.extend(previous.iter().filter(|old| old.fault.is_none()).map(|old| (old.fingerprint, old)));
        let mut children = ChildrenSpecs::with_capacity(self.app.children);
        for (at, (unit, row)) in self.places().enumerate() {
            let spec = match kept.get(&unit.made_from(row, self.scope)) {
                Some(old) => Arc::clone(old),
                None => {
                    let new =
                        made.remove(&at).unwrap_or_else(|| Arc::new(unit.make(row, self.app, self.scope)));
                    let same = previous.get(new.name.as_str()).filter(|old| **old == new);
                    same.map_or(new, Arc::clone)
                }
            };
            children.try_add(spec).map_err(|taken| {
                let first = children.iter().position(|child| child.name == taken.name);
                let first = first.and_then(|at| self.places().nth(at));
                let first = first.map_or_else(String::new, |(unit, row)| unit.origin(row).to_string());
                let what = format!(
                    "the name `{}` is declared twice, by {first} and by {}: rename one of them",
                    taken.name,
                    unit.origin(row)
                );
                DeriveError::config(what)
            })?;
        }
        Ok(children)
    }

    fn places(&self) -> impl Iterator<Item = Place<'a>> {
        self.app.units.iter().flat_map(|unit| (0..unit.len()).map(move |row| (unit, row)))
    }
}
