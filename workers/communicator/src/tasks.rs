//! What runs beside the decisions: events are gathered, commands carried out, the relay is polled, the journal is written.
//! All of it ends with the incarnation, with a refusal, or when it hangs up.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{Host, NodePath, Pusher};
use futures::FutureExt;
use serde_json::json;
use tokio::task::JoinSet;

use crate::answer::RelayError;
use crate::backoff::{ErrorClass, Pace};
use crate::client::Client;
use crate::config::CommunicatorConfig;
use crate::journal::{Journal, LINGER};
use crate::life::{CommunicatorLife, Open, Session};
use crate::mailbox::{Mailbox, Received};
use crate::message::Message;
use crate::observed::{Operation, Refused};
use crate::port::{Command, CommandFailure, Exchange, Happening, Order, Report};
use crate::record::{self, Direction};
use crate::worker::Communicator;

/// A command that takes longer is answered with a timeout: as long as an action may take by default.
const COMMAND: Duration = Duration::from_secs(300);
/// Pace of writing to a store that fails.
const STORE_PACE: Duration = Duration::from_secs(1);
/// A relay that answers a poll at once and with nothing is not asked again at once.
const EMPTY_PACE: Duration = Duration::from_secs(1);

/// Tells the engine when there is news, from tasks.
#[derive(Clone)]
pub(crate) struct Teller {
    pub(crate) life: Arc<CommunicatorLife>,
    pub(crate) config: Arc<CommunicatorConfig>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) pusher: Pusher<Communicator>,
    pub(crate) pace: Pace,
}

impl Teller {
    pub(crate) fn tell(&self) {
        // The session's own config: decisions are made under it, or it is replaced first.
        let session = self.life.session();
        let config = session.as_ref().map_or(&self.config, |session| &session.config);
        let seen = self.life.look(config, self.host.now(), self.host.wall_ms());
        if self.life.is_news(&seen) {
            self.pusher.push(seen);
        }
    }

    /// Notes an error of a request, with everything that follows from it.
    pub(crate) fn failed(
        &self,
        operation: Operation,
        session: Option<&Arc<Session>>,
        error: &RelayError,
    ) -> Duration {
        record::error(self.host.metrics(), operation, error.class);
        let back_off = self.life.failed(operation, error, self.host.now(), self.pace);
        match (error.class, session) {
            (class, Some(session)) if class.is_final() => {
                let refused = Refused { code: class.as_str().into(), what: error.what.as_str().into() };
                self.life.refuse(refused, session.credentials.clone());
            }
            (ErrorClass::TokenExpired, Some(session)) => self.life.session_over(session),
            _ => {}
        }
        tracing::debug!(operation = operation.as_str(), class = error.class.as_str(), %error, ?back_off, "the relay");
        back_off
    }
}

/// Puts what happens into the buffer, as fast as there is room.
pub(crate) async fn gather(
    exchange: Arc<dyn Exchange>,
    path: NodePath,
    mailbox: Arc<Mailbox>,
    teller: Teller,
) {
    let mut happenings = exchange.happenings(&path);
    let mut lost = 0;
    loop {
        mailbox.room().await;
        let Some(happening) = happenings.next().await else { return };
        let now_lost = happenings.lost();
        if now_lost > lost {
            let count = now_lost - lost;
            lost = now_lost;
            mailbox.has_lost(count);
            record::lost(teller.host.metrics(), count);
            let payload = json!({"event": "events_lost", "count": count});
            keep(&mailbox, Happening { report: Report::Event, trace_id: String::new(), payload }).await;
        }
        keep(&mailbox, happening).await;
        teller.tell();
    }
}

async fn keep(mailbox: &Mailbox, mut happening: Happening) {
    while let Err(back) = mailbox.report(happening) {
        happening = back;
        mailbox.room().await;
    }
}

/// Carries commands out, one after the other, and answers each.
pub(crate) async fn run(exchange: Arc<dyn Exchange>, mailbox: Arc<Mailbox>, teller: Teller) {
    loop {
        let message = mailbox.next_command().await;
        let result = match order(&teller, &message) {
            Ok(order) => {
                // Dropped when it hangs up; the relay sends the command again then.
                let run = AssertUnwindSafe(async { exchange.run(order).await }).catch_unwind();
                match tokio::time::timeout(COMMAND, run).await {
                    Ok(Ok(result)) => result,
                    Ok(Err(_panic)) => {
                        Err(CommandFailure::new("panic", "the command panicked; see the log of fsmd"))
                    }
                    Err(_) => Err(CommandFailure::new("timeout", "the command did not end within 5 minutes")),
                }
            }
            Err(failure) => {
                if matches!(failure.code, "bad_payload" | "unknown_command") {
                    record::poison(teller.host.metrics(), Direction::Down);
                }
                Err(failure)
            }
        };
        mailbox.answer(&message, result);
        teller.tell();
    }
}

fn order(teller: &Teller, message: &Message) -> Result<Order, CommandFailure> {
    let command = Command::read(message)?;
    let session = teller.life.session();
    let config = session.as_ref().map_or(&teller.config, |session| &session.config);
    if !config.allows(command.name()) {
        let (name, role) = (command.name().as_str(), config.role.as_str());
        let what = format!("the config of this instance does not allow `{name}` (role `{role}`)");
        return Err(CommandFailure::new("forbidden", what));
    }
    let instance = session.as_ref().map_or("?", |session| &*session.instance);
    Ok(Order {
        who: format!("relay:{instance}"),
        role: config.role,
        trace_id: message.trace_id.clone(),
        command,
    })
}

/// Polls the relay until the session is over or the connections are made anew.
pub(crate) async fn pull(client: Arc<Client>, mailbox: Arc<Mailbox>, teller: Teller, _alive: Arc<()>) {
    let host = &teller.host;
    loop {
        if let Some(after) = teller.life.after(Operation::Pull) {
            host.sleep(after.since(host.now())).await;
        }
        mailbox.room_down().await;
        let Some(session) = teller.life.session() else { return };
        let Some(proof) = session.proof() else { return };
        if teller.life.is_failing(Operation::Pull) {
            record::retry(host.metrics(), Operation::Pull);
        }
        let asked = host.now();
        match client.pull(proof).await {
            Ok(messages) => {
                teller.life.succeeded(Operation::Pull);
                let mut news = false;
                for message in &messages {
                    news |= receive(&mailbox, message, host.as_ref());
                }
                teller.tell();
                if !news && host.now().since(asked) < teller.pace.scale(EMPTY_PACE) {
                    host.sleep(teller.pace.scale(EMPTY_PACE)).await;
                }
            }
            Err(error) => {
                teller.failed(Operation::Pull, Some(&session), &error);
                teller.tell();
            }
        }
    }
}

/// Whether it was something new.
fn receive(mailbox: &Mailbox, message: &serde_json::Value, host: &dyn Host) -> bool {
    match mailbox.receive(message) {
        Received::New => record::pulled(host.metrics()),
        Received::Duplicate => {
            record::duplicate(host.metrics());
            return false;
        }
        Received::Poison => record::poison(host.metrics(), Direction::Down),
        // The relay sends it again.
        Received::NoRoom => return false,
    }
    true
}

/// Writes the journal when there is something to write.
pub(crate) async fn write(journal: Arc<Journal>, teller: Teller) {
    loop {
        journal.is_dirty().await;
        teller.host.sleep(LINGER).await;
        while !flush(&journal, teller.host.wall_ms()).await {
            teller.tell();
            teller.host.sleep(STORE_PACE).await;
        }
        teller.tell();
    }
}

/// Writes the journal now, where that may block.
pub(crate) async fn flush(journal: &Arc<Journal>, wall_ms: u64) -> bool {
    let journal = Arc::clone(journal);
    blocking(move || journal.flush(wall_ms)).await.unwrap_or(false)
}

/// Runs on a thread that may block; none when it panicked.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let mut tasks = JoinSet::new();
    tasks.spawn_blocking(work);
    tasks.join_next().await?.ok()
}

/// The tasks that live as long as the buffers are open.
pub(crate) fn start(exchange: &Arc<dyn Exchange>, path: &NodePath, open: &Open, teller: &Teller) {
    let Open { mailbox, token, tracker } = open;
    let spawn = |name, task: futures::future::BoxFuture<'static, ()>| {
        let token = token.clone();
        let task = tracker.track_future(async move {
            token.run_until_cancelled(task).await;
        });
        teller.host.spawn(name, Box::pin(task));
    };
    let (mail, tell) = (|| Arc::clone(mailbox), || teller.clone());
    spawn("gather", Box::pin(gather(Arc::clone(exchange), path.clone(), mail(), tell())));
    spawn("run", Box::pin(run(Arc::clone(exchange), mail(), tell())));
    spawn("journal", Box::pin(write(Arc::clone(mailbox.journal()), tell())));
}
