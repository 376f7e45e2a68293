//! What jobs of a simulation see of it: its clock, its inbox, its other nodes.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::{BoxFuture, Host, MetricSink, Moment, NoMetrics, NodeId, NodePath, SeenAny};
use fsm_executor::Cleanups;
use fsm_supervisor::Input;
use futures::FutureExt;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A question for the observation of another node.
pub(super) struct Question {
    pub(super) path: NodePath,
    pub(super) answer: oneshot::Sender<Option<SeenAny>>,
}

/// What the loop and the jobs share.
pub(super) struct Shared {
    start: Instant,
    /// How far the wall clock was set, in milliseconds.
    pub(super) wall: AtomicI64,
    inputs: Mutex<Vec<Input>>,
    questions: Mutex<Vec<Question>>,
    pub(super) news: Notify,
    tasks: Mutex<BTreeMap<NodeId, Tasks>>,
    /// Actions that are running, by path; the second number is the most there ever were at a time.
    pub(super) acting: Mutex<BTreeMap<NodePath, (u32, u32)>>,
}

/// Panics by the name of the task.
type Panics = Vec<(&'static str, Arc<str>)>;

/// What an incarnation spawned.
#[derive(Default)]
struct Tasks {
    running: JoinSet<()>,
    panics: Arc<Mutex<Panics>>,
}

/// Where the wall clock stands when a simulation begins: any fixed moment will do.
const EPOCH_MS: u64 = 1_700_000_000_000;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            wall: AtomicI64::new(0),
            inputs: Mutex::default(),
            questions: Mutex::default(),
            news: Notify::new(),
            tasks: Mutex::default(),
            acting: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }

    pub(super) fn instant(&self, at: Moment) -> Instant {
        self.start + at.since(Moment::ZERO)
    }

    pub(super) fn wall_ms(&self) -> u64 {
        let passed = EPOCH_MS + self.now().as_nanos() / 1_000_000;
        passed.saturating_add_signed(self.wall.load(Ordering::Relaxed))
    }

    pub(super) fn put(&self, input: Input) {
        lock(&self.inputs).push(input);
        self.news.notify_one();
    }

    pub(super) fn take(&self) -> Vec<Input> {
        std::mem::take(&mut *lock(&self.inputs))
    }

    pub(super) fn questions(&self) -> Vec<Question> {
        std::mem::take(&mut *lock(&self.questions))
    }

    /// Ends the tasks of an incarnation.
    pub(super) fn end(&self, node: NodeId) {
        let ended = lock(&self.tasks).remove(&node);
        drop(ended);
    }

    /// Ends everything: the process is gone.
    pub(super) fn end_all(&self) {
        let ended = std::mem::take(&mut *lock(&self.tasks));
        drop(ended);
        lock(&self.inputs).clear();
        lock(&self.questions).clear();
    }
}

/// The host of one job.
pub(super) struct SimHost {
    pub(super) shared: Arc<Shared>,
    pub(super) node: NodeId,
    pub(super) cancel: CancellationToken,
    pub(super) cleanups: Option<Cleanups>,
}

impl Host for SimHost {
    fn now(&self) -> Moment {
        self.shared.now()
    }
    fn wall_ms(&self) -> u64 {
        self.shared.wall_ms()
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
    fn cancelled(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.cancel.clone().cancelled_owned())
    }
    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        let mut tasks = lock(&self.shared.tasks);
        let tasks = tasks.entry(self.node).or_default();
        let panics = Arc::clone(&tasks.panics);
        tasks.running.spawn(async move {
            if let Err(text) = caught(task).await {
                lock(&panics).push((name, text));
            }
        });
    }
    fn on_cancel(&self, cleanup: BoxFuture<'static, ()>) {
        if let Some(cleanups) = &self.cleanups {
            cleanups.register_boxed(cleanup);
        }
    }
    fn push(&self, observed: Arc<dyn Any + Send + Sync>) {
        self.shared.put(Input::Pushed { node: self.node, taken: self.shared.now(), value: observed });
    }
    fn observed(&self, path: &NodePath) -> BoxFuture<'static, Option<SeenAny>> {
        let (answer, answered) = oneshot::channel();
        lock(&self.shared.questions).push(Question { path: path.clone(), answer });
        self.shared.news.notify_one();
        Box::pin(async move { answered.await.ok()? })
    }
    fn task_panics(&self) -> Vec<(&'static str, Arc<str>)> {
        let tasks = lock(&self.shared.tasks);
        tasks.get(&self.node).map_or_else(Vec::new, |tasks| std::mem::take(&mut *lock(&tasks.panics)))
    }
    fn metrics(&self) -> &dyn MetricSink {
        &NoMetrics
    }
}

/// The value of a future, or the text of its panic.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Arc<str>> {
    let future = pin!(std::panic::AssertUnwindSafe(future).catch_unwind());
    future.await.map_err(|panic| {
        let text = panic.downcast_ref::<&'static str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        text.unwrap_or_else(|| "a panic without a text".into()).into()
    })
}
