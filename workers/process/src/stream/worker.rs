//! The I/O half of `benthos_dataflow`: writes a config, lets the engine check it, and looks after the engine as a process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext,
    DeriveError, DesiredState, Job, Policy, RequestError, RetryPolicy, UserSpec, Worker,
};
use tokio_util::sync::CancellationToken;

use super::config::StreamConfig;
use super::document;
use super::observed::StreamObserved;
use super::state::StreamState;
use crate::ending::Ending;
use crate::process::{Live, Process, ProcessAction, ProcessConfig, ProcessLife, Ready};
use crate::protocol::Protocol;
use crate::run::{Call, Run, Runner};
use crate::settings;
use crate::tool::{Limits, Tool, ToolId};

/// Checking a config loads the engine's plugins once.
const LINT_TIMEOUT: Duration = Duration::from_secs(20);
/// That, and stopping a predecessor of the usual grace.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A longer grace outlives the action; the next one goes on waiting for the same end.
const STOP_TIMEOUT: Duration = Duration::from_secs(25);

/// The kind `benthos_dataflow`.
#[derive(Debug)]
pub struct Stream {
    process: Process,
    runner: Runner,
}

impl Stream {
    /// Starts engines as this kind starts processes.
    pub fn new(process: Process) -> Self {
        let runner = process.runner();
        Self { process, runner }
    }
}

/// What one incarnation owns: the file of its engine, and the engine.
#[derive(Debug, Default)]
pub struct StreamLife {
    process: Arc<ProcessLife>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    written: Option<Written>,
    deployed: Option<Arc<StreamConfig>>,
}

/// A config that an engine has found good.
#[derive(Debug, Clone)]
struct Written {
    config: Arc<StreamConfig>,
    process: Arc<ProcessConfig>,
    address: SocketAddr,
    file: PathBuf,
}

impl StreamLife {
    /// A panic under this lock leaves plain data, which is good as it is.
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be done to a stream engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamAction {
    /// Writes its config to a file, if the engine finds it good.
    WriteConfig,
    /// Starts it with what is written, unless it runs so; one that runs otherwise is stopped before.
    Start,
    /// Both: one whose new config is no good goes on with the old one.
    Reload,
    /// Ends it, politely first, and forgets how it ended.
    Stop,
    /// Kills it at once.
    Kill,
}

impl Action for StreamAction {
    const NAMES: &'static [&'static str] = &["write_config", "start", "reload", "stop", "kill"];

    fn name(&self) -> &'static str {
        match self {
            Self::WriteConfig => "write_config",
            Self::Start => "start",
            Self::Reload => "reload",
            Self::Stop => "stop",
            Self::Kill => "kill",
        }
    }

    fn from_request(name: &str, _input: serde_json::Value) -> Result<Self, RequestError> {
        match name {
            "write_config" => Ok(Self::WriteConfig),
            "start" => Ok(Self::Start),
            "reload" => Ok(Self::Reload),
            "stop" => Ok(Self::Stop),
            "kill" => Ok(Self::Kill),
            other => Err(RequestError::Unknown { name: other.into(), known: Self::NAMES }),
        }
    }
}

impl Worker for Stream {
    const KIND: &'static str = "benthos_dataflow";
    // What does not start is tried again with the engine's back-off, so that its reason is seen at once.
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("write_config", START_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("start", START_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("reload", START_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("stop", STOP_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("kill", STOP_TIMEOUT).with_retry(RetryPolicy::NEVER),
    ]);
    type Config = StreamConfig;
    type Observed = StreamObserved;
    type State = StreamState;
    type Action = StreamAction;
    type Handle = StreamLife;

    fn derive_desired_state(
        spec: &UserSpec<StreamConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<StreamConfig>, DeriveError> {
        spec.config.check()?;
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<StreamObserved, CollectError> {
        let (written, deployed) = {
            let memory = cx.handle().lock();
            (memory.written.clone(), memory.deployed.clone())
        };
        let Some(written) = written else { return Ok(StreamObserved::default()) };
        let job = Job {
            identity: cx.identity(),
            config: &written.process,
            handle: &cx.handle().process,
            last: None,
            generation: cx.generation(),
            host: cx.host(),
        };
        let process = self.process.collect_observed_state(CollectContext::new(job)).await?;
        let deployed = deployed.filter(|_| process.alive || process.ended);
        Ok(StreamObserved {
            process,
            address: Some(written.address),
            written: Some(written.config),
            deployed,
        })
    }

    async fn execute(&self, action: StreamAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {
            StreamAction::WriteConfig => self.write(&cx).await.map(drop),
            StreamAction::Start | StreamAction::Reload => {
                let written = self.write(&cx).await?;
                let deployed = cx.handle().lock().deployed.clone();
                if deployed.is_some_and(|deployed| deployed != written.config) {
                    // The command may be the same, and the file it has read is another one.
                    self.on_process(ProcessAction::Stop, &cx, &written.process).await?;
                }
                self.on_process(ProcessAction::Start, &cx, &written.process).await?;
                cx.handle().lock().deployed = Some(written.config);
                Ok(())
            }
            StreamAction::Kill => self.end(ProcessAction::Kill, &cx).await,
            StreamAction::Stop => {
                self.end(ProcessAction::Stop, &cx).await?;
                let written = cx.handle().lock().written.take();
                if let Some(written) = written {
                    // A file that somebody took away is what was wanted.
                    let _ = std::fs::remove_file(written.file);
                }
                Ok(())
            }
        }
    }
}

impl Stream {
    async fn end(&self, action: ProcessAction, cx: &ActionContext<'_, Self>) -> Result<(), ActionError> {
        let written = cx.handle().lock().written.clone();
        match written {
            Some(written) => self.on_process(action, cx, &written.process).await,
            None => Ok(()),
        }
    }

    async fn on_process(
        &self,
        action: ProcessAction,
        cx: &ActionContext<'_, Self>,
        config: &Arc<ProcessConfig>,
    ) -> Result<(), ActionError> {
        let job = Job {
            identity: cx.identity(),
            config,
            handle: &cx.handle().process,
            last: None,
            generation: cx.generation(),
            host: cx.host(),
        };
        self.process.execute(action, ActionContext::new(job, cx.attempt())).await
    }

    /// Idempotent: what is written and still there is left alone.
    async fn write(&self, cx: &ActionContext<'_, Self>) -> Result<Written, ActionError> {
        let config = cx.config();
        let before = cx.handle().lock().written.clone();
        if let Some(written) = before.as_ref().filter(|w| w.config == *config && w.file.exists()) {
            return Ok(written.clone());
        }
        let engine = document::engine(config).map_err(ActionError::transient)?;
        let file = document::file(config, &cx.identity().path);
        let broken = |what: &str, error| ActionError::transient(what).with_source(error);
        let address = match config.address().map_err(ActionError::permanent)? {
            Some(address) => address,
            None => {
                document::free_address().map_err(|error| broken("no port is free for its health", error))?
            }
        };
        let draft = file.with_extension("draft.yaml");
        let cant_write = |error| broken(&format!("its config can't be written to {}", file.display()), error);
        document::write(&draft, &document::text(config, address)).map_err(cant_write)?;
        let checked = self.lint(cx, &engine, &draft).await;
        if let Err(error) = checked {
            let _ = std::fs::remove_file(&draft);
            return Err(error);
        }
        std::fs::rename(&draft, &file).map_err(cant_write)?;
        let process = Arc::new(process(config, &engine, &file, address));
        let written = Written { config: Arc::clone(config), process, address, file };
        cx.handle().lock().written = Some(written.clone());
        Ok(written)
    }

    /// Asks the engine whether it would take this file.
    async fn lint(
        &self,
        cx: &ActionContext<'_, Self>,
        engine: &[String],
        file: &std::path::Path,
    ) -> Result<(), ActionError> {
        let config = cx.config();
        if config.lint.is_empty() {
            return Ok(());
        }
        let wrong = |error: &dyn std::error::Error| ActionError::permanent(fsm_core::chain(error));
        let words = engine.iter().chain(&config.lint).cloned().chain([file.display().to_string()]);
        let id = ToolId::try_new(format!("{}/lint", Self::KIND)).map_err(|error| wrong(&error))?;
        let limits = Limits { timeout: LINT_TIMEOUT, ..Limits::default() };
        let tool = Tool::try_new(id, words)
            .map_err(|error| wrong(&error))?
            .with_protocol(Protocol::Raw)
            .with_env(settings::environment(&config.allow_env, &config.env)?)
            .with_limits(limits);
        // Dropped with the action, it ends with the action.
        let run = self.runner.run(&tool, Call::new(), &CancellationToken::new()).await;
        judged(&run)
    }
}

fn judged(run: &Run) -> Result<(), ActionError> {
    /// Enough for a few findings, and to fit into a reason.
    const SHOWN: usize = 400;
    let said = run.stderr.text();
    let out = run.output.as_ref().and_then(|output| output.as_str()).unwrap_or_default();
    let mut said = [said.trim(), out.trim()].join(" ");
    if let Some((end, _)) = said.char_indices().nth(SHOWN) {
        said.truncate(end);
    }
    let said = said.trim();
    if run.ending == Ending::Success {
        Ok(())
    } else if let Ending::ExitNonzero(_) = run.ending {
        Err(ActionError::permanent(format!("the engine refuses the config: {said}")))
    } else {
        Err(ActionError::transient(format!("the config can't be checked: {} {said}", run.ending)))
    }
}

/// The engine as a process: it is ready when it answers, and well while its inputs and outputs are connected.
fn process(
    config: &StreamConfig,
    engine: &[String],
    file: &std::path::Path,
    address: SocketAddr,
) -> ProcessConfig {
    let words = engine.iter().chain(&config.run).cloned().chain([file.display().to_string()]);
    let mut process = ProcessConfig::new(words);
    process.env = config.env.clone();
    process.allow_env = config.allow_env.clone();
    process.ready = Ready::Http(format!("http://{address}/ping"));
    process.ready_within = config.ready_within;
    process.live = Some(Live::Http(format!("http://{address}/ready")));
    process.memory = config.memory;
    process.grace = config.grace;
    process.log_lines = StreamConfig::log_lines();
    process
}
