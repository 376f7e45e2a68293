//! A tree with one communicator, its relay, and a small world that it reports on. Nothing here sleeps.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{BoxFuture, ChildSpec, NodePath, Registry, Vars};
use fsm_metrics::Metrics;
use fsm_store::{MemoryStore, Store};
use fsm_supervisor::{Command as TreeCommand, DriverConfig, Event, Handle, NodeView};
use fsm_worker_communicator::relay::Relay;
use fsm_worker_communicator::{
    Command, CommandFailure, Communicator, Exchange, Happening, Happenings, Message, Order, Pace, Report,
};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

pub(crate) const TOKEN: &str = "MARKER-auth-token-7f3a";
pub(crate) const INSTANCE: &str = "instance-1";
pub(crate) const NODE: &str = "/relay";

/// A second of the back-off tables.
pub(crate) const QUICK: Pace = Pace::of(Duration::from_millis(10));

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// What the communicator reports on, and who carries its commands out.
#[derive(Default)]
pub(crate) struct World {
    streams: Mutex<Vec<mpsc::UnboundedSender<Happening>>>,
    subscribed: Notify,
    pub(crate) orders: Mutex<Vec<Order>>,
    /// What commands are answered with, before it is always "done".
    pub(crate) answers: Mutex<VecDeque<Result<Value, CommandFailure>>>,
}

struct Stream(mpsc::UnboundedReceiver<Happening>);

impl Exchange for World {
    fn happenings(&self, _own: &NodePath) -> Box<dyn Happenings> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.streams.lock().unwrap().push(sender);
        self.subscribed.notify_waiters();
        Box::new(Stream(receiver))
    }

    fn run(&self, order: Order) -> BoxFuture<'static, Result<Value, CommandFailure>> {
        if let Command::Exec { request } = &order.command
            && request["panic"] == true
        {
            return Box::pin(async { panic!("on purpose") });
        }
        self.orders.lock().unwrap().push(order);
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or_else(|| Ok(json!("done")));
        Box::pin(std::future::ready(answer))
    }
}

impl Happenings for Stream {
    fn next(&mut self) -> BoxFuture<'_, Option<Happening>> {
        Box::pin(self.0.recv())
    }

    fn lost(&self) -> u64 {
        0
    }
}

impl World {
    /// Something happens: all who listen at present hear of it.
    pub(crate) fn happens(&self, report: Report, n: usize) {
        let happening = Happening { report, trace_id: format!("t-{n}"), payload: json!({"n": n}) };
        self.streams.lock().unwrap().retain(|stream| stream.send(happening.clone()).is_ok());
    }

    pub(crate) async fn is_heard(&self) {
        soon("a listener", async {
            loop {
                let heard = self.subscribed.notified();
                if self.streams.lock().unwrap().iter().any(|stream| !stream.is_closed()) {
                    return;
                }
                heard.await;
            }
        })
        .await;
    }

    pub(crate) fn orders(&self) -> Vec<Command> {
        self.orders.lock().unwrap().iter().map(|order| order.command.clone()).collect()
    }
}

/// A communicator's config for this relay.
pub(crate) fn config(relay: &Relay, more: Value) -> Value {
    let mut config = json!({
        "url": relay.url(), "auth_token": TOKEN, "proxy": "none", "push_interval": "10ms", "poll_timeout": "30s"
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

pub(crate) struct Rig {
    pub(crate) relay: Relay,
    pub(crate) world: Arc<World>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) registry: prometheus::Registry,
    pub(crate) tree: Handle,
}

pub(crate) async fn relay() -> Relay {
    Relay::start(TOKEN, INSTANCE).await.unwrap()
}

impl Rig {
    /// A tree that runs, with a relay that is there.
    pub(crate) async fn start(more: Value) -> Self {
        Self::with(relay().await, Arc::default(), more).await
    }

    /// The same for a relay and a store that are there already.
    pub(crate) async fn with(relay: Relay, store: Arc<MemoryStore>, more: Value) -> Self {
        Self::at(relay, store, more, QUICK).await
    }

    pub(crate) async fn at(relay: Relay, store: Arc<MemoryStore>, more: Value, pace: Pace) -> Self {
        let (world, prometheus) = (Arc::<World>::default(), prometheus::Registry::new());
        let metrics = Metrics::try_new(fsm_metrics::MetricsConfig::default(), &prometheus).unwrap();
        let tree = tree(&world, &store, &metrics, pace);
        let rig = Self { relay, world, store, registry: prometheus, tree };
        rig.apply(more).await;
        rig
    }

    /// Gives the communicator its config.
    pub(crate) async fn apply(&self, more: Value) {
        let spec =
            ChildSpec::try_new("relay", "communicator").unwrap().with_config(config(&self.relay, more));
        self.tree.apply(spec, Vars::new()).await.unwrap();
    }

    pub(crate) async fn state(&self, state: &str) {
        let reached = self.tree.until(|tree| tree[0].state == state);
        soon(state, reached).await.unwrap();
    }

    pub(crate) async fn node(&self) -> NodeView {
        self.tree.node(&path(NODE)).await.unwrap().unwrap()
    }

    /// Waits until the observation is as wanted.
    pub(crate) async fn observed(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        soon(what, async {
            loop {
                let view = self.tree.get_fresh(&path(NODE), Duration::ZERO).await.unwrap().unwrap();
                let observed = view.observed.unwrap_or_default();
                if wanted(&observed) {
                    return observed;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// Something happens `count` times, and is heard.
    pub(crate) async fn happens(&self, count: std::ops::Range<usize>) {
        self.world.is_heard().await;
        count.for_each(|n| self.world.happens(Report::Event, n));
    }

    /// Waits until these events are at the relay, and gives all that are there, in order.
    pub(crate) async fn arrived(&self, count: usize) -> Vec<u64> {
        soon("events", self.relay.until(|book| numbers(&book.received).len() >= count)).await;
        self.relay.book(|book| numbers(&book.received))
    }

    /// The value of a metric of the kind, over all labels that hold these words.
    pub(crate) fn metric(&self, name: &str, words: &[&str]) -> f64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let name = format!("fsm_worker_communicator_{name}{{");
        let lines = text.lines().filter(|line| line.starts_with(&name));
        let lines = lines.filter(|line| words.iter().all(|word| line.contains(word)));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    pub(crate) async fn shutdown(&self) {
        let report = self.tree.shutdown(Duration::from_secs(20)).await.unwrap();
        assert!(report.forced.is_empty(), "{report:?}");
    }

    pub(crate) async fn command(&self, command: TreeCommand) {
        self.tree.command(command).await.unwrap();
    }

    /// The receipt of a command that is sent down.
    pub(crate) async fn ask(&self, id: &str, kind: &str, payload: Value) -> Message {
        self.relay.send(&Message::new(id, kind, format!("trace-{id}"), payload));
        soon("a receipt", self.relay.receipt(id)).await
    }
}

pub(crate) fn tree(world: &Arc<World>, store: &Arc<MemoryStore>, metrics: &Metrics, pace: Pace) -> Handle {
    let exchange: Arc<dyn Exchange> = Arc::<World>::clone(world);
    let store: Arc<dyn Store> = Arc::<MemoryStore>::clone(store);
    let kind = Communicator::new(exchange, Arc::clone(&store)).with_pace(pace);
    let mut registry = Registry::new();
    fsm_worker_communicator::register(&mut registry, kind).unwrap();
    let driver = DriverConfig::default().with_tick_interval(Duration::from_millis(10));
    fsm_supervisor::start(registry, driver, metrics, store).unwrap()
}

pub(crate) fn path(path: &str) -> NodePath {
    NodePath::try_new(path).unwrap()
}

/// The numbers of the events among these, in order.
pub(crate) fn numbers(received: &[Message]) -> Vec<u64> {
    let events = received.iter().filter(|message| message.kind == "event");
    events.filter_map(|message| message.payload["n"].as_u64()).collect()
}

/// The documents that the communicator has in the store, under this area.
pub(crate) fn documents(store: &MemoryStore, area: &str) -> Vec<String> {
    let page = store.documents("communicator", None, 10_000).unwrap();
    let of_area = page.items.iter().filter(|document| document.id.key.contains(&format!("/-/{area}/")));
    of_area.map(|document| String::from_utf8(document.bytes.as_deref().unwrap().to_vec()).unwrap()).collect()
}

/// Waits until the store holds so many documents of an area.
pub(crate) async fn kept(store: &MemoryStore, area: &str, count: usize) {
    soon("the store", async {
        while documents(store, area).len() != count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Counts what happened in the tree.
pub(crate) fn describe(event: &Event) -> String {
    serde_json::to_string(event).unwrap()
}
