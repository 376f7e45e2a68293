//! What the methods of a worker are given: the pure one for `derive`, the live ones for `collect` and `execute`.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    ChildrenSpecs, DeriveErrorKind, Generation, Identity, Internal, MetricSink, Moment, NodePath, Observed,
    VariableBundle, Worker,
};

/// A boxed future, as drivers keep them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What `derive` may use. Nothing in it is alive: no clock, no handle, no worker.
///
/// ```compile_fail
/// fn peek(cx: &fsm_core::DeriveContext<'_>) { cx.handle(); } // there is no way to live resources
/// ```
#[non_exhaustive]
pub struct DeriveContext<'a> {
    variables: &'a VariableBundle,
    previous: Option<&'a ChildrenSpecs>,
    renders: &'a dyn RenderObserver,
}

/// Learns of each render: how long it took and how it ended. Feeds metrics only.
pub trait RenderObserver {
    /// A point on a stopwatch that may stand still.
    fn start(&self) -> Duration;
    /// A render ended.
    fn rendered(&self, took: Duration, error: Option<DeriveErrorKind>);
}

impl RenderObserver for () {
    fn start(&self) -> Duration {
        Duration::ZERO
    }
    fn rendered(&self, _took: Duration, _error: Option<DeriveErrorKind>) {}
}

impl<'a> DeriveContext<'a> {
    /// For engines and tests.
    pub fn new(
        variables: &'a VariableBundle,
        previous: Option<&'a ChildrenSpecs>,
        renders: &'a dyn RenderObserver,
    ) -> Self {
        Self { variables, previous, renders }
    }

    /// Own variables over inherited ones, global ones, and `internal` of this node.
    #[must_use]
    pub fn variables(&self) -> &'a VariableBundle {
        self.variables
    }

    /// Facts about this node.
    #[must_use]
    pub fn internal(&self) -> &'a Internal {
        &self.variables.internal
    }

    /// The children of the last good derive. Handing out the same `Arc` says that a child is unchanged.
    #[must_use]
    pub fn previous(&self) -> Option<&'a ChildrenSpecs> {
        self.previous
    }

    /// Runs a render and measures it.
    ///
    /// # Errors
    /// Those of the render.
    pub fn render<T, E>(
        &self,
        render: impl FnOnce() -> Result<T, E>,
        kind: impl FnOnce(&E) -> DeriveErrorKind,
    ) -> Result<T, E> {
        let start = self.renders.start();
        let result = render();
        let error = result.as_ref().err().map(kind);
        self.renders.rendered(self.renders.start().saturating_sub(start), error);
        result
    }
}

/// An observation of another node, as [`CollectContext::observed`] gives it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Seen<O> {
    /// The value.
    pub value: Arc<O>,
    /// When it was taken.
    pub taken: Moment,
    /// How old it was when asked for.
    pub age: Duration,
}

/// The erased form of [`Seen`], as hosts give it.
#[derive(Debug, Clone)]
pub struct SeenAny {
    /// The value.
    pub value: Arc<dyn Any + Send + Sync>,
    /// When it was taken.
    pub taken: Moment,
}

/// What stands behind the live contexts; drivers implement it. One per running job.
pub trait Host: Send + Sync {
    /// The driver's monotonic clock.
    fn now(&self) -> Moment;
    /// Wall-clock time in milliseconds since 1970 UTC.
    fn wall_ms(&self) -> u64;
    /// Completes after this long on the driver's clock.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
    /// Completes when the job is to end.
    fn cancelled(&self) -> BoxFuture<'static, ()>;
    /// Whether the job is to end.
    fn is_cancelled(&self) -> bool;
    /// Starts a task that lives until its node's incarnation ends.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);
    /// Runs this when the job is cancelled, with the same grace as the job.
    fn on_cancel(&self, cleanup: BoxFuture<'static, ()>);
    /// Takes an observation that a task pushes; a typed `Arc<W::Observed>`.
    fn push(&self, observed: Arc<dyn Any + Send + Sync>);
    /// The last observation of another node.
    fn observed(&self, path: &NodePath) -> BoxFuture<'static, Option<SeenAny>>;
    /// Panics of tasks of this incarnation since the last call, by task name.
    fn task_panics(&self) -> Vec<(&'static str, Arc<str>)>;
    /// Where the worker's own samples go.
    fn metrics(&self) -> &dyn MetricSink;
}

macro_rules! live_context {
    ($name:ident) => {
        impl<'a, W: Worker> $name<'a, W> {
            /// Path, kind, incarnation.
            #[must_use]
            pub fn identity(&self) -> &'a Identity {
                self.job.identity
            }
            /// The config of the desired state.
            #[must_use]
            pub fn config(&self) -> &'a Arc<W::Config> {
                self.job.config
            }
            /// The incarnation's live resources.
            #[must_use]
            pub fn handle(&self) -> &'a Arc<W::Handle> {
                self.job.handle
            }
            /// The last observation of this node.
            #[must_use]
            pub fn last(&self) -> Option<&'a Arc<W::Observed>> {
                self.job.last
            }
            /// The generation of the desired state this job runs under.
            #[must_use]
            pub fn generation(&self) -> Generation {
                self.job.generation
            }
            /// The driver's monotonic clock.
            #[must_use]
            pub fn now(&self) -> Moment {
                self.job.host.now()
            }
            /// Wall-clock time in milliseconds since 1970 UTC, for what is written outside.
            #[must_use]
            pub fn wall_ms(&self) -> u64 {
                self.job.host.wall_ms()
            }
            /// Waits on the driver's clock.
            pub fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
                self.job.host.sleep(time)
            }
            /// Completes when this job is to end.
            pub fn cancelled(&self) -> BoxFuture<'static, ()> {
                self.job.host.cancelled()
            }
            /// Whether this job is to end; for loops that don't await.
            #[must_use]
            pub fn is_cancelled(&self) -> bool {
                self.job.host.is_cancelled()
            }
            /// Starts a task that outlives this job and ends with the incarnation (a flow, a session). Its panic is reported
            /// by [`task_panics`](Self::task_panics).
            pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
                self.job.host.spawn(name, Box::pin(task));
            }
            /// Panics of spawned tasks since the last call, by task name, each with its text.
            #[must_use]
            pub fn task_panics(&self) -> Vec<(&'static str, Arc<str>)> {
                self.job.host.task_panics()
            }
            /// A way to push observations from a spawned task (`CollectMode::Push`).
            #[must_use]
            pub fn pusher(&self) -> Pusher<W> {
                Pusher { host: Arc::clone(self.job.host), observed: std::marker::PhantomData }
            }
            /// Where the worker's own samples go.
            #[must_use]
            pub fn metrics(&self) -> &'a dyn MetricSink {
                self.job.host.metrics()
            }
            /// The host, for tasks that outlive this job.
            #[must_use]
            pub fn host(&self) -> &'a Arc<dyn Host> {
                self.job.host
            }
        }

        impl<W: Worker> fmt::Debug for $name<'_, W> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("identity", self.job.identity).finish_non_exhaustive()
            }
        }
    };
}

/// What both live contexts hold; for drivers and tests.
pub struct Job<'a, W: Worker> {
    /// Path, kind, incarnation.
    pub identity: &'a Identity,
    /// The config of the desired state.
    pub config: &'a Arc<W::Config>,
    /// Live resources.
    pub handle: &'a Arc<W::Handle>,
    /// The last observation.
    pub last: Option<&'a Arc<W::Observed>>,
    /// The generation of the desired state.
    pub generation: Generation,
    /// The driver.
    pub host: &'a Arc<dyn Host>,
}

/// What `collect_observed_state` may use.
pub struct CollectContext<'a, W: Worker> {
    job: Job<'a, W>,
}

impl<'a, W: Worker> CollectContext<'a, W> {
    /// For drivers and tests.
    #[must_use]
    pub const fn new(job: Job<'a, W>) -> Self {
        Self { job }
    }

    /// The last observation of another node, if it is of kind `K` (S-36).
    pub async fn observed<K: Worker>(&self, path: &NodePath) -> Option<Seen<K::Observed>> {
        let seen = self.job.host.observed(path).await?;
        let value = seen.value.downcast::<K::Observed>().ok()?;
        Some(Seen { value, taken: seen.taken, age: self.now().since(seen.taken) })
    }
}

live_context!(CollectContext);

/// What `execute` may use.
pub struct ActionContext<'a, W: Worker> {
    job: Job<'a, W>,
    attempt: u32,
}

impl<'a, W: Worker> ActionContext<'a, W> {
    /// For drivers and tests.
    #[must_use]
    pub const fn new(job: Job<'a, W>, attempt: u32) -> Self {
        Self { job, attempt }
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Clean-up that must await: run when this action is cancelled, with the same grace as the action (A-5).
    pub fn on_cancel(&self, cleanup: impl Future<Output = ()> + Send + 'static) {
        self.job.host.on_cancel(Box::pin(cleanup));
    }
}

live_context!(ActionContext);

/// Pushes observations from a task of this incarnation; cheap to clone.
pub struct Pusher<W: Worker> {
    host: Arc<dyn Host>,
    observed: std::marker::PhantomData<fn() -> W>,
}

impl<W: Worker> Pusher<W>
where
    W::Observed: Observed<W::Config>,
{
    /// Gives the engine a new observation. After the incarnation ended it goes nowhere.
    pub fn push(&self, observed: W::Observed) {
        self.host.push(Arc::new(observed));
    }
}

impl<W: Worker> Clone for Pusher<W> {
    fn clone(&self) -> Self {
        Self { host: Arc::clone(&self.host), observed: std::marker::PhantomData }
    }
}

impl<W: Worker> fmt::Debug for Pusher<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pusher")
    }
}
