//! When a step is run, and what its ending means: pure.

use fsm_core::{
    Arg, Decision, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, restart, stay,
};

use super::worker::{Step, StepAction};
use crate::end::RunEnd;

/// States of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StepState {
    /// It has not run. Waits for the goal: for the steps that it depends on.
    #[default]
    Pending,
    /// It is to run and does not yet. Starts it until it is seen to run or to have ended.
    TryingToStart,
    /// It runs. Waits for its end.
    Running,
    /// It succeeded. Final.
    Succeeded,
    /// It failed, or could not be run. Final.
    Failed,
    /// It was not done in time. Final.
    TimedOut,
    /// Somebody cancelled it. Final.
    Cancelled,
    /// It is not to run any more. Cancels its run until nothing runs.
    TryingToCancel,
    /// Nothing of it runs, and how it ended is still known. Final: another run is another life.
    Ended,
}

impl StepState {
    /// Where a run leads that ended so.
    const fn after(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Succeeded,
            Outcome::Failure | Outcome::Panic => Self::Failed,
            Outcome::Timeout => Self::TimedOut,
            Outcome::Cancelled => Self::Cancelled,
        }
    }

    /// Whether a step that its workflow sees there has ended without success.
    pub(crate) fn is_failure(name: &str) -> bool {
        [Self::Failed, Self::TimedOut, Self::Cancelled].iter().any(|state| state.name() == name)
    }

    fn ends(self, end: &RunEnd) -> Decision<Step> {
        let (state, reason) = (Self::after(end.outcome), ("its run ended: {}", &end.why));
        if state == self { stay(reason) } else { go(state, reason) }
    }
}

impl State<Step> for StepState {
    const ALL: &'static [Self] = &[
        Self::Pending,
        Self::TryingToStart,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::TryingToCancel,
        Self::Ended,
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
            Self::Ended => "Ended",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Pending | Self::Ended => Phase::Stopped,
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
            | Self::Cancelled
            | Self::Ended => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Step>) -> Decision<Step> {
        let seen = s.observed();
        match self {
            Self::Pending => go(Self::TryingToStart, "the step is to run"),
            Self::TryingToCancel | Self::Ended => restart("the step is to run again"),
            Self::TryingToStart => match &seen.end {
                Some(end) => self.ends(end),
                None if seen.running => go(Self::Running, "it runs"),
                None => act(StepAction::Start, start_reason(s)),
            },
            Self::Running => match &seen.end {
                Some(end) => self.ends(end),
                None if seen.running => stay("it runs"),
                None => go(Self::TryingToStart, "it does not run as it should"),
            },
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled => match &seen.end {
                Some(end) => self.ends(end),
                None => go(Self::TryingToStart, "nothing is known of its run"),
            },
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Step>) -> Decision<Step> {
        match self {
            Self::Pending => stay("it has not run"),
            Self::Succeeded => stay("it has done its work"),
            Self::Ended => stay("nothing of it runs"),
            Self::Failed | Self::TimedOut | Self::Cancelled => go(Self::Ended, "nothing of it runs"),
            Self::TryingToStart | Self::Running => {
                go(Self::TryingToCancel, "the step is not to run any more")
            }
            Self::TryingToCancel if was_cancelled(s) => go(Self::Ended, "its run was cancelled"),
            Self::TryingToCancel => act(StepAction::Cancel, "its run is to end"),
        }
    }
}

/// The last action was a cancel that went well, and a cancel comes back when nothing runs any more.
fn was_cancelled(s: &StopSnapshot<'_, Step>) -> bool {
    s.last_action().is_some_and(|last| last.name == "cancel" && last.outcome == Outcome::Success)
}

fn start_reason(s: &Snapshot<'_, Step>) -> Reason {
    match s.last_action() {
        Some(report) if report.outcome != Outcome::Success => {
            let error = report.error.as_ref().map_or(Arg::Word("no reason was given"), Arg::from);
            ("it did not start: {}", error).into()
        }
        Some(_) | None => Reason::new("it does not run yet"),
    }
}

#[cfg(test)]
mod tests;
