//! When the broker is started and stopped, and when it is not well: pure.

use std::time::Duration;

use fsm_core::{Arg, Decision, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, stay};

use crate::worker::{BrokerAction, MqttBroker};

/// How long after the last lost message the broker counts as well again: long enough that a person who looks
/// once a minute sees it.
pub(crate) const LOSS_REMEMBERED: Duration = Duration::from_secs(60);

/// States of an embedded broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BrokerState {
    /// It does not listen and is not meant to. Waits for the goal.
    #[default]
    Stopped,
    /// It is meant to listen and does not yet. Waits for a free port.
    TryingToStart,
    /// It listens. Waits for trouble.
    Running,
    /// It listens, and subscribers lose messages or a connection's task has panicked. Waits for a minute
    /// without that.
    Degraded,
    /// It listens and is not meant to. Waits until port and tasks are gone.
    TryingToStop,
}

impl State<MqttBroker> for BrokerState {
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
            Self::Stopped | Self::Running | Self::Degraded => Sort::Passive,
            Self::TryingToStart | Self::TryingToStop => Sort::Trying,
        }
    }

    fn next(self, s: &Snapshot<'_, MqttBroker>) -> Decision<MqttBroker> {
        let seen = s.observed();
        match self {
            Self::Stopped => go(Self::TryingToStart, "the broker is wanted"),
            Self::TryingToStop => go(Self::TryingToStart, "the broker is wanted again"),
            Self::TryingToStart if seen.runs(s.config()) => match seen.trouble() {
                None => go(Self::Running, ("listening on {}", &seen.address)),
                Some(trouble) => go(Self::Degraded, trouble),
            },
            Self::TryingToStart => act(BrokerAction::Start, start_reason(s)),
            Self::Running | Self::Degraded if !seen.runs(s.config()) => {
                go(Self::TryingToStart, "the broker does not listen any more")
            }
            Self::Running | Self::Degraded => match (self, seen.trouble()) {
                (Self::Running, Some(trouble)) => go(Self::Degraded, trouble),
                (Self::Degraded, None) => go(Self::Running, ("no trouble for {}", LOSS_REMEMBERED)),
                (_, Some(trouble)) => stay(trouble),
                (_, None) => stay(("listening on {}", &seen.address)),
            },
        }
    }

    fn stop(self, s: &StopSnapshot<'_, MqttBroker>) -> Decision<MqttBroker> {
        let gone = s.observed().is_some_and(|seen| !seen.alive);
        match self {
            Self::Stopped if s.observed().is_none_or(|seen| !seen.alive) => {
                stay("the broker does not listen")
            }
            Self::Stopped | Self::TryingToStart | Self::Running | Self::Degraded => {
                go(Self::TryingToStop, "the broker is not wanted")
            }
            Self::TryingToStop if gone => go(Self::Stopped, "port and connections are free"),
            Self::TryingToStop if s.observed().is_none() && has_stopped(s) => {
                go(Self::Stopped, "it was stopped, though it can't be observed")
            }
            Self::TryingToStop => act(BrokerAction::Stop, "port and connections are to be freed"),
        }
    }
}

/// The last action was a stop that went well: where nothing can be observed that is the best witness, and collections that
/// fail must not hold up a stop.
fn has_stopped(s: &StopSnapshot<'_, MqttBroker>) -> bool {
    s.last_action().is_some_and(|last| last.name == "stop" && last.outcome == Outcome::Success)
}

fn start_reason(s: &Snapshot<'_, MqttBroker>) -> Reason {
    match s.last_action() {
        Some(report) if report.outcome != Outcome::Success && report.name == "start" => {
            let error = report.error.as_ref().map_or(Arg::Word("no reason was given"), Arg::from);
            Reason::from(("the broker did not start: {}", error))
        }
        _ => Reason::new("the broker does not listen yet"),
    }
}

#[cfg(test)]
mod tests;
