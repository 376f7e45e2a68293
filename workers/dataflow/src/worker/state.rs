//! When a flow is started and stopped, and when it is not well: pure.

use std::time::Duration;

use fsm_core::{Arg, Decision, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, stay};

use super::observed::{FlowObserved, Health, Trouble};
use super::{Dataflow, FlowAction};
use crate::config::FlowConfig;

/// How long a new flow may take to connect before it counts as degraded.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// States of a dataflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DataflowState {
    /// There is no flow and none is meant to be. Waits for the goal.
    #[default]
    Stopped,
    /// A flow is meant to run and does not yet, or not with this config. Waits for it to connect.
    TryingToStart,
    /// It runs and no message passed lately. Waits for one.
    Idle,
    /// It runs and a message passed lately. Waits for silence or trouble.
    Active,
    /// It runs, or stopped at a message, and is not well. Waits for that to pass, or for another config.
    Degraded,
    /// A flow is there and none is meant to be. Waits until it has ended.
    TryingToStop,
}

/// What a judged flow is to be.
enum Verdict<'a> {
    /// Started, or started again.
    Start(Reason),
    /// In one of the states of a running flow.
    Be(DataflowState, Reason, Option<&'a Trouble>),
}

fn judge<'a>(config: &FlowConfig, seen: &'a FlowObserved) -> Verdict<'a> {
    use DataflowState::{Active, Degraded, Idle};
    if seen.deployed.as_ref().is_some_and(|deployed| config.needs_new_flow(deployed)) {
        return Verdict::Start(Reason::new("the config changed"));
    }
    match &seen.health {
        Health::Absent => Verdict::Start(Reason::new("the flow does not run yet")),
        Health::Failed(text) => Verdict::Start(Reason::from(("the flow ended: {}", text))),
        Health::Finished => Verdict::Be(Idle, Reason::new("the input has no more messages"), None),
        Health::Active => Verdict::Be(Active, Reason::new("messages pass"), None),
        Health::Idle => {
            Verdict::Be(Idle, Reason::from(("no message passed for {}", config.fresh_within.get())), None)
        }
        Health::Degraded(trouble) => Verdict::Be(Degraded, trouble.reason(), Some(trouble)),
    }
}

impl State<Dataflow> for DataflowState {
    const ALL: &'static [Self] =
        &[Self::Stopped, Self::TryingToStart, Self::Idle, Self::Active, Self::Degraded, Self::TryingToStop];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToStart => "TryingToStart",
            Self::Idle => "Idle",
            Self::Active => "Active",
            Self::Degraded => "Degraded",
            Self::TryingToStop => "TryingToStop",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToStart => Phase::Starting,
            Self::Idle | Self::Active => Phase::Running,
            Self::Degraded => Phase::Degraded,
            Self::TryingToStop => Phase::Stopping,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::Stopped | Self::Idle | Self::Active | Self::Degraded => Sort::Passive,
            Self::TryingToStart | Self::TryingToStop => Sort::Trying,
        }
    }

    fn next(self, s: &Snapshot<'_, Dataflow>) -> Decision<Dataflow> {
        let verdict = judge(s.config(), s.observed());
        match self {
            Self::Stopped => go(Self::TryingToStart, "the flow is wanted"),
            Self::TryingToStop => go(Self::TryingToStart, "the flow is wanted again"),
            Self::TryingToStart => match verdict {
                Verdict::Start(reason) => act(FlowAction::Start, failed(s).unwrap_or(reason)),
                Verdict::Be(_, reason, Some(Trouble::NoSource(_) | Trouble::NoTarget(_)))
                    if !s.in_state_for(CONNECT_PATIENCE) =>
                {
                    stay(reason)
                }
                Verdict::Be(state, reason, _) => go(state, reason),
            },
            Self::Idle | Self::Active | Self::Degraded => match verdict {
                Verdict::Start(reason) => go(Self::TryingToStart, reason),
                Verdict::Be(state, reason, _) if state == self => stay(reason),
                Verdict::Be(state, reason, _) => go(state, reason),
            },
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Dataflow>) -> Decision<Dataflow> {
        let gone = s.observed().is_some_and(|seen| seen.health == Health::Absent);
        match self {
            Self::Stopped if s.observed().is_none_or(|seen| seen.health == Health::Absent) => {
                stay("there is no flow")
            }
            Self::Stopped | Self::TryingToStart | Self::Idle | Self::Active | Self::Degraded => {
                go(Self::TryingToStop, "the flow is not wanted")
            }
            Self::TryingToStop if gone => go(Self::Stopped, "the flow has ended"),
            Self::TryingToStop if s.observed().is_none() && has_stopped(s) => {
                go(Self::Stopped, "it was stopped, though it can't be observed")
            }
            Self::TryingToStop => act(FlowAction::Stop, "the flow is to end"),
        }
    }
}

/// The last action was a stop that went well: where nothing can be observed that is the best witness, and collections that
/// fail must not hold up a stop.
fn has_stopped(s: &StopSnapshot<'_, Dataflow>) -> bool {
    s.last_action().is_some_and(|last| last.name == "stop" && last.outcome == Outcome::Success)
}

/// Why the last start failed, if it did.
fn failed(s: &Snapshot<'_, Dataflow>) -> Option<Reason> {
    let report = s.last_action().filter(|r| r.name == "start" && r.outcome != Outcome::Success)?;
    let error = report.error.as_ref().map_or(Arg::Word("no reason was given"), Arg::from);
    Some(Reason::from(("the flow did not start: {}", error)))
}

#[cfg(test)]
mod tests;
