//! The pure half of `connection`: what probes mean. It never acts by itself.

use std::sync::Arc;

use fsm_core::{Decision, Phase, Reason, Snapshot, Sort, State, StopSnapshot, go, stay};

use super::Connection;

/// The states of `connection`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ConnectionState {
    /// Not believed to be anything. Waits for the goal to run.
    #[default]
    Stopped,
    /// The target was not probed yet. Waits for its first probe.
    Probing,
    /// The last probe was answered. Waits for one that isn't.
    Up,
    /// The last probe failed. Waits for one that is answered.
    Down,
    /// The answer changed too often of late to be relied on. Waits until it is steady.
    Flapping,
}

impl State<Connection> for ConnectionState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::Probing, Self::Up, Self::Down, Self::Flapping];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Probing => "Probing",
            Self::Up => "Up",
            Self::Down => "Down",
            Self::Flapping => "Flapping",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Probing => Phase::Starting,
            Self::Up => Phase::Running,
            Self::Down | Self::Flapping => Phase::Degraded,
        }
    }

    fn sort(self) -> Sort {
        Sort::Passive
    }

    fn next(self, s: &Snapshot<'_, Connection>) -> Decision<Connection> {
        match self {
            Self::Stopped => go(Self::Probing, ("told to probe {}", s.config().label())),
            Self::Probing if !is_about_target(s) => {
                stay(("waiting for the first probe of {}", s.config().label()))
            }
            Self::Up | Self::Down | Self::Flapping if !is_about_target(s) => {
                go(Self::Probing, ("the target changed to {}", s.config().label()))
            }
            Self::Probing | Self::Up | Self::Down | Self::Flapping => {
                let seen = self.judge(s);
                if seen == self { stay(seen.why(s)) } else { go(seen, seen.why(s)) }
            }
        }
    }

    fn stop(self, _s: &StopSnapshot<'_, Connection>) -> Decision<Connection> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::Probing | Self::Up | Self::Down | Self::Flapping => go(Self::Stopped, "told to stop"),
        }
    }
}

impl ConnectionState {
    /// Flapping ends later than it begins, so that it doesn't flap itself.
    fn judge(self, s: &Snapshot<'_, Connection>) -> Self {
        let (changes, limit) = (s.observed().changes_recently, s.config().flapping.changes);
        let is_flapping = if self == Self::Flapping { changes > limit / 2 } else { changes >= limit };
        match (is_flapping, s.observed().is_up()) {
            (true, _) => Self::Flapping,
            (false, true) => Self::Up,
            (false, false) => Self::Down,
        }
    }

    fn why(self, s: &Snapshot<'_, Connection>) -> Reason {
        match (self, &s.observed().failure) {
            (Self::Flapping, _) => {
                let within = s.config().flapping.within.get();
                ("{} changes between up and down within {}", s.observed().changes_recently, within).into()
            }
            (Self::Stopped | Self::Probing | Self::Up | Self::Down, Some(failure)) => {
                ("{} is down: {}", s.config().label(), Arc::clone(&failure.what)).into()
            }
            (Self::Stopped | Self::Probing | Self::Up | Self::Down, None) => {
                ("{} answers", s.config().label()).into()
            }
        }
    }
}

/// A probe of what was the target before says nothing about what it is now.
fn is_about_target(s: &Snapshot<'_, Connection>) -> bool {
    s.observed().target == *s.config().label()
}
