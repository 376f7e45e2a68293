//! The kind `dataflow`: looks at the flow of its incarnation, starts it and stops it.

mod observed;
mod record;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext,
    DeriveError, DeriveErrorKind, DesiredState, Infrastructure, Policy, RegisterError, Registry,
    RequestError, RetryPolicy, UserSpec, Worker, chain,
};
use fsm_metrics::{FlowMetrics, Metrics};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{FlowConfig, Input, Output, Step};
use crate::flow::{BuildError, Flow, FlowError, FlowWatch, check};
use crate::mqtt::SessionPool;
use crate::pipeline::CompileError;
use record::Recorder;

pub use observed::{FlowObserved, Health, Trouble};
pub use state::DataflowState;

/// Opening takes a port or nothing; connections are made later.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// A flow waits up to 5 s for what is under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Registers the kind `dataflow`.
///
/// # Errors
/// [`RegisterError`] when the name is taken.
pub fn register(registry: &mut Registry, worker: Dataflow) -> Result<(), RegisterError> {
    registry.register(worker)?;
    Ok(())
}

/// Native dataflows as a worker kind. Holds the connections that flows share.
#[derive(Debug)]
pub struct Dataflow {
    pool: Arc<SessionPool>,
    metrics: Option<Metrics>,
}

impl Dataflow {
    /// `instance` tells this process from others at the same broker and stays the same over its restarts: the name of the
    /// agent. See [`SessionPool::new`].
    #[must_use]
    pub fn new(instance: impl Into<String>) -> Self {
        Self { pool: Arc::new(SessionPool::new(instance)), metrics: None }
    }

    /// Records the `dataflow_` metrics there.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// The connections that flows share.
    #[must_use]
    pub fn pool(&self) -> &Arc<SessionPool> {
        &self.pool
    }
}

/// What a dataflow does to the outside world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowAction {
    /// Starts the flow, in place of one with another config.
    Start,
    /// Stops the flow and waits until it has ended.
    Stop,
}

impl Action for FlowAction {
    const NAMES: &'static [&'static str] = &["start", "stop"];

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }

    fn from_request(name: &str, _input: Value) -> Result<Self, RequestError> {
        match name {
            "start" => Ok(Self::Start),
            "stop" => Ok(Self::Stop),
            _ => Err(RequestError::Unknown { name: name.into(), known: Self::NAMES }),
        }
    }
}

/// What one incarnation owns: its flow, once there is one.
#[derive(Default)]
pub struct FlowLife {
    inner: Mutex<Option<Life>>,
}

/// How a flow ended by itself.
#[derive(Debug, Clone)]
enum End {
    /// The input has no more.
    Finished,
    /// A message was refused and `on_error` is `stop`.
    Refused(Arc<str>),
    /// Anything else.
    Failed(Arc<str>),
}

struct Life {
    watch: FlowWatch,
    stop: CancellationToken,
    /// Closed without a value if the task was ended from outside or panicked.
    end: watch::Receiver<Option<End>>,
    config: Arc<FlowConfig>,
    recorder: Option<Recorder>,
}

impl FlowLife {
    /// A panic under this lock leaves plain data, which is good as it is.
    fn lock(&self) -> MutexGuard<'_, Option<Life>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FlowLife {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowLife").finish_non_exhaustive()
    }
}

impl Life {
    fn end(&self) -> Option<End> {
        self.end.borrow().clone()
    }
    fn is_running(&self) -> bool {
        self.end.has_changed().is_ok() && self.end.borrow().is_none()
    }

    /// It runs, and nobody has told it to end.
    fn is_wanted(&self) -> bool {
        self.is_running() && !self.stop.is_cancelled()
    }
}

impl Worker for Dataflow {
    const KIND: &'static str = "dataflow";
    // A taken port is tried again with the engine's back-off, so that its reason is seen at once.
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("start", START_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("stop", STOP_TIMEOUT).with_retry(RetryPolicy::NEVER),
    ]);
    type Config = FlowConfig;
    type Observed = FlowObserved;
    type State = DataflowState;
    type Action = FlowAction;
    type Handle = FlowLife;

    fn derive_desired_state(
        spec: &UserSpec<FlowConfig>,
        cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<FlowConfig>, DeriveError> {
        let mut desired = DesiredState::running(spec);
        let tags = spec.config.pipeline.iter().any(|step| matches!(step, Step::Tag(_)));
        if tags && !spec.config.vars.contains_key(BRIDGED_BY) {
            let mut config = FlowConfig::clone(&spec.config);
            config.vars.insert(BRIDGED_BY.into(), Value::String(cx.internal().bridged_by.to_string()));
            desired.config = Arc::new(config);
        }
        check(&desired.config).map_err(refuse)?;
        Ok(desired)
    }

    fn infrastructure(config: &FlowConfig) -> Option<Infrastructure> {
        // Where messages go comes first: a flow can't take what it can't give.
        let url = match (&config.output, &config.input) {
            (Output::Mqtt(output), _) => &output.url,
            (_, Input::Mqtt(input)) => &input.url,
            (
                Output::File(_) | Output::Stdout(_) | Output::Drop(_),
                Input::Generate(_) | Input::HttpServer(_),
            ) => {
                return None;
            }
        };
        Some(Infrastructure::tcp(url.broker(), url.address()))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<FlowObserved, CollectError> {
        let panic = cx.task_panics().pop().map(|(_, text)| text);
        let mut life = cx.handle().lock();
        let Some(life) = life.as_mut() else { return Ok(FlowObserved::absent()) };
        if !life.config.needs_new_flow(cx.config()) {
            // Only the judgement changed, and it is made here.
            life.config = Arc::clone(cx.config());
        }
        let counters = life.watch.snapshot();
        if let Some(recorder) = &mut life.recorder {
            recorder.record(&counters);
        }
        let end = life.end().or(panic.map(End::Failed));
        Ok(FlowObserved::judge(&life.config, counters, end, life.is_running()))
    }

    async fn execute(&self, action: FlowAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {
            FlowAction::Start => self.start(&cx).await,
            FlowAction::Stop => {
                stop(cx.handle()).await;
                Ok(())
            }
        }
    }
}

/// The variable that `tag` writes into the metadata.
const BRIDGED_BY: &str = "bridged_by";

fn refuse(error: BuildError) -> DeriveError {
    let jq = |field: String, source: crate::pipeline::JqError| {
        let what = format!("the jq program is refused: {source}");
        DeriveError::new(DeriveErrorKind::Syntax, what).at(field)
    };
    match error {
        BuildError::Pipeline(CompileError::Jq { index, step, source }) => {
            jq(format!("pipeline[{index}].{step}"), source)
        }
        BuildError::Generate(source) => jq("input.generate.payload.expr".into(), source),
        BuildError::Pipeline(error @ (CompileError::Topic { .. } | CompileError::Location { .. })) => {
            DeriveError::config(chain(&error))
        }
        BuildError::NoTopic => DeriveError::config(error.to_string()).at("output.mqtt.topic"),
    }
}

impl Dataflow {
    /// Idempotent: a flow that runs with this config is left alone, one with another config is replaced.
    async fn start(&self, cx: &ActionContext<'_, Self>) -> Result<(), ActionError> {
        let life = cx.handle();
        let good =
            life.lock().as_ref().is_some_and(|l| l.is_wanted() && !cx.config().needs_new_flow(&l.config));
        if good {
            return Ok(());
        }
        stop(life).await;
        let path = cx.identity().path.to_string();
        let flow = Flow::try_new(&path, Arc::clone(cx.config()), &self.pool)
            .map_err(|error| ActionError::permanent("the flow can't be made").with_source(error))?;
        let watch = flow.watch();
        let flow = flow
            .open()
            .await
            .map_err(|error| ActionError::transient("the flow can't start").with_source(error))?;
        // No await from here on: a port that is taken has an owner.
        let recorder = self.metrics.as_ref().map(|metrics| {
            let metrics = FlowMetrics::new(metrics.flow(&path));
            watch.sample_latency_into(metrics.latency.clone());
            Recorder::new(metrics)
        });
        let token = CancellationToken::new();
        let (sender, end) = watch::channel(None);
        let running = flow.run(token.clone());
        let told = token.clone();
        cx.spawn("flow", async move {
            let end = match running.await {
                // Whoever finds it later must not take it for a flow whose input has no more.
                Ok(()) if told.is_cancelled() => End::Failed("it was told to end".into()),
                Ok(()) => End::Finished,
                Err(error @ FlowError::Refused { .. }) => End::Refused(chain(&error)),
                Err(error @ FlowError::Input(_)) => End::Failed(chain(&error)),
            };
            sender.send_replace(Some(end));
            // Kept open, so that an end that was asked for differs from a task that was ended.
            sender.closed().await;
        });
        let config = Arc::clone(cx.config());
        *life.lock() = Some(Life { watch, stop: token, end, config, recorder });
        Ok(())
    }
}

/// Idempotent: ends the flow if there is one, and waits until it has ended.
async fn stop(life: &FlowLife) {
    let Some((token, mut end)) = life.lock().as_ref().map(|l| (l.stop.clone(), l.end.clone())) else {
        return;
    };
    token.cancel();
    // An error means that the task is gone: then it has ended as well.
    drop(end.wait_for(Option::is_some).await);
    *life.lock() = None;
}
