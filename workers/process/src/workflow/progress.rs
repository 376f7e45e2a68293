//! How far a workflow is, from what it sees of its steps: pure.

use fsm_core::{ChildrenView, Phase};

use super::config::WorkflowConfig;
use crate::step::StepState;

/// How many steps are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// Have succeeded.
    pub(super) succeeded: usize,
    /// Have ended without success, or can't be run.
    pub(super) failed: usize,
    /// Wait for one of those, so that they never start.
    pub(super) blocked: usize,
    /// Run, or will.
    pub(super) open: usize,
}

impl Progress {
    pub(super) fn of(config: &WorkflowConfig, steps: ChildrenView<'_>) -> Self {
        let mut progress = Self::default();
        // Names of steps that never succeed: what waits for one of them never does either.
        let mut lost: Vec<&str> = Vec::new();
        let mut open = Vec::new();
        for step in &config.steps {
            match steps.get(step.name.as_str()) {
                Some(view) if view.phase == Phase::Completed => progress.succeeded += 1,
                Some(view) if view.invalid || StepState::is_failure(view.state) => {
                    progress.failed += 1;
                    lost.push(step.name.as_str());
                }
                Some(_) | None => open.push(step),
            }
        }
        loop {
            let before = open.len();
            open.retain(|step| {
                let blocked = step.depends_on.iter().any(|name| lost.contains(&name.as_str()));
                if blocked {
                    lost.push(step.name.as_str());
                }
                !blocked
            });
            progress.blocked += before - open.len();
            if open.len() == before {
                progress.open = before;
                return progress;
            }
        }
    }
}
