//! The memory of `workflow`: that it was started, that somebody wants it ended, and how it ended.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, ChildSpec, ChildrenSpecs, CollectContext, CollectError,
    Condition, Dependency, DeriveContext, DeriveError, DesiredState, Observed, Outcome, Policy, RequestError,
    RetryPolicy, StartWhen, State, UserSpec, Worker,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::config::WorkflowConfig;
use super::state::WorkflowState;
use crate::end::RunEnd;
use crate::step::Step;

/// All actions write to memory only.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The kind `workflow`.
#[derive(Debug, Default)]
pub struct Workflow;

/// What is seen of a workflow.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkflowObserved {
    /// Its steps may run.
    pub started: bool,
    /// Somebody wants it cancelled.
    pub cancelled: bool,
    /// It has ended, and somebody wants it run again.
    pub again: bool,
    /// How it ended.
    pub end: Option<WorkflowEnd>,
}

impl Observed<WorkflowConfig> for WorkflowObserved {}

/// How a workflow ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkflowEnd {
    /// Success when every step succeeded.
    pub outcome: Outcome,
    /// How each step ended, in declared order; none for one that did not run.
    pub steps: IndexMap<Arc<str>, Option<RunEnd>>,
}

impl WorkflowEnd {
    /// An end of which nothing is known about the steps.
    pub fn new(outcome: Outcome) -> Self {
        Self { outcome, steps: IndexMap::new() }
    }
}

/// What one incarnation remembers.
#[derive(Debug, Default)]
pub struct WorkflowLife(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    seen: WorkflowObserved,
    /// How it ended, until it is written down how each step did.
    verdict: Option<Outcome>,
}

impl WorkflowLife {
    fn with<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What can be done to a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkflowAction {
    /// Lets its steps run. One that has ended is run anew.
    Start,
    /// Ends it: what runs is cancelled.
    Cancel,
    /// Writes down that it ended so, and how its steps did.
    Conclude(Outcome),
}

impl Action for WorkflowAction {
    const NAMES: &'static [&'static str] = &["start", "cancel", "conclude"];

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Cancel => "cancel",
            Self::Conclude(_) => "conclude",
        }
    }

    fn from_request(name: &str, _input: serde_json::Value) -> Result<Self, RequestError> {
        match name {
            "start" => Ok(Self::Start),
            "cancel" => Ok(Self::Cancel),
            other => Err(RequestError::Unknown { name: other.into(), known: &["start", "cancel"] }),
        }
    }
}

impl Worker for Workflow {
    const KIND: &'static str = "workflow";
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("start", TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("cancel", TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("conclude", TIMEOUT).with_retry(RetryPolicy::NEVER),
    ]);
    type Config = WorkflowConfig;
    type Observed = WorkflowObserved;
    type State = WorkflowState;
    type Action = WorkflowAction;
    type Handle = WorkflowLife;

    fn derive_desired_state(
        spec: &UserSpec<WorkflowConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<WorkflowConfig>, DeriveError> {
        spec.config.check()?;
        let at_work = WorkflowState::AT_WORK.map(|state| state.name().to_owned());
        let mut children = ChildrenSpecs::with_capacity(spec.config.steps.len());
        for (at, step) in spec.config.steps.iter().enumerate() {
            let mut child = ChildSpec::new(step.name.clone(), Step::KIND)
                .with_typed_config(step.run.clone())
                .with_start_when(StartWhen::States(at_work.to_vec()));
            for name in &step.depends_on {
                let mut dependency = Dependency::on(name.clone());
                dependency.condition = Condition::Completed;
                child = child.with_dependency(dependency);
            }
            children
                .try_add(child)
                .map_err(|error| DeriveError::config(error.to_string()).at(format!("steps[{at}].name")))?;
        }
        Ok(DesiredState::running(spec).with_children(children))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<WorkflowObserved, CollectError> {
        let (seen, verdict) = cx.handle().with(|memory| (memory.seen.clone(), memory.verdict));
        let Some(outcome) = verdict.filter(|_| seen.end.is_none()) else { return Ok(seen) };
        let mut end = WorkflowEnd::new(outcome);
        for step in &cx.config().steps {
            let seen = cx.observed::<Step>(&cx.identity().path.join(&step.name)).await;
            let ended = seen.and_then(|seen| seen.value.end.clone());
            end.steps.insert(Arc::clone(step.name.shared()), ended);
        }
        Ok(cx.handle().with(|memory| {
            memory.seen.end.get_or_insert(end);
            memory.seen.clone()
        }))
    }

    async fn execute(&self, action: WorkflowAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        cx.handle().with(|memory| match action {
            WorkflowAction::Start => {
                memory.seen.started = true;
                memory.seen.again = memory.seen.end.is_some();
            }
            WorkflowAction::Cancel => memory.seen.cancelled = true,
            WorkflowAction::Conclude(outcome) => {
                memory.verdict.get_or_insert(outcome);
            }
        });
        Ok(())
    }
}
