//! From the entries to the children's specs: in step with the last derive while nothing changed, anew from where it did.

use std::collections::HashMap;
use std::sync::Arc;

use fsm_core::{ChildrenSpecs, DeriveContext, DeriveError};

use super::config::Inner;
use super::rows::Scope;
use super::unit::Unit;

/// A child to be: the entry, and which of its rows.
type Place<'a> = (&'a Unit, usize);

pub(super) fn derive(app: &Inner, cx: &DeriveContext<'_>) -> Result<ChildrenSpecs, DeriveError> {
    let scope = Scope::new(cx.variables());
    let derive = Derive { app, scope: &scope };
    match cx.previous() {
        Some(previous) => match derive.in_step(previous) {
            Some(children) => Ok(children),
            None => derive.anew(previous),
        },
        None => derive.anew(&ChildrenSpecs::new()),
    }
}

struct Derive<'a> {
    app: &'a Inner,
    scope: &'a Scope<'a>,
}

impl<'a> Derive<'a> {
    /// The previous specs with the changed ones replaced and new ones added at the end; none when names moved.
    ///
    /// This is the derive of a reload: it reads one number per child, and makes what changed.
    fn in_step(&self, previous: &ChildrenSpecs) -> Option<ChildrenSpecs> {
        if self.app.children < previous.len() {
            return None;
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
                        return None;
                    }
                }
                at += 1;
            }
        }
        let mut children = previous.clone();
        for (at, (unit, row)) in changed {
            let spec = Arc::new(unit.make(row, self.app, self.scope));
            match previous.at(at) {
                Some(old) if *old == spec => {}
                Some(_) => children.replace_at(at, spec).ok()?,
                // A name that is taken: the rebuild says by whom.
                None => children.try_add(spec).ok()?,
            }
        }
        Some(children)
    }

    /// All children in order; those that were made from the same keep their specs, wherever they stand now.
    fn anew(&self, previous: &ChildrenSpecs) -> Result<ChildrenSpecs, DeriveError> {
        let mut kept: HashMap<u64, &Arc<_>> = HashMap::with_capacity(previous.len());
        kept.extend(previous.iter().filter(|old| old.fault.is_none()).map(|old| (old.fingerprint, old)));
        let mut children = ChildrenSpecs::with_capacity(self.app.children);
        for (unit, row) in self.places() {
            let spec = match kept.get(&unit.made_from(row, self.scope)) {
                Some(old) => Arc::clone(old),
                None => {
                    let new = Arc::new(unit.make(row, self.app, self.scope));
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
