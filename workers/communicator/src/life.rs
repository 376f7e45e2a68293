//! What one incarnation owns: its session, its buffers, its tasks, and what went wrong so far.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use fsm_core::Moment;
use fsm_templating::{ClearText, SecretError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::RelayError;
use crate::backoff::{Failures, Pace, is_reset_due, wait};
use crate::client::{Client, Jwt, Login, Proof};
use crate::config::CommunicatorConfig;
use crate::mailbox::{Figures, Mailbox};
use crate::observed::{CommunicatorObserved, Operation, Refused, Trouble};
use crate::token;

/// Clocks differ and are set: a refresh moves only when they disagree by more than this.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// What one incarnation of a communicator owns.
#[derive(Default)]
pub struct CommunicatorLife {
    inner: Mutex<Inner>,
    /// Held while the buffers are opened or closed, which reads and writes the store.
    pub(crate) doors: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Inner {
    open: Option<Open>,
    client: Option<Arc<Client>>,
    session: Option<Arc<Session>>,
    puller: Option<(CancellationToken, Weak<()>)>,
    refused: Option<(Refused, Credentials)>,
    failing: [Failing; Operation::ALL.len()],
    reset_due: bool,
    pushed_at: Option<Moment>,
    told: Option<CommunicatorObserved>,
}

/// Buffers, and the tasks that fill and empty them.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) token: CancellationToken,
    pub(crate) tracker: TaskTracker,
}

/// A session at the relay.
pub(crate) struct Session {
    pub(crate) config: Arc<CommunicatorConfig>,
    pub(crate) credentials: Credentials,
    pub(crate) jwt: Jwt,
    pub(crate) instance: Arc<str>,
    expires_ms: Option<u64>,
    refresh_at: Mutex<Option<Moment>>,
}

/// What the relay judges: while these are the same, so is its judgement (W-2).
#[derive(Clone, PartialEq)]
pub(crate) struct Credentials {
    url: String,
    instance: Option<String>,
    token: Option<ClearText>,
}

#[derive(Default, Clone)]
struct Failing {
    failures: Failures,
    what: Option<Arc<str>>,
    after: Option<Moment>,
}

impl Credentials {
    /// Reads the token now, so that a rotated one is seen.
    pub(crate) fn of(config: &CommunicatorConfig) -> (Self, Result<ClearText, SecretError>) {
        let token = config.auth_token.resolve();
        let made = Self {
            url: config.url.to_string(),
            instance: config.instance.as_ref().map(|id| id.as_str().to_owned()),
            token: token.as_ref().ok().cloned(),
        };
        (made, token)
    }
}

impl Session {
    pub(crate) fn proof(&self) -> Option<Proof<'_>> {
        Some(Proof { config: &self.config, token: self.credentials.token.as_ref()?, jwt: Some(&self.jwt) })
    }

    /// When its token is refreshed. Worked out anew when the clocks disagree: one was set, or the machine slept.
    pub(crate) fn refresh_at(&self, now: Moment, wall_ms: u64) -> Option<Moment> {
        let expires = self.expires_ms?;
        let mut kept = self.refresh_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = *kept
            && kept <= now
        {
            return Some(kept);
        }
        let Some(due) = token::refresh_at(wall_ms, expires, offset_at(expires)) else {
            // It lived until now: the machine slept, or its clock was set.
            *kept = kept.map(|_| now);
            return *kept;
        };
        let due = now + Duration::from_millis(due - wall_ms);
        match *kept {
            Some(before) if due.since(before).max(before.since(due)) <= CLOCK_SLACK => Some(before),
            // Halfway of what is left would move for ever.
            Some(before) if due > before => Some(before),
            Some(_) | None => {
                *kept = Some(due);
                Some(due)
            }
        }
    }
}

/// How far the local clock is ahead of UTC then, in seconds.
fn offset_at(wall_ms: u64) -> i32 {
    let at = i64::try_from(wall_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or(0, |at| jiff::tz::TimeZone::system().to_offset(at).seconds())
}

impl CommunicatorLife {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic under this lock leaves plain data, which is good as it is.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open(&self) -> Option<Open> {
        self.lock().open.clone()
    }

    pub(crate) fn opened(&self, open: Open) {
        self.lock().open = Some(open);
    }

    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.lock().client.clone()
    }

    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.lock().session.clone()
    }

    /// New connections; whoever uses the old ones ends.
    pub(crate) fn connected(&self, client: Option<Arc<Client>>) {
        let mut inner = self.lock();
        inner.client = client;
        inner.reset_due = false;
        if let Some((token, _)) = inner.puller.take() {
            token.cancel();
        }
    }

    /// A login went well.
    pub(crate) fn logged_in(
        &self,
        config: &Arc<CommunicatorConfig>,
        credentials: Credentials,
        login: Login,
    ) -> Arc<Session> {
        let session = Arc::new(Session {
            config: Arc::clone(config),
            credentials,
            expires_ms: token::expires_at(login.jwt.expose()),
            jwt: login.jwt,
            instance: login.instance.into(),
            refresh_at: Mutex::default(),
        });
        let mut inner = self.lock();
        let same = inner.session.as_ref().is_some_and(|before| before.config == session.config);
        if !same && let Some((token, _)) = inner.puller.take() {
            // It asks where the former config says.
            token.cancel();
        }
        inner.refused = None;
        inner.session = Some(Arc::clone(&session));
        session
    }

    /// The session is over, if it is still this one.
    pub(crate) fn session_over(&self, session: &Arc<Session>) {
        let mut inner = self.lock();
        if inner.session.as_ref().is_some_and(|present| Arc::ptr_eq(present, session)) {
            inner.session = None;
        }
    }

    /// The relay does not want it: everything ends.
    pub(crate) fn refuse(&self, refused: Refused, by: Credentials) {
        let mut inner = self.lock();
        inner.refused = Some((refused, by));
        inner.session = None;
        inner.puller = None;
        if let Some(open) = &inner.open {
            open.token.cancel();
        }
    }

    /// Hangs up: no session, no connections, and the buffers for whoever closes them.
    pub(crate) fn hang_up(&self) -> Option<Open> {
        let mut inner = self.lock();
        (inner.session, inner.client, inner.puller, inner.reset_due) = (None, None, None, false);
        inner.failing = Default::default();
        let open = inner.open.clone();
        if let Some(open) = &open {
            open.token.cancel();
        }
        open
    }

    /// The buffers are closed.
    pub(crate) fn closed(&self) {
        self.lock().open = None;
    }

    pub(crate) fn succeeded(&self, operation: Operation) {
        self.lock().failing[operation as usize] = Failing::default();
    }

    pub(crate) fn pushed(&self, now: Moment) {
        self.lock().pushed_at = Some(now);
    }

    /// Notes an error. Gives how long to wait.
    pub(crate) fn failed(
        &self,
        operation: Operation,
        error: &RelayError,
        now: Moment,
        pace: Pace,
    ) -> Duration {
        let mut inner = self.lock();
        let failing = &mut inner.failing[operation as usize];
        let in_a_row = failing.failures.count(error.class);
        let back_off = pace.scale(wait(error.class, in_a_row, error.retry_after));
        failing.what = Some(error.what.as_str().into());
        failing.after = Some(now + back_off);
        inner.reset_due |= is_reset_due(error.class, in_a_row);
        back_off
    }

    pub(crate) fn is_failing(&self, operation: Operation) -> bool {
        self.lock().failing[operation as usize].failures.row().is_some()
    }

    /// Before this the operation is not tried again.
    pub(crate) fn after(&self, operation: Operation) -> Option<Moment> {
        self.lock().failing[operation as usize].after
    }

    /// A place for a puller, unless there is one or nobody has let it in.
    pub(crate) fn place_for_puller(&self) -> Option<(CancellationToken, Arc<()>, Open)> {
        let mut inner = self.lock();
        let open = inner.open.clone().filter(|open| !open.token.is_cancelled())?;
        inner.session.as_ref()?;
        if inner.puller.as_ref().is_some_and(|(_, alive)| alive.strong_count() > 0) {
            return None;
        }
        let (token, alive) = (open.token.child_token(), Arc::new(()));
        inner.puller = Some((token.clone(), Arc::downgrade(&alive)));
        Some((token, alive, open))
    }

    /// What is to be seen, for decisions under this config.
    pub(crate) fn look(
        &self,
        config: &CommunicatorConfig,
        now: Moment,
        wall_ms: u64,
    ) -> CommunicatorObserved {
        let mut inner = self.lock();
        // A refusal holds for what was refused; a token is read again only while there is one.
        if inner.refused.as_ref().is_some_and(|(_, by)| *by != Credentials::of(config).0) {
            inner.refused = None;
            inner.failing = Default::default();
        }
        let open = inner.open.as_ref();
        let Figures { unsent, waiting, pressed_up, pressed_down, set_aside, lost } =
            open.map(|open| open.mailbox.figures()).unwrap_or_default();
        let trouble = Operation::ALL.into_iter().find_map(|operation| {
            let failing = &inner.failing[operation as usize];
            let (class, in_a_row) = failing.failures.row()?;
            Some(Trouble { operation, class, in_a_row, what: failing.what.clone().unwrap_or_default() })
        });
        let session = inner.session.as_ref();
        let interval = config.push_interval.get();
        let paced = inner.pushed_at.map(|at| at + interval);
        CommunicatorObserved {
            alive: session.is_some() || open.is_some_and(|open| !open.tracker.is_empty()),
            session: session.is_some(),
            instance: session.map(|session| Arc::clone(&session.instance)),
            refused: inner.refused.as_ref().map(|(refused, _)| refused.clone()),
            trouble,
            reset_due: inner.reset_due,
            login_after: inner.failing[Operation::Login as usize].after,
            push_after: inner.failing[Operation::Push as usize].after.max(paced),
            refresh_at: session.and_then(|session| session.refresh_at(now, wall_ms)),
            unsent,
            waiting,
            pressed_up,
            pressed_down,
            set_aside,
            lost,
            store_error: open.and_then(|open| open.mailbox.journal().error()),
            deployed: session.map(|session| Arc::clone(&session.config)),
        }
    }

    /// Whether this is news to whoever decides. Then it is what was told last.
    pub(crate) fn is_news(&self, seen: &CommunicatorObserved) -> bool {
        use fsm_core::Observed;
        let mut inner = self.lock();
        let news = inner.told.as_ref().is_none_or(|told| !seen.same_for_decisions(told));
        if news {
            inner.told = Some(seen.clone());
        }
        news
    }
}

impl fmt::Debug for CommunicatorLife {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommunicatorLife").finish_non_exhaustive()
    }
}
