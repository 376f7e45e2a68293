//! The pure half of `persistence`: does what its observation says is due, and is as well as the store.

use std::time::Duration;

use fsm_core::{Arg, Decision, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, stay};

use crate::schedule::Due;
use crate::worker::{Persistence, PersistenceAction};

/// How long a stop waits for a thread that is at work in the store. Beyond that the thread is the store's trouble: a stop that
/// waited for it would be held up by a disk.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The states of `persistence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PersistenceState {
    /// The store is not looked after. Waits for the goal to run.
    #[default]
    Stopped,
    /// What was missed while it did not run is made up for, whatever the hour.
    TryingToStart,
    /// The store is well. Does what is due, and waits for the next time.
    Running,
    /// The store is not well, or what is due fails. Goes on trying, and waits until it is well.
    Degraded,
    /// Told to stop. Waits a little for a thread that is at work in the store.
    TryingToStop,
}

impl State<Persistence> for PersistenceState {
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
            Self::Running | Self::Degraded => Sort::Working,
            Self::Stopped => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Persistence>) -> Decision<Persistence> {
        let seen = s.observed();
        match self {
            Self::Stopped => go(Self::TryingToStart, "told to run"),
            Self::TryingToStop => go(Self::TryingToStart, "told to run again"),
            Self::TryingToStart | Self::Running if seen.trouble.is_some() => go(Self::Degraded, trouble(s)),
            Self::TryingToStart => match missed(s).or_else(|| due(s)) {
                Some(_) if s.consecutive_failures() > 0 => go(Self::Degraded, failure(s)),
                Some((action, why)) => act(action, why),
                None => go(Self::Running, "the store is well"),
            },
            Self::Running => match due(s) {
                Some(_) if s.consecutive_failures() > 0 => go(Self::Degraded, failure(s)),
                Some((action, why)) => act(action, why),
                None => stay("nothing is due"),
            },
            Self::Degraded => match due(s) {
                Some((action, _)) if s.consecutive_failures() > 0 => act(action, failure(s)),
                Some((action, why)) => act(action, why),
                None if seen.trouble.is_some() => stay(trouble(s)),
                None => go(Self::Running, "the store is well again"),
            },
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Persistence>) -> Decision<Persistence> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::TryingToStart | Self::Running | Self::Degraded => go(Self::TryingToStop, "told to stop"),
            Self::TryingToStop if !s.observed().is_some_and(|seen| seen.at_work) => {
                go(Self::Stopped, "nobody is at work in the store")
            }
            Self::TryingToStop if s.in_state_for(LAST_WAIT) => {
                go(Self::Stopped, "a thread is left behind in the store, which doesn't answer")
            }
            Self::TryingToStop => stay("a thread is still at work in the store"),
        }
    }
}

/// What is due now.
fn due(s: &Snapshot<'_, Persistence>) -> Option<(PersistenceAction, &'static str)> {
    let seen = s.observed();
    if seen.compact {
        // First: what is forgotten need not be looked at.
        Some((PersistenceAction::Compact, "a compaction is due"))
    } else if seen.maintain == Due::Now {
        Some((PersistenceAction::Maintain, "maintenance is due"))
    } else {
        None
    }
}

/// What a start doesn't put off to the next window (W-10).
fn missed(s: &Snapshot<'_, Persistence>) -> Option<(PersistenceAction, &'static str)> {
    let overdue = s.observed().maintain == Due::Overdue && !s.observed().compact;
    overdue.then_some((PersistenceAction::Maintain, "maintenance was missed"))
}

fn trouble(s: &Snapshot<'_, Persistence>) -> Reason {
    ("not well: {}", s.observed().trouble.as_ref().map_or(Arg::Word("no reason was given"), Arg::from)).into()
}

fn failure(s: &Snapshot<'_, Persistence>) -> Reason {
    match s.last_action() {
        Some(last) => {
            let error = last.error.as_ref().map_or(Arg::Word(last.outcome.as_str()), Arg::from);
            ("{} failed: {}", last.name, error).into()
        }
        None => "what is due failed".into(),
    }
}
