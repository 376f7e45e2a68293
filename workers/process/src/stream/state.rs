//! When a stream engine is given a config, started, believed, restarted and stopped: pure.

use fsm_core::{
    Arg, Decision, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, restart, stay,
};

use super::worker::{Stream, StreamAction};

/// States of a stream engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StreamState {
    /// Nothing of it lives, and nothing is to. Waits for the goal.
    #[default]
    Stopped,
    /// It is to run and does not yet. Writes its config and starts it, until it is seen.
    TryingToStart,
    /// It runs, and does not answer yet. Waits for that, for as long as `ready_within` says.
    WaitingReady,
    /// Its inputs and outputs are connected. Waits for trouble, or for another config.
    Running,
    /// It runs and is not well. Waits until it is, or leaves.
    Degraded,
    /// It runs with another config than it should. Gives it the right one; one that it refuses leaves it as it is.
    TryingToReload,
    /// It left, or never answered. Kills what is left of it, then asks for a new incarnation, which comes with back-off.
    Crashed,
    /// Something of it lives and is not to. Stops it until nothing is seen.
    TryingToStop,
}

impl State<Stream> for StreamState {
    const ALL: &'static [Self] = &[
        Self::Stopped,
        Self::TryingToStart,
        Self::WaitingReady,
        Self::Running,
        Self::Degraded,
        Self::TryingToReload,
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
            Self::TryingToReload => "TryingToReload",
            Self::Crashed => "Crashed",
            Self::TryingToStop => "TryingToStop",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToStart | Self::WaitingReady => Phase::Starting,
            Self::Running => Phase::Running,
            Self::Degraded | Self::TryingToReload | Self::Crashed => Phase::Degraded,
            Self::TryingToStop => Phase::Stopping,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::TryingToStart
            | Self::WaitingReady
            | Self::TryingToReload
            | Self::Crashed
            | Self::TryingToStop => Sort::Trying,
            Self::Stopped | Self::Running | Self::Degraded => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Stream>) -> Decision<Stream> {
        let (seen, config) = (s.observed(), s.config());
        match self {
            Self::Stopped => go(Self::TryingToStart, "the stream is wanted"),
            Self::TryingToStop => go(Self::TryingToStart, "the stream is wanted again"),
            Self::Crashed if seen.process.alive => act(StreamAction::Kill, "it is of no use any more"),
            Self::Crashed => restart(seen.process.how_it_left()),
            Self::TryingToStart
            | Self::WaitingReady
            | Self::Running
            | Self::Degraded
            | Self::TryingToReload
                if seen.has_crashed() =>
            {
                go(Self::Crashed, seen.process.how_it_left())
            }
            Self::TryingToStart if seen.runs(config) => go(Self::WaitingReady, "it runs"),
            Self::TryingToStart if seen.is_written(config) => {
                act(StreamAction::Start, trouble(s, "it does not run yet"))
            }
            Self::TryingToStart => {
                act(StreamAction::WriteConfig, trouble(s, "its config is not written yet"))
            }
            Self::WaitingReady | Self::Running | Self::Degraded | Self::TryingToReload
                if !seen.process.alive =>
            {
                go(Self::TryingToStart, "it does not run")
            }
            Self::TryingToReload if seen.runs(config) => go(Self::WaitingReady, "it runs with its config"),
            Self::TryingToReload => act(StreamAction::Reload, trouble(s, "its config has changed")),
            Self::WaitingReady | Self::Running | Self::Degraded if !seen.runs(config) => {
                go(Self::TryingToReload, "its config has changed")
            }
            Self::WaitingReady if seen.process.ready => go(Self::Running, "it answers"),
            Self::WaitingReady if s.in_state_for(config.ready_within.get()) => {
                go(Self::Crashed, ("it did not answer within {}", config.ready_within.get()))
            }
            Self::WaitingReady => stay("it runs and does not answer yet"),
            Self::Running => match &seen.process.unwell {
                Some(why) => go(Self::Degraded, ("it is not connected: {}", why)),
                None => stay("it runs"),
            },
            Self::Degraded => match &seen.process.unwell {
                Some(why) => stay(("it is not connected: {}", why)),
                None => go(Self::Running, "it is connected again"),
            },
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Stream>) -> Decision<Stream> {
        let process = s.observed().map(|seen| &seen.process);
        match self {
            Self::Stopped if process.is_none_or(|seen| !seen.alive) => stay("nothing of it lives"),
            Self::Stopped
            | Self::TryingToStart
            | Self::WaitingReady
            | Self::Running
            | Self::Degraded
            | Self::TryingToReload
            | Self::Crashed => go(Self::TryingToStop, "the stream is not wanted"),
            Self::TryingToStop => match process {
                Some(seen) if !seen.alive && !seen.ended => go(Self::Stopped, "nothing of it lives"),
                None if has_stopped(s) => go(Self::Stopped, "it was stopped, though it can't be observed"),
                Some(_) | None => act(StreamAction::Stop, "it is to leave"),
            },
        }
    }
}

/// The last action was a stop that went well: where nothing can be observed that is the best witness.
fn has_stopped(s: &StopSnapshot<'_, Stream>) -> bool {
    s.last_action().is_some_and(|last| last.name == "stop" && last.outcome == Outcome::Success)
}

/// Why the last action did not help, else what is to be done.
fn trouble(s: &Snapshot<'_, Stream>, what: &'static str) -> Reason {
    match s.last_action() {
        Some(report) if report.outcome != Outcome::Success => {
            let error = report.error.as_ref().map_or(Arg::Word("no reason was given"), Arg::from);
            ("{} failed: {}", Arg::Word(report.name), error).into()
        }
        Some(_) | None => Reason::new(what),
    }
}

#[cfg(test)]
mod tests;
