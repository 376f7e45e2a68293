//! The pure half of `hello`: when it greets, and what a mood means.

use fsm_core::{Decision, Phase, Snapshot, Sort, State, StopSnapshot, act, go, stay};

use super::{Hello, HelloAction, Mood};

/// The states of `hello`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HelloState {
    /// Not watching. Waits for the goal to run.
    #[default]
    Stopped,
    /// The greeting is missing or another one; greets until it is seen.
    TryingToGreet,
    /// The greeting stands and the mood is not sad. Waits for either to change.
    Running,
    /// The greeting stands, but the mood is sad. Waits for a better one.
    Degraded,
}

impl State<Hello> for HelloState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::TryingToGreet, Self::Running, Self::Degraded];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToGreet => "TryingToGreet",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToGreet => Phase::Starting,
            Self::Running => Phase::Running,
            Self::Degraded => Phase::Degraded,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::TryingToGreet => Sort::Trying,
            Self::Stopped | Self::Running | Self::Degraded => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Hello>) -> Decision<Hello> {
        match self {
            Self::Stopped => go(Self::TryingToGreet, "told to run"),
            Self::TryingToGreet if !is_greeted(s) => act(HelloAction::Greet, missing(s)),
            Self::TryingToGreet => match s.observed().mood {
                Mood::Sad => go(Self::Degraded, "the mood is sad"),
                Mood::Happy | Mood::Unknown => go(Self::Running, "the greeting is there"),
            },
            Self::Running | Self::Degraded if !is_greeted(s) => go(Self::TryingToGreet, missing(s)),
            Self::Running => match s.observed().mood {
                Mood::Sad => go(Self::Degraded, "the mood is sad"),
                Mood::Happy => stay("the mood is fine"),
                Mood::Unknown => stay("no mood is known"),
            },
            Self::Degraded => match s.observed().mood {
                Mood::Sad => stay("the mood is sad"),
                Mood::Happy => go(Self::Running, "the mood is fine again"),
                Mood::Unknown => go(Self::Running, "no mood is known any more"),
            },
        }
    }

    fn stop(self, _s: &StopSnapshot<'_, Hello>) -> Decision<Hello> {
        match self {
            Self::Stopped => stay("stopped"),
            // A greeting is a word, not a resource: it may stay behind.
            Self::TryingToGreet | Self::Running | Self::Degraded => go(Self::Stopped, "told to stop"),
        }
    }
}

fn is_greeted(s: &Snapshot<'_, Hello>) -> bool {
    s.observed().greeting.as_deref() == Some(s.config().greeting.as_str())
}

fn missing(s: &Snapshot<'_, Hello>) -> &'static str {
    match s.observed().greeting {
        None => "there is no greeting yet",
        Some(_) => "the greeting is another one",
    }
}
