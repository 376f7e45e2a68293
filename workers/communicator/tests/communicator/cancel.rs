//! An action that is told to end does so at once, however slow the relay is, and what it did not do is still to be done.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{
    ActionContext, BoxFuture, CollectContext, Generation, Host, Identity, Incarnation, Job, MetricSink,
    Moment, NoMetrics, NodeId, NodePath, SeenAny, Worker,
};
use fsm_store::MemoryStore;
use fsm_worker_communicator::{
    Communicator, CommunicatorAction, CommunicatorConfig, CommunicatorLife, CommunicatorObserved, Operation,
    Report,
};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{World, config, numbers, path, relay, soon};

/// A driver of one incarnation whose jobs can be told to end.
struct Driver {
    tasks: Mutex<JoinSet<()>>,
    started: tokio::time::Instant,
    token: Mutex<CancellationToken>,
}

impl Host for Driver {
    fn now(&self) -> Moment {
        Moment::after_start(self.started.elapsed())
    }
    fn wall_ms(&self) -> u64 {
        1
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
    fn cancelled(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.token.lock().unwrap().clone().cancelled_owned())
    }
    fn is_cancelled(&self) -> bool {
        self.token.lock().unwrap().is_cancelled()
    }
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        self.tasks.lock().unwrap().spawn(task);
    }
    fn on_cancel(&self, _cleanup: BoxFuture<'static, ()>) {}
    fn push(&self, _observed: Arc<dyn Any + Send + Sync>) {}
    fn observed(&self, _path: &NodePath) -> BoxFuture<'static, Option<SeenAny>> {
        Box::pin(std::future::ready(None))
    }
    fn task_panics(&self) -> Vec<(&'static str, Arc<str>)> {
        Vec::new()
    }
    fn metrics(&self) -> &dyn MetricSink {
        &NoMetrics
    }
}

struct Node {
    worker: Communicator,
    identity: Identity,
    config: Arc<CommunicatorConfig>,
    handle: Arc<CommunicatorLife>,
    driver: Arc<Driver>,
    host: Arc<dyn Host>,
}

impl Node {
    fn job(&self) -> Job<'_, Communicator> {
        Job {
            identity: &self.identity,
            config: &self.config,
            handle: &self.handle,
            last: None,
            generation: Generation::new(1),
            host: &self.host,
        }
    }

    async fn act(&self, action: CommunicatorAction) -> Result<(), String> {
        let done = self.worker.execute(action, ActionContext::new(self.job(), 1)).await;
        done.map_err(|error| error.chain().to_string())
    }

    async fn look(&self) -> CommunicatorObserved {
        self.worker.collect_observed_state(CollectContext::new(self.job())).await.unwrap()
    }
}

// spec: A-5, W-4
#[tokio::test]
async fn a_push_that_is_told_to_end_ends_at_once_and_its_messages_go_with_the_next() {
    let (relay, world) = (relay().await, Arc::<World>::default());
    let driver = Arc::new(Driver {
        tasks: Mutex::default(),
        started: tokio::time::Instant::now(),
        token: Mutex::default(),
    });
    let id = NodeId::new(1, Incarnation::new(1));
    let node = Node {
        worker: Communicator::new(Arc::<World>::clone(&world), Arc::<MemoryStore>::default()),
        identity: Identity::new(path("/relay"), Communicator::KIND, id, 0, 1),
        config: Arc::new(serde_json::from_value(config(&relay, json!({}))).unwrap()),
        handle: Arc::default(),
        host: Arc::<Driver>::clone(&driver),
        driver,
    };
    node.act(CommunicatorAction::Authenticate).await.unwrap();
    world.is_heard().await;
    world.happens(Report::Event, 0);
    soon("an unsent message", async {
        while node.look().await.unsent == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    relay.book(|book| book.slow = Duration::from_secs(3_600));
    let pushing = node.act(CommunicatorAction::SyncPush);
    let told = async {
        soon("the request", relay.until(|book| book.begun(Operation::Push) == 1)).await;
        node.driver.token.lock().unwrap().cancel();
    };
    let (ended, ()) = tokio::join!(pushing, told);
    assert_eq!(ended, Err("it was told to end".into()), "and not by a timeout");
    assert_eq!(node.look().await.unsent, 1);

    relay.book(|book| book.slow = Duration::ZERO);
    *node.driver.token.lock().unwrap() = CancellationToken::new();
    node.act(CommunicatorAction::SyncPush).await.unwrap();
    assert_eq!(node.look().await.unsent, 0);
    assert_eq!(relay.book(|book| numbers(&book.received)), [0]);
}
