//! Infrastructure circuits: while what a node needs can't be reached it is not asked for `next`, and one incident tells why (S-41).

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{Goal, Infrastructure, Moment, NodeId, NodePath, Phase, Reason};
use serde::Serialize;

use super::chance::{chance, jittered};
use super::flags::Flags;
use super::needs::{Circuit, Incident};
use super::{BACK_OFF, BACK_OFF_CAP, Engine};
use crate::effect::Effect;
use crate::event::EventKind;

/// A peer that has not taken a connection after this long is not there: three lost packets fit in.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// So many failed probes in a row call for people.
const ESCALATION: u32 = 5;
/// What they read then.
const RUNBOOK: &str = "docs/runbooks/infrastructure-incident.md";

/// Something that nodes need and that can't be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IncidentView {
    /// What they need, such as `mqtt://10.0.0.5:1883`.
    pub key: Arc<str>,
    /// Since when it can't be reached.
    pub since: Moment,
    /// What the last probe said.
    pub error: Arc<str>,
    /// Failed probes in a row.
    pub probes: u32,
    /// When it is probed again, at the latest.
    pub next_probe: Option<Moment>,
    /// Who needs it.
    pub nodes: Vec<NodePath>,
}

impl Engine {
    /// What nodes need and can't reach, in the order in which it was needed first.
    #[must_use]
    pub fn incidents(&self) -> Vec<IncidentView> {
        let view = |circuit: &Circuit| {
            let incident = circuit.incident.as_ref()?;
            let users = circuit.users.iter().filter(|node| self.arena.lives(**node));
            Some(IncidentView {
                key: Arc::clone(&circuit.infrastructure.key),
                since: incident.since,
                error: Arc::clone(&incident.error),
                probes: circuit.failures,
                next_probe: circuit.due(),
                nodes: users.map(|node| self.arena.path(node.index() as u32)).collect(),
            })
        };
        self.needs.circuits().filter_map(view).collect()
    }

    /// A node's desired state says what it needs.
    pub(super) fn note_need(&mut self, index: u32, infrastructure: Option<Infrastructure>) {
        let node = self.arena.id(index);
        if self.needs.key_of(node) == infrastructure.as_ref().map(|infrastructure| &infrastructure.key) {
            return;
        }
        self.forget_need(node);
        if let Some(infrastructure) = infrastructure
            && self.needs.need(node, infrastructure)
        {
            self.cut_off(index, true);
        }
    }

    /// The node is cut off, or not any more.
    fn cut_off(&mut self, index: u32, is_cut_off: bool) {
        let hot = self.arena.hot_mut(index);
        if hot.flags.has(Flags::CUT_OFF) != is_cut_off {
            hot.flags.put(Flags::CUT_OFF, is_cut_off);
            let scope = hot.scope;
            self.meter.infrastructure(scope, is_cut_off);
            self.refresh(index);
        }
    }

    /// A node needs nothing any more. It may be about to leave: its scope is there still.
    pub(super) fn forget_need(&mut self, node: NodeId) {
        let Some(key) = self.needs.key_of(node).map(Arc::clone) else { return };
        let index = node.index() as u32;
        let scope = self.arena.hot(index).scope;
        self.cut_off(index, false);
        match self.needs.leave(node) {
            Some(Circuit { incident: Some(incident), .. }) => {
                self.meter.incident(incident.scope, false);
                let down = self.now.since(incident.since);
                self.emit(index, EventKind::IncidentClosed { key, down, recovered: false });
            }
            Some(_) => {}
            None => {
                // Another node has to stand for it in the metrics.
                let arena = &self.arena;
                let Some(circuit) = self.needs.get_mut(&key) else { return };
                let heir = circuit.users.iter().find(|user| arena.lives(**user));
                let heir = heir.map(|user| arena.hot(user.index() as u32).scope);
                if let (Some(incident), Some(heir)) =
                    (circuit.incident.as_mut().filter(|incident| incident.scope == scope), heir)
                {
                    incident.scope = heir;
                    self.meter.incident(scope, false);
                    self.meter.incident(heir, true);
                }
            }
        }
    }

    /// Something went wrong with a node: perhaps what it needs is not there.
    pub(super) fn suspect(&mut self, index: u32) {
        self.needs.suspect(self.arena.id(index), self.now, false);
    }

    /// An operator asks to look again.
    pub(super) fn probe_now(&mut self, index: u32) {
        if self.arena.hot(index).flags.has(Flags::CUT_OFF) {
            self.needs.suspect(self.arena.id(index), self.now, true);
        }
    }

    pub(super) fn start_probes(&mut self) {
        for (infrastructure, number) in self.needs.start(self.now) {
            self.pending.push(Effect::Probe { infrastructure, number, timeout: PROBE_TIMEOUT });
        }
    }

    /// A probe ended.
    pub(super) fn probed(&mut self, key: &str, number: u64, result: Result<(), Arc<str>>) {
        let now = self.now;
        let Some(circuit) = self.needs.ended(key, number, now) else { return };
        match result {
            Ok(()) => {
                circuit.failures = 0;
                let incident = circuit.incident.take();
                self.reachable(key, incident);
            }
            Err(error) => {
                circuit.failures = circuit.failures.saturating_add(1);
                let failures = circuit.failures;
                match &mut circuit.incident {
                    Some(incident) => incident.error = error,
                    None => self.open_incident(key, error),
                }
                self.escalate(key, failures);
                let chance = chance(self.config.seed, key, u64::from(failures));
                let wait = jittered(failures, BACK_OFF, BACK_OFF_CAP, chance);
                self.needs.probe_at(key, now + wait);
            }
        }
    }

    fn reachable(&mut self, key: &str, incident: Option<Incident>) {
        let users = self.users(key);
        if let Some(incident) = incident {
            let down = self.now.since(incident.since);
            self.meter.incident(incident.scope, false);
            self.meter.infrastructure_recovered(incident.scope, down);
            if let Some(first) = users.first() {
                self.emit(*first, EventKind::IncidentClosed { key: Arc::from(key), down, recovered: true });
            }
            for index in &users {
                self.cut_off(*index, false);
                self.mark(*index);
            }
        }
        let in_trouble = |index: &u32| {
            let hot = self.arena.hot(*index);
            hot.goal == Goal::Run && (hot.effective == Phase::Degraded || hot.flags.has(Flags::TROUBLED))
        };
        if users.iter().any(in_trouble) {
            self.needs.watch(key, self.now);
        }
    }

    fn open_incident(&mut self, key: &str, error: Arc<str>) {
        let users = self.users(key);
        let Some(first) = users.first().copied() else { return };
        let scope = self.arena.hot(first).scope;
        let nodes = users.len();
        if let Some(circuit) = self.needs.get_mut(key) {
            circuit.incident = Some(Incident { since: self.now, error: Arc::clone(&error), scope });
        }
        self.meter.incident(scope, true);
        self.emit(first, EventKind::IncidentOpened { key: Arc::from(key), error, nodes });
        for index in users {
            self.cut_off(index, true);
            // So that its reason names the incident.
            self.mark(index);
        }
    }

    fn escalate(&mut self, key: &str, probes: u32) {
        if probes != ESCALATION {
            return;
        }
        let Some(incident) = self.needs.get_mut(key).and_then(|circuit| circuit.incident.as_ref()) else {
            return;
        };
        let (down, scope, error) =
            (self.now.since(incident.since), incident.scope, Arc::clone(&incident.error));
        self.meter.escalated(scope);
        let Some(first) = self.users(key).first().copied() else { return };
        let key = Arc::from(key);
        self.emit(first, EventKind::IncidentEscalated { key, error, down, probes, runbook: RUNBOOK });
    }

    /// Why a node is cut off.
    pub(super) fn cut_off_reason(&self, index: u32) -> Reason {
        match self.needs.circuit_of(self.arena.id(index)).and_then(|c| Some((c, c.incident.as_ref()?))) {
            Some((circuit, incident)) => Reason::from((
                "incident: {} can't be reached: {}",
                Arc::clone(&circuit.infrastructure.key),
                Arc::clone(&incident.error),
            )),
            None => Reason::new("incident: what it needs can't be reached"),
        }
    }

    /// When what a cut-off node needs is probed again.
    pub(super) fn next_probe(&self, index: u32) -> Option<Moment> {
        if !self.arena.hot(index).flags.has(Flags::CUT_OFF) {
            return None;
        }
        let circuit = self.needs.circuit_of(self.arena.id(index))?;
        // A probe under way ends within its timeout.
        Some(circuit.due().unwrap_or(self.now + PROBE_TIMEOUT))
    }

    /// The living nodes that need this.
    fn users(&mut self, key: &str) -> Vec<u32> {
        let arena = &self.arena;
        let Some(circuit) = self.needs.get_mut(key) else { return Vec::new() };
        circuit.users.iter().filter(|node| arena.lives(**node)).map(|node| node.index() as u32).collect()
    }
}
