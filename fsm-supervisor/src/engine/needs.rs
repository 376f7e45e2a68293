//! Who needs what of the outside world, and how what is needed fares: one probe per key, however many need it (S-41).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{Infrastructure, Moment, NodeId};
use fsm_metrics::ScopeId;
use indexmap::IndexMap;

/// A suspicion asks for a probe at once, but no sooner than this after the last one.
const SOONEST: Duration = Duration::from_secs(1);
/// What answers its probes while somebody who needs it is in trouble is probed at this pace: it may fail next.
const WATCHED: Duration = Duration::from_secs(60);

/// All that is needed, by key, in the order in which it was needed first.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    by_key: IndexMap<Arc<str>, Circuit>,
    of: BTreeMap<NodeId, Arc<str>>,
    /// The earliest probe that is due.
    next: Option<Moment>,
    probes: u64,
}

/// One shared need.
#[derive(Debug)]
pub(crate) struct Circuit {
    /// As the first node that needs it says.
    pub(crate) infrastructure: Infrastructure,
    pub(crate) users: BTreeSet<NodeId>,
    pub(crate) incident: Option<Incident>,
    /// Failed probes in a row.
    pub(crate) failures: u32,
    /// The number of the probe under way.
    running: Option<u64>,
    due: Option<Moment>,
    /// No suspicion asks for a probe before this.
    rests_until: Moment,
}

/// It can't be reached.
#[derive(Debug, Clone)]
pub(crate) struct Incident {
    pub(crate) since: Moment,
    pub(crate) error: Arc<str>,
    /// Where it is counted.
    pub(crate) scope: ScopeId,
}

impl Needs {
    /// A node needs this from now on; says whether an incident is open.
    pub(crate) fn need(&mut self, node: NodeId, infrastructure: Infrastructure) -> bool {
        let key = Arc::clone(&infrastructure.key);
        let circuit = self.by_key.entry(Arc::clone(&key)).or_insert_with(|| Circuit {
            infrastructure,
            users: BTreeSet::new(),
            incident: None,
            failures: 0,
            running: None,
            due: None,
            rests_until: Moment::ZERO,
        });
        circuit.users.insert(node);
        let is_down = circuit.incident.is_some();
        self.of.insert(node, key);
        is_down
    }

    /// The key of what a node needs.
    pub(crate) fn key_of(&self, node: NodeId) -> Option<&Arc<str>> {
        self.of.get(&node)
    }

    /// What a node needs.
    pub(crate) fn circuit_of(&self, node: NodeId) -> Option<&Circuit> {
        self.by_key.get(self.of.get(&node)?)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Circuit> {
        self.by_key.get_mut(key)
    }

    /// All that is needed.
    pub(crate) fn circuits(&self) -> impl Iterator<Item = &Circuit> {
        self.by_key.values()
    }

    /// A node needs nothing any more: what it needed, where nobody else does.
    pub(crate) fn leave(&mut self, node: NodeId) -> Option<Circuit> {
        let key = self.of.remove(&node)?;
        let circuit = self.by_key.get_mut(&key)?;
        circuit.users.remove(&node);
        if !circuit.users.is_empty() {
            return None;
        }
        let gone = self.by_key.shift_remove(&key);
        self.reckon();
        gone
    }

    /// Somebody who needs this is in trouble, or an operator asks: it is probed soon.
    pub(crate) fn suspect(&mut self, node: NodeId, now: Moment, at_once: bool) {
        let Some(circuit) = self.of.get(&node).and_then(|key| self.by_key.get_mut(key)) else { return };
        if circuit.running.is_some() || circuit.incident.is_some() && !at_once {
            return;
        }
        let at = if at_once { now } else { now.max(circuit.rests_until) };
        circuit.due = Some(circuit.due.map_or(at, |due| due.min(at)));
        self.reckon();
    }

    /// When the next probe is due.
    pub(crate) const fn next(&self) -> Option<Moment> {
        self.next
    }

    /// Starts the probes that are due: what to probe, and the number of the probe.
    pub(crate) fn start(&mut self, now: Moment) -> Vec<(Infrastructure, u64)> {
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let mut started = Vec::new();
        for circuit in self.by_key.values_mut().filter(|circuit| circuit.due.is_some_and(|due| due <= now)) {
            self.probes += 1;
            circuit.due = None;
            circuit.running = Some(self.probes);
            started.push((circuit.infrastructure.clone(), self.probes));
        }
        self.reckon();
        started
    }

    /// The circuit that this probe was started for; none when nobody needs it any more, or not in the same way.
    pub(crate) fn ended(&mut self, key: &str, number: u64, now: Moment) -> Option<&mut Circuit> {
        let circuit = self.by_key.get_mut(key).filter(|circuit| circuit.running == Some(number))?;
        circuit.running = None;
        circuit.rests_until = now + SOONEST;
        Some(circuit)
    }

    /// It answered, and somebody who needs it is in trouble all the same: it is looked after.
    pub(crate) fn watch(&mut self, key: &str, now: Moment) {
        self.probe_at(key, now + WATCHED);
    }

    /// It is probed at this moment.
    pub(crate) fn probe_at(&mut self, key: &str, at: Moment) {
        if let Some(circuit) = self.by_key.get_mut(key) {
            circuit.due = Some(at);
            self.reckon();
        }
    }

    fn reckon(&mut self) {
        self.next = self.by_key.values().filter_map(|circuit| circuit.due).min();
    }
}

impl Circuit {
    /// When it is probed again, if that is booked.
    pub(crate) const fn due(&self) -> Option<Moment> {
        self.due
    }
}
