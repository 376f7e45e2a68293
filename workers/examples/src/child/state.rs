//! The pure half of `child`: trying states act until the observation shows success, passive states wait.

use fsm_core::{
    Decision, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, remove, stay,
};

use super::{Child, ChildAction};

/// The states of `child`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChildState {
    /// Holds no socket. Waits for the goal to run.
    #[default]
    Stopped,
    /// Has no socket, or another one than asked for. Connects until the right one is seen.
    TryingToConnect,
    /// Has its socket. Waits for its loss, a changed address, or its last visitor.
    Connected,
    /// Told to stop. Disconnects until no socket is seen.
    TryingToDisconnect,
}

impl State<Child> for ChildState {
    const ALL: &'static [Self] =
        &[Self::Stopped, Self::TryingToConnect, Self::Connected, Self::TryingToDisconnect];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToConnect => "TryingToConnect",
            Self::Connected => "Connected",
            Self::TryingToDisconnect => "TryingToDisconnect",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToConnect => Phase::Starting,
            Self::Connected => Phase::Running,
            Self::TryingToDisconnect => Phase::Stopping,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::TryingToConnect | Self::TryingToDisconnect => Sort::Trying,
            Self::Stopped | Self::Connected => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Child>) -> Decision<Child> {
        match self {
            Self::Stopped => go(Self::TryingToConnect, "told to run"),
            Self::TryingToDisconnect => go(Self::TryingToConnect, "told to run again"),
            Self::TryingToConnect => match link(s) {
                Link::AsAsked => go(Self::Connected, "connected"),
                Link::Elsewhere => act(ChildAction::Connect, "the address changed"),
                Link::None => act(ChildAction::Connect, not_yet(s)),
            },
            // An answer to an older config would be believed otherwise.
            Self::Connected if s.observed().served_all && s.is_current() => {
                remove(("served its {} visitors", s.observed().visitors))
            }
            Self::Connected => match link(s) {
                Link::AsAsked => stay("connected"),
                Link::Elsewhere => go(Self::TryingToConnect, "the address changed"),
                Link::None => go(Self::TryingToConnect, "the connection is lost"),
            },
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Child>) -> Decision<Child> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::TryingToConnect | Self::Connected => go(Self::TryingToDisconnect, "told to stop"),
            Self::TryingToDisconnect => match s.observed() {
                Some(seen) if seen.link.is_none() => go(Self::Stopped, "disconnected"),
                Some(_) => act(ChildAction::Disconnect, "still connected"),
                // Collections that fail must not hold up a stop: what closed the socket is then the best witness.
                None if has_disconnected(s) => go(Self::Stopped, "disconnected, though it can't be observed"),
                None => act(ChildAction::Disconnect, "not known whether it is connected"),
            },
        }
    }
}

enum Link {
    AsAsked,
    Elsewhere,
    None,
}

fn link(s: &Snapshot<'_, Child>) -> Link {
    match &s.observed().link {
        Some(link) if link.listen == s.config().listen => Link::AsAsked,
        Some(_) => Link::Elsewhere,
        None => Link::None,
    }
}

fn not_yet(s: &Snapshot<'_, Child>) -> Reason {
    match s.last_action().and_then(|report| report.error.as_ref()) {
        Some(error) if s.consecutive_failures() > 0 => {
            ("not connected after {} attempts: {}", s.consecutive_failures(), error).into()
        }
        Some(_) | None => "not connected".into(),
    }
}

fn has_disconnected(s: &StopSnapshot<'_, Child>) -> bool {
    s.last_action().is_some_and(|last| last.name == "disconnect" && last.outcome == Outcome::Success)
}
