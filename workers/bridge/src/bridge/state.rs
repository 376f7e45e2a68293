//! The pure half of `bridge`: what its children together mean, asked in one fixed order.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{ChildView, Decision, Phase, Reason, Snapshot, Sort, State, StopSnapshot, go, stay};

use super::Bridge;
use super::names::{CONNECTION, READ, WRITE};

/// The time in which a flow starts, at most: the timeout of its start action.
const FLOWS_START_WITHIN: Duration = Duration::from_secs(30);
/// The engine asks a bridge to stop when its children have; what was forced may look alive for a moment longer.
const CHILDREN_GONE_WITHIN: Duration = Duration::from_secs(10);

/// The states of `bridge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BridgeState {
    /// All children are held in Stopped. Waits for the goal to run.
    #[default]
    Stopped,
    /// The connection is probed, the flows are held. Waits until the connection is up.
    WaitingForConnection,
    /// The flows start. Waits until those that are enabled are healthy, at most 30 s.
    WaitingForFlows,
    /// Everything is healthy, and no data passes. Waits for data, or for a loss.
    Idle,
    /// Data passes. Waits for silence, or for a loss.
    Active,
    /// The connection was up and is not any more; the flows go on. Waits until it is up again.
    DegradedConnection,
    /// A flow is not healthy. Waits until it is.
    DegradedFlow,
    /// Told to stop. Waits until the children are at rest.
    Stopping,
}

impl BridgeState {
    /// The states in which the flows run: from the first time that the connection is up until the stop. Losing the
    /// connection is not among the reasons to stop them.
    pub const FLOWS_RUN: [Self; 5] =
        [Self::WaitingForFlows, Self::Idle, Self::Active, Self::DegradedConnection, Self::DegradedFlow];
}

impl State<Bridge> for BridgeState {
    const ALL: &'static [Self] = &[
        Self::Stopped,
        Self::WaitingForConnection,
        Self::WaitingForFlows,
        Self::Idle,
        Self::Active,
        Self::DegradedConnection,
        Self::DegradedFlow,
        Self::Stopping,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::WaitingForConnection => "WaitingForConnection",
            Self::WaitingForFlows => "WaitingForFlows",
            Self::Idle => "Idle",
            Self::Active => "Active",
            Self::DegradedConnection => "DegradedConnection",
            Self::DegradedFlow => "DegradedFlow",
            Self::Stopping => "Stopping",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::WaitingForConnection | Self::WaitingForFlows => Phase::Starting,
            Self::Idle | Self::Active => Phase::Running,
            Self::DegradedConnection | Self::DegradedFlow => Phase::Degraded,
            Self::Stopping => Phase::Stopping,
        }
    }

    fn sort(self) -> Sort {
        // It never acts: its children do.
        Sort::Passive
    }

    fn next(self, s: &Snapshot<'_, Bridge>) -> Decision<Bridge> {
        match self {
            Self::Stopped => go(Self::WaitingForConnection, "told to run"),
            Self::Stopping => go(Self::WaitingForConnection, "told to run again"),
            Self::WaitingForConnection => match lost_connection(s) {
                Some(connection) => stay(is(&connection)),
                None => go(Self::WaitingForFlows, "the connection is up"),
            },
            Self::WaitingForFlows
            | Self::Idle
            | Self::Active
            | Self::DegradedConnection
            | Self::DegradedFlow => self.follow(s),
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Bridge>) -> Decision<Bridge> {
        let children = s.children();
        match self {
            Self::Stopped => stay("stopped"),
            Self::Stopping if children.healthy() + children.degraded() == 0 => {
                go(Self::Stopped, "all children are at rest")
            }
            Self::Stopping if s.in_state_for(CHILDREN_GONE_WITHIN) => {
                go(Self::Stopped, "its children were forced to stop")
            }
            Self::Stopping => stay(("{} children are not at rest", children.healthy() + children.degraded())),
            Self::WaitingForConnection
            | Self::WaitingForFlows
            | Self::Idle
            | Self::Active
            | Self::DegradedConnection
            | Self::DegradedFlow => go(Self::Stopping, "told to stop"),
        }
    }
}

impl BridgeState {
    /// The order of the questions, the same in each state whose flows run: what can't be, what is lost, what is not
    /// there yet, what passes. Shutdown comes before all of them: that is `stop`.
    fn follow(self, s: &Snapshot<'_, Bridge>) -> Decision<Bridge> {
        // Fatal: a child that can't be made stays so until the config changes.
        for (name, degraded) in
            [(CONNECTION, Self::DegradedConnection), (READ, Self::DegradedFlow), (WRITE, Self::DegradedFlow)]
        {
            if let Some(child) = s.children().get(name).filter(|child| child.invalid) {
                return self.to(degraded, is(&child));
            }
        }
        // Failure.
        if let Some(connection) = lost_connection(s) {
            return self.to(Self::DegradedConnection, is(&connection));
        }
        if let Some(flow) = flows(s).find(|flow| matches!(flow.phase, Phase::Degraded | Phase::Stopping)) {
            return self.to(Self::DegradedFlow, is(&flow));
        }
        // Not there yet. A flow that takes too long stays degraded until it is there.
        if let Some(flow) = flows(s).find(|flow| matches!(flow.phase, Phase::Stopped | Phase::Starting)) {
            let is_late = self == Self::DegradedFlow
                || self == Self::WaitingForFlows && s.in_state_for(FLOWS_START_WITHIN);
            let state = if is_late { Self::DegradedFlow } else { Self::WaitingForFlows };
            return self.to(state, is(&flow));
        }
        // Success.
        if flows(s).any(|flow| flow.state == "Active") {
            return self.to(Self::Active, "data passes");
        }
        let why = if flows(s).next().is_none() { "no flow is enabled" } else { "no data passes" };
        self.to(Self::Idle, why)
    }

    fn to(self, state: Self, why: impl Into<Reason>) -> Decision<Bridge> {
        if self == state { stay(why) } else { go(state, why) }
    }
}

/// The connection where it is not up. A bridge without one has nothing to lose.
fn lost_connection<'a>(s: &Snapshot<'a, Bridge>) -> Option<ChildView<'a>> {
    s.children().get(CONNECTION).filter(|connection| connection.phase != Phase::Running)
}

/// The flows that are enabled.
fn flows<'a>(s: &Snapshot<'a, Bridge>) -> impl Iterator<Item = ChildView<'a>> {
    let (children, config) = (s.children(), s.config());
    [READ, WRITE]
        .into_iter()
        .filter(|name| config.is_enabled(name))
        .filter_map(move |name| children.get(name))
}

/// `connection is Down: 10.0.0.7:502 is down: connection refused`
fn is(child: &ChildView<'_>) -> Reason {
    let name = match child.name {
        READ => READ,
        WRITE => WRITE,
        _ => CONNECTION,
    };
    let state = if child.state.is_empty() { "invalid" } else { child.state };
    let text: Arc<str> = format!("{state}: {}", child.reason).into();
    ("{} is {}", name, text).into()
}
