//! The handle: takes actions, cancels them, answers what runs, and shuts everything down.

use std::fmt;
use std::sync::Arc;

use fsm_metrics::NodeMetricsCollector;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, timeout_at};

use crate::caught::drop_quietly;
use crate::runner;
use crate::shared::{Shared, later};
use crate::slots::{Ending, Found, Job, SlotStage};
use crate::{
    ActionRef, Clock, EnqueueError, EventSink, ExecutorConfig, ExecutorObserver, ExecutorStats, InFlight,
    Request, SlotKey, StartError,
};

/// Time for tasks to end after their futures were dropped: an aborted task ends when a thread next looks at it, and only one that
/// holds its thread without awaiting doesn't.
const END_SLACK: Duration = Duration::from_millis(250);

/// Runs actions: one at a time per key, a bounded number at a time in all.
///
/// Dropping it ends all its tasks and drops the futures of running actions, without telling their ends; [`shutdown`](Self::shutdown)
/// does it in order.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use fsm_core::{ActionId, ActionPolicy, Outcome};
/// use fsm_executor::{Executor, ExecutorConfig, ExecutorEvent, NoObserver, Request, tokio_clock};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// // A sink must not block: one event fits here for each of the few actions that ever run.
/// let (sender, mut events) = tokio::sync::mpsc::channel(16);
/// let sink = Arc::new(move |event: ExecutorEvent<u32>| drop(sender.try_send(event)));
/// let executor =
///     Executor::try_new(ExecutorConfig::default(), tokio_clock(), sink, Arc::new(NoObserver)).unwrap();
///
/// let policy = ActionPolicy::new("greet", Duration::from_secs(1));
/// let greet = Request::new(ActionId::new(1), policy, |attempt| async move {
///     println!("hello, for the {}. time", attempt.number);
///     Ok(())
/// });
/// executor.enqueue(7, greet).unwrap();
///
/// while let Some(event) = events.recv().await {
///     if let ExecutorEvent::Ended(ended) = event {
///         assert_eq!((ended.action.key, ended.report.outcome), (7, Outcome::Success));
///         break;
///     }
/// }
/// assert!(executor.shutdown(Duration::from_secs(1)).await.is_clean());
/// # }
/// ```
pub struct Executor<K> {
    shared: Arc<Shared<K>>,
    tasks: Mutex<JoinSet<()>>,
}

/// What a cancel found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cancel {
    /// The slot is free: there was nothing to cancel.
    Idle,
    /// The action was waiting for a place or a retry: it has ended, and its end was told.
    Ended,
    /// The action is running: it has its grace, and its end will be told.
    Ending,
    /// The action had been abandoned, its end told, and its thread still doesn't come back.
    Abandoned,
}

/// What a shutdown left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport<K> {
    /// Actions that hold a runtime thread without awaiting, so that their futures could not be dropped.
    pub unfinished: Vec<ActionRef<K>>,
    /// Abandoned blocking actions whose threads are still at work. Dropping the runtime would wait for them: use
    /// `Runtime::shutdown_timeout`.
    pub leaked: Vec<ActionRef<K>>,
}

impl<K> ShutdownReport<K> {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.unfinished.is_empty() && self.leaked.is_empty()
    }
}

impl<K: SlotKey> Executor<K> {
    /// An executor on the present tokio runtime, whose time must be enabled. `clock` stamps reports, `sink` takes events.
    ///
    /// # Errors
    /// [`StartError`] names the setting that can't be.
    pub fn try_new(
        config: ExecutorConfig,
        clock: Clock,
        sink: EventSink<K>,
        observer: Arc<dyn ExecutorObserver<K>>,
    ) -> Result<Self, StartError> {
        config.check()?;
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let shared = Arc::new(Shared::new(config, runtime.clone(), clock, sink, observer));
        let mut tasks = JoinSet::new();
        for number in 0..shared.runners.len() {
            tasks.spawn_on(runner::run(Arc::clone(&shared), number), &runtime);
        }
        tasks.spawn_on(runner::retries(Arc::clone(&shared)), &runtime);
        Ok(Self { shared, tasks: Mutex::new(tasks) })
    }

    /// Records the actions of requests with a node in this collector: one execution per action that got a place, over all its
    /// attempts and the waits between them, and one retry per further attempt. The first collector stays.
    #[must_use]
    pub fn with_node_metrics(self, collector: Arc<NodeMetricsCollector>) -> Self {
        self.shared.node_metrics.get_or_init(|| collector);
        self
    }

    /// Takes an action for this slot. Never blocks: it takes about half a microsecond whatever else hangs.
    ///
    /// # Errors
    /// [`EnqueueError`]: the slot is taken, the queue is full, or the executor shuts down. The request is dropped then.
    pub fn enqueue(&self, key: K, request: Request) -> Result<(), EnqueueError> {
        let Request { id, name, policy, priority, tag, node, run } = request;
        let action = ActionRef { key, id, name, tag };
        let job = Box::new(Job {
            action,
            policy,
            priority,
            node,
            make: run,
            accepted: self.shared.now(),
            started: None,
            attempts: 0,
            failed: None,
            run: 0,
        });
        let taken = self.shared.slots().enqueue(job);
        match taken {
            Ok(runner) => {
                self.shared.observe(|observer| {
                    observer.queued(&action);
                    observer.waiting(&action, 1);
                });
                self.shared.wake(runner);
                Ok(())
            }
            Err((error, refused)) => {
                drop_quietly(refused);
                Err(error)
            }
        }
    }

    /// Cancels what holds the slot. A waiting action ends at once. A running one has its token cancelled now and its future dropped
    /// after `grace`; then its clean-up has as long again. With no grace the future is dropped at once, and only clean-up that
    /// doesn't wait is done. A second cancel can shorten the grace.
    ///
    /// A blocking action that doesn't come back within the grace is abandoned.
    pub fn cancel(&self, key: K, grace: Duration) -> Cancel {
        let ending = Ending { drop_at: later(Instant::now(), grace), grace, limit: None };
        let found = self.shared.slots().cancel(key, ending);
        match found {
            Found::Nothing => Cancel::Idle,
            Found::Abandoned => Cancel::Abandoned,
            Found::Removed(job, stage) => {
                self.shared.tell_cancelled(job, stage == SlotStage::Waiting);
                Cancel::Ended
            }
            Found::Running { runner, token } => {
                token.cancel();
                self.shared.wake(Some(runner));
                Cancel::Ending
            }
        }
    }

    /// Frees the slot of an abandoned action by force, although its thread is still at work: from now on something may act beside
    /// it. The answer is whether there was one.
    pub fn release(&self, key: K) -> bool {
        self.shared.slots().release(key)
    }

    /// Moves the slot of an abandoned action to another key, for keys that name an incarnation rather than a place: the successor
    /// then finds its slot taken until the thread comes back. The answer is false, and nothing changed, when `from` holds no
    /// abandoned action or `to` is taken.
    pub fn hand_over(&self, from: K, to: K) -> bool {
        self.shared.slots().hand_over(from, to)
    }

    /// What holds the slot.
    #[must_use]
    pub fn in_flight(&self, key: K) -> Option<InFlight<K>> {
        self.shared.slots().in_flight(key)
    }

    /// The name of the action that keeps others from this slot.
    #[must_use]
    pub fn blocking_action(&self, key: K) -> Option<&'static str> {
        self.in_flight(key).map(|in_flight| in_flight.action.name)
    }

    /// The load of this moment.
    #[must_use]
    pub fn stats(&self) -> ExecutorStats {
        self.shared.slots().stats()
    }

    /// Takes nothing new, cancels everything, and waits until all has ended, at most for `deadline`. Running actions have the
    /// configured grace, cut short by the deadline. The end of every accepted action has been told when this returns.
    ///
    /// A second call with a shorter deadline makes the first one hurry.
    ///
    /// # Cancel safety
    /// When its future is dropped, the actions still end by themselves; another call waits for the rest.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport<K> {
        let now = Instant::now();
        let limit = later(now, deadline);
        let grace = self.shared.config.grace.min(deadline);
        let ending = Ending { drop_at: later(now, grace), grace, limit: Some(limit) };
        let waited = self.shared.slots().close(ending);
        self.shared.root.cancel();
        for (job, stage) in waited {
            self.shared.tell_cancelled(job, stage == SlotStage::Waiting);
        }
        (0..self.shared.runners.len()).for_each(|runner| self.shared.wake(Some(runner)));
        self.shared.retries.notify_one();

        let mut tasks = self.tasks.lock().await;
        // At the limit each runner drops the future of its action itself; the slack is for that.
        let ended = timeout_at(limit + END_SLACK, join(&mut tasks)).await;
        if ended.is_err() {
            tasks.abort_all();
            // What can't be aborted is reported below: there is nothing more to do about it.
            let _ = timeout_at(Instant::now() + END_SLACK, join(&mut tasks)).await;
        }
        let swept = self.shared.slots().sweep();
        let unfinished: Vec<_> = swept.iter().map(|slot| slot.in_flight()).collect();
        drop(swept);
        for in_flight in &unfinished {
            self.shared.tell_aborted(*in_flight);
        }
        ShutdownReport {
            unfinished: unfinished.iter().map(|in_flight| in_flight.action).collect(),
            leaked: self.shared.slots().leaked(),
        }
    }
}

async fn join(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(%error, "a runner of the executor panicked: this is a bug in the executor");
        }
    }
}

impl<K> Drop for Executor<K> {
    fn drop(&mut self) {
        // Blocking threads don't end with their runner: they look at the token.
        self.shared.root.cancel();
    }
}

impl<K> fmt::Debug for Executor<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
