//! The handle to a running tree: cheap to clone, asks the loop and waits for its answer.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{ChildName, ChildSpec, Moment, NodePath, Vars};
use fsm_metrics::{Metrics, SubscriberMetrics, TickBatch};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::Clock;
use super::agent::{ActError, Taken};
use crate::engine::{Engine, IncidentView, LongestStop, NodeView, ShutdownReport, TreeEntry};
use crate::event::Event;
use crate::input::{Command, CommandError};

/// The tree has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tree has ended")]
pub struct Gone;

/// What applying a root did at once (C-5). Removals and starts go on after it; [`Handle::tree`] shows how far they are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ApplyReceipt {
    /// Grows with each apply that changed something.
    pub generation: u64,
    /// Nodes created.
    pub created: Vec<NodePath>,
    /// Nodes that took a new desired state in place.
    pub updated: Vec<NodePath>,
    /// Nodes told to leave; those that come back are among them.
    pub leaving: Vec<NodePath>,
    /// How often `next` or `stop` was asked until nothing was due.
    pub evaluated: u64,
}

impl ApplyReceipt {
    /// Whether nothing was touched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.created.is_empty() && self.updated.is_empty() && self.leaving.is_empty()
    }
}

/// What the handle asks of the loop.
pub(crate) enum Ask {
    /// Look at the engine between two ticks.
    Look(Box<dyn FnOnce(&Engine) + Send>),
    /// Carry out a command.
    Command(Command, oneshot::Sender<Result<(), CommandError>>),
    /// Run an action that was asked for by name.
    Act {
        path: NodePath,
        action: String,
        input: Value,
        who: Arc<str>,
        answer: oneshot::Sender<Result<Taken, ActError>>,
    },
    /// Take a new root.
    Apply { root: Arc<ChildSpec>, global: Arc<Vars>, answer: oneshot::Sender<ApplyReceipt> },
    /// Record something in the engine's samples.
    Record(Box<dyn FnOnce(&mut TickBatch) + Send>),
    /// Stop everything and end.
    Shutdown { within: Duration, answer: oneshot::Sender<ShutdownReport> },
}

/// A command could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The tree has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The node can't take it.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// A handle to a running tree.
#[derive(Clone)]
pub struct Handle {
    requests: mpsc::UnboundedSender<Ask>,
    events: broadcast::WeakSender<Event>,
    clock: Clock,
    metrics: Metrics,
}

/// The loop's ends of a handle.
pub(crate) type Ends = (Handle, mpsc::UnboundedReceiver<Ask>, broadcast::Sender<Event>);

impl Handle {
    pub(crate) fn new(clock: Clock, backlog: usize, metrics: Metrics) -> Ends {
        // tidy: allow(unbounded): each request is one caller that waits for its answer, so callers bound it
        let (requests, asked) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(backlog.max(1));
        (Self { requests, events: events.downgrade(), clock, metrics }, asked, events)
    }

    pub(crate) fn weak(&self) -> mpsc::WeakUnboundedSender<Ask> {
        self.requests.downgrade()
    }

    /// Gives the tree its root and the global variables; what is equal to before is left alone.
    ///
    /// # Errors
    /// [`Gone`] when the tree has ended.
    pub async fn apply(&self, root: ChildSpec, global: Vars) -> Result<ApplyReceipt, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Ask::Apply { root: Arc::new(root), global: Arc::new(global), answer })?;
        answered.await.map_err(|_| Gone)
    }

    /// The tree, parents before children, siblings in declared order.
    ///
    /// # Errors
    /// [`Gone`] when the tree has ended.
    pub async fn tree(&self) -> Result<Vec<TreeEntry>, Gone> {
        self.look(Engine::tree).await
    }

    /// What nodes need of the outside world and can't reach.
    ///
    /// # Errors
    /// [`Gone`] when the tree has ended.
    pub async fn incidents(&self) -> Result<Vec<IncidentView>, Gone> {
        self.look(Engine::incidents).await
    }

    /// The longest chain of stops that wait for each other, if all take as long as they may (S-24).
    ///
    /// # Errors
    /// [`Gone`] when the tree has ended.
    pub async fn longest_stop(&self) -> Result<LongestStop, Gone> {
        self.look(Engine::longest_stop).await
    }

    /// Everything about one node; none when nobody is there.
    ///
    /// # Errors
    /// [`Gone`] when the tree has ended.
    pub async fn node(&self, path: &NodePath) -> Result<Option<NodeView>, Gone> {
        let path = path.clone();
        self.look(move |engine| engine.node(&path)).await
    }

    /// The same with an observation no older than `max_age`, if one can be had within its collection timeout (S-19).
    ///
    /// # Errors
    /// [`Gone`] when the tree has ended.
    pub async fn get_fresh(&self, path: &NodePath, max_age: Duration) -> Result<Option<NodeView>, Gone> {
        let asked_at = self.now();
        let mut events = self.events();
        let mut collected = false;
        let until = tokio::time::Instant::now() + FRESH_PATIENCE;
        loop {
            let view = self.node(path).await?;
            let fresh = view.as_ref().is_none_or(|view| {
                view.observed_at.is_some_and(|at| at >= asked_at || self.now().since(at) <= max_age)
            });
            if fresh || tokio::time::Instant::now() >= until {
                return Ok(view);
            }
            if !collected {
                collected = true;
                // A node that collects nothing can't become fresher: the present view is the answer.
                if self.command(Command::Collect { path: path.clone() }).await.is_err() {
                    return Ok(view);
                }
            }
            // Woken by any event, or by the pace of looking.
            let _ = tokio::time::timeout(FRESH_PACE, events.next()).await;
        }
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// [`AskError`] when the node can't take it or the tree has ended.
    pub async fn command(&self, command: Command) -> Result<(), AskError> {
        let (answer, answered) = oneshot::channel();
        self.send(Ask::Command(command, answer))?;
        Ok(answered.await.map_err(|_| Gone)??)
    }

    /// Adds or changes a child at run time (S-19).
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn upsert(
        &self,
        parent: NodePath,
        spec: ChildSpec,
        who: impl Into<Arc<str>>,
    ) -> Result<(), AskError> {
        self.command(Command::Upsert { parent, spec: Box::new(spec), who: who.into() }).await
    }

    /// Removes a child that was added at run time.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn delete(
        &self,
        parent: NodePath,
        name: ChildName,
        who: impl Into<Arc<str>>,
    ) -> Result<(), AskError> {
        self.command(Command::Delete { parent, name, who: who.into() }).await
    }

    pub(super) async fn ask_to_act(
        &self,
        path: NodePath,
        action: String,
        input: Value,
        who: Arc<str>,
    ) -> Result<Taken, ActError> {
        let (answer, answered) = oneshot::channel();
        self.send(Ask::Act { path, action, input, who, answer })?;
        answered.await.map_err(|_| Gone)?
    }

    /// Events from now on.
    #[must_use]
    pub fn events(&self) -> EventReader {
        EventReader {
            receiver: self.events.upgrade().map(|events| events.subscribe()),
            lost: 0,
            dropped: None,
        }
    }

    /// Events from now on for a subscriber of this name, whose losses are counted under it. Names come from code, a handful.
    #[must_use]
    pub fn events_for(&self, name: &'static str) -> EventReader {
        let dropped = SubscriberMetrics::new(self.metrics.subscriber(name));
        EventReader { dropped: Some(dropped), ..self.events() }
    }

    /// Completes with the tree as soon as `condition` holds; looks again after every event.
    ///
    /// # Errors
    /// [`Gone`] when the tree ends before.
    pub async fn until(&self, condition: impl Fn(&[TreeEntry]) -> bool) -> Result<Vec<TreeEntry>, Gone> {
        let mut events = self.events();
        loop {
            let tree = self.tree().await?;
            if !tree.is_empty() && condition(&tree) {
                return Ok(tree);
            }
            // Repeated events are folded, so an event may be missing: look at a pace, too.
            if let Ok(event) = tokio::time::timeout(UNTIL_PACE, events.next()).await {
                event.ok_or(Gone)?;
            }
        }
    }

    /// Stops the tree, children before parents, within this time; what doesn't stop is forced and named. Then the driver ends.
    ///
    /// # Errors
    /// [`Gone`] when it ended already.
    ///
    /// # Cancel safety
    /// Dropping the future doesn't end the shutdown.
    pub async fn shutdown(&self, within: Duration) -> Result<ShutdownReport, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Ask::Shutdown { within, answer })?;
        answered.await.map_err(|_| Gone)
    }

    /// Stops waiting for anybody: a shutdown under way ends now.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn force(&self) -> Result<(), AskError> {
        self.command(Command::Force).await
    }

    /// Records something that only the embedder knows, such as the result of a config reload.
    ///
    /// # Errors
    /// [`Gone`] when the tree has ended.
    pub fn record(&self, record: impl FnOnce(&mut TickBatch) + Send + 'static) -> Result<(), Gone> {
        self.send(Ask::Record(Box::new(record)))
    }

    /// The driver's clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// A moment on the wall, in milliseconds since 1970 UTC.
    #[must_use]
    pub fn wall_ms(&self, at: Moment) -> u64 {
        self.clock.wall_ms(at)
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Ask::Look(Box::new(move |engine| drop(answer.send(look(engine))))))?;
        answered.await.map_err(|_| Gone)
    }

    fn send(&self, ask: Ask) -> Result<(), Gone> {
        self.requests.send(ask).map_err(|_| Gone)
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

/// How long `get_fresh` waits at most: the default observation timeout.
const FRESH_PATIENCE: Duration = Duration::from_millis(2_200);
/// The longest time between two looks of `until`.
const UNTIL_PACE: Duration = Duration::from_millis(200);
/// An equal observation makes no event, so `get_fresh` looks at this pace too.
const FRESH_PACE: Duration = Duration::from_millis(20);

/// A reader of events. One that lags loses the oldest, with a count; it never blocks the engine.
#[derive(Debug)]
pub struct EventReader {
    receiver: Option<broadcast::Receiver<Event>>,
    lost: u64,
    dropped: Option<SubscriberMetrics>,
}

impl EventReader {
    /// The next event; none when the tree has ended.
    ///
    /// # Cancel safety
    /// No event is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.as_mut()?.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    self.lost += lost;
                    if let Some(dropped) = &self.dropped {
                        dropped.dropped(lost);
                    }
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Events lost so far because this reader lagged.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}
