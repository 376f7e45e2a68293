//! The invariants that hold after every step of every test.

use std::collections::{BTreeMap, BTreeSet};

use fsm_core::{Goal, Incarnation, Moment, NodeId, Phase};
use fsm_supervisor::{Effect, Engine, TreeEntry};

use crate::rig::{Job, Rig};

/// The tree as it was after a tick.
#[derive(Default)]
pub(crate) struct Tree {
    entries: Vec<TreeEntry>,
    paths: BTreeMap<Incarnation, String>,
}

impl Tree {
    pub(crate) fn of(engine: &Engine) -> Self {
        let entries = engine.tree();
        let paths = entries.iter().map(|e| (e.incarnation, e.path.to_string())).collect();
        Self { entries, paths }
    }

    /// The path that this incarnation lives at.
    pub(crate) fn path_of(&self, node: NodeId) -> Option<String> {
        self.paths.get(&node.incarnation()).cloned()
    }
}

/// J2, J3, I8: what a tick wants done is for living nodes, and one of a sort at a time.
pub(crate) fn effects(rig: &Rig, effects: &[Effect]) {
    let mut running: BTreeMap<(NodeId, bool), usize> = BTreeMap::new();
    for job in rig.jobs.values() {
        match job {
            Job::Collect { node, .. } => *running.entry((*node, true)).or_default() += 1,
            Job::Act { node, .. } => *running.entry((*node, false)).or_default() += 1,
            Job::Started { .. } | Job::Probe { .. } => {}
        }
    }
    for (place, effect) in effects.iter().enumerate() {
        match effect {
            Effect::Collect { node, .. } => {
                lives(rig, *node, &effects[place..]);
                let count = running.entry((*node, true)).or_default();
                *count += 1;
                assert!(*count == 1, "I8: two collectors of one node\n{}", rig.show());
            }
            Effect::Execute { node, identity, .. } => {
                lives(rig, *node, &effects[place..]);
                let count = running.entry((*node, false)).or_default();
                *count += 1;
                assert!(*count == 1, "J2: two actions of {}\n{}", identity.path, rig.show());
            }
            Effect::CancelCollect { node } => {
                running.remove(&(*node, true));
            }
            Effect::End { node } => {
                running.remove(&(*node, true));
                running.remove(&(*node, false));
            }
            Effect::Cancel { .. } | Effect::Probe { .. } | Effect::Persist(_) | Effect::Emit(_) => {}
            _ => unreachable!("every effect is checked"),
        }
    }
    for (node, _) in running.keys() {
        let alive = rig.tree.path_of(*node).is_some();
        assert!(alive, "A-10: a job of a node that is gone goes on\n{}", rig.show());
    }
}

fn lives(rig: &Rig, node: NodeId, rest: &[Effect]) {
    let ends = rest.iter().any(|effect| matches!(effect, Effect::End { node: of } if *of == node));
    assert!(ends || rig.tree.path_of(node).is_some(), "J3: a node that is gone acts\n{}", rig.show());
}

/// J1, J4, S-35 and S-51 in the tree as a whole.
pub(crate) fn tree(rig: &Rig) {
    let entries = &rig.tree.entries;
    assert_eq!(entries.len(), rig.engine.len(), "every living node is in the tree\n{}", rig.show());
    assert_eq!(entries.len(), rig.tree.paths.len(), "J1: an incarnation lives once\n{}", rig.show());
    let mut by_path: BTreeMap<&str, &TreeEntry> = BTreeMap::new();
    let mut counts: BTreeMap<String, [u32; 4]> = BTreeMap::new();
    for entry in entries {
        let other = by_path.insert(entry.path.as_str(), entry);
        assert!(other.is_none(), "J1: two nodes at {}\n{}", entry.path, rig.show());
        if let Some(parent) = entry.path.parent() {
            let place = match entry.phase {
                Phase::Running => 0,
                Phase::Stopped => 1,
                Phase::Completed => 2,
                Phase::Starting | Phase::Degraded | Phase::Stopping => 3,
            };
            counts.entry(parent.to_string()).or_default()[place] += 1;
        }
    }
    for (path, expected) in counts {
        let children = rig.node(&path).children;
        let counted = [children.healthy, children.stopped, children.completed, children.degraded];
        assert_eq!(counted, expected, "the counters of {path} drift\n{}", rig.show());
    }
    let at_work: BTreeSet<Incarnation> =
        rig.jobs.values().filter_map(Job::node).map(NodeId::incarnation).collect();
    for entry in entries {
        assert!(!entry.reason.is_empty(), "J4: {} has no reason\n{}", entry.path, rig.show());
        looked_at(rig, entry, &by_path, &at_work);
    }
    for event in &rig.events {
        assert_ne!(event.kind.name(), "purity_violation", "{event:?}\n{}", rig.show());
    }
}

/// J4: who is not where it should be is looked at again.
fn looked_at(
    rig: &Rig,
    entry: &TreeEntry,
    by_path: &BTreeMap<&str, &TreeEntry>,
    at_work: &BTreeSet<Incarnation>,
) {
    let there = match entry.goal {
        Goal::Run => matches!(entry.phase, Phase::Running | Phase::Completed),
        Goal::Stop => matches!(entry.phase, Phase::Stopped | Phase::Completed),
        Goal::Remove => false,
    };
    if there
        || at_work.contains(&entry.incarnation)
        || entry.invalid && entry.state.is_empty() && entry.goal != Goal::Remove
    {
        // One that was never made waits for another spec.
        return;
    }
    let due_now = rig.engine.next_wake().is_some_and(|wake| wake <= rig.now);
    let node = rig.node(entry.path.as_str());
    let prefix = format!("{}/", entry.path);
    let child_awaited = by_path
        .range(prefix.as_str()..)
        .take_while(|(path, _)| path.starts_with(&prefix))
        .any(|(_, child)| child.goal != Goal::Stop || child.phase != Phase::Stopped);
    let waits_for_sibling = entry.reason.contains("depends on it");
    let held = entry.reason.contains("held by its config") || entry.reason.contains("are well");
    let looked = node.next_look.is_some_and(|at| at != Moment::FAR);
    assert!(
        due_now || looked || child_awaited || waits_for_sibling || held,
        "J4: nobody looks at {} again ({:?})\n{}",
        entry.path,
        node.next_look,
        rig.show()
    );
}
