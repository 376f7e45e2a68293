//! When the tree is as it should be, and what is not.

use fsm_core::{Goal, Phase};
use fsm_supervisor::TreeEntry;

use super::problem::Waiting;

/// A node that is not as it should be, or can't be used.
pub(super) fn is_unhealthy(entry: &TreeEntry) -> bool {
    entry.invalid
        || match (entry.goal, entry.phase) {
            (_, Phase::Degraded) => true,
            (Goal::Run, phase) => !matches!(phase, Phase::Running | Phase::Completed),
            (Goal::Stop | Goal::Remove, _) => false,
        }
}

/// What keeps the tree from being ready. A tree without nodes waits for its root.
pub(super) fn not_ready(entries: &[TreeEntry]) -> Vec<Waiting> {
    if entries.is_empty() {
        let reason = "the tree has no root yet".to_owned();
        return vec![Waiting { path: "/".to_owned(), state: String::new(), reason }];
    }
    let unfit = |entry: &&TreeEntry| {
        entry.invalid || entry.goal == Goal::Run && !matches!(entry.phase, Phase::Running | Phase::Completed)
    };
    entries
        .iter()
        .filter(unfit)
        .map(|entry| Waiting {
            path: entry.path.to_string(),
            state: entry.state.to_owned(),
            reason: entry.reason.clone(),
        })
        .collect()
}
