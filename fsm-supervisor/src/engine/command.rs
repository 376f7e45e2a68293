//! What operators ask for.

use std::sync::Arc;

use fsm_core::erase::Slot;
use fsm_core::{ChildName, ChildSpec, NodePath};

use super::Engine;
use super::arena::Supervisor;
use super::flags::Flags;
use crate::cycles::cycle_among;
use crate::effect::What;
use crate::event::EventKind;
use crate::input::{Command, CommandError};

impl Engine {
    pub(super) fn command(&mut self, command: Command) -> Result<(), CommandError> {
        match command {
            Command::Stop { path, who } => self.override_stop(&path, who),
            Command::Start { path, who } => self.override_start(&path, who),
            Command::Restart { path, who } => {
                let index = self.asked(&path, who, "restart")?;
                self.forgive(index);
                self.restart(index, fsm_metrics::RestartCause::Command);
                if let Some(trouble) = &mut self.arena.cold_mut(index).trouble {
                    // An operator who asks for it waits for no back-off and is not charged.
                    trouble.restart_at = None;
                    trouble.restarts.clear();
                    trouble.streak = 0;
                    trouble.spent = false;
                }
                Ok(())
            }
            Command::Retry { path, who } => {
                let index = self.asked(&path, who, "retry")?;
                self.retry(index);
                Ok(())
            }
            Command::Collect { path } => {
                let index = self.find(&path)?;
                if !self.collects(index) {
                    return Err(CommandError::NotNow {
                        path,
                        why: "nothing is collected from it at present",
                    });
                }
                self.collect_again(index);
                Ok(())
            }
            Command::Act { path, action, who } => {
                let index = self.asked(&path, who, action.name())?;
                self.act_on_request(index, action)
            }
            Command::CancelAction { path, action, who } => {
                let index = self.asked(&path, who, "cancel action")?;
                if self.acting(&path) != Some(action) {
                    return Err(CommandError::NotNow { path, why: "that action is not in flight any more" });
                }
                self.cancel_action(index);
                Ok(())
            }
            Command::Upsert { parent, spec, who } => self.upsert(&parent, &spec, who),
            Command::Delete { parent, name, who } => self.delete(&parent, &name, who),
            Command::Shutdown { within } => {
                self.shut_down(within);
                Ok(())
            }
            Command::Force => {
                self.force_all();
                Ok(())
            }
        }
    }

    /// The living node at this path.
    pub(super) fn find(&self, path: &NodePath) -> Result<u32, CommandError> {
        self.root
            .filter(|root| self.arena.lives(*root))
            .and_then(|root| self.arena.find(root.index() as u32, path))
            .filter(|index| self.arena.hot(*index).incarnation.get() != 0)
            .ok_or_else(|| CommandError::NoSuchNode { path: path.clone() })
    }

    fn asked(&mut self, path: &NodePath, who: Arc<str>, what: &str) -> Result<u32, CommandError> {
        let index = self.find(path)?;
        self.emit(index, EventKind::Command { who, what: Arc::from(what) });
        Ok(index)
    }

    fn override_stop(&mut self, path: &NodePath, who: Arc<str>) -> Result<(), CommandError> {
        let index = self.asked(path, Arc::clone(&who), "stop")?;
        self.arena.cold_mut(index).trouble.get_or_insert_default().stopped_by = Some(Arc::clone(&who));
        self.persist(index, What::Override { stopped_by: Some(Arc::clone(&who)) });
        self.emit(index, EventKind::OverrideSet { who });
        self.aim(index);
        self.mark(index);
        Ok(())
    }

    fn override_start(&mut self, path: &NodePath, who: Arc<str>) -> Result<(), CommandError> {
        let index = self.asked(path, Arc::clone(&who), "start")?;
        self.clear_override(index, who);
        Ok(())
    }

    pub(super) fn clear_override(&mut self, index: u32, who: Arc<str>) {
        let stopped = self.arena.cold_mut(index).trouble.as_mut().and_then(|t| t.stopped_by.take());
        if stopped.is_some() {
            self.persist(index, What::Override { stopped_by: None });
            self.emit(index, EventKind::OverrideCleared { who });
            self.aim(index);
            self.mark(index);
        }
    }

    fn retry(&mut self, index: u32) {
        self.forgive(index);
        self.probe_now(index);
        self.arena.hot_mut(index).flags.set(Flags::DERIVE);
        self.aim(index);
        if self.collects(index) {
            self.collect_again(index);
        }
        self.mark(index);
    }

    fn upsert(&mut self, parent: &NodePath, spec: &ChildSpec, who: Arc<str>) -> Result<(), CommandError> {
        let index = self.find(parent)?;
        let path = parent.join(&spec.name);
        if self.leaves(index) || self.arena.hot(index).slot == Slot::NONE {
            return Err(CommandError::NotNow { path, why: "its parent is leaving or can't be made" });
        }
        let typed = self.type_spec(index, spec);
        if let Some(fault) = &typed.fault {
            return Err(CommandError::BadSpec { path, why: fsm_core::chain(&**fault) });
        }
        let supervisor = self.arena.cold_mut(index).supervisor.get_or_insert_default();
        if supervisor.specs.get(spec.name.as_str()).is_some() {
            return Err(CommandError::Declared { path });
        }
        if let Some(why) = dependency_fault(supervisor, spec) {
            return Err(CommandError::BadSpec { path, why: why.into() });
        }
        let typed = Arc::new(typed);
        let present = supervisor.children.get(spec.name.as_str()).copied();
        let before = supervisor.dynamic.insert(spec.name.clone(), Arc::clone(&typed));
        if before.is_none_or(|before| *before != *typed) {
            self.persist_dynamic(index);
        }
        self.emit(index, EventKind::Command { who, what: format!("upsert {}", spec.name).into() });
        match present.filter(|id| self.arena.lives(*id)).map(|id| id.index() as u32) {
            Some(child) if self.arena.hot(child).flags.has(Flags::LEAVING) => {}
            Some(child) if *self.arena.cold(child).spec == *typed => {}
            Some(child)
                if self.arena.cold(child).spec.kind != typed.kind
                    || self.needs_restart(&typed, &self.arena.cold(child).spec) =>
            {
                self.start_over(child);
            }
            Some(child) => {
                self.update(child, typed);
                // It may have another dependency now.
                self.arena.hot_mut(index).flags.set(Flags::MEMBERS);
                self.mark(index);
            }
            None => {
                self.arena.hot_mut(index).flags.set(Flags::MEMBERS);
                self.mark(index);
            }
        }
        Ok(())
    }

    fn delete(&mut self, parent: &NodePath, name: &ChildName, who: Arc<str>) -> Result<(), CommandError> {
        let index = self.find(parent)?;
        let path = parent.join(name);
        let supervisor = self.arena.cold_mut(index).supervisor.as_mut();
        let Some(supervisor) = supervisor else { return Err(CommandError::NoSuchNode { path }) };
        if supervisor.dynamic.shift_remove(name).is_none() {
            return Err(if supervisor.specs.get(name.as_str()).is_some() {
                CommandError::Declared { path }
            } else {
                CommandError::NoSuchNode { path }
            });
        }
        let child = supervisor.children.get(name).copied().filter(|id| self.arena.lives(*id));
        self.persist_dynamic(index);
        self.emit(index, EventKind::Command { who, what: format!("delete {name}").into() });
        if let Some(child) = child {
            self.leave(child.index() as u32);
        }
        Ok(())
    }
}

/// Whom a child added at run time can't wait for: nobody, or somebody that waits for it. Declared children never wait for
/// one of these, so only they can make a circle.
fn dependency_fault(supervisor: &Supervisor, spec: &ChildSpec) -> Option<String> {
    let is_there = |name: &ChildName| {
        *name == spec.name || supervisor.children.contains_key(name) || supervisor.dynamic.contains_key(name)
    };
    if let Some(unknown) = spec.depends_on().iter().find(|d| !is_there(&d.child)) {
        return Some(format!("depends_on: there is no sibling `{}` to depend on", unknown.child));
    }
    let edges = |name: &ChildName| {
        let of = if *name == spec.name { Some(spec) } else { supervisor.dynamic.get(name).map(|s| &**s) };
        of.map_or_else(Vec::new, |s| s.depends_on().iter().map(|d| d.child.clone()).collect())
    };
    let cycle = cycle_among(std::iter::once(spec.name.clone()), edges)?;
    let names: Vec<&str> = cycle.iter().map(ChildName::as_str).collect();
    Some(format!("depends_on: these wait for each other: {}", names.join(" → ")))
}
