//! When the tree is as the config wants it, and what is not.
//!
//! Ready means converged. A node that runs has to run well (effective phase Running) or be done (Completed). One that rests
//! must do so because the config, its parent's state or an operator says so: a node that waits for a sibling or for its next
//! restart is wanted and not there. One that stops or leaves is under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fsm_core::{Goal, NodePath, Phase, StartWhen};
use fsm_supervisor::TreeEntry;

use super::problem::Waiting;
use crate::config::{Rendered, RenderedNode};

/// What the config wants of each node.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    nodes: HashMap<NodePath, Want>,
    /// The tree was told so. Before that it is the tree of another config, whatever it looks like.
    applied: AtomicBool,
}

#[derive(Debug, PartialEq)]
enum Want {
    Run,
    /// In these states of its parent.
    RunWhile(Arc<StartWhen>),
    Rest,
}

impl Wanted {
    pub(crate) fn of(rendered: &Rendered) -> Self {
        // Thousands of bridges say the same of their flows.
        let mut conditions: Vec<Arc<StartWhen>> = Vec::new();
        let mut shared = |condition: &StartWhen| match conditions.iter().find(|known| ***known == *condition)
        {
            Some(known) => Arc::clone(known),
            None => {
                let new = Arc::new(condition.clone());
                conditions.push(Arc::clone(&new));
                new
            }
        };
        let want = |node: &RenderedNode| {
            if !node.runs {
                Want::Rest
            } else if node.start_when == StartWhen::Always {
                Want::Run
            } else {
                Want::RunWhile(shared(&node.start_when))
            }
        };
        let wants: Vec<Want> = rendered.nodes.iter().map(want).collect();
        let paths = rendered.nodes.iter().map(|node| node.path.clone());
        Self { nodes: paths.zip(wants).collect(), applied: AtomicBool::new(false) }
    }

    /// From now on the tree is the one that is wanted, or on its way there.
    pub(super) fn was_applied(&self) {
        self.applied.store(true, Ordering::Release);
    }

    /// Whether the node's parent has to be known to judge it.
    pub(super) fn asks_parent(&self, node: &TreeEntry) -> bool {
        node.goal == Goal::Stop && self.nodes.get(&node.path).is_some_and(|want| *want != Want::Rest)
    }

    /// Whether a node is as it should be.
    pub(super) fn is_fit(&self, node: &TreeEntry, parent: Option<&TreeEntry>) -> bool {
        self.judge(&Seen::from(node), parent.map(Seen::from).as_ref())
    }

    fn judge(&self, node: &Seen<'_>, parent: Option<&Seen<'_>>) -> bool {
        if node.invalid {
            return false;
        }
        match node.goal {
            Goal::Run => matches!(node.phase, Phase::Running | Phase::Completed),
            Goal::Stop if !matches!(node.phase, Phase::Stopped | Phase::Completed) => false,
            Goal::Stop => {
                let parent_rests = parent.is_some_and(|parent| parent.goal != Goal::Run);
                node.stopped || parent_rests || self.may_rest(node.path, parent)
            }
            Goal::Remove => false,
        }
    }

    /// Whether the config lets the node rest while its parent runs.
    fn may_rest(&self, path: &NodePath, parent: Option<&Seen<'_>>) -> bool {
        match self.nodes.get(path) {
            Some(Want::Run) => false,
            Some(Want::RunWhile(condition)) => {
                parent.is_some_and(|parent| !condition.holds(parent.state, parent.phase))
            }
            // The config says nothing of nodes that were added at run time.
            Some(Want::Rest) | None => true,
        }
    }

    /// All nodes of a tree, each with whether it is as it should be.
    pub(super) fn judged<'a>(&self, entries: &'a [TreeEntry]) -> impl Iterator<Item = (&'a TreeEntry, bool)> {
        // Parents stand before their children: these are the ones above the node.
        let mut above: Vec<&TreeEntry> = Vec::new();
        entries.iter().map(move |entry| {
            while above.last().is_some_and(|last| last.depth >= entry.depth) {
                above.pop();
            }
            let fit = self.is_fit(entry, above.last().copied());
            above.push(entry);
            (entry, fit)
        })
    }

    /// What keeps the tree from being ready. A tree without nodes waits for its root.
    pub(super) fn not_ready(&self, entries: &[TreeEntry]) -> Vec<Waiting> {
        if entries.is_empty() || !self.applied.load(Ordering::Acquire) {
            let reason =
                if entries.is_empty() { "the tree has no root yet" } else { "the config is being applied" };
            let reason = reason.to_owned();
            let [path, state, goal] = ["/", "", "run"].map(str::to_owned);
            return vec![Waiting { path, state, goal, reason }];
        }
        let unfit = self.judged(entries).filter(|(_, fit)| !fit);
        unfit
            .map(|(entry, _)| Waiting {
                path: entry.path.to_string(),
                state: entry.state.to_owned(),
                goal: entry.goal.to_string(),
                reason: entry.reason.clone(),
            })
            .collect()
    }
}

/// What of a node counts here.
struct Seen<'a> {
    path: &'a NodePath,
    state: &'a str,
    phase: Phase,
    goal: Goal,
    invalid: bool,
    /// By an operator.
    stopped: bool,
}

impl<'a> From<&'a TreeEntry> for Seen<'a> {
    fn from(entry: &'a TreeEntry) -> Self {
        let TreeEntry { path, state, phase, goal, invalid, stopped_by, .. } = entry;
        Self { path, state, phase: *phase, goal: *goal, invalid: *invalid, stopped: stopped_by.is_some() }
    }
}

#[cfg(test)]
mod tests;
