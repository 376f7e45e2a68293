//! The pure half of `failing`: it tries until it is up, tries again when it broke, and may give up and start over.

use fsm_core::{
    Decision, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, restart, stay,
};

use super::{Failing, FailingAction};

/// The states of `failing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FailingState {
    /// It is down. Waits for the goal to run.
    #[default]
    Stopped,
    /// It was not up yet. Starts until it is, or gives up.
    TryingToStart,
    /// It is up. Waits until it breaks down.
    Running,
    /// It was up and broke down. Starts until it is up again, or gives up.
    Degraded,
    /// Told to stop. Stops until it is down.
    TryingToStop,
}

impl State<Failing> for FailingState {
    const ALL: &'static [Self] =
        &[Self::Stopped, Self::TryingToStart, Self::Running, Self::Degraded, Self::TryingToStop];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToStart => "TryingToStart",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
            Self::TryingToStop => "TryingToStop",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToStart => Phase::Starting,
            Self::Running => Phase::Running,
            Self::Degraded => Phase::Degraded,
            Self::TryingToStop => Phase::Stopping,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::TryingToStart | Self::Degraded | Self::TryingToStop => Sort::Trying,
            Self::Stopped | Self::Running => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Failing>) -> Decision<Failing> {
        match self {
            Self::Stopped => go(Self::TryingToStart, "told to run"),
            Self::TryingToStop => go(Self::TryingToStart, "told to run again"),
            Self::TryingToStart | Self::Degraded if s.observed().up => go(Self::Running, "it is up"),
            // The engine makes a new incarnation of this: nothing of the old one is carried over.
            Self::TryingToStart | Self::Degraded if gives_up(s) => {
                restart(("{} starts in a row failed", s.consecutive_failures()))
            }
            Self::TryingToStart | Self::Degraded => act(FailingAction::Start, not_yet(s)),
            Self::Running if s.observed().up => stay("it is up"),
            Self::Running => go(Self::Degraded, "it broke down"),
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Failing>) -> Decision<Failing> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::TryingToStart | Self::Running | Self::Degraded => go(Self::TryingToStop, "told to stop"),
            Self::TryingToStop => match s.observed() {
                Some(seen) if !seen.up => go(Self::Stopped, "it is down"),
                None if has_stopped(s) => go(Self::Stopped, "it was stopped, though it can't be observed"),
                Some(_) | None => act(FailingAction::Stop, "it may be up"),
            },
        }
    }
}

fn gives_up(s: &Snapshot<'_, Failing>) -> bool {
    s.config().restart_after.is_some_and(|most| s.consecutive_failures() >= most)
}

fn not_yet(s: &Snapshot<'_, Failing>) -> Reason {
    match s.last_action().and_then(|report| report.error.as_ref()) {
        Some(error) if s.consecutive_failures() > 0 => {
            ("not up after {} starts: {}", s.consecutive_failures(), error).into()
        }
        Some(_) | None => "it is down".into(),
    }
}

fn has_stopped(s: &StopSnapshot<'_, Failing>) -> bool {
    s.last_action().is_some_and(|last| last.name == "stop" && last.outcome == Outcome::Success)
}
