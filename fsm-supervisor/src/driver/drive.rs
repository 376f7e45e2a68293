//! The loop: take what happened, tick while anything is due, carry out the effects, sleep until the next deadline.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::erase::ActionRun;
use fsm_core::{
    ActionId, ActionPolicy, ChildSpec, Identity, MetricSink, Moment, NoMetrics, NodeId, NodePath, Vars,
};
use fsm_executor::{EnqueueError, Executor, ExecutorEvent, Priority, Request};
use fsm_metrics::Metrics;
use fsm_store::Store;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod collect;
mod probe;

use collect::{Collecting, Threads};
use probe::Probes;

use super::agent::{ActError, Awaited, Taken};
use super::handle::{ApplyReceipt, Ask};
use super::host::{JobHost, Shared};
use super::inbox::Inbox;
use super::record::{ActionRecorder, Pool, Recorder};
use super::spans;
use super::tasks::Incarnations;
use super::{Clock, DriverConfig, StartError};
use crate::effect::{Effect, Effects};
use crate::engine::{Engine, ShutdownReport, Stopwatch, Touched};
use crate::event::Event;
use crate::input::{Command, Input, Refusal};

/// So many inputs ahead memory is asked for: enough for their waits to overlap, few enough to stay in the first cache.
const FORESEEN: usize = 32;

/// Measures the engine's own work on the machine's clock, also under paused time.
struct Wall(std::time::Instant);

impl Stopwatch for Wall {
    fn nanos(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The loop's state.
pub(crate) struct Drive {
    engine: Engine,
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<Ask>,
    events: broadcast::Sender<Event>,
    executor: Executor<NodeId>,
    recorder: Recorder,
    observer: Arc<ActionRecorder>,
    pool: Pool,
    /// Sinks of nodes whose kinds declare metrics of their own.
    sinks: HashMap<NodeId, Arc<dyn MetricSink>>,
    effects: Effects,
    inputs: Vec<Input>,
    stopwatch: Wall,
    collecting: HashMap<NodeId, Collecting>,
    threads: Threads,
    probes: Probes,
    /// Paths of actions in flight; of abandoned ones until they end.
    acting: HashMap<NodeId, NodePath>,
    abandoned: HashMap<NodePath, NodeId>,
    awaited: Awaited,
    /// Grows with each apply that changed something.
    generation: u64,
    /// Evaluations since the last apply began.
    evaluated: u64,
    stopping: Vec<oneshot::Sender<ShutdownReport>>,
    abort_after: Duration,
    tick_interval: Duration,
}

impl Drive {
    #[expect(clippy::too_many_arguments, reason = "called once, by `start`, with its parts")]
    pub(crate) fn try_new(
        engine: Engine,
        clock: Clock,
        inbox: Arc<Inbox>,
        (requests, weak): (mpsc::UnboundedReceiver<Ask>, mpsc::WeakUnboundedSender<Ask>),
        events: broadcast::Sender<Event>,
        metrics: &Metrics,
        store: Arc<dyn Store>,
        config: &DriverConfig,
    ) -> Result<Self, StartError> {
        let sink_inbox = Arc::clone(&inbox);
        let sink = Arc::new(move |event: ExecutorEvent<NodeId>| on_executor_event(&sink_inbox, event));
        let observer = Arc::new(ActionRecorder::default());
        let now = Arc::new(move || clock.now());
        let executor = Executor::try_new(config.executor, now, sink, Arc::clone(&observer) as Arc<_>)?;
        let executor = match &config.node_metrics {
            Some(collector) => executor.with_node_metrics(Arc::clone(collector)),
            None => executor,
        };
        let shared = Arc::new(Shared { clock, inbox, incarnations: Incarnations::default(), requests: weak });
        Ok(Self {
            engine,
            shared,
            requests,
            executor,
            recorder: Recorder::start(store, metrics, clock, events.clone()),
            events,
            observer,
            pool: Pool::new(metrics, config.executor.concurrency + config.executor.reserved_for_stop),
            sinks: HashMap::new(),
            effects: Effects::new(),
            inputs: Vec::new(),
            stopwatch: Wall(monotonic()),
            collecting: HashMap::new(),
            threads: Threads::default(),
            probes: Probes::new(),
            acting: HashMap::new(),
            abandoned: HashMap::new(),
            awaited: Awaited::default(),
            generation: 0,
            evaluated: 0,
            stopping: Vec::new(),
            abort_after: config.abort_after,
            tick_interval: config.engine.tick_interval,
        })
    }

    /// Runs until the tree is shut down or nobody holds a handle.
    pub(crate) async fn run(mut self) {
        loop {
            self.work();
            if self.is_done() {
                break;
            }
            let wake = self.next_wake();
            // Cancel-safe: `news` keeps its permit, `recv` keeps its message, a sleep has no state.
            tokio::select! {
                () = self.shared.inbox.news() => {}
                ask = self.requests.recv() => match ask {
                    Some(ask) => self.answer(ask),
                    // The last handle is gone: nobody can ask for a graceful end any more.
                    None => break,
                },
                () = tokio::time::sleep_until(wake) => {}
            }
        }
        self.end().await;
    }

    /// Takes everything that waits and ticks until nothing is due.
    fn work(&mut self) {
        loop {
            self.take_inputs();
            let now = self.shared.clock.now();
            if self.engine.next_wake().is_none_or(|at| at > now) {
                break;
            }
            self.tick(now);
        }
        self.threads.count(self.engine.samples());
        let stats = self.executor.stats();
        self.pool.record(stats.running, stats.waiting);
        self.engine.flush_metrics();
    }

    fn take_inputs(&mut self) {
        let mut inputs = std::mem::take(&mut self.inputs);
        self.shared.inbox.take(&mut inputs);
        let mut waiting = inputs.drain(..);
        while !waiting.as_slice().is_empty() {
            self.engine.foresee(waiting.as_slice().iter().take(FORESEEN));
            for input in waiting.by_ref().take(FORESEEN) {
                self.before(&input);
                let now = self.shared.clock.now();
                // Commands come by `answer`; all other inputs can't fail.
                let _ = self.engine.handle(input, now);
            }
        }
        drop(waiting);
        self.inputs = inputs;
    }

    /// Forgets what an input says has ended.
    fn before(&mut self, input: &Input) {
        self.awaited.tell(input);
        match input {
            Input::Observed { node, started, .. } => {
                if self.collecting.get(node).is_some_and(|c| c.started == *started) {
                    self.let_go(*node);
                }
            }
            Input::ActionEnded { node, .. } | Input::ActionRefused { node, .. } => {
                if self.executor.in_flight(*node).is_none() {
                    self.acting.remove(node);
                } else if let Some(path) = self.acting.get(node) {
                    self.abandoned.insert(path.clone(), *node);
                }
            }
            Input::Probed { number, .. } => {
                self.probes.remove(number);
            }
            Input::Pushed { .. } | Input::ActionStarted { .. } | Input::Root { .. } | Input::Command(_) => {}
        }
    }

    fn tick(&mut self, now: Moment) {
        let mut effects = std::mem::take(&mut self.effects);
        let span = spans::tick();
        let report = span.in_scope(|| self.engine.tick(now, &mut effects, &self.stopwatch));
        spans::ticked(&span, &report, effects.len());
        drop(span);
        self.evaluated += report.evaluated;
        for effect in effects.drain() {
            self.carry_out(effect);
        }
        self.effects = effects;
    }

    fn next_wake(&self) -> Instant {
        let now = self.shared.clock.now();
        // The interval is the upper bound of reaction, also when no deadline is booked (S-1).
        let at = self.engine.next_wake().unwrap_or(Moment::FAR).min(now + self.tick_interval);
        self.shared.clock.instant(at).unwrap_or_else(Instant::now)
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Collect { node, started, generation, timeout, blocking, identity, run } => {
                self.collect(node, started, generation, timeout, blocking, &identity, run);
            }
            Effect::CancelCollect { node } => {
                self.let_go(node);
            }
            Effect::Execute { node, id, policy, stopping, identity, run } => {
                self.execute(node, id, policy, stopping, &identity, run);
            }
            Effect::Cancel { node, grace } => {
                self.executor.cancel(node, grace);
            }
            Effect::Probe { infrastructure, number, timeout } => self.probe(infrastructure, number, timeout),
            Effect::End { node } => {
                self.let_go(node);
                self.sinks.remove(&node);
                self.shared.incarnations.end(node);
            }
            Effect::Persist(change) => self.recorder.record(change),
            Effect::Emit(event) => self.emit(event),
        }
    }

    fn emit(&mut self, event: Event) {
        super::record::log(&event);
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }

    /// The sink for a node's own metrics, made with its first job.
    fn sink(&mut self, node: NodeId) -> Arc<dyn MetricSink> {
        if let Some(sink) = self.sinks.get(&node) {
            return Arc::clone(sink);
        }
        let Some(own) = self.engine.own_metrics(node) else { return Arc::new(NoMetrics) };
        let sink: Arc<dyn MetricSink> = Arc::new(own);
        self.sinks.insert(node, Arc::clone(&sink));
        sink
    }

    fn host(&mut self, node: NodeId, cancel: CancellationToken) -> JobHost {
        let metrics = self.sink(node);
        JobHost { shared: Arc::clone(&self.shared), node, cancel, cleanups: None, metrics }
    }

    fn execute(
        &mut self,
        node: NodeId,
        id: ActionId,
        policy: ActionPolicy,
        stopping: bool,
        identity: &Identity,
        run: ActionRun,
    ) {
        if let Some(from) = self.abandoned.get(&identity.path).copied() {
            // The slot belongs to the path: what an earlier incarnation left running blocks this one too (A-3, J2).
            if self.executor.in_flight(from).is_none() {
                self.abandoned.remove(&identity.path);
            } else if from != node && self.executor.hand_over(from, node) {
                self.abandoned.insert(identity.path.clone(), node);
            }
        }
        let shared = Arc::clone(&self.shared);
        let metrics = self.sink(node);
        let tag = self.metric_tag(node);
        let (path, kind, name) = (identity.path.clone(), identity.kind, policy.name);
        let request = Request {
            id,
            name: policy.name,
            policy,
            priority: if stopping { Priority::Stop } else { Priority::Normal },
            tag,
            node: Some(identity.path.clone()),
            run: Box::new(move |attempt| {
                let host = JobHost {
                    shared: Arc::clone(&shared),
                    node,
                    cancel: attempt.cancel,
                    cleanups: Some(attempt.cleanups),
                    metrics: Arc::clone(&metrics),
                };
                spans::attempt(&path, kind, name, attempt.number, run(attempt.number, Arc::new(host)))
            }),
        };
        match self.executor.enqueue(node, request) {
            Ok(()) => {
                self.acting.insert(node, identity.path.clone());
            }
            Err(error) => {
                let why = match error {
                    EnqueueError::Busy => Refusal::Busy,
                    EnqueueError::QueueFull => Refusal::QueueFull,
                    EnqueueError::ShuttingDown | _ => Refusal::ShuttingDown,
                };
                self.shared.inbox.put(Input::ActionRefused { node, id, why });
            }
        }
    }

    /// The scope of an action's samples, known to the observer.
    fn metric_tag(&mut self, node: NodeId) -> u32 {
        let Some((scope, names)) = self.engine.scope(node) else { return u32::MAX };
        let samples = self.engine.samples();
        self.observer.know(scope.get(), names, || samples.scope(scope).map(|scope| scope.actions()));
        scope.get()
    }

    fn answer(&mut self, ask: Ask) {
        let now = self.shared.clock.now();
        match ask {
            Ask::Look(look) => {
                self.work();
                look(&self.engine);
            }
            Ask::Command(command, answer) => {
                if let Command::Force = command {
                    self.executor_drops_all();
                }
                let result = self.engine.handle(Input::Command(command), now);
                let _ = answer.send(result);
            }
            Ask::Act { path, action, input, who, answer } => {
                let _ = answer.send(self.act(path, &action, input, who));
            }
            Ask::Apply { root, global, answer } => {
                self.work();
                let _ = answer.send(self.apply(root, global));
            }
            Ask::Record(record) => record(self.engine.samples()),
            Ask::Shutdown { within, answer } => {
                let _ = self.engine.handle(Input::Command(Command::Shutdown { within }), now);
                self.stopping.push(answer);
            }
        }
    }

    /// Starts an action that was asked for by name, and knows whether the pool took it.
    fn act(&mut self, path: NodePath, name: &str, input: Value, who: Arc<str>) -> Result<Taken, ActError> {
        let action = self.engine.request_action(&path, name, input)?;
        let command = Command::Act { path: path.clone(), action, who };
        self.engine.handle(Input::Command(command), self.shared.clock.now())?;
        let id = self.engine.acting(&path).expect("the command that was carried out started an action");
        let mut end = self.awaited.wait(id);
        self.work();
        match end.try_recv() {
            Ok(Err(why)) => Err(ActError::Refused { path, action: name.to_owned(), why }),
            // An end that is there already stays in the channel of the one who asks.
            Ok(Ok(report)) => Ok((id, Awaited::told(report))),
            Err(_) => Ok((id, end)),
        }
    }

    /// Takes a new root and ticks until nothing is due.
    fn apply(&mut self, root: Arc<ChildSpec>, global: Arc<Vars>) -> ApplyReceipt {
        self.evaluated = 0;
        self.engine.track();
        let _ = self.engine.handle(Input::Root { spec: root, global }, self.shared.clock.now());
        self.work();
        let mut receipt = ApplyReceipt { evaluated: self.evaluated, ..ApplyReceipt::default() };
        for (path, how) in self.engine.tracked() {
            let list = match how {
                Touched::Created => &mut receipt.created,
                Touched::Updated => &mut receipt.updated,
                Touched::Leaving => &mut receipt.leaving,
            };
            if list.last() != Some(&path) {
                list.push(path);
            }
        }
        if !receipt.is_empty() {
            self.generation += 1;
            self.engine.samples().config_generation(self.generation);
        }
        receipt.generation = self.generation;
        receipt
    }

    /// A forced end drops running actions without grace.
    fn executor_drops_all(&self) {
        for node in self.acting.keys() {
            self.executor.cancel(*node, Duration::ZERO);
        }
    }

    fn is_done(&self) -> bool {
        !self.stopping.is_empty() && self.engine.shutdown_report().is_some()
    }

    /// Ends everything this driver started, then answers those who wait for the end.
    async fn end(mut self) {
        self.collecting.clear();
        self.probes.clear();
        let ended = self.executor.shutdown(self.abort_after).await;
        self.shared.inbox.take(&mut self.inputs);
        for input in self.inputs.drain(..) {
            self.awaited.tell(&input);
        }
        self.shared.incarnations.end_all().await;
        if !ended.is_clean() {
            tracing::warn!(?ended, "actions were left behind");
        }
        self.engine.flush_metrics();
        if tokio::time::timeout(self.abort_after, self.recorder.finish()).await.is_err() {
            tracing::error!("the store did not take the last changes in time");
        }
        let report = self.engine.shutdown_report();
        for answer in self.stopping.drain(..) {
            if let Some(report) = &report {
                let _ = answer.send(report.clone());
            }
        }
    }
}

/// The machine's monotonic clock. It measures the engine's own work only, so it must run on under paused time.
#[expect(
    clippy::disallowed_methods,
    reason = "the stopwatch feeds metrics only and must not stand still with paused time"
)]
fn monotonic() -> std::time::Instant {
    std::time::Instant::now()
}

fn on_executor_event(inbox: &Inbox, event: ExecutorEvent<NodeId>) {
    match event {
        ExecutorEvent::Started { action, .. } => {
            inbox.put(Input::ActionStarted { node: action.key, id: action.id });
        }
        ExecutorEvent::Ended(ended) => {
            inbox.put(Input::ActionEnded { node: ended.action.key, report: ended.report })
        }
        ExecutorEvent::Stuck { action, running } => {
            tracing::warn!(
                action = action.name,
                ?running,
                "an action holds its thread long after its timeout"
            );
        }
        ExecutorEvent::Abandoned { action, running } => {
            tracing::error!(
                action = action.name,
                ?running,
                "an action is abandoned; its slot stays taken until it ends"
            );
        }
        ExecutorEvent::LeakedEnded { action } => {
            tracing::info!(action = action.name, "an abandoned action ended");
        }
        _ => {}
    }
}
