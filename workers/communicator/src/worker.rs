//! The kind `communicator`: logs in, pushes what is unsent, hangs up; polls the relay as long as there is a session.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext,
    DeriveError, DesiredState, MetricSpec, NodePath, Policy, RetryPolicy, UserSpec, Worker,
};
use fsm_store::{MemoryStore, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::RelayError;
use crate::backoff::{ErrorClass, Pace};
use crate::client::{Client, Proof};
use crate::config::CommunicatorConfig;
use crate::journal::Journal;
use crate::life::{CommunicatorLife, Credentials, Open};
use crate::mailbox::Mailbox;
use crate::observed::{CommunicatorObserved, Operation, Refused};
use crate::port::{Exchange, NoExchange};
use crate::record::{self, Direction, METRICS};
use crate::state::CommunicatorState;
use crate::tasks::{self, Teller};

/// Without news the engine looks so often: for a token file that was rotated, and a clock that was set.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// A login is one request of 30 s, and reading what was kept before it.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(45);
/// Some requests one after the other; what is left goes with the next push.
const PUSH_TIMEOUT: Duration = Duration::from_secs(120);
/// Requests of one push: a refused batch is halved six times, and the rest may follow.
const PUSH_REQUESTS: usize = 20;
/// Waiting for tasks that are told to end, and for one write to the store.
const RESET_TIMEOUT: Duration = Duration::from_secs(10);

/// The kind: what all communicators of a process share.
#[derive(Clone)]
pub struct Communicator {
    exchange: Arc<dyn Exchange>,
    store: Arc<dyn Store>,
    pace: Pace,
    /// They outlive incarnations: what one could not write any more the next one does.
    journals: Arc<Mutex<BTreeMap<NodePath, Arc<Journal>>>>,
}

impl Communicator {
    /// Communicators that talk to the tree through `exchange` and keep what is unsent in `store`.
    pub fn new(exchange: Arc<dyn Exchange>, store: Arc<dyn Store>) -> Self {
        Self { exchange, store, pace: Pace::REAL, journals: Arc::default() }
    }

    /// For checking configs: no tree, and nothing is kept.
    #[must_use]
    pub fn for_checking() -> Self {
        Self::new(Arc::new(NoExchange), Arc::new(MemoryStore::default()))
    }

    /// With another pace of waiting, for tests.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    fn journal(&self, path: &NodePath) -> Arc<Journal> {
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody uses and that have nothing to write would come back from the store as they are.
        journals.retain(|_, journal| Arc::strong_count(journal) > 1 || journal.has_pending());
        let made = journals
            .entry(path.clone())
            .or_insert_with(|| Arc::new(Journal::new(Arc::clone(&self.store), path)));
        Arc::clone(made)
    }
}

impl fmt::Debug for Communicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Communicator").field("pace", &self.pace).finish_non_exhaustive()
    }
}

/// What a communicator can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommunicatorAction {
    /// Logs in, unless there is a session with this config that need not be refreshed.
    Authenticate,
    /// Hands over what is unsent.
    SyncPush,
    /// Drops the connections, to make new ones.
    ResetTransport {
        /// And the session, and everything that runs: nothing is left but what is kept.
        hang_up: bool,
    },
}

impl Action for CommunicatorAction {
    const NAMES: &'static [&'static str] = &["authenticate", "sync_push", "reset_transport"];

    fn name(&self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::SyncPush => "sync_push",
            Self::ResetTransport { .. } => "reset_transport",
        }
    }
}

impl Worker for Communicator {
    const KIND: &'static str = "communicator";
    // How long to wait after which error is this kind's own business: the executor does not try again.
    const POLICY: Policy = Policy::DEFAULT.push(HEARTBEAT).with_actions(&[
        ActionPolicy::new("authenticate", LOGIN_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("sync_push", PUSH_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("reset_transport", RESET_TIMEOUT),
    ]);
    type Config = CommunicatorConfig;
    type Observed = CommunicatorObserved;
    type State = CommunicatorState;
    type Action = CommunicatorAction;
    type Handle = CommunicatorLife;

    fn derive_desired_state(
        spec: &UserSpec<CommunicatorConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<CommunicatorConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    fn metrics() -> &'static [MetricSpec] {
        METRICS
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<CommunicatorObserved, CollectError> {
        let life = cx.handle();
        if let Some(client) = life.client()
            && let Some((token, alive, open)) = life.place_for_puller()
        {
            let teller = teller(self, cx.config(), life, cx.host(), cx.pusher());
            let pull = tasks::pull(client, open.mailbox, teller, alive);
            cx.spawn(
                "pull",
                open.tracker.track_future(async move {
                    token.run_until_cancelled(pull).await;
                }),
            );
        }
        for (task, text) in cx.task_panics() {
            tracing::error!(task, %text, "a task of the communicator panicked");
        }
        let seen = life.look(cx.config(), cx.now(), cx.wall_ms());
        record::buffered(cx.metrics(), seen.unsent, seen.waiting);
        life.is_news(&seen);
        Ok(seen)
    }

    async fn execute(
        &self,
        action: CommunicatorAction,
        cx: ActionContext<'_, Self>,
    ) -> Result<(), ActionError> {
        let work = async {
            match action {
                CommunicatorAction::Authenticate => authenticate(self, &cx).await,
                CommunicatorAction::SyncPush => sync_push(self, &cx).await,
                CommunicatorAction::ResetTransport { hang_up: false } => reset(&cx).await,
                CommunicatorAction::ResetTransport { hang_up: true } => hang_up(&cx).await,
            }
        };
        // Cancel-safe: told to end, a request is dropped where it is, as it may be anywhere; nobody waits for a slow relay.
        tokio::select! {
            result = work => result,
            () = cx.cancelled() => Err(ActionError::transient("it was told to end")),
        }
    }
}

fn teller(
    worker: &Communicator,
    config: &Arc<CommunicatorConfig>,
    life: &Arc<CommunicatorLife>,
    host: &Arc<dyn fsm_core::Host>,
    pusher: fsm_core::Pusher<Communicator>,
) -> Teller {
    Teller {
        life: Arc::clone(life),
        config: Arc::clone(config),
        host: Arc::clone(host),
        pusher,
        pace: worker.pace,
    }
}

/// What an error of a request is to the engine, which keeps the pace.
fn failure(operation: Operation, error: &RelayError, wait: Duration) -> ActionError {
    let what = format!("{}: {error}", operation.as_str());
    ActionError::transient(what).with_retry_after(wait)
}

/// Idempotent: looks first whether there is a session already (GET before POST). A login that was cut off is made again; the
/// relay gives another token for the same instance.
async fn authenticate(
    worker: &Communicator,
    cx: &ActionContext<'_, Communicator>,
) -> Result<(), ActionError> {
    let (life, config) = (cx.handle(), cx.config());
    let teller = teller(worker, config, life, cx.host(), cx.pusher());
    open(worker, cx, &teller).await?;
    let (credentials, token) = Credentials::of(config);
    if let Some(session) = life.session() {
        let due = session.refresh_at(cx.now(), cx.wall_ms()).is_some_and(|at| at <= cx.now());
        if !due && session.config == *config && session.credentials == credentials {
            return Ok(());
        }
    }
    let token = match token {
        Ok(token) => token,
        Err(error) => {
            let what = fsm_core::chain(&error);
            life.refuse(Refused { code: "no_token".into(), what: Arc::clone(&what) }, credentials);
            return Err(ActionError::permanent(what));
        }
    };
    let client = connect(cx).await.map_err(|error| {
        let wait = teller.failed(Operation::Login, None, &error);
        failure(Operation::Login, &error, wait)
    })?;
    if life.is_failing(Operation::Login) {
        record::retry(cx.metrics(), Operation::Login);
    }
    let proof = Proof { config, token: &token, jwt: None };
    let login = client.login(proof).await.and_then(|login| {
        let asked = config.instance.as_ref().map(|asked| asked.as_str());
        match asked.is_none_or(|asked| asked == login.instance) {
            true => Ok(login),
            false => Err(RelayError::new(
                ErrorClass::InvalidToken,
                "the token belongs to another instance than `instance` says",
            )),
        }
    });
    match login {
        Ok(login) => {
            life.succeeded(Operation::Login);
            life.logged_in(config, credentials, login);
            Ok(())
        }
        Err(error) => {
            let wait = teller.failed(Operation::Login, None, &error);
            if error.class.is_final() {
                let refused = Refused { code: error.class.as_str().into(), what: error.what.as_str().into() };
                life.refuse(refused, credentials);
                return Err(ActionError::permanent(format!("login: {error}")).with_retry_after(wait));
            }
            Err(failure(Operation::Login, &error, wait))
        }
    }
}

/// The present connections, or the first ones.
async fn connect(cx: &ActionContext<'_, Communicator>) -> Result<Arc<Client>, RelayError> {
    let life = cx.handle();
    let same = life.session().is_none_or(|session| session.config == *cx.config());
    if let Some(client) = life.client().filter(|_| same) {
        return Ok(client);
    }
    let client = make_client(cx.config()).await?;
    life.connected(Some(Arc::clone(&client)));
    Ok(client)
}

async fn make_client(config: &Arc<CommunicatorConfig>) -> Result<Arc<Client>, RelayError> {
    let config = Arc::clone(config);
    let made = tasks::blocking(move || Client::try_new(&config)).await;
    made.unwrap_or_else(|| Err(RelayError::new(ErrorClass::Network, "the connections can't be set up")))
        .map(Arc::new)
}

/// Opens the buffers, with what was kept, and starts what fills and empties them. Open ones are left alone.
async fn open(
    worker: &Communicator,
    cx: &ActionContext<'_, Communicator>,
    teller: &Teller,
) -> Result<(), ActionError> {
    let life = cx.handle();
    let _door = life.doors.lock().await;
    if let Some(open) = life.open() {
        if !open.token.is_cancelled() {
            return Ok(());
        }
        close(cx, &open).await;
    }
    let journal = worker.journal(&cx.identity().path);
    let (reader, wall_ms) = (Arc::clone(&journal), cx.wall_ms());
    let kept = match tasks::blocking(move || reader.load(wall_ms)).await {
        Some(Ok(kept)) => kept,
        Some(Err(error)) => {
            return Err(ActionError::transient("what was unsent can't be read").with_source(error));
        }
        None => return Err(ActionError::transient("reading what was unsent panicked")),
    };
    let name = format!("{wall_ms:x}-{}", cx.identity().node.incarnation());
    let mailbox = Arc::new(Mailbox::new(cx.config().buffer, journal, kept, name));
    let open = Open { mailbox, token: CancellationToken::new(), tracker: TaskTracker::new() };
    // No await from here on: tasks that were started have an owner.
    tasks::start(&worker.exchange, &cx.identity().path, &open, teller);
    life.opened(open);
    Ok(())
}

/// Idempotent: what the relay has is not sent again, and what it got twice it tells apart by the id. Dropped midway, what was
/// not confirmed is still unsent.
async fn sync_push(worker: &Communicator, cx: &ActionContext<'_, Communicator>) -> Result<(), ActionError> {
    let life = cx.handle();
    let (Some(open), Some(session), Some(client)) = (life.open(), life.session(), life.client()) else {
        return Err(ActionError::transient("there is no session to push with"));
    };
    let Some(proof) = session.proof() else { return Err(ActionError::transient("there is no token")) };
    let teller = teller(worker, cx.config(), life, cx.host(), cx.pusher());
    if life.is_failing(Operation::Push) {
        record::retry(cx.metrics(), Operation::Push);
    }
    for _ in 0..PUSH_REQUESTS {
        let batch = open.mailbox.batch(session.config.batch);
        if batch.is_empty() {
            break;
        }
        match client.push(proof, &batch).await {
            Ok(rejected) => {
                life.succeeded(Operation::Push);
                let aside = open.mailbox.sent(&batch, &rejected);
                for _ in 0..aside {
                    record::poison(cx.metrics(), Direction::Up);
                }
                record::sent(cx.metrics(), batch.len() - aside);
            }
            Err(error) if error.class == ErrorClass::Rejected => {
                record::error(cx.metrics(), Operation::Push, error.class);
                if open.mailbox.refused(&batch, &error.what) {
                    record::poison(cx.metrics(), Direction::Up);
                }
            }
            Err(error) => {
                let wait = teller.failed(Operation::Push, Some(&session), &error);
                return Err(failure(Operation::Push, &error, wait));
            }
        }
    }
    life.pushed(cx.now());
    Ok(())
}

/// Idempotent: there are new connections afterwards, and the session goes on over them.
async fn reset(cx: &ActionContext<'_, Communicator>) -> Result<(), ActionError> {
    let client = make_client(cx.config()).await.map_err(|error| ActionError::transient(error.what))?;
    cx.handle().connected(Some(client));
    record::reset(cx.metrics());
    Ok(())
}

/// Idempotent: nothing runs afterwards, and what is unsent is kept.
async fn hang_up(cx: &ActionContext<'_, Communicator>) -> Result<(), ActionError> {
    let life = cx.handle();
    let _door = life.doors.lock().await;
    if let Some(open) = life.hang_up() {
        close(cx, &open).await;
    }
    Ok(())
}

/// Waits for the tasks to end and writes what they left.
async fn close(cx: &ActionContext<'_, Communicator>, open: &Open) {
    open.tracker.close();
    open.tracker.wait().await;
    // What can't be written now is with the next write: a store that fails holds up no stop.
    tasks::flush(open.mailbox.journal(), cx.wall_ms()).await;
    cx.handle().closed();
}
