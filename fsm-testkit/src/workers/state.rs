//! The pure half of the scripted kind: a sound worker, so that what goes wrong is what the script says.

use fsm_core::{
    Decision, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, restart, stay,
};

use super::{Scripted, ScriptedAction};

/// The states of `scripted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ScriptedState {
    /// It is down. Waits for the goal to run.
    #[default]
    Stopped,
    /// Starts until it is seen to be up.
    TryingToStart,
    /// It is up and well. Waits for either to change.
    Running,
    /// It is up and not well. Waits until it is well.
    Degraded,
    /// Stops until it is seen to be down.
    TryingToStop,
}

impl State<Scripted> for ScriptedState {
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
            Self::TryingToStart | Self::TryingToStop => Sort::Trying,
            Self::Stopped | Self::Running | Self::Degraded => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Scripted>) -> Decision<Scripted> {
        let seen = s.observed();
        assert!(!seen.panic_in_next, "as the script says");
        match self {
            Self::Stopped | Self::TryingToStop => go(Self::TryingToStart, "told to run"),
            Self::TryingToStart if !seen.up && is_enough(s) => {
                restart(("it did not start {} times", s.consecutive_failures()))
            }
            Self::TryingToStart if !seen.up => act(ScriptedAction::Start, not_yet(s)),
            Self::Running | Self::Degraded if !seen.up => go(Self::TryingToStart, "it is down"),
            Self::Running if seen.well => stay("it is well"),
            Self::Degraded if !seen.well => stay("it is not well"),
            Self::TryingToStart | Self::Degraded if seen.well => go(Self::Running, "it is well"),
            Self::TryingToStart | Self::Running | Self::Degraded => go(Self::Degraded, "it is not well"),
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Scripted>) -> Decision<Scripted> {
        let stopped = |s: &StopSnapshot<'_, Scripted>| {
            s.last_action().is_some_and(|last| last.name == "stop" && last.outcome == Outcome::Success)
        };
        match self {
            Self::Stopped => stay("stopped"),
            Self::TryingToStart | Self::Running | Self::Degraded => go(Self::TryingToStop, "told to stop"),
            Self::TryingToStop => match s.observed() {
                Some(seen) if !seen.up => go(Self::Stopped, "it is down"),
                None if stopped(s) => go(Self::Stopped, "it was stopped, though it can't be observed"),
                Some(_) | None => act(ScriptedAction::Stop, "it may be up"),
            },
        }
    }
}

fn is_enough(s: &Snapshot<'_, Scripted>) -> bool {
    s.config().restart_after.is_some_and(|most| s.consecutive_failures() >= most)
}

fn not_yet(s: &Snapshot<'_, Scripted>) -> Reason {
    match s.consecutive_failures() {
        0 => "it is down".into(),
        failures => ("it did not start {} times", failures).into(),
    }
}
