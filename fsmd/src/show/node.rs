//! Nodes as the API shows them: what the tables need of them.

use fsm_core::{Goal, Outcome, Phase};
use fsm_metrics::NodeMetrics;
use serde::Deserialize;
use serde_json::Value;

/// A node in one line.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) depth: usize,
    pub(crate) state: String,
    pub(crate) phase: Phase,
    pub(crate) reason: String,
    pub(crate) since: String,
    pub(crate) goal: Goal,
    /// It is as it should be.
    pub(crate) healthy: bool,
    pub(crate) invalid: bool,
    pub(crate) stale: bool,
    pub(crate) circuit_open: bool,
    pub(crate) cut_off: bool,
    pub(crate) dynamic: bool,
    pub(crate) stopped_by: Option<String>,
    pub(crate) acting: Option<String>,
}

impl Entry {
    /// The last segment of the path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The state; a node that never had one shows why.
    pub(super) fn state(&self) -> &str {
        match (self.state.as_str(), self.invalid) {
            ("", true) => "(invalid)",
            ("", false) => "(none yet)",
            (state, _) => state,
        }
    }

    /// What stands beside the state.
    pub(super) fn marks(&self) -> Vec<String> {
        let flags = [
            (self.invalid && !self.state.is_empty(), "invalid"),
            (self.stale, "stale"),
            (self.circuit_open, "circuit open"),
            (self.cut_off, "cut off"),
            (self.dynamic, "added at run time"),
            (self.goal == Goal::Remove, "leaving"),
        ];
        let mut marks: Vec<String> =
            flags.into_iter().filter(|(set, _)| *set).map(|(_, mark)| mark.to_owned()).collect();
        marks.extend(self.stopped_by.iter().map(|who| format!("stopped by {who}")));
        marks.extend(self.acting.iter().map(|action| format!("{action} runs")));
        marks
    }
}

/// Everything about a node.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Details {
    #[serde(flatten)]
    pub(crate) entry: Entry,
    pub(crate) sort: Option<String>,
    pub(crate) starts: u32,
    pub(crate) desired: u64,
    pub(crate) observed_under: Option<u64>,
    pub(crate) observed_at: Option<String>,
    pub(crate) restarts: usize,
    pub(crate) next_look: Option<String>,
    pub(crate) config: Value,
    pub(crate) observed: Option<Value>,
    pub(crate) action: Option<Action>,
    pub(crate) children: Children,
    pub(crate) error: Option<String>,
    pub(crate) history: Vec<Past>,
    pub(crate) statistics: NodeMetrics,
}

/// An action.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Action {
    pub(crate) name: String,
    pub(crate) since: String,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) attempts: u32,
    pub(crate) error: Option<String>,
}

/// Children by effective phase.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Children {
    pub(crate) healthy: u32,
    pub(crate) stopped: u32,
    pub(crate) completed: u32,
    pub(crate) degraded: u32,
}

/// A decision.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Past {
    pub(crate) at: String,
    pub(crate) state: String,
    pub(crate) action: Option<String>,
    pub(crate) reason: String,
}
