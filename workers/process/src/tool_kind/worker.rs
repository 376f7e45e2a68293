//! The I/O half of `tool`: runs a program once, and tells how it ended.

use std::sync::Arc;
use std::time::Duration;

use super::config::ToolConfig;
use super::observed::ToolObserved;
use super::state::ToolState;
use crate::end::RunEnd;
use crate::once::{Once, RunLife};
use crate::run::{Call, Runner};
use crate::settings;
use crate::tool::{Tool, ToolId};
use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext,
    DeriveError, DesiredState, NodePath, Policy, RequestError, RetryPolicy, UserSpec, Worker,
};

/// A run goes on beside its start, which only has to wait for the end of a run with an old config.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// A longer grace outlives the action; the next one goes on waiting for the same end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// The label `tool_id` of all nodes: with their paths, some of which hold the id of an execution, series would grow with the
/// tree.
const COUNTED_AS: &str = "_node";

/// The kind `tool`.
#[derive(Debug)]
pub struct ToolWorker {
    runner: Runner,
}

impl ToolWorker {
    /// Runs its tools with this runner.
    pub fn new(runner: Runner) -> Self {
        Self { runner }
    }
}

/// What one incarnation owns: its last run.
pub type ToolLife = RunLife<ToolConfig>;

/// What can be done to a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolAction {
    /// Runs it, unless it runs with this config; a run with another one is cancelled before. One that has ended is run anew.
    Start,
    /// Cancels its run, if there is one.
    Cancel,
    /// The same, and forgets how it ended; what a stop asks for.
    Forget,
}

impl Action for ToolAction {
    const NAMES: &'static [&'static str] = &["start", "cancel"];

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Cancel | Self::Forget => "cancel",
        }
    }

    fn from_request(name: &str, _input: serde_json::Value) -> Result<Self, RequestError> {
        match name {
            "start" => Ok(Self::Start),
            "cancel" => Ok(Self::Cancel),
            other => Err(RequestError::Unknown { name: other.into(), known: Self::NAMES }),
        }
    }
}

impl Worker for ToolWorker {
    const KIND: &'static str = "tool";
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("start", START_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("cancel", CANCEL_TIMEOUT).with_retry(RetryPolicy::NEVER),
    ]);
    type Config = ToolConfig;
    type Observed = ToolObserved;
    type State = ToolState;
    type Action = ToolAction;
    type Handle = ToolLife;

    fn derive_desired_state(
        spec: &UserSpec<ToolConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<ToolConfig>, DeriveError> {
        spec.config.check()?;
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<ToolObserved, CollectError> {
        let Some(last) = cx.handle().last() else { return Ok(ToolObserved::default()) };
        let end = last.end();
        let running = end.is_none();
        if last.is_forgotten() {
            return Ok(ToolObserved { running, ..ToolObserved::default() });
        }
        Ok(ToolObserved { running, end, deployed: Some(Arc::clone(last.config())) })
    }

    async fn execute(&self, action: ToolAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        let last = cx.handle().last();
        match (action, last) {
            (ToolAction::Start, last) => self.start(&cx, last).await?,
            (ToolAction::Cancel, Some(last)) => last.cancel().await,
            (ToolAction::Forget, Some(last)) => {
                last.forget();
                last.cancel().await;
                cx.handle().clear();
            }
            (ToolAction::Cancel | ToolAction::Forget, None) => {}
        }
        Ok(())
    }
}

impl ToolWorker {
    async fn start(
        &self,
        cx: &ActionContext<'_, Self>,
        last: Option<Arc<Once<ToolConfig>>>,
    ) -> Result<(), ActionError> {
        let config = cx.config();
        if let Some(last) = last {
            if last.runs() && *last.config() == *config && !last.token().is_cancelled() {
                return Ok(());
            }
            last.cancel().await;
        }
        let tool = tool_of(&cx.identity().path, config)?;
        // No await between these: what runs has an owner.
        let word = cx.handle().begin(Arc::clone(config));
        let (runner, pusher, config) = (self.runner.clone(), cx.pusher(), Arc::clone(config));
        let call = Call::new().with_input(config.input.clone());
        cx.spawn("tool", async move {
            let end = RunEnd::of(runner.run(&tool, call, word.token()).await);
            // So that nobody waits for the next look; first, so that no look that follows the last word is older.
            pusher.push(ToolObserved { running: false, end: Some(end.clone()), deployed: Some(config) });
            word.say(end);
        });
        Ok(())
    }
}

/// The tool of a node, named after its path.
pub(crate) fn tool_of(path: &NodePath, config: &ToolConfig) -> Result<Tool, ActionError> {
    Ok(tool(path.as_str().trim_start_matches('/'), config)?.with_counted_as(COUNTED_AS))
}

/// The tool of this id that a config describes.
pub(crate) fn tool(id: &str, config: &ToolConfig) -> Result<Tool, ActionError> {
    let id = ToolId::try_new(id).map_err(|error| ActionError::permanent(error.to_string()))?;
    let tool = Tool::try_new(id, config.command.iter().cloned())
        .map_err(|error| ActionError::permanent(error.to_string()))?
        .with_protocol(config.protocol)
        .with_env(settings::environment(&config.allow_env, &config.env)?)
        .with_limits((&config.limits).into())
        .with_config(config.config.clone());
    Ok(match &config.cwd {
        Some(cwd) => tool.with_cwd(cwd),
        None => tool,
    })
}
