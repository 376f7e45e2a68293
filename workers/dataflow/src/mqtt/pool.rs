//! Which flow gets which session: one per peer and credentials, unless a flow asks for its own (D-10).

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::quality::FixedState;
use fsm_templating::Secret;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::link::{Command, Incoming, Link, Route, Start};
use super::session;
use crate::config::{MqttInput, MqttOutput, MqttUrl, Qos, TlsConfig, TopicFilter, Version};
use crate::flow::Shared;
use crate::stats::Stage;

/// How many flows at once look for what an earlier life left behind at the broker.
const PROBES: usize = 8;

/// A broker, and who we are there: what sessions are shared by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    pub(crate) url: MqttUrl,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) version: Version,
    pub(crate) keep_alive: Duration,
    pub(crate) session_expiry: Duration,
    /// `None` is the shared session.
    pub(crate) own: Option<Own>,
}

/// What makes a session a flow's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Own {
    /// Made of the flow's name.
    Flow { name: String, stage: &'static str },
    /// Given in the config.
    ClientId(String),
}

impl Peer {
    pub(crate) fn of_input(c: &MqttInput) -> Self {
        Self {
            url: c.url.clone(),
            username: c.username.clone().or_else(|| c.url.user().map(Into::into)),
            password: c.password.clone(),
            tls: c.tls.clone(),
            version: c.version,
            keep_alive: c.keep_alive.get(),
            session_expiry: c.session_expiry.get(),
            own: c.client_id.clone().map(Own::ClientId),
        }
    }

    pub(crate) fn of_output(c: &MqttOutput) -> Self {
        Self {
            url: c.url.clone(),
            username: c.username.clone().or_else(|| c.url.user().map(Into::into)),
            password: c.password.clone(),
            tls: c.tls.clone(),
            version: c.version,
            keep_alive: c.keep_alive.get(),
            session_expiry: c.session_expiry.get(),
            own: c.client_id.clone().map(Own::ClientId),
        }
    }

    pub(crate) fn owned_by(&self, flow: &str, stage: Stage) -> Self {
        let own = self.own.clone().unwrap_or(Own::Flow { name: flow.into(), stage: stage.label() });
        Self { own: Some(own), ..self.clone() }
    }

    /// What sessions are told apart by; of the rest, the first flow's wish counts.
    fn key(&self) -> Self {
        Self { keep_alive: Duration::ZERO, session_expiry: Duration::ZERO, ..self.clone() }
    }

    pub(crate) const fn shared(&self) -> bool {
        self.own.is_none()
    }

    /// The client identifier: the same for the same peer, instance and flow, and within the 23 letters and digits that
    /// every broker takes.
    pub(crate) fn client_id(&self, instance: &str) -> String {
        let (flow, stage) = match &self.own {
            None => ("", "shared"),
            Some(Own::Flow { name, stage }) => (name.as_str(), *stage),
            Some(Own::ClientId(id)) => return id.clone(),
        };
        let mut hasher = FixedState::with_seed(0x6673_6d64).build_hasher();
        let url = self.url.to_string();
        let rest = format!("{:?} {:?}", self.version, self.tls);
        for part in [instance, &url, self.username.as_deref().unwrap_or_default(), flow, stage, &rest] {
            hasher.write(part.as_bytes());
            hasher.write_u8(0xff);
        }
        format!("fsm{:016x}", hasher.finish())
    }
}

/// The MQTT sessions of one process: a value that the worker kind holds.
///
/// Dropping it ends all sessions; the brokers keep what is unacknowledged.
///
/// ```
/// let pool = fsm_worker_dataflow::SessionPool::new("edge-01");
/// assert_eq!(pool.sessions(), 0);
/// ```
pub struct SessionPool {
    instance: String,
    links: Arc<Mutex<HashMap<Peer, Arc<Link>>>>,
    tasks: Mutex<JoinSet<()>>,
    pub(crate) probes: Arc<Semaphore>,
    /// Tells attachments and routes apart.
    numbers: AtomicU64,
}

impl SessionPool {
    /// `instance` is what tells this process from others at the same broker, and stays the same over its restarts: the name
    /// of the agent. Client identifiers are made of it.
    #[must_use]
    pub fn new(instance: impl Into<String>) -> Self {
        Self {
            instance: instance.into(),
            links: Arc::default(),
            tasks: Mutex::default(),
            probes: Arc::new(Semaphore::new(PROBES)),
            numbers: AtomicU64::new(1),
        }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The session for this peer, started if it is not there; in the runtime of the caller.
    fn link(&self, peer: &Peer) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(&peer.key()).filter(|link| !link.ended.load(Ordering::Acquire)) {
            return Arc::clone(link);
        }
        let link = Arc::new(Link::new(peer.clone()));
        links.insert(peer.key(), Arc::clone(&link));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        let client_id = peer.client_id(&self.instance);
        tasks.spawn(session::run(Arc::clone(&link), client_id, Registry(Arc::clone(&self.links))));
        link
    }

    /// Whether there is a session for this peer.
    pub(crate) fn has(&self, peer: &Peer) -> bool {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.contains_key(&peer.key())
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Uses a session for publishing.
    pub(crate) fn publisher(&self, peer: &Peer, flow: &Arc<Shared>) -> Attachment {
        self.attach(peer, Stage::Output, flow)
    }

    /// Subscribes at a session.
    pub(crate) fn subscribe(
        &self,
        peer: &Peer,
        (filters, qos): (Vec<TopicFilter>, Qos),
        start: Start,
        flow: &Arc<Shared>,
    ) -> Subscription {
        let attachment = self.attach(peer, Stage::Input, flow);
        let route = Arc::new(Route::new(self.number(), filters, qos, start, flow));
        // tidy: allow(unbounded): bounded by the window of the session; it must not wait for one of its flows
        let (sender, receiver) = mpsc::unbounded_channel();
        attachment.link.command(Command::Attach(Arc::clone(&route), sender));
        Subscription { route, receiver, attachment }
    }

    fn attach(&self, peer: &Peer, stage: Stage, flow: &Arc<Shared>) -> Attachment {
        loop {
            let link = self.link(peer);
            let number = self.number();
            link.attach(number, stage, flow);
            // The task ends only while it holds the registry and nobody is attached.
            if !link.ended.load(Ordering::Acquire) {
                return Attachment { link, number };
            }
            link.detach(number);
        }
    }
}

impl fmt::Debug for SessionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionPool").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// Where a session's task signs off.
pub(crate) struct Registry(Arc<Mutex<HashMap<Peer, Arc<Link>>>>);

impl Registry {
    /// Ends the link if nobody is attached.
    pub(crate) fn sign_off(&self, link: &Arc<Link>) -> bool {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if link.attached() > 0 {
            return false;
        }
        link.ended.store(true, Ordering::Release);
        if link.attached() > 0 {
            // Somebody attached between the two looks: it sees either the flag, or a living link.
            link.ended.store(false, Ordering::Release);
            return false;
        }
        if links.get(&link.peer.key()).is_some_and(|known| Arc::ptr_eq(known, link)) {
            links.remove(&link.peer.key());
        }
        true
    }
}

/// A flow's use of a session. Dropping it gives it up.
pub(crate) struct Attachment {
    pub(crate) link: Arc<Link>,
    number: u64,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.link.detach(self.number);
    }
}

/// A flow's subscription at a session.
pub(crate) struct Subscription {
    pub(crate) route: Arc<Route>,
    pub(crate) receiver: mpsc::UnboundedReceiver<Incoming>,
    pub(crate) attachment: Attachment,
}

impl Subscription {
    /// Subscribes a held one.
    pub(crate) fn activate(&self) {
        self.attachment.link.command(Command::Activate(self.route.number));
    }

    /// Unsubscribes; the queue ends when the broker has sent what it had.
    pub(crate) fn leave(&self) {
        self.attachment.link.command(Command::Leave(self.route.number));
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.attachment.link.command(Command::Detach(self.route.number));
    }
}
