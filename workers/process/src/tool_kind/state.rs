//! When a tool is run, and what its ending means: pure.

use fsm_core::{Arg, Decision, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, stay};

use super::worker::{ToolAction, ToolWorker};
use crate::end::RunEnd;

/// States of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ToolState {
    /// It has not run, or its run is forgotten. Waits for the goal.
    #[default]
    Pending,
    /// It is to run and does not yet. Starts it until it is seen to run or to have ended.
    TryingToStart,
    /// It runs. Waits for its end.
    Running,
    /// It answered. Final until its config changes.
    Succeeded,
    /// It failed, or could not be run. Final until its config changes or somebody starts it again.
    Failed,
    /// It was not done in time. As Failed.
    TimedOut,
    /// Somebody cancelled it. As Failed.
    Cancelled,
    /// It is not to run. Cancels its run and forgets it, until nothing of it is seen.
    TryingToCancel,
}

impl ToolState {
    const fn after(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Succeeded,
            Outcome::Failure | Outcome::Panic => Self::Failed,
            Outcome::Timeout => Self::TimedOut,
            Outcome::Cancelled => Self::Cancelled,
        }
    }

    fn ends(self, end: &RunEnd) -> Decision<ToolWorker> {
        let (state, reason) = (Self::after(end.outcome), ("its run ended: {}", &end.why));
        if state == self { stay(reason) } else { go(state, reason) }
    }
}

impl State<ToolWorker> for ToolState {
    const ALL: &'static [Self] = &[
        Self::Pending,
        Self::TryingToStart,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::TryingToCancel,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::TryingToStart => "TryingToStart",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::TimedOut => "TimedOut",
            Self::Cancelled => "Cancelled",
            Self::TryingToCancel => "TryingToCancel",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Pending => Phase::Stopped,
            Self::TryingToStart => Phase::Starting,
            Self::Running => Phase::Running,
            Self::Succeeded => Phase::Completed,
            Self::Failed | Self::TimedOut | Self::Cancelled => Phase::Degraded,
            Self::TryingToCancel => Phase::Stopping,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::TryingToStart | Self::TryingToCancel => Sort::Trying,
            Self::Pending
            | Self::Running
            | Self::Succeeded
            | Self::Failed
            | Self::TimedOut
            | Self::Cancelled => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, ToolWorker>) -> Decision<ToolWorker> {
        let (seen, config) = (s.observed(), s.config());
        let ended = seen.ended(config).map(|end| self.ends(end));
        match self {
            Self::Pending => go(Self::TryingToStart, "the tool is to run"),
            Self::TryingToCancel => go(Self::TryingToStart, "the tool is to run again"),
            Self::TryingToStart => match ended {
                Some(decision) => decision,
                None if seen.runs(config) => go(Self::Running, "it runs"),
                None => act(ToolAction::Start, start_reason(s)),
            },
            Self::Running => match ended {
                Some(decision) => decision,
                None if seen.runs(config) => stay("it runs"),
                None => go(Self::TryingToStart, "it does not run as it should"),
            },
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled => match ended {
                Some(decision) => decision,
                None if seen.runs(config) => go(Self::Running, "it runs again"),
                None => go(Self::TryingToStart, "it has not run with this config"),
            },
        }
    }

    fn stop(self, s: &StopSnapshot<'_, ToolWorker>) -> Decision<ToolWorker> {
        let idle = s.observed().is_none_or(|seen| !seen.running);
        match self {
            Self::Pending if idle => stay("it does not run"),
            Self::Succeeded if idle => stay("it has done its work"),
            Self::Pending
            | Self::TryingToStart
            | Self::Running
            | Self::Succeeded
            | Self::Failed
            | Self::TimedOut
            | Self::Cancelled => go(Self::TryingToCancel, "the tool is not to run"),
            Self::TryingToCancel => match s.observed() {
                Some(seen) if seen.is_nothing() => go(Self::Pending, "nothing of it is left"),
                None if was_cancelled(s) => {
                    go(Self::Pending, "it was cancelled, though it can't be observed")
                }
                Some(_) | None => act(ToolAction::Forget, "its run is to end"),
            },
        }
    }
}

/// The last action was a cancel that went well: where nothing can be observed that is the best witness.
fn was_cancelled(s: &StopSnapshot<'_, ToolWorker>) -> bool {
    s.last_action().is_some_and(|last| last.name == "cancel" && last.outcome == Outcome::Success)
}

fn start_reason(s: &Snapshot<'_, ToolWorker>) -> Reason {
    match s.last_action() {
        Some(report) if report.outcome != Outcome::Success && report.name == "start" => {
            let error = report.error.as_ref().map_or(Arg::Word("no reason was given"), Arg::from);
            ("it did not start: {}", error).into()
        }
        Some(_) | None => Reason::new("it does not run yet"),
    }
}

#[cfg(test)]
mod tests;
