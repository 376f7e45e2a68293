//! How long a shutdown may take before anything is forced: known before, from the tree alone (S-24).

use std::collections::BTreeMap;
use std::time::Duration;

use fsm_core::{ChildName, NodePath};
use serde::Serialize;

use super::Engine;

/// The longest chain of stops that wait for each other. Everything else stops beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct LongestStop {
    /// If each node of the chain took all of its `stop_timeout`.
    pub takes: Duration,
    /// Who waits for whom: the first one stops first.
    pub chain: Vec<StopOf>,
}

/// A node in that chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StopOf {
    /// Which node.
    pub path: NodePath,
    /// The time that it has to stop.
    pub within: Duration,
}

impl Engine {
    /// The longest chain of stops: a parent waits for its children, a node for the siblings that depend on it. A shutdown with
    /// a shorter deadline may have to force nodes of it.
    #[must_use]
    pub fn longest_stop(&self) -> LongestStop {
        match self.root.filter(|root| self.arena.lives(*root)) {
            Some(root) => self.longest_below(root.index() as u32),
            None => LongestStop::default(),
        }
    }

    /// The chain that ends with this node.
    fn longest_below(&self, index: u32) -> LongestStop {
        let mut longest = LongestStop::default();
        if let Some(supervisor) = self.arena.cold(index).supervisor.as_deref() {
            let living = supervisor.children.values().filter(|id| self.arena.lives(**id));
            let mut chains: BTreeMap<&ChildName, LongestStop> = BTreeMap::new();
            let children: Vec<u32> = living.map(|id| id.index() as u32).collect();
            for child in &children {
                chains.insert(self.arena.cold(*child).name(), self.longest_below(*child));
            }
            for child in &children {
                let chain = self.after_dependents(*child, &children, &chains, children.len());
                if chain.takes > longest.takes || longest.chain.is_empty() {
                    longest = chain;
                }
            }
        }
        let within = self.policy(index).stop_timeout;
        longest.takes += within;
        longest.chain.push(StopOf { path: self.arena.path(index), within });
        longest
    }

    /// The chain of a child, behind that of the slowest sibling that depends on it. Dependencies have no circles; `depth` is a
    /// belt beside these braces.
    fn after_dependents(
        &self,
        child: u32,
        siblings: &[u32],
        chains: &BTreeMap<&ChildName, LongestStop>,
        depth: usize,
    ) -> LongestStop {
        let name = self.arena.cold(child).name();
        let own = chains.get(name).cloned().unwrap_or_default();
        let depends = |sibling: &&u32| {
            self.arena.cold(**sibling).spec.depends_on().iter().any(|dependency| dependency.child == *name)
        };
        let before = siblings
            .iter()
            .filter(depends)
            .filter(|_| depth > 0)
            .map(|sibling| self.after_dependents(*sibling, siblings, chains, depth - 1))
            .max_by_key(|chain| chain.takes);
        let Some(mut before) = before else { return own };
        // Its own children stop beside those that depend on it; only its own stop waits for both.
        let last = own.chain.last().cloned();
        let children = own.takes - last.as_ref().map_or(Duration::ZERO, |stop| stop.within);
        if children > before.takes {
            return own;
        }
        before.takes += last.as_ref().map_or(Duration::ZERO, |stop| stop.within);
        before.chain.extend(last);
        before
    }
}
