//! The pure half of `panicking`: a sound worker, but for the panics that it is told of by its observation.

use fsm_core::{Decision, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, stay};

use super::{Panicking, PanickingAction, Place};

/// The states of `panicking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PanickingState {
    /// It is down. Waits for the goal to run.
    #[default]
    Stopped,
    /// It is not up yet. Starts until it is.
    TryingToStart,
    /// It is up. Waits until it isn't.
    Running,
    /// Told to stop. Stops until it is down.
    TryingToStop,
}

impl State<Panicking> for PanickingState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::TryingToStart, Self::Running, Self::TryingToStop];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToStart => "TryingToStart",
            Self::Running => "Running",
            Self::TryingToStop => "TryingToStop",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToStart => Phase::Starting,
            Self::Running => Phase::Running,
            Self::TryingToStop => Phase::Stopping,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::TryingToStart | Self::TryingToStop => Sort::Trying,
            Self::Stopped | Self::Running => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Panicking>) -> Decision<Panicking> {
        let to_panic = s.config().place == Place::Next && s.observed().panic;
        assert!(!to_panic, "told to panic in `next`");
        match self {
            Self::Stopped => go(Self::TryingToStart, "told to run"),
            Self::TryingToStop => go(Self::TryingToStart, "told to run again"),
            Self::TryingToStart if s.observed().up => go(Self::Running, "it is up"),
            Self::TryingToStart => act(PanickingAction::Start, not_yet(s)),
            Self::Running if s.observed().up => stay("it is up"),
            Self::Running => go(Self::TryingToStart, "it is down"),
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Panicking>) -> Decision<Panicking> {
        let to_panic = s.config().place == Place::Stop && s.observed().is_some_and(|seen| seen.panic);
        assert!(!to_panic, "told to panic in `stop`");
        match self {
            Self::Stopped => stay("stopped"),
            Self::TryingToStart | Self::Running => go(Self::TryingToStop, "told to stop"),
            Self::TryingToStop => match s.observed() {
                Some(seen) if !seen.up => go(Self::Stopped, "it is down"),
                None if has_stopped(s) => go(Self::Stopped, "it was stopped, though it can't be observed"),
                Some(_) | None => act(PanickingAction::Stop, "it may be up"),
            },
        }
    }
}

fn not_yet(s: &Snapshot<'_, Panicking>) -> Reason {
    match s.last_action() {
        Some(last) if s.consecutive_failures() > 0 => (
            "not up after {} starts, the last ended with {}",
            s.consecutive_failures(),
            last.outcome.as_str(),
        )
            .into(),
        Some(_) | None => "it is down".into(),
    }
}

fn has_stopped(s: &StopSnapshot<'_, Panicking>) -> bool {
    s.last_action().is_some_and(|last| last.name == "stop" && last.outcome == Outcome::Success)
}
