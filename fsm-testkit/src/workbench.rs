//! One worker on a real host, without an engine: the place where its I/O half is tried.

mod host;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use fsm_core::{
    ActionContext, ActionError, CollectContext, CollectError, Generation, Host, Identity, Incarnation, Job,
    NodeId, NodePath, Worker,
};

use host::BenchHost;

/// One node of kind `W`: a worker, its config and its live resources, on tokio's clock and runtime.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use fsm_testkit::Workbench;
/// use fsm_testkit::workers::{Scripted, ScriptedAction, ScriptedConfig, World};
///
/// let world = World::new();
/// let bench = Workbench::new(Scripted::new(&world), ScriptedConfig::default());
/// bench.execute(ScriptedAction::Start).await.unwrap();
/// assert!(bench.collect().await.unwrap().up);
/// # });
/// ```
pub struct Workbench<W: Worker> {
    worker: Arc<W>,
    config: Arc<W::Config>,
    handle: Arc<W::Handle>,
    identity: Identity,
    host: Arc<BenchHost>,
    last: std::sync::Mutex<Option<Arc<W::Observed>>>,
    kept: Vec<Box<dyn Any + Send>>,
}

impl<W: Worker> Drop for Workbench<W> {
    fn drop(&mut self) {
        self.host.end();
    }
}

/// How far an action that was to be cut off came.
#[derive(Debug)]
pub enum Cut {
    /// It ended before.
    Ended(Result<(), ActionError>),
    /// Its future was dropped there, and what it had registered for that was run.
    Dropped,
}

impl<W: Worker> Workbench<W> {
    /// A node with this config; nothing has been observed or done yet.
    pub fn new(worker: W, config: W::Config) -> Self {
        Self::shared(Arc::new(worker), config)
    }

    /// The same for a worker that several nodes share.
    pub fn shared(worker: Arc<W>, config: W::Config) -> Self {
        let path = NodePath::try_new("/test/bench").expect("a fixed good path");
        let identity = Identity::new(path, W::KIND, NodeId::new(1, Incarnation::new(1)), 0, 1);
        Self {
            worker,
            config: Arc::new(config),
            handle: Arc::default(),
            identity,
            host: Arc::new(BenchHost::new()),
            last: std::sync::Mutex::default(),
            kept: Vec::new(),
        }
    }

    /// Keeps something alive as long as the node, such as the folder or the server that it works on.
    #[must_use]
    pub fn keeping(mut self, what: impl Any + Send) -> Self {
        self.kept.push(Box::new(what));
        self
    }

    /// Gives the node another config, as a changed desired state does.
    pub fn reconfigure(&mut self, config: W::Config) {
        self.config = Arc::new(config);
    }

    /// Its config.
    #[must_use]
    pub fn config(&self) -> &W::Config {
        &self.config
    }

    /// Its live resources.
    #[must_use]
    pub fn handle(&self) -> &W::Handle {
        &self.handle
    }

    /// Tasks that it spawned and that still run.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.host.tasks()
    }

    /// Looks at the world.
    ///
    /// # Errors
    /// Those of the worker.
    pub async fn collect(&self) -> Result<Arc<W::Observed>, CollectError> {
        let host: Arc<dyn Host> = self.host.clone();
        let last = self.last();
        let cx = CollectContext::new(self.job(&host, last.as_ref()));
        let observed = Arc::new(self.worker.collect_observed_state(cx).await?);
        *host::lock(&self.last) = Some(Arc::clone(&observed));
        Ok(observed)
    }

    /// Runs an action once, without retries.
    ///
    /// # Errors
    /// Those of the worker.
    pub async fn execute(&self, action: W::Action) -> Result<(), ActionError> {
        let host: Arc<dyn Host> = self.host.clone();
        let last = self.last();
        self.worker.execute(action, ActionContext::new(self.job(&host, last.as_ref()), 1)).await
    }

    /// Runs an action and cuts it off where it waits for the `waits`th time, from 1: it is told to end, its future is
    /// dropped, and the clean-up that it registered with `on_cancel` is run.
    pub async fn execute_until(&self, action: W::Action, waits: u32) -> Cut {
        let end = {
            let run = pin!(self.execute(action));
            CutOff { run, left: waits }.await
        };
        match end {
            Some(result) => {
                self.host.forget_cleanups();
                Cut::Ended(result)
            }
            None => {
                self.host.cancel().await;
                Cut::Dropped
            }
        }
    }

    fn last(&self) -> Option<Arc<W::Observed>> {
        host::lock(&self.last).clone()
    }

    fn job<'a>(&'a self, host: &'a Arc<dyn Host>, last: Option<&'a Arc<W::Observed>>) -> Job<'a, W> {
        let generation = Generation::new(1);
        Job { identity: &self.identity, config: &self.config, handle: &self.handle, last, generation, host }
    }
}

impl<W: Worker> fmt::Debug for Workbench<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workbench")
            .field("kind", &W::KIND)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A future that is given up where it waits for the last time that is left.
struct CutOff<'a, F> {
    run: Pin<&'a mut F>,
    left: u32,
}

impl<F: Future> Future for CutOff<'_, F> {
    type Output = Option<F::Output>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.run.as_mut().poll(cx) {
            Poll::Ready(end) => Poll::Ready(Some(end)),
            Poll::Pending if self.left <= 1 => Poll::Ready(None),
            Poll::Pending => {
                self.left -= 1;
                Poll::Pending
            }
        }
    }
}
