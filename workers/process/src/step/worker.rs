//! The I/O half of `workflow_step`: runs its tool, or asks a worker for its action, and tells how it ended.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext,
    DeriveError, DesiredState, NodePath, Observed, Policy, RetryPolicy, UserSpec, Worker,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::config::StepConfig;
use super::state::StepState;
use crate::agents::{AgentCall, Agents};
use crate::end::RunEnd;
use crate::once::RunLife;
use crate::run::{Call, Runner};
use crate::tool_kind;

/// Starting waits for nothing.
const START_TIMEOUT: Duration = Duration::from_secs(5);
/// A longer grace outlives the action; the next one goes on waiting for the same end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// The kind `workflow_step`.
#[derive(Debug)]
pub struct Step {
    runner: Runner,
    agents: Arc<dyn Agents>,
}

impl Step {
    /// Runs tools with this runner, and asks for actions there.
    pub fn new(runner: Runner, agents: Arc<dyn Agents>) -> Self {
        Self { runner, agents }
    }
}

/// What is seen of a step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepObserved {
    /// It runs.
    pub running: bool,
    /// How it ended; none before.
    pub end: Option<RunEnd>,
}

impl Observed<StepConfig> for StepObserved {}

/// What can be done to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepAction {
    /// Runs it, once in its life.
    Start,
    /// Cancels its run, if it runs.
    Cancel,
}

impl Action for StepAction {
    const NAMES: &'static [&'static str] = &["start", "cancel"];

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Cancel => "cancel",
        }
    }
}

impl Worker for Step {
    const KIND: &'static str = "workflow_step";
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("start", START_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("cancel", CANCEL_TIMEOUT).with_retry(RetryPolicy::NEVER),
    ]);
    type Config = StepConfig;
    type Observed = StepObserved;
    type State = StepState;
    type Action = StepAction;
    type Handle = RunLife<StepConfig>;

    fn derive_desired_state(
        spec: &UserSpec<StepConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<StepConfig>, DeriveError> {
        spec.config.check()?;
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<StepObserved, CollectError> {
        let Some(run) = cx.handle().last() else { return Ok(StepObserved::default()) };
        let end = run.end();
        Ok(StepObserved { running: end.is_none(), end })
    }

    async fn execute(&self, action: StepAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match (action, cx.handle().last()) {
            (StepAction::Start, None) => self.start(&cx)?,
            (StepAction::Cancel, Some(run)) => run.cancel().await,
            (StepAction::Start, Some(_)) | (StepAction::Cancel, None) => {}
        }
        Ok(())
    }
}

impl Step {
    fn start(&self, cx: &ActionContext<'_, Self>) -> Result<(), ActionError> {
        let path = &cx.identity().path;
        let wrong = |error: &dyn std::error::Error| ActionError::permanent(fsm_core::chain(error));
        match &**cx.config() {
            StepConfig::Tool { id, run } => {
                let tool = match id {
                    Some(id) => tool_kind::tool(id, run)?,
                    None => tool_kind::tool_of(path, run)?,
                };
                let (runner, call) = (self.runner.clone(), Call::new().with_input(run.input.clone()));
                follow(cx, move |cancel| async move { RunEnd::of(runner.run(&tool, call, &cancel).await) });
            }
            StepConfig::Agent(agent) => {
                let to = NodePath::try_new(&agent.path).map_err(|error| wrong(&error))?;
                let call = AgentCall::new(to, &*agent.action, agent.input.clone(), path.as_str());
                let agents = Arc::clone(&self.agents);
                follow(cx, move |cancel| agents.run(call.with_cancel(cancel)));
            }
        }
        Ok(())
    }
}

/// Follows a run to its end in a task of the node's incarnation.
fn follow<F>(cx: &ActionContext<'_, Step>, run: impl FnOnce(CancellationToken) -> F)
where
    F: Future<Output = RunEnd> + Send + 'static,
{
    let (word, pusher) = (cx.handle().begin(Arc::clone(cx.config())), cx.pusher());
    let run = run(word.token().clone());
    cx.spawn("step", async move {
        let end = run.await;
        // So that nobody waits for the next look; first, so that no look that follows the last word is older.
        pusher.push(StepObserved { running: false, end: Some(end.clone()) });
        word.say(end);
    });
}
