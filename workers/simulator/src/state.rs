//! When the simulator is started and stopped, and when it is not well: pure.

use std::time::Duration;

use fsm_core::{Decision, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, stay};

use crate::worker::{DeviceSimulator, SimulatorAction, SimulatorObserved};

/// How long a broker that neither lets it in nor refuses may take before that counts as trouble.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// States of a device simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SimulatorState {
    /// It publishes nothing and is not meant to. Waits for the goal.
    #[default]
    Stopped,
    /// It is meant to publish with this config and does not yet. Waits for its broker.
    TryingToStart,
    /// It publishes. Waits for trouble.
    Running,
    /// It has no connection to its broker, or the broker is too slow. Waits for that to pass: the publisher
    /// connects again by itself.
    Degraded,
    /// It runs and is not meant to. Waits until its task is gone.
    TryingToStop,
}

impl State<DeviceSimulator> for SimulatorState {
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

    fn next(self, s: &Snapshot<'_, DeviceSimulator>) -> Decision<DeviceSimulator> {
        let seen = s.observed();
        let runs = seen.alive && seen.deployed.as_deref() == Some(s.config());
        match self {
            Self::Stopped => go(Self::TryingToStart, "the simulator is wanted"),
            Self::TryingToStop => go(Self::TryingToStart, "the simulator is wanted again"),
            Self::TryingToStart if !runs => {
                act(SimulatorAction::Start, "the simulator does not run with this config yet")
            }
            Self::TryingToStart if seen.connected => go(Self::Running, "the broker has let the simulator in"),
            Self::TryingToStart => match trouble(seen) {
                Some(trouble) if seen.error.is_some() || s.in_state_for(CONNECT_PATIENCE) => {
                    go(Self::Degraded, trouble)
                }
                _ => stay("connecting to the broker"),
            },
            Self::Running | Self::Degraded if !seen.alive => {
                go(Self::TryingToStart, "the simulator has ended")
            }
            Self::Running | Self::Degraded if !runs => go(Self::TryingToStart, "the config has changed"),
            Self::Running | Self::Degraded => match (self, trouble(seen)) {
                (Self::Running, Some(trouble)) => go(Self::Degraded, trouble),
                (Self::Degraded, None) => go(Self::Running, "the broker takes the values again"),
                (_, Some(trouble)) => stay(trouble),
                (_, None) => stay("publishing"),
            },
        }
    }

    fn stop(self, s: &StopSnapshot<'_, DeviceSimulator>) -> Decision<DeviceSimulator> {
        let gone = s.observed().is_some_and(|seen| !seen.alive);
        match self {
            Self::Stopped if s.observed().is_none_or(|seen| !seen.alive) => {
                stay("the simulator does not run")
            }
            Self::Stopped | Self::TryingToStart | Self::Running | Self::Degraded => {
                go(Self::TryingToStop, "the simulator is not wanted")
            }
            Self::TryingToStop if gone => go(Self::Stopped, "the simulator has ended"),
            Self::TryingToStop if s.observed().is_none() && has_stopped(s) => {
                go(Self::Stopped, "it was stopped, though it can't be observed")
            }
            Self::TryingToStop => act(SimulatorAction::Stop, "the simulator is to end"),
        }
    }
}

/// The last action was a stop that went well: where nothing can be observed that is the best witness, and collections that
/// fail must not hold up a stop.
fn has_stopped(s: &StopSnapshot<'_, DeviceSimulator>) -> bool {
    s.last_action().is_some_and(|last| last.name == "stop" && last.outcome == Outcome::Success)
}

fn trouble(seen: &SimulatorObserved) -> Option<Reason> {
    match &seen.error {
        Some(error) if !seen.connected => Some(Reason::from(("no connection to the broker: {}", error))),
        _ if !seen.connected => Some(Reason::new("no connection to the broker")),
        _ if seen.skipping => {
            Some(Reason::new("the broker does not take the values as fast as they are made"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
