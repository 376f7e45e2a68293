//! A relay in the process, over real HTTP on the loopback: for tests, and to try a communicator without one at hand.
//!
//! It keeps what was pushed, hands out commands until their receipt comes, and misbehaves on demand ([`Fault`]). It has one
//! token and one instance, and keeps everything in memory: it is no relay to run.

mod routes;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::message::Message;
use crate::observed::Operation;

/// A running relay. Dropping it closes its port.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use fsm_worker_communicator::relay::Relay;
/// let relay = Relay::start("the token", "instance-1").await.unwrap();
/// assert!(relay.url().starts_with("http://127.0.0.1:"));
/// assert!(relay.book(|book| book.received.is_empty()));
/// # });
/// ```
#[derive(Debug)]
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
    serving: JoinSet<()>,
}

/// What a relay knows and what it saw.
#[derive(Debug)]
#[non_exhaustive]
pub struct Book {
    /// The token that it takes.
    pub token: String,
    /// The instance that it belongs to.
    pub instance: String,
    /// The instance was deleted.
    pub deleted: bool,
    /// How long the tokens that it gives live.
    pub lifetime: Duration,
    /// Part of each JWT, so that one can be searched for.
    pub marker: String,
    /// Messages of this kind are refused, and the whole batch with them.
    pub refuses: Option<String>,
    /// Each answer takes this long.
    pub slow: Duration,
    /// What was pushed, each once, in the order of arrival.
    pub received: Vec<Message>,
    /// How many messages came a second time.
    pub duplicates: usize,
    /// Requests, with the status that was answered; 0 where the connection was broken.
    pub requests: Vec<(Operation, u16)>,
    /// Requests for anything else, by their URL.
    pub strays: Vec<String>,
    begun: Vec<Operation>,
    commands: BTreeMap<String, Waiting>,
    order: VecDeque<String>,
    known: HashSet<String>,
    sessions: HashSet<String>,
    logins: u64,
    faults: BTreeMap<&'static str, VecDeque<Fault>>,
}

#[derive(Debug)]
struct Waiting {
    message: serde_json::Value,
    handed_out: bool,
}

/// A way to misbehave, once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Answer with this status and error code.
    Status(u16, &'static str),
    /// The same, with the header `Retry-After`.
    RetryAfter(u16, String),
    /// Answer with a page, as a proxy or a challenge does.
    Page(u16),
    /// Break the connection in the middle of the answer.
    Break,
    /// Do what was asked, but break the connection before the answer is there.
    BreakAfter,
    /// Answer with an explanation that repeats the token that was presented.
    Echo(u16),
}

#[derive(Debug)]
struct Shared {
    book: Mutex<Book>,
    changed: watch::Sender<u64>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Book> {
        // A panic under this lock leaves plain data, which is good as it is.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.send_modify(|count| *count += 1);
        changed
    }

    async fn until<T>(&self, wanted: impl Fn(&mut Book) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        loop {
            let found = wanted(&mut self.lock());
            if let Some(found) = found {
                return found;
            }
            if changes.changed().await.is_err() {
                // The sender lives in `self`.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Relay {
    /// Starts one on a free port of the loopback, for this token and instance.
    ///
    /// # Errors
    /// The system's, when no port can be had.
    pub async fn start(token: &str, instance: &str) -> io::Result<Self> {
        let book = Book {
            token: token.into(),
            instance: instance.into(),
            deleted: false,
            lifetime: Duration::from_secs(86_400),
            marker: "jwt".into(),
            refuses: None,
            slow: Duration::ZERO,
            received: Vec::new(),
            duplicates: 0,
            requests: Vec::new(),
            strays: Vec::new(),
            begun: Vec::new(),
            commands: BTreeMap::new(),
            order: VecDeque::new(),
            known: HashSet::new(),
            sessions: HashSet::new(),
            logins: 0,
            faults: BTreeMap::new(),
        };
        let shared = Arc::new(Shared { book: Mutex::new(book), changed: watch::Sender::new(0) });
        let mut relay = Self { port: 0, shared, serving: JoinSet::new() };
        relay.listen().await?;
        Ok(relay)
    }

    async fn listen(&mut self) -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await?;
        self.port = listener.local_addr()?.port();
        let routes = routes::router(Arc::clone(&self.shared));
        self.serving.spawn(async move {
            // It ends when it is dropped.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(())
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Closes the port: whoever connects is refused.
    pub async fn close(&mut self) {
        self.serving.shutdown().await;
    }

    /// Listens on the same port again.
    ///
    /// # Errors
    /// The system's, when the port is taken meanwhile.
    pub async fn reopen(&mut self) -> io::Result<()> {
        self.listen().await
    }

    /// Hands out a command until its receipt comes.
    pub fn send(&self, command: &Message) {
        self.send_raw(&command.id, json!(command));
    }

    /// Hands out anything, until a receipt for this id comes.
    pub fn send_raw(&self, id: &str, message: serde_json::Value) {
        self.shared.change(|book| {
            book.order.push_back(id.to_owned());
            book.commands.insert(id.to_owned(), Waiting { message, handed_out: false });
        });
    }

    /// Hands out what was handed out already and has no receipt, or is to come twice.
    pub fn send_again(&self) {
        self.shared.change(Book::hand_out_again);
    }

    /// Misbehaves at the next requests of this operation, one fault each.
    pub fn fail(&self, operation: Operation, faults: impl IntoIterator<Item = Fault>) {
        self.shared.change(|book| book.faults.entry(operation.as_str()).or_default().extend(faults));
    }

    /// All sessions are over: their tokens have expired.
    pub fn expire_sessions(&self) {
        self.shared.change(|book| book.sessions.clear());
    }

    /// Changes or reads the book.
    pub fn book<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        self.shared.change(change)
    }

    /// Completes when the book is as wanted.
    pub async fn until(&self, wanted: impl Fn(&Book) -> bool) {
        self.shared.until(|book| wanted(book).then_some(())).await;
    }

    /// The receipt of a command, when it is there.
    pub async fn receipt(&self, of: &str) -> Message {
        self.shared.until(|book| book.receipts(of).next().cloned()).await
    }
}

impl Book {
    /// The receipts of a command so far.
    pub fn receipts(&self, of: &str) -> impl Iterator<Item = &Message> {
        let all = self.received.iter().filter(|message| message.kind == "receipt");
        all.filter(move |message| message.payload["of"] == of)
    }

    /// How often an operation was answered with this status.
    #[must_use]
    pub fn answered(&self, operation: Operation, status: u16) -> usize {
        self.requests.iter().filter(|request| **request == (operation, status)).count()
    }

    /// How many requests of an operation were begun, answered or not.
    #[must_use]
    pub fn begun(&self, operation: Operation) -> usize {
        self.begun.iter().filter(|begun| **begun == operation).count()
    }

    fn hand_out_again(&mut self) {
        for waiting in self.commands.values_mut() {
            waiting.handed_out = false;
        }
    }

    /// A new session's token: it says when it expires, and nobody checks its signature.
    fn log_in(&mut self, now_seconds: u64) -> String {
        self.logins += 1;
        let claims =
            json!({"exp": now_seconds + self.lifetime.as_secs(), "marker": self.marker, "n": self.logins});
        let jwt = format!("e30.{}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()), self.marker);
        self.sessions.insert(jwt.clone());
        // A new session has lost what the last one was handed.
        self.hand_out_again();
        jwt
    }

    /// What can be handed out now.
    fn hand_out(&mut self, most: usize) -> Vec<serde_json::Value> {
        let commands = &mut self.commands;
        let ready = self.order.iter().filter_map(|id| {
            let waiting = commands.get_mut(id).filter(|waiting| !waiting.handed_out)?;
            waiting.handed_out = true;
            Some(waiting.message.clone())
        });
        ready.take(most).collect()
    }

    fn take(&mut self, messages: Vec<Message>) {
        for message in messages {
            if !self.known.insert(message.id.clone()) {
                self.duplicates += 1;
                continue;
            }
            if let Some(of) = message.payload["of"].as_str().filter(|_| message.kind == "receipt") {
                self.commands.remove(of);
                self.order.retain(|id| id != of);
            }
            self.received.push(message);
        }
    }
}
