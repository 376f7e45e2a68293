//! A running flow: takes from its input, runs the pipeline, hands to its output, and keeps the limits between them.
//!
//! One future per flow. Whoever started the flow polls it in a task of their own; dropping it ends the flow, and what was
//! under way stays unacknowledged at its source. Order: messages of one source partition (MQTT: all of a subscription) are
//! handed to the output in the order they came, by this one future.

mod shared;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{FlowConfig, OnError};
use crate::input::{Source, SourceError, Taken};
use crate::message::{Delivery, Message};
use crate::mqtt::SessionPool;
use crate::output::Sink;
use crate::pipeline::{CompileError, JqError, Pipeline};
use crate::stats::{DropReason, ErrorKind, FlowSnapshot, Stage};

pub(crate) use shared::{Reject, Shared};

/// How often it is looked how many messages wait, while they can't be passed on: as often as a flow is observed.
const LOOK: Duration = Duration::from_secs(1);

/// Messages taken from the input at once: enough to spread the cost of a wake-up, little enough to keep latency low.
const BATCH: usize = 256;
/// How long a stopping flow waits for what is under way.
const DRAIN: Duration = Duration::from_secs(5);

/// A flow can't be made of its config.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A step.
    #[error(transparent)]
    Pipeline(#[from] CompileError),
    /// The program of `generate`.
    #[error("input.generate.payload.expr: the jq program is refused")]
    Generate(#[source] JqError),
    /// Nothing gives messages a topic.
    #[error(
        "no message would have a topic: set `topic` in the input, a `topic` or `tag` step, or `topic` in the output"
    )]
    NoTopic,
}

/// A flow ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// The input can't work.
    #[error(transparent)]
    Input(#[from] SourceError),
    /// A message was refused and `on_error` is `stop`.
    #[error("stopped at a message that was refused by the {}: {text}", stage.label())]
    Refused {
        /// Where.
        stage: Stage,
        /// Why.
        text: Arc<str>,
    },
}

/// A flow that is ready to run.
///
/// ```
/// use std::sync::Arc;
/// use fsm_worker_dataflow::{CancellationToken, Flow, SessionPool, config::FlowConfig};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let config: FlowConfig = serde_json::from_value(serde_json::json!({
///     "input": {"generate": {"interval": "0s", "count": 3}},
///     "pipeline": [{"filter": ".n > 0"}],
///     "output": {"drop": {}}
/// })).unwrap();
/// let pool = Arc::new(SessionPool::new("example"));
/// let flow = Flow::try_new("/example", Arc::new(config), &pool).unwrap();
/// let watch = flow.watch();
/// flow.run(CancellationToken::new()).await.unwrap();
/// assert_eq!(watch.snapshot().messages_in, 3);
/// # });
/// ```
pub struct Flow {
    config: Arc<FlowConfig>,
    pipeline: Pipeline,
    pool: Arc<SessionPool>,
    shared: Arc<Shared>,
    rejects: mpsc::UnboundedReceiver<Reject>,
}

/// Looks at a flow from outside. Cheap to clone; outlives the flow.
#[derive(Debug, Clone)]
pub struct FlowWatch(Arc<Shared>);

impl FlowWatch {
    /// All counters now.
    #[must_use]
    pub fn snapshot(&self) -> FlowSnapshot {
        self.0.snapshot()
    }

    /// Also samples the latency of each message into this metric; the first one counts.
    pub fn sample_latency_into(&self, metric: fsm_metrics::Histogram) {
        self.0.stats().sample_into(metric);
    }
}

/// Checks a config as far as it can be without running it.
///
/// # Errors
/// [`BuildError`] says which part of the config, where in a program, and what to do.
pub fn check(config: &FlowConfig) -> Result<Pipeline, BuildError> {
    use crate::config::{GenerateInput, Input, Output, Payload, Step};
    if let Input::Generate(GenerateInput { payload: Payload::Expr(expr), .. }) = &config.input {
        crate::pipeline::Generator::compile(expr, &config.vars).map_err(BuildError::Generate)?;
    }
    let silent = matches!(&config.input, Input::Generate(GenerateInput { topic: None, .. }));
    let stepless = !config.pipeline.iter().any(|s| matches!(s, Step::Topic(_) | Step::Tag(_)));
    if silent && stepless && matches!(&config.output, Output::Mqtt(mqtt) if mqtt.topic.is_none()) {
        return Err(BuildError::NoTopic);
    }
    Ok(Pipeline::compile(&config.pipeline, &config.vars)?)
}

impl Flow {
    /// Compiles the config. `name` tells the flow from others: MQTT client identifiers of connections of its own are made
    /// of it, so it has to stay the same over restarts.
    ///
    /// # Errors
    /// Those of [`check`].
    pub fn try_new(name: &str, config: Arc<FlowConfig>, pool: &Arc<SessionPool>) -> Result<Self, BuildError> {
        let pipeline = check(&config)?;
        let (shared, rejects) = Shared::new(name, &config);
        Ok(Self { config, pipeline, pool: Arc::clone(pool), shared, rejects })
    }

    /// A view of the flow's counters.
    #[must_use]
    pub fn watch(&self) -> FlowWatch {
        FlowWatch(Arc::clone(&self.shared))
    }

    /// Opens the input and the output: ports are taken here, connections are made later.
    ///
    /// # Errors
    /// [`SourceError`] when the input can't work.
    pub async fn open(self) -> Result<OpenFlow, SourceError> {
        let Self { config, pipeline, pool, shared, rejects } = self;
        let source = Source::open(&config, &pool, &shared).await?;
        let sink = Sink::open(&config.output, &pool, &shared);
        let dead_letters = match &config.on_error {
            OnError::DeadLetter(output) => Some(Sink::open(output, &pool, &shared)),
            OnError::Drop | OnError::Stop => None,
        };
        let stop_on_error = config.on_error == OnError::Stop;
        let (made, ready) = (Vec::new(), Vec::new());
        let runner = Runner { stop_on_error, pipeline, shared, sink, dead_letters, rejects, made, ready };
        Ok(OpenFlow { source, runner, pool })
    }

    /// [`open`](Self::open) and [`OpenFlow::run`].
    ///
    /// # Errors
    /// Those of both.
    ///
    /// # Cancel safety
    /// Dropping it ends the flow at once; what is under way stays unacknowledged.
    pub async fn run(self, stop: CancellationToken) -> Result<(), FlowError> {
        self.open().await?.run(stop).await
    }
}

/// A flow whose input is open.
pub struct OpenFlow {
    source: Source,
    runner: Runner,
    /// Sessions end with their pool.
    pool: Arc<SessionPool>,
}

impl OpenFlow {
    /// Runs until `stop` is cancelled, the input has no more, or the flow can't go on. At a stop no more is taken in, and
    /// what is under way is waited for, up to 5 s.
    ///
    /// # Errors
    /// [`FlowError`] when the flow ended by itself. A lost connection is no error: it is made again.
    ///
    /// # Cancel safety
    /// Dropping it ends the flow at once; what is under way stays unacknowledged.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), FlowError> {
        // An output that hangs must not hold the end up: what it has not taken stays unacknowledged and comes again.
        let patience = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        // Cancel-safe: dropping the runner loses nothing that was acknowledged.
        let result = tokio::select! {
            result = self.runner.run(self.source, &stop) => result,
            () = patience => Ok(()),
        };
        drop(self.pool);
        result
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("name", &self.shared.name()).finish_non_exhaustive()
    }
}

impl fmt::Debug for OpenFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFlow").field("name", &self.runner.shared.name()).finish_non_exhaustive()
    }
}

struct Runner {
    stop_on_error: bool,
    pipeline: Pipeline,
    shared: Arc<Shared>,
    sink: Sink,
    dead_letters: Option<Sink>,
    rejects: mpsc::UnboundedReceiver<Reject>,
    made: Vec<Message>,
    ready: Vec<(Message, Delivery)>,
}

impl Runner {
    async fn run(&mut self, mut source: Source, stop: &CancellationToken) -> Result<(), FlowError> {
        let mut batch: Vec<Taken> = Vec::new();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let lag = |source: &Source, shared: &Shared| {
            shared.stats().lag.store(source.queued() as u64, std::sync::atomic::Ordering::Relaxed);
        };
        loop {
            // Cancel-safe: all branches may be dropped at any time; what `take` has taken is in `batch`.
            let open = tokio::select! {
                () = stop.cancelled() => break,
                Some(reject) = self.rejects.recv() => { self.reject(reject).await?; continue }
                open = source.take(&mut batch, BATCH) => open?,
            };
            if batch.is_empty() && !open {
                break;
            }
            let mut taken = batch.drain(..).peekable();
            while taken.peek().is_some() {
                let shared = Arc::clone(&self.shared);
                // Cancel-safe: all branches may be dropped at any time.
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = shared.room() => {}
                    () = source.tend() => {}
                    // While the target is away is when it matters how many wait.
                    _ = look.tick() => { lag(&source, &shared); continue }
                    // What waits to be refused is in flight as well.
                    Some(reject) = self.rejects.recv() => { self.reject(reject).await?; continue }
                }
                self.fill(&mut taken);
                let mut flushing = std::pin::pin!(self.flush());
                loop {
                    // Cancel-safe: flushing is pinned outside.
                    tokio::select! {
                        // In order: what is written at once needs no timer.
                        biased;
                        flushed = &mut flushing => { flushed?; break }
                        _ = look.tick() => lag(&source, &shared),
                    }
                }
            }
            drop(taken);
            lag(&source, &self.shared);
        }
        self.drain().await
    }

    /// Runs messages through the pipeline as long as there is room.
    fn fill(&mut self, taken: &mut std::iter::Peekable<std::vec::Drain<'_, Taken>>) {
        let now_ms = wall_ms();
        while self.shared.has_room() {
            let Some(message) = taken.next() else { return };
            let idle = self.shared.in_flight() == 0;
            self.shared.stats().received(message.message.size(), message.at, idle);
            if message.duplicate {
                self.shared.stats().duplicate();
            }
            let delivery = Delivery::new(message.ack, &self.shared, message.at, message.message.size());
            if self.pipeline.is_empty() {
                self.ready.push((message.message, delivery));
                continue;
            }
            let original = message.message.clone();
            match self.pipeline.run(message.message, now_ms, &mut self.made) {
                Ok(()) => self.ready_made(delivery),
                Err(error) => {
                    let text = error.to_string().into();
                    self.shared.reject(original, delivery, Stage::Pipeline, error.kind, text);
                    if self.stop_on_error {
                        // What comes after it must not overtake it.
                        return;
                    }
                }
            }
        }
    }

    fn ready_made(&mut self, delivery: Delivery) {
        match self.made.len() {
            0 => {
                self.shared.stats().dropped(DropReason::Filtered);
                delivery.left_out();
            }
            1 => self.ready.extend(self.made.pop().map(|message| (message, delivery))),
            _ => {
                let parts = delivery.split(self.made.iter().map(Message::size));
                self.ready.extend(self.made.drain(..).zip(parts));
            }
        }
    }

    /// Hands what is ready to the output, and refused messages to where they belong.
    async fn flush(&mut self) -> Result<(), FlowError> {
        self.sink.write(&mut self.ready).await;
        while let Ok(reject) = self.rejects.try_recv() {
            self.reject(reject).await?;
        }
        Ok(())
    }

    async fn reject(&mut self, reject: Reject) -> Result<(), FlowError> {
        let Reject { message, delivery, stage, kind, text } = reject;
        self.shared.stats().error(stage, kind, Arc::clone(&text));
        if self.stop_on_error {
            // The delivery is dropped here: unacknowledged.
            return Err(FlowError::Refused { stage, text });
        }
        match &mut self.dead_letters {
            // What the dead letter output refuses in its turn has nowhere else to go.
            Some(sink) if !message.metadata.iter().any(|(name, _)| name == DEAD) => {
                let mut message = message;
                message.metadata.push((DEAD.into(), text.to_string().into()));
                self.shared.stats().dropped(DropReason::DeadLetter);
                sink.write(&mut vec![(message, delivery)]).await;
            }
            Some(_) | None => {
                self.shared.stats().dropped(DropReason::Error);
                tracing::debug!(flow = self.shared.name(), %text, kind = kind.label(), "message dropped");
                delivery.refused(&text);
            }
        }
        Ok(())
    }

    async fn drain(&mut self) -> Result<(), FlowError> {
        let shared = Arc::clone(&self.shared);
        let until = tokio::time::Instant::now() + DRAIN;
        loop {
            // Cancel-safe: all branches may be dropped at any time.
            tokio::select! {
                () = shared.empty() => return Ok(()),
                Some(reject) = self.rejects.recv() => self.reject(reject).await?,
                () = tokio::time::sleep_until(until) => return Ok(()),
            }
        }
    }
}

/// Metadata of a dead letter: why it is one.
const DEAD: &str = "dead_letter_reason";

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What a rejected message was refused for.
impl Reject {
    pub(crate) const fn new(
        message: Message,
        delivery: Delivery,
        stage: Stage,
        kind: ErrorKind,
        text: Arc<str>,
    ) -> Self {
        Self { message, delivery, stage, kind, text }
    }
}
