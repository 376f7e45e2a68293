//! When to log in, push, start over and give up: pure.

use fsm_core::{
    Decision, Moment, Outcome, Phase, Reason, Snapshot, Sort, State, StopSnapshot, act, go, stay,
};

use crate::observed::CommunicatorObserved;
use crate::worker::{Communicator, CommunicatorAction};

use CommunicatorAction::{Authenticate, ResetTransport, SyncPush};

/// States of a communicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CommunicatorState {
    /// It talks to nobody. Waits for the goal.
    #[default]
    Stopped,
    /// It has no session with this config. Logs in, with back-off, until the relay gives one.
    TryingToAuthenticate,
    /// It has a session, and nothing is in the way. Pushes what is unsent.
    Syncing,
    /// It has a session, but an operation fails or a buffer is nearly full. Goes on trying.
    Degraded,
    /// The relay does not want it. Waits until the token, the URL or the id is another one.
    AuthFailed,
}

impl State<Communicator> for CommunicatorState {
    const ALL: &'static [Self] =
        &[Self::Stopped, Self::TryingToAuthenticate, Self::Syncing, Self::Degraded, Self::AuthFailed];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToAuthenticate => "TryingToAuthenticate",
            Self::Syncing => "Syncing",
            Self::Degraded => "Degraded",
            Self::AuthFailed => "AuthFailed",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToAuthenticate => Phase::Starting,
            Self::Syncing => Phase::Running,
            Self::Degraded | Self::AuthFailed => Phase::Degraded,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::Stopped | Self::AuthFailed => Sort::Passive,
            Self::TryingToAuthenticate => Sort::Trying,
            Self::Syncing | Self::Degraded => Sort::Working,
        }
    }

    fn next(self, s: &Snapshot<'_, Communicator>) -> Decision<Communicator> {
        let seen = s.observed();
        match self {
            Self::Stopped => go(Self::TryingToAuthenticate, "the relay is wanted"),
            Self::AuthFailed => match refusal(seen) {
                Some(refusal) => stay(refusal),
                None => go(Self::TryingToAuthenticate, "the token, the url or the instance is another one"),
            },
            Self::TryingToAuthenticate => match refusal(seen) {
                Some(refusal) => go(Self::AuthFailed, refusal),
                None if has_session(s) => go(Self::Syncing, "the relay has let it in"),
                None => log_in(s),
            },
            Self::Syncing | Self::Degraded => work(self, s),
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Communicator>) -> Decision<Communicator> {
        let gone = match s.observed() {
            Some(seen) => !seen.alive,
            // Where nothing can be observed, the action that hung up is the best witness.
            None => s
                .last_action()
                .is_some_and(|last| last.name == "reset_transport" && last.outcome == Outcome::Success),
        };
        match self {
            Self::Stopped => stay("it talks to nobody"),
            // A refusal has ended everything.
            Self::AuthFailed => go(Self::Stopped, "it was refused and holds nothing"),
            Self::TryingToAuthenticate | Self::Syncing | Self::Degraded if gone => {
                go(Self::Stopped, "it has hung up")
            }
            Self::TryingToAuthenticate | Self::Syncing | Self::Degraded => act(
                ResetTransport { hang_up: true },
                "the relay is not wanted: it hangs up and keeps what is unsent",
            ),
        }
    }
}

/// A session with this config; one with another config is none.
fn has_session(s: &Snapshot<'_, Communicator>) -> bool {
    s.observed().session && s.deployed() == Some(s.config())
}

fn log_in(s: &Snapshot<'_, Communicator>) -> Decision<Communicator> {
    let seen = s.observed();
    if seen.reset_due {
        return act(ResetTransport { hang_up: false }, "so many errors in a row ask for new connections");
    }
    if let Some(after) = seen.login_after
        && !s.reached(after)
    {
        return stay(waiting(seen, after));
    }
    act(Authenticate, "it has no session with this config")
}

fn work(state: CommunicatorState, s: &Snapshot<'_, Communicator>) -> Decision<Communicator> {
    use CommunicatorState::{AuthFailed, Degraded, Syncing, TryingToAuthenticate};
    let seen = s.observed();
    if let Some(refusal) = refusal(seen) {
        return go(AuthFailed, refusal);
    }
    if !has_session(s) {
        let why = if seen.session { "the config has changed" } else { "the session is over" };
        return go(TryingToAuthenticate, why);
    }
    if seen.reset_due {
        return act(ResetTransport { hang_up: false }, "so many errors in a row ask for new connections");
    }
    match (state == Degraded, trouble(seen)) {
        (false, Some(trouble)) => return go(Degraded, trouble),
        (true, None) => return go(Syncing, "nothing is in the way any more"),
        (true, Some(_)) | (false, None) => {}
    }
    let may = |after: Option<Moment>| after.is_none_or(|after| s.reached(after));
    if seen.refresh_at.is_some_and(|at| s.reached(at)) && may(seen.login_after) {
        return act(Authenticate, "the token is refreshed before it expires");
    }
    if seen.unsent > 0 && may(seen.push_after) {
        return act(SyncPush, ("{} messages are unsent", seen.unsent));
    }
    match trouble(seen) {
        Some(trouble) => stay(trouble),
        None => stay("in touch with the relay"),
    }
}

fn refusal(seen: &CommunicatorObserved) -> Option<Reason> {
    let refused = seen.refused.as_ref()?;
    Some(Reason::from((
        "refused ({}), {}; it tries again when `auth_token`, `url` or `instance` changes",
        [(&refused.code).into(), (&refused.what).into()],
    )))
}

fn trouble(seen: &CommunicatorObserved) -> Option<Reason> {
    if let Some(trouble) = &seen.trouble {
        return Some(Reason::from((
            "{} fails: {}",
            [trouble.operation.as_str().into(), (&trouble.what).into()],
        )));
    }
    if seen.pressed_up {
        return Some(Reason::new("backpressure: the buffer of unsent messages is nearly full"));
    }
    if seen.pressed_down {
        return Some(Reason::new("backpressure: the buffer of commands is nearly full"));
    }
    let error = seen.store_error.as_ref()?;
    Some(Reason::from(("what is unsent can't be kept: {}", error)))
}

fn waiting(seen: &CommunicatorObserved, after: Moment) -> Reason {
    match &seen.trouble {
        Some(trouble) => {
            Reason::from(("login fails: {}; again at {}", [(&trouble.what).into(), after.into()]))
        }
        None => Reason::from(("the next login is due at {}", after)),
    }
}

#[cfg(test)]
mod tests;
