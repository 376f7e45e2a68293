//! When a process is started, believed, restarted and stopped: pure.

use fsm_core::{
    Arg, Decision, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, restart, stay,
};

use super::worker::{Process, ProcessAction};

/// States of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ProcessState {
    /// Nothing of it lives, and nothing is to. Waits for the goal.
    #[default]
    Stopped,
    /// It is to run and does not yet. Starts it until it is seen.
    TryingToStart,
    /// It runs, and nobody knows yet whether it does its work. Waits for that, for as long as `ready_within` says.
    WaitingReady,
    /// It does its work, or has done it. Waits for trouble.
    Running,
    /// It runs and is not well. Waits until it is, or leaves.
    Degraded,
    /// It left, or was never ready. Kills what is left of it, then asks for a new incarnation, which comes with back-off.
    Crashed,
    /// Something of it lives and is not to. Stops it until nothing is seen.
    TryingToStop,
}

impl State<Process> for ProcessState {
    const ALL: &'static [Self] = &[
        Self::Stopped,
        Self::TryingToStart,
        Self::WaitingReady,
        Self::Running,
        Self::Degraded,
        Self::Crashed,
        Self::TryingToStop,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToStart => "TryingToStart",
            Self::WaitingReady => "WaitingReady",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
            Self::Crashed => "Crashed",
            Self::TryingToStop => "TryingToStop",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToStart | Self::WaitingReady => Phase::Starting,
            Self::Running => Phase::Running,
            Self::Degraded | Self::Crashed => Phase::Degraded,
            Self::TryingToStop => Phase::Stopping,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::TryingToStart | Self::WaitingReady | Self::Crashed | Self::TryingToStop => Sort::Trying,
            Self::Stopped | Self::Running | Self::Degraded => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Process>) -> Decision<Process> {
        let (seen, config) = (s.observed(), s.config());
        match self {
            Self::Stopped => go(Self::TryingToStart, "the process is wanted"),
            Self::TryingToStop => go(Self::TryingToStart, "the process is wanted again"),
            Self::Crashed if seen.alive => act(ProcessAction::Kill, "it is of no use any more"),
            Self::Crashed if seen.is_done(config) => go(Self::Running, "it has done its work"),
            Self::Crashed => restart(seen.how_it_left()),
            Self::TryingToStart | Self::WaitingReady | Self::Running | Self::Degraded
                if seen.has_crashed(config) =>
            {
                go(Self::Crashed, seen.how_it_left())
            }
            Self::TryingToStart if seen.is_done(config) => go(Self::Running, "it has done its work"),
            Self::TryingToStart if seen.runs(config) => go(Self::WaitingReady, "it runs"),
            Self::TryingToStart => act(ProcessAction::Start, start_reason(s)),
            Self::WaitingReady if seen.is_done(config) => go(Self::Running, "it has done its work"),
            Self::WaitingReady if !seen.runs(config) => go(Self::TryingToStart, "it does not run"),
            Self::WaitingReady if seen.ready => go(Self::Running, "it is ready"),
            Self::WaitingReady if s.in_state_for(config.ready_within.get()) => {
                go(Self::Crashed, ("it was not ready within {}", config.ready_within.get()))
            }
            Self::WaitingReady => stay("it runs and is not ready yet"),
            Self::Running if seen.is_done(config) => stay("it has done its work"),
            Self::Degraded if seen.is_done(config) => go(Self::Running, "it has done its work"),
            Self::Running | Self::Degraded if !seen.runs(config) => {
                go(Self::TryingToStart, "it does not run as it should")
            }
            Self::Running => match &seen.unwell {
                Some(why) => go(Self::Degraded, ("it is not well: {}", why)),
                None => stay("it runs"),
            },
            Self::Degraded => match &seen.unwell {
                Some(why) => stay(("it is not well: {}", why)),
                None => go(Self::Running, "it is well again"),
            },
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Process>) -> Decision<Process> {
        match self {
            Self::Stopped if s.observed().is_none_or(|seen| !seen.alive) => stay("nothing of it lives"),
            Self::Stopped
            | Self::TryingToStart
            | Self::WaitingReady
            | Self::Running
            | Self::Degraded
            | Self::Crashed => go(Self::TryingToStop, "the process is not wanted"),
            Self::TryingToStop => match s.observed() {
                Some(seen) if !seen.alive && !seen.ended => go(Self::Stopped, "nothing of it lives"),
                None if has_stopped(s) => go(Self::Stopped, "it was stopped, though it can't be observed"),
                Some(_) | None => act(ProcessAction::Stop, "it is to leave"),
            },
        }
    }
}

/// The last action was a stop that went well: where nothing can be observed that is the best witness.
fn has_stopped(s: &StopSnapshot<'_, Process>) -> bool {
    s.last_action().is_some_and(|last| last.name == "stop" && last.outcome == Outcome::Success)
}

fn start_reason(s: &Snapshot<'_, Process>) -> Reason {
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
