//! What is seen of the exchange with the relay.

use std::sync::Arc;

use fsm_core::{Moment, Observed};
use serde::{Deserialize, Serialize};

use crate::backoff::ErrorClass;
use crate::config::CommunicatorConfig;

/// A request to the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Present the token, get a session.
    Login,
    /// Ask for commands.
    Pull,
    /// Hand over what is unsent.
    Push,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Login, Self::Pull, Self::Push];

    /// The word for people and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Pull => "pull",
            Self::Push => "push",
        }
    }
}

/// An operation that fails at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trouble {
    /// Which.
    pub operation: Operation,
    /// How.
    pub class: ErrorClass,
    /// How often in a row.
    pub in_a_row: u32,
    /// What went wrong last, without secrets.
    pub what: Arc<str>,
}

impl Trouble {
    /// The first failure of an operation.
    pub fn new(operation: Operation, class: ErrorClass, what: impl Into<Arc<str>>) -> Self {
        Self { operation, class, in_a_row: 1, what: what.into() }
    }
}

/// The relay does not want this token, or this instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refused {
    /// `invalid_token`, `instance_deleted`, `wrong_instance` or `no_token`.
    pub code: Arc<str>,
    /// What was said, without secrets.
    pub what: Arc<str>,
}

/// What is seen of a communicator.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CommunicatorObserved {
    /// Something of it runs: its tasks, or a session.
    pub alive: bool,
    /// It has a session at the relay.
    pub session: bool,
    /// As which instance the relay knows it.
    pub instance: Option<Arc<str>>,
    /// It was refused, and nothing has changed since.
    pub refused: Option<Refused>,
    /// The last failure of an operation that has not succeeded since.
    pub trouble: Option<Trouble>,
    /// The connections are to be made anew.
    pub reset_due: bool,
    /// No login before.
    pub login_after: Option<Moment>,
    /// No push before.
    pub push_after: Option<Moment>,
    /// The session's token is refreshed then.
    pub refresh_at: Option<Moment>,
    /// Messages that the relay has not got yet.
    pub unsent: usize,
    /// Commands that wait for their turn.
    pub waiting: usize,
    /// The buffer of unsent messages is nearly full.
    pub pressed_up: bool,
    /// The buffer of commands is nearly full.
    pub pressed_down: bool,
    /// Messages that were set aside, since the relay or this instance can't use them.
    pub set_aside: u64,
    /// Events that were lost while there was no room for them.
    pub lost: u64,
    /// Why what is unsent can't be kept.
    pub store_error: Option<Arc<str>>,
    /// The config of the session.
    #[serde(skip)]
    pub deployed: Option<Arc<CommunicatorConfig>>,
}

impl Observed<CommunicatorConfig> for CommunicatorObserved {
    fn same_for_decisions(&self, old: &Self) -> bool {
        // Figures only measure; what a text says more is no other trouble.
        let Self {
            alive,
            session,
            instance: _,
            refused,
            trouble,
            reset_due,
            login_after,
            push_after,
            refresh_at,
            unsent,
            waiting: _,
            pressed_up,
            pressed_down,
            set_aside: _,
            lost: _,
            store_error,
            deployed,
        } = self;
        let row = |trouble: &Option<Trouble>| trouble.as_ref().map(|t| (t.operation, t.class));
        *alive == old.alive
            && *session == old.session
            && *refused == old.refused
            && row(trouble) == row(&old.trouble)
            && *reset_due == old.reset_due
            && *login_after == old.login_after
            && *push_after == old.push_after
            && *refresh_at == old.refresh_at
            && (*unsent > 0) == (old.unsent > 0)
            && *pressed_up == old.pressed_up
            && *pressed_down == old.pressed_down
            && store_error.is_some() == old.store_error.is_some()
            && *deployed == old.deployed
    }

    fn deployed(&self) -> Option<&CommunicatorConfig> {
        self.deployed.as_deref()
    }
}
