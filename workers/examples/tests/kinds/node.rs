//! One worker without an engine: collects, asks its state, runs its actions, on a real host.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::table::Case;
use fsm_core::*;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What stands behind the contexts: the clock and the tasks of the test's runtime.
struct TestHost {
    start: Instant,
    tasks: Mutex<JoinSet<()>>,
}

impl Host for TestHost {
    fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }
    fn wall_ms(&self) -> u64 {
        0
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
    fn cancelled(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
    fn is_cancelled(&self) -> bool {
        false
    }
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        self.tasks.lock().unwrap().spawn(task);
    }
    fn on_cancel(&self, _cleanup: BoxFuture<'static, ()>) {}
    fn push(&self, _observed: Arc<dyn Any + Send + Sync>) {}
    fn observed(&self, _path: &NodePath) -> fsm_core::BoxFuture<'static, Option<fsm_core::SeenAny>> {
        Box::pin(async { None })
    }
    fn task_panics(&self) -> Vec<(&'static str, Arc<str>)> {
        Vec::new()
    }
    fn metrics(&self) -> &dyn MetricSink {
        &NoMetrics
    }
}

/// A node of kind `W`.
pub(crate) struct Node<W: Worker> {
    worker: W,
    pub(crate) config: Arc<W::Config>,
    handle: Arc<W::Handle>,
    host: Arc<TestHost>,
    identity: Identity,
    pub(crate) state: W::State,
    pub(crate) observed: Option<Arc<W::Observed>>,
    /// Actions that ran, in order.
    pub(crate) ran: Vec<&'static str>,
    last: Option<Outcome>,
}

impl<W: Worker> Node<W>
where
    W::Config: Clone,
    W::Observed: Clone,
{
    pub(crate) fn new(worker: W, config: W::Config) -> Self {
        let id = NodeId::new(1, Incarnation::new(1));
        let spec = UserSpec::new(config);
        Self {
            worker,
            state: W::initial_state(&spec),
            config: spec.config,
            handle: Arc::default(),
            host: Arc::new(TestHost { start: Instant::now(), tasks: Mutex::default() }),
            identity: Identity::new(NodePath::try_new("/test/node").unwrap(), W::KIND, id, 0, 1),
            observed: None,
            ran: Vec::new(),
            last: None,
        }
    }

    pub(crate) fn reconfigure(&mut self, config: W::Config) {
        self.config = Arc::new(config);
    }

    /// Tasks of this incarnation that still run.
    pub(crate) fn tasks(&self) -> usize {
        let mut tasks = self.host.tasks.lock().unwrap();
        while tasks.try_join_next().is_some() {}
        tasks.len()
    }

    pub(crate) async fn collect(&mut self) -> Result<Arc<W::Observed>, CollectError> {
        let host: Arc<dyn Host> = self.host.clone();
        let job = self.job(&host);
        let observed = Arc::new(self.worker.collect_observed_state(CollectContext::new(job)).await?);
        self.observed = Some(Arc::clone(&observed));
        Ok(observed)
    }

    pub(crate) async fn execute(&mut self, action: W::Action) -> Result<(), ActionError> {
        let host: Arc<dyn Host> = self.host.clone();
        self.ran.push(action.name());
        let result = self.worker.execute(action, ActionContext::new(self.job(&host), 1)).await;
        self.last = Some(if result.is_ok() { Outcome::Success } else { Outcome::Failure });
        result
    }

    fn job<'a>(&'a self, host: &'a Arc<dyn Host>) -> Job<'a, W> {
        Job {
            identity: &self.identity,
            config: &self.config,
            handle: &self.handle,
            last: self.observed.as_ref(),
            generation: Generation::new(1),
            host,
        }
    }

    /// Observes, asks and acts until the state stays; gives back the last decision.
    pub(crate) async fn settle(&mut self, goal: Goal) -> Decision<W> {
        for _ in 0..20 {
            if self.collect().await.is_err() {
                self.observed = None;
            }
            let mut case = Case::<W>::new(W::Config::clone(&self.config));
            if let Some(observed) = &self.observed {
                case = case.observed(W::Observed::clone(observed));
            }
            if let (Some(outcome), Some(action)) = (self.last, self.ran.last()) {
                case = case.after(action, outcome);
            }
            let answer = match goal {
                Goal::Run => case.next(self.state),
                Goal::Stop | Goal::Remove => case.stop(self.state),
            };
            let (step, reason) = answer.decision.into_parts();
            match step {
                Step::Move(state) => self.state = state,
                Step::Act(action) => drop(self.execute(action).await),
                step @ (Step::Stay | Step::Remove | Step::Restart) => return Decision::new(step, reason),
            }
        }
        panic!("{} does not settle: it is in {:?} after {:?}", W::KIND, self.state, self.ran);
    }
}
