//! What the engine counts while it works: plain fields per kind, handed to the metrics once per tick (M-2).

use std::time::Duration;

use fsm_core::erase::{DynWorker, StateIndex};
use fsm_core::{DeriveErrorKind, Phase};

use crate::engine::TickReport;
use crate::plan::ReconcilePlan;

/// How a reconcile ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reconciled {
    Unchanged,
    Applied,
    Partial,
}

/// What a collection gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    Changed,
    Unchanged,
    Error,
    Timeout,
}

/// Counters of the engine.
#[derive(Debug, Default)]
pub struct Meter {}

impl Meter {
    pub(crate) fn new(_kinds: &[Box<dyn DynWorker>]) -> Self {
        Self::default()
    }
    pub(crate) fn tick(&mut self, _report: &TickReport, _nodes: usize) {}
    pub(crate) fn overrun(&mut self) {}
    pub(crate) fn render(&mut self, _kind: u16, _took: Duration, _error: Option<DeriveErrorKind>) {}
    pub(crate) fn reconcile(&mut self, _kind: u16, _result: Reconciled, _nanos: u64, _plan: &ReconcilePlan) {}
    pub(crate) fn child_count(&mut self, _kind: u16, _by: i64) {}
    pub(crate) fn size(&mut self, _depth: u16, _by: i64) {}
    pub(crate) fn variables(&mut self, _kind: u16) {}
    pub(crate) fn enter(&mut self, _kind: u16, _state: StateIndex) {}
    pub(crate) fn leave(&mut self, _kind: u16, _state: StateIndex) {}
    pub(crate) fn transition(&mut self, _kind: u16, _from: StateIndex, _to: StateIndex, _after: Duration) {}
    pub(crate) fn health(&mut self, _kind: u16, _phase: Phase) {}
    pub(crate) fn observation(&mut self, _kind: u16, _looked: Looked, _took: Duration) {}
    pub(crate) fn stale(&mut self, _kind: u16) {}
    pub(crate) fn collector_restart(&mut self, _kind: u16) {}
    pub(crate) fn action_queued(&mut self, _kind: u16, _name: &'static str) {}
    pub(crate) fn panic(&mut self, _kind: u16, _place: &'static str, _text: &str) {}
    pub(crate) fn circuit(&mut self, _kind: u16, _by: i64) {}
    pub(crate) fn restart(&mut self, _kind: u16, _cause: &'static str, _spent: bool) {}
    pub(crate) fn stop_timeout(&mut self, _kind: u16) {}
    pub(crate) fn spread(&mut self, _kind: u16, _depth: u16, _nanos: u64) {}
}
