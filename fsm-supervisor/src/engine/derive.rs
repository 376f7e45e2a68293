//! A node's desired state: derived when an input changed, kept when it can't be.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use fsm_core::erase::{DynDesired, ErasedConfig, Slot};
use fsm_core::{
    ChildConfig, DeriveContext, DeriveError, DeriveErrorKind, OnChange, RenderObserver, VariableBundle,
};

use super::flags::Flags;
use super::{BACK_OFF, BACK_OFF_CAP, Engine, Stopwatch};
use crate::effect::What;
use crate::event::EventKind;

/// Collects how long each render of a derive took.
struct Renders<'a> {
    stopwatch: &'a dyn Stopwatch,
    seen: RefCell<Vec<(Duration, Option<DeriveErrorKind>)>>,
}

impl RenderObserver for Renders<'_> {
    fn start(&self) -> Duration {
        Duration::from_nanos(self.stopwatch.nanos())
    }
    fn rendered(&self, took: Duration, error: Option<DeriveErrorKind>) {
        self.seen.borrow_mut().push((took, error));
    }
}

impl Engine {
    /// Runs the worker's derive and takes what it gives; an error keeps the last good desired state.
    pub(super) fn derive(&mut self, index: u32, stopwatch: &dyn Stopwatch) {
        let flags = self.arena.hot(index).flags;
        if self.arena.hot(index).slot == Slot::NONE || flags.has(Flags::PANIC_OPEN) {
            return;
        }
        self.arena.hot_mut(index).flags.clear(Flags::DERIVE);
        let Some(config) = self.typed_config(index) else { return };
        let cold = self.arena.cold(index);
        let variables = VariableBundle {
            user: Arc::clone(&cold.variables),
            global: Arc::clone(&self.global),
            internal: self.identity(index).internal(),
        };
        let kind = &self.kinds[self.arena.hot(index).kind as usize];
        let previous = cold.supervisor.as_ref().map(|s| &s.specs);
        let renders = Renders { stopwatch, seen: RefCell::default() };
        let context = DeriveContext::new(&variables, previous, &renders);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let desired = kind.derive(&config, &variables, &context)?;
            let need = kind.infrastructure(desired.config.as_ref());
            Ok((desired, need))
        }));
        let scope = self.arena.hot(index).scope;
        for (took, error) in renders.seen.take() {
            self.meter.render(scope, took, error);
        }
        match result {
            Ok(Ok((desired, need))) => {
                self.take_desired(index, desired);
                self.note_need(index, need);
            }
            Ok(Err(error)) => self.refuse_desired(index, error),
            Err(panic) => self.panicked(index, "derive", &*panic),
        }
    }

    fn typed_config(&self, index: u32) -> Option<Arc<dyn ErasedConfig>> {
        match &self.arena.cold(index).spec.config {
            ChildConfig::Typed(config) => Some(Arc::clone(config)),
            ChildConfig::Raw(_) => None,
        }
    }

    fn take_desired(&mut self, index: u32, desired: DynDesired) {
        let hot = self.arena.hot(index);
        let (kind, slot, first) = (hot.kind as usize, hot.slot, !hot.flags.has(Flags::DERIVED));
        let before = self.kinds[kind].config(slot);
        let same_config = std::ptr::addr_eq(Arc::as_ptr(&before), Arc::as_ptr(&desired.config))
            || before.same(desired.config.as_ref());
        let changed = !same_config || self.arena.cold(index).target != desired.state;
        if !same_config {
            self.kinds[kind].set_config(slot, &desired.config);
        }
        if changed && !first {
            self.touch(index, super::Touched::Updated);
        }
        if changed || first {
            let cold = self.arena.cold_mut(index);
            cold.target = desired.state;
            if !first {
                cold.desired = cold.desired.next();
            }
            let generation = cold.desired;
            self.persist(index, What::Desired { generation, config: desired.config });
            self.desired_changed(index, first);
        }
        self.arena.hot_mut(index).flags.set(Flags::DERIVED);
        if self.arena.cold(index).trouble.as_ref().is_none_or(|t| t.refused.is_none()) {
            self.clear_invalid(index);
        }
        self.take_specs(index, desired.children_specs);
        self.refresh(index);
        // The target may hold or release this node.
        self.aim(index);
    }

    /// A desired state changed under a running node: what was seen and asked for under the old one is looked at again.
    fn desired_changed(&mut self, index: u32, first: bool) {
        if first {
            return;
        }
        if self.arena.hot(index).flags.has(Flags::ACTING) {
            let name =
                self.arena.cold(index).activity.as_ref().and_then(|a| a.running.as_ref()).map(|r| r.name);
            let on_change = name.map(|name| self.policy(index).action(name).on_change);
            if matches!(on_change, Some(OnChange::Cancel | OnChange::Supersede)) {
                self.cancel_action(index);
            }
        }
        self.arena.hot_mut(index).flags.set(Flags::OUTDATED);
        if self.collects(index) {
            self.collect_again(index);
        } else {
            self.stop_collecting(index);
        }
    }

    fn refuse_desired(&mut self, index: u32, error: DeriveError) {
        let now = self.now;
        let trouble = self.arena.cold_mut(index).trouble.get_or_insert_default();
        trouble.derive_failures += 1;
        let failures = trouble.derive_failures;
        let at = now + self.back_off(index, failures, BACK_OFF, BACK_OFF_CAP);
        self.arena.cold_mut(index).trouble.get_or_insert_default().derive_retry = Some(at);
        self.wake_by(index, at);
        self.set_invalid(index, error);
    }

    /// Shows a node as invalid with this error.
    pub(super) fn set_invalid(&mut self, index: u32, error: DeriveError) {
        let text = fsm_core::chain(&error);
        let trouble = self.arena.cold_mut(index).trouble.get_or_insert_default();
        let news = trouble.invalid.as_deref() != Some(&error);
        trouble.invalid = Some(Arc::new(error));
        self.arena.hot_mut(index).flags.set(Flags::INVALID);
        if news {
            self.emit(index, EventKind::TemplateError { error: text });
        }
        self.refresh(index);
    }

    pub(super) fn clear_invalid(&mut self, index: u32) {
        if self.arena.hot_mut(index).flags.take(Flags::INVALID) {
            if let Some(trouble) = &mut self.arena.cold_mut(index).trouble {
                trouble.invalid = None;
                trouble.derive_retry = None;
                trouble.derive_failures = 0;
            }
            self.refresh(index);
        }
    }
}
