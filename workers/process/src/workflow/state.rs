//! How a workflow goes from its start to its end: pure.

use std::time::Duration;

use fsm_core::{
    ChildrenView, Decision, Outcome, Phase, Snapshot, Sort, State, StopSnapshot, act, go, restart, stay,
};

use super::config::OnFailure;
use super::progress::Progress;
use super::worker::{Workflow, WorkflowAction};

/// Steps that are told to stop are stopped or forced within the stop timeout of a node, 30 s by default; a workflow whose steps
/// are not by then has ended all the same, and says what it knows.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// States of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WorkflowState {
    /// It has not run. Waits for the goal.
    #[default]
    Pending,
    /// It is to run. Notes that it has begun.
    TryingToStart,
    /// Its steps run. Waits for the last of them, a failure, the timeout, or somebody who cancels it.
    Running,
    /// Nothing of it can go on. Writes down how its steps ended.
    TryingToConclude,
    /// A step failed. Its other steps are stopped; then it is written down how they ended.
    TryingToFail,
    /// It took too long. As TryingToFail.
    TryingToTimeOut,
    /// Somebody cancelled it. As TryingToFail.
    TryingToCancel,
    /// Every step succeeded. Final, until somebody starts it again.
    Succeeded,
    /// A step did not succeed. As Succeeded.
    Failed,
    /// It was not done in time. As Succeeded.
    TimedOut,
    /// Somebody cancelled it. As Succeeded.
    Cancelled,
    /// It is not to run any more, and nothing of it does. Another run is another life.
    Ended,
}

impl WorkflowState {
    /// In these its steps may run.
    pub(super) const AT_WORK: [Self; 2] = [Self::Running, Self::TryingToConclude];

    const fn after(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Succeeded,
            Outcome::Failure | Outcome::Panic => Self::Failed,
            Outcome::Timeout => Self::TimedOut,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

impl State<Workflow> for WorkflowState {
    const ALL: &'static [Self] = &[
        Self::Pending,
        Self::TryingToStart,
        Self::Running,
        Self::TryingToConclude,
        Self::TryingToFail,
        Self::TryingToTimeOut,
        Self::TryingToCancel,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Ended,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::TryingToStart => "TryingToStart",
            Self::Running => "Running",
            Self::TryingToConclude => "TryingToConclude",
            Self::TryingToFail => "TryingToFail",
            Self::TryingToTimeOut => "TryingToTimeOut",
            Self::TryingToCancel => "TryingToCancel",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::TimedOut => "TimedOut",
            Self::Cancelled => "Cancelled",
            Self::Ended => "Ended",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Pending | Self::Ended => Phase::Stopped,
            Self::TryingToStart => Phase::Starting,
            Self::Running | Self::TryingToConclude => Phase::Running,
            Self::Succeeded => Phase::Completed,
            Self::Failed | Self::TimedOut | Self::Cancelled => Phase::Degraded,
            Self::TryingToFail | Self::TryingToTimeOut | Self::TryingToCancel => Phase::Stopping,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::TryingToStart
            | Self::TryingToConclude
            | Self::TryingToFail
            | Self::TryingToTimeOut
            | Self::TryingToCancel => Sort::Trying,
            Self::Pending
            | Self::Running
            | Self::Succeeded
            | Self::Failed
            | Self::TimedOut
            | Self::Cancelled
            | Self::Ended => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Workflow>) -> Decision<Workflow> {
        let seen = s.observed();
        match self {
            Self::Pending => go(Self::TryingToStart, "the workflow is to run"),
            Self::Ended => restart("the workflow is to run again"),
            Self::TryingToStart if seen.started => go(Self::Running, "it has begun"),
            Self::TryingToStart => act(WorkflowAction::Start, "it has not begun"),
            Self::Running => runs(s),
            Self::TryingToConclude => {
                let failed = Progress::of(s.config(), s.children()).failed > 0;
                conclude(s, if failed { Outcome::Failure } else { Outcome::Success })
            }
            Self::TryingToFail => stopped(s, Outcome::Failure),
            Self::TryingToTimeOut => stopped(s, Outcome::Timeout),
            Self::TryingToCancel => stopped(s, Outcome::Cancelled),
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled if seen.again => {
                restart("somebody wants it run again")
            }
            Self::Succeeded => stay("every step has succeeded"),
            Self::Failed => stay("a step did not succeed"),
            Self::TimedOut => stay(("it was not done within {}", s.config().timeout.get())),
            Self::Cancelled => stay("it was cancelled"),
        }
    }

    /// Asked when no step runs any more.
    fn stop(self, _s: &StopSnapshot<'_, Workflow>) -> Decision<Workflow> {
        match self {
            Self::Pending => stay("it has not run"),
            Self::Succeeded => stay("it has done its work"),
            Self::Ended => stay("nothing of it runs"),
            Self::TryingToStart
            | Self::Running
            | Self::TryingToConclude
            | Self::TryingToFail
            | Self::TryingToTimeOut
            | Self::TryingToCancel
            | Self::Failed
            | Self::TimedOut
            | Self::Cancelled => go(Self::Ended, "nothing of it runs"),
        }
    }
}

fn runs(s: &Snapshot<'_, Workflow>) -> Decision<Workflow> {
    let progress = Progress::of(s.config(), s.children());
    let stops = s.config().on_failure == OnFailure::Stop;
    if s.observed().cancelled {
        go(WorkflowState::TryingToCancel, "somebody cancelled it")
    } else if progress.open == 0 {
        go(WorkflowState::TryingToConclude, "no step can go on")
    } else if progress.failed > 0 && stops {
        go(WorkflowState::TryingToFail, "a step failed, so the others are stopped")
    } else if s.in_state_for(s.config().timeout.get()) {
        go(WorkflowState::TryingToTimeOut, ("it was not done within {}", s.config().timeout.get()))
    } else {
        stay(("{} of {} steps have succeeded", progress.succeeded, s.config().steps.len()))
    }
}

/// Ends it once its steps have.
fn stopped(s: &Snapshot<'_, Workflow>, outcome: Outcome) -> Decision<Workflow> {
    if s.observed().end.is_some() || rest(s.children()) || s.in_state_for(STOPPED_WITHIN) {
        return conclude(s, outcome);
    }
    stay("waiting until no step runs any more")
}

fn rest(steps: ChildrenView<'_>) -> bool {
    steps.stopped() + steps.completed() == steps.len()
}

/// Writes down how it ended, and goes where that leads.
fn conclude(s: &Snapshot<'_, Workflow>, outcome: Outcome) -> Decision<Workflow> {
    match &s.observed().end {
        Some(end) => go(WorkflowState::after(end.outcome), ("it ended with {}", end.outcome.as_str())),
        None => act(WorkflowAction::Conclude(outcome), "how its steps ended is not written down yet"),
    }
}

#[cfg(test)]
mod tests;
