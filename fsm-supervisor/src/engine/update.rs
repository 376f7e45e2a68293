//! A living node takes another spec: in place, or by starting over; and what follows from it.

use std::sync::Arc;

use fsm_core::erase::Slot;
use fsm_core::{ChildConfig, ChildSpec, DeriveError, merge};

use super::Engine;
use super::arena::NONE;
use super::create::{note_spec, own_policy};
use super::flags::Flags;

impl Engine {
    /// A living node takes another spec in place.
    pub(super) fn update(&mut self, index: u32, spec: Arc<ChildSpec>) {
        let fault = spec.fault.clone();
        let never_made = self.arena.hot(index).slot == Slot::NONE;
        if never_made && fault.is_none() {
            // There is nothing to keep: the node starts over with its first good spec.
            self.arena.cold_mut(index).spec = spec;
            self.leave(index);
            self.mark(index);
            return;
        }
        if let Some(fault) = fault {
            self.set_invalid(index, DeriveError::clone(&fault));
            let cold = self.arena.cold_mut(index);
            if never_made {
                cold.spec = spec;
            } else {
                // The last good spec goes on.
                cold.trouble.get_or_insert_default().refused = Some(spec);
            }
            self.mark(index);
            return;
        }
        self.touch(index, super::Touched::Updated);
        let enabled_changed = self.arena.cold(index).spec.enabled != spec.enabled;
        self.take_spec(index, spec);
        if enabled_changed {
            // The config has the newer word (S-26).
            self.clear_override(index, "config".into());
        }
        self.forgive(index);
        let hot = self.arena.hot_mut(index);
        hot.flags.set(Flags::DERIVE);
        hot.flags.clear(Flags::HELD);
        self.mark(index);
    }

    /// Its spec changed where a living node can't follow: it leaves, and comes back under the new one. As a new incarnation
    /// if it is of the same kind, so that children added at run time come back with it (S-19); otherwise as another node.
    pub(super) fn start_over(&mut self, index: u32) {
        self.forgive(index);
        self.arena.hot_mut(index).flags.set(Flags::RESTARTING);
        self.leave(index);
        self.mark(index);
    }

    /// A spec and what follows from it: variables and policy.
    pub(super) fn take_spec(&mut self, index: u32, spec: Arc<ChildSpec>) {
        let hot = self.arena.hot(index);
        let (parent, scope) = (hot.parent, hot.scope);
        let base = *self.kinds[hot.kind as usize].policy();
        let policy = own_policy(&spec, Some(base));
        let was_gated = self.arena.hot(index).flags.has(Flags::GATED);
        // Before the flags change: they say whose policy counts.
        let (interval, freshness) = self.rhythm(index);
        let flags = &mut self.arena.hot_mut(index).flags;
        note_spec(flags, &spec, policy.as_deref(), Some(&base));
        let gated = was_gated || flags.has(Flags::GATED);
        if gated
            && let Some(supervisor) = self.arena.cold_if_alive(parent).and_then(|c| c.supervisor.as_mut())
        {
            supervisor.regate = true;
        }
        let inherited =
            if parent == NONE { Arc::default() } else { Arc::clone(&self.arena.cold(parent).variables) };
        let variables = merge(&inherited, &spec.variables);
        let cold = self.arena.cold_mut(index);
        cold.spec = spec;
        cold.policy = policy;
        if let Some(trouble) = &mut cold.trouble {
            trouble.refused = None;
        }
        let (new_interval, new_freshness) = self.rhythm(index);
        if new_freshness != freshness {
            self.check_fresh_anew(index);
        }
        if new_interval != interval
            && self.collects(index)
            && !self.arena.hot(index).flags.has(Flags::COLLECTING)
        {
            // The old rhythm may be far from its next beat.
            self.collect_again(index);
        }
        let cold = self.arena.cold_mut(index);
        if !Arc::ptr_eq(&cold.variables, &variables) && cold.variables != variables {
            cold.variables = variables;
            self.meter.variables(scope);
            self.inherit(index);
        }
    }

    /// Hands changed variables on to the children (S-17).
    pub(super) fn inherit(&mut self, index: u32) {
        let children: Vec<u32> = match &self.arena.cold(index).supervisor {
            Some(supervisor) => supervisor
                .children
                .values()
                .filter(|id| self.arena.lives(**id))
                .map(|id| id.index() as u32)
                .collect(),
            None => return,
        };
        let inherited = Arc::clone(&self.arena.cold(index).variables);
        for child in children {
            let own = Arc::clone(&self.arena.cold(child).spec.variables);
            let variables = merge(&inherited, &own);
            if self.arena.cold(child).variables != variables {
                self.arena.cold_mut(child).variables = variables;
                self.arena.hot_mut(child).flags.set(Flags::DERIVE);
                self.forgive(child);
                self.meter.variables(self.arena.hot(child).scope);
                self.mark(child);
                self.inherit(child);
            }
        }
    }

    /// The root is the one node without a parent to declare it.
    pub(super) fn change_root(&mut self, spec: Arc<ChildSpec>) {
        let typed = self.type_spec(NONE, &spec);
        let Some(root) = self.root.filter(|root| self.arena.lives(*root)) else {
            let spec = Arc::new(typed);
            self.root_spec = Some(Arc::clone(&spec));
            let variables = Arc::clone(&spec.variables);
            self.root = Some(self.plant(NONE, 0, spec, variables, Flags::default()));
            return;
        };
        let index = root.index() as u32;
        let before = Arc::clone(&self.arena.cold(index).spec);
        if *before == typed {
            self.root_spec = Some(before);
            return;
        }
        let replaced = before.kind != typed.kind
            || before.name != typed.name
            || matches!((&typed.config, &before.config), (ChildConfig::Typed(new), ChildConfig::Typed(old))
                if self.kinds[self.arena.hot(index).kind as usize].needs_restart(new.as_ref(), old.as_ref()));
        let spec = Arc::new(typed);
        self.root_spec = Some(Arc::clone(&spec));
        if replaced {
            self.start_over(index);
        } else {
            self.update(index, spec);
        }
    }
}
