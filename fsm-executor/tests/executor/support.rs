//! An executor with its events at hand, and actions that do what a test tells them.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{ActionError, ActionId, ActionPolicy, Outcome, RetryPolicy};
use fsm_executor::{
    Attempt, Ended, EnqueueError, Executor, ExecutorConfig, ExecutorEvent, ExecutorObserver, NoObserver,
    Request, tokio_clock,
};
use fsm_metrics::NodeMetricsCollector;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Longer than anything here takes; under paused time it passes at once when nothing else can happen.
const PATIENCE: Duration = Duration::from_secs(86_400);

pub(crate) type Event = ExecutorEvent<u32>;

pub(crate) struct Rig {
    pub(crate) executor: Arc<Executor<u32>>,
    events: mpsc::Receiver<Event>,
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Rig {
    pub(crate) fn new(config: ExecutorConfig) -> Self {
        Self::observed(config, Arc::new(NoObserver))
    }

    /// With this many places, none of them reserved.
    pub(crate) fn with_places(concurrency: usize) -> Self {
        Self::new(ExecutorConfig::default().with_concurrency(concurrency).with_reserved_for_stop(0))
    }

    pub(crate) fn observed(config: ExecutorConfig, observer: Arc<dyn ExecutorObserver<u32>>) -> Self {
        let (executor, events) = Self::parts(config, observer);
        Self { executor: Arc::new(executor), events }
    }

    /// With statistics of nodes in this collector.
    pub(crate) fn collecting(collector: &Arc<NodeMetricsCollector>) -> Self {
        let (executor, events) = Self::parts(ExecutorConfig::default(), Arc::new(NoObserver));
        Self { executor: Arc::new(executor.with_node_metrics(Arc::clone(collector))), events }
    }

    fn parts(
        config: ExecutorConfig,
        observer: Arc<dyn ExecutorObserver<u32>>,
    ) -> (Executor<u32>, mpsc::Receiver<Event>) {
        // More events than any test makes.
        let (sender, events) = mpsc::channel(1 << 17);
        let sink =
            Arc::new(move |event| sender.try_send(event).expect("the channel holds all events of a test"));
        let executor = Executor::try_new(config, tokio_clock(), sink, observer).expect("a valid config");
        (executor, events)
    }

    #[track_caller]
    pub(crate) fn enqueue(&self, key: u32, request: Request) {
        self.executor.enqueue(key, request).expect("accepted");
    }

    #[track_caller]
    pub(crate) fn refused(&self, key: u32, request: Request, why: EnqueueError) {
        assert_eq!(self.executor.enqueue(key, request), Err(why));
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("an event").expect("the executor is alive")
    }

    /// What has happened up to now.
    pub(crate) async fn so_far(&mut self) -> Vec<Event> {
        // Each task that is ready gets its turns; nothing here needs more than a few in a row.
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// Passes events over until the start of this key's action.
    pub(crate) async fn started(&mut self, key: u32) {
        loop {
            if let ExecutorEvent::Started { action, .. } = self.next().await
                && action.key == key
            {
                return;
            }
        }
    }

    /// Passes events over until the end of this key's action.
    pub(crate) async fn ended(&mut self, key: u32) -> Ended<u32> {
        loop {
            if let ExecutorEvent::Ended(ended) = self.next().await
                && ended.action.key == key
            {
                return ended;
            }
        }
    }

    pub(crate) async fn outcome(&mut self, key: u32) -> Outcome {
        self.ended(key).await.report.outcome
    }

    /// The keys of the next ended actions, in order.
    pub(crate) async fn ends(&mut self, count: usize) -> Vec<u32> {
        let mut keys = Vec::new();
        while keys.len() < count {
            if let ExecutorEvent::Ended(ended) = self.next().await {
                keys.push(ended.action.key);
            }
        }
        keys
    }
}

/// Ten seconds, one attempt.
pub(crate) fn policy() -> ActionPolicy {
    ActionPolicy::new("probe", Duration::from_secs(10)).with_retry(RetryPolicy::NEVER)
}

pub(crate) fn id(number: u64) -> ActionId {
    ActionId::new(number)
}

pub(crate) fn noop() -> Request {
    Request::new(id(1), policy(), |_| async { Ok(()) })
}

pub(crate) fn sleeps(time: Duration) -> Request {
    Request::new(id(1), policy(), move |_| async move {
        // tidy: allow(sleep-in-test): the action sleeps, its callers pause the time
        tokio::time::sleep(time).await;
        Ok(())
    })
}

/// Never ends and never looks at its token.
pub(crate) fn hangs() -> Request {
    Request::new(id(1), policy(), |_| pending())
}

/// The far end of an action that blocks its thread until it hears how to end, or that nobody is left to say so.
pub(crate) struct Blocked {
    entered: oneshot::Receiver<()>,
    end: std::sync::mpsc::Sender<Result<(), ActionError>>,
}

impl Blocked {
    /// A request with this policy, blocking or not, and its far end.
    pub(crate) fn request(policy: ActionPolicy) -> (Request, Self) {
        let (entering, entered) = oneshot::channel();
        let (end, ending) = std::sync::mpsc::channel();
        let once = Mutex::new(Some((entering, ending)));
        let request = Request::new(id(1), policy, move |_| {
            let (entering, ending) = once.lock().expect("not poisoned").take().expect("one attempt");
            async move {
                let _ = entering.send(());
                ending.recv().unwrap_or(Ok(()))
            }
        });
        (request, Self { entered, end })
    }

    /// Returns when the thread is inside: before that, a timeout would find an action that never ran.
    pub(crate) async fn entered(&mut self) {
        (&mut self.entered).await.expect("the action runs");
    }

    #[track_caller]
    pub(crate) fn end(&self, result: Result<(), ActionError>) {
        self.end.send(result).expect("the action waits for it");
    }
}

/// Says whether what holds it was dropped.
#[derive(Clone, Default)]
pub(crate) struct Flag(Arc<AtomicBool>);

pub(crate) struct SetOnDrop(Flag);

impl Flag {
    pub(crate) fn on_drop(&self) -> SetOnDrop {
        SetOnDrop(self.clone())
    }
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Counts, and knows the most it ever counted at once.
#[derive(Clone, Default)]
pub(crate) struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

impl Gauge {
    pub(crate) fn enter(&self) {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
    }
    pub(crate) fn leave(&self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
    pub(crate) fn now(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }
    pub(crate) fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// Waits for its token, then does what the closure says.
pub(crate) async fn cancelled(attempt: &Attempt) {
    attempt.cancel.cancelled().await;
}
