//! What stands behind the contexts of running jobs: the clock, cancelling, spawning, and the way back into the tree.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{BoxFuture, Host, MetricSink, Moment, NodeId, NodePath, SeenAny};
use fsm_executor::Cleanups;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Clock;
use super::handle::Ask;
use super::inbox::Inbox;
use super::tasks::Incarnations;
use crate::input::Input;

/// What all jobs share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) incarnations: Incarnations,
    /// Questions to the tree.
    pub(crate) requests: mpsc::WeakUnboundedSender<Ask>,
}

/// The host of one job.
pub(crate) struct JobHost {
    pub(crate) shared: Arc<Shared>,
    pub(crate) node: NodeId,
    pub(crate) cancel: CancellationToken,
    /// Where clean-ups of an action go; a collection has none.
    pub(crate) cleanups: Option<Cleanups>,
    pub(crate) metrics: Arc<dyn MetricSink>,
}

impl Host for JobHost {
    fn now(&self) -> Moment {
        self.shared.clock.now()
    }
    fn wall_ms(&self) -> u64 {
        self.shared.clock.wall_ms(self.shared.clock.now())
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
        self.shared.incarnations.spawn(self.node, name, task);
    }
    fn on_cancel(&self, cleanup: BoxFuture<'static, ()>) {
        if let Some(cleanups) = &self.cleanups {
            cleanups.register_boxed(cleanup);
        }
    }
    fn push(&self, observed: Arc<dyn Any + Send + Sync>) {
        let taken = self.shared.clock.now();
        self.shared.inbox.put(Input::Pushed { node: self.node, taken, value: observed });
    }
    fn observed(&self, path: &NodePath) -> BoxFuture<'static, Option<SeenAny>> {
        let (requests, path) = (self.shared.requests.upgrade(), path.clone());
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let ask = Ask::Look(Box::new(move |engine| drop(answer.send(engine.observation(&path)))));
            requests?.send(ask).ok()?;
            answered.await.ok()?
        })
    }
    fn task_panics(&self) -> Vec<(&'static str, Arc<str>)> {
        self.shared.incarnations.panics(self.node)
    }
    fn metrics(&self) -> &dyn MetricSink {
        &*self.metrics
    }
}
