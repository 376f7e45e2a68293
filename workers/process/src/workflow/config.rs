//! What an operator can say about a workflow.

use std::time::Duration;

use fsm_core::{ChildName, Config, DeriveError, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings;
use crate::step::StepConfig;

/// Most jobs of a plant are done within a minute or two; one that needs hours says so.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Steps that run to their ends.
///
/// ```
/// use fsm_worker_process::WorkflowConfig;
///
/// let text = r#"{"steps": [
///     {"name": "stop", "tool": {"run": {"command": ["line", "stop"], "protocol": "raw"}}},
///     {"name": "check", "agent": {"path": "/edge-01/press-7/connection", "action": "probe"}, "depends_on": ["stop"]}
/// ]}"#;
/// let config: WorkflowConfig = serde_json::from_str(text)?;
/// assert_eq!(config.timeout.get().as_secs(), 300);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkflowConfig {
    /// What is to be done.
    #[schemars(length(min = 1), extend("x-restart" = true))]
    pub steps: Vec<WorkflowStep>,
    /// How long all of it may take.
    #[serde(default = "timeout")]
    #[schemars(extend("x-restart" = true))]
    pub timeout: HumanDuration,
    /// What happens to the other steps when one fails.
    #[serde(default)]
    #[schemars(extend("x-restart" = true))]
    pub on_failure: OnFailure,
}

const fn timeout() -> HumanDuration {
    HumanDuration::new(TIMEOUT)
}

/// What happens to the other steps when one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// What runs is cancelled, and nothing else is started.
    #[default]
    Stop,
    /// Steps that don't wait for it go on.
    Continue,
}

/// One step: a tool, or an action of a live worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawStep", into = "RawStep")]
#[schemars(with = "RawStep")]
#[non_exhaustive]
pub struct WorkflowStep {
    /// Its name among the steps.
    pub name: ChildName,
    /// What it runs.
    pub run: StepConfig,
    /// Steps that must have succeeded before it starts.
    pub depends_on: Vec<ChildName>,
}

impl WorkflowStep {
    /// A step that waits for nobody.
    pub fn new(name: ChildName, run: StepConfig) -> Self {
        Self { name, run, depends_on: Vec::new() }
    }

    /// Waits for these too.
    #[must_use]
    pub fn after(mut self, names: impl IntoIterator<Item = ChildName>) -> Self {
        self.depends_on.extend(names);
        self
    }
}

/// A step as it is written: its sort is the key that is there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WorkflowStep")]
struct RawStep {
    /// Its name among the steps.
    name: ChildName,
    /// A program that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<RawTool>,
    /// An action that it asks a worker for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<crate::step::StepAgent>,
    /// Steps that must have succeeded before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<ChildName>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WorkflowTool")]
struct RawTool {
    /// The name that it is known and counted by; the path of its step by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The program.
    run: Box<crate::tool_kind::ToolConfig>,
}

impl TryFrom<RawStep> for WorkflowStep {
    type Error = String;

    fn try_from(raw: RawStep) -> Result<Self, String> {
        let RawStep { name, tool, agent, depends_on } = raw;
        let run = match (tool, agent) {
            (Some(RawTool { id, run }), None) => StepConfig::Tool { id, run },
            (None, Some(agent)) => StepConfig::Agent(agent),
            (Some(_), Some(_)) => {
                return Err(format!("step `{name}` has both a `tool` and an `agent`: make two of it"));
            }
            (None, None) => {
                return Err(format!("step `{name}` does nothing: give it a `tool` or an `agent`"));
            }
        };
        Ok(Self { name, run, depends_on })
    }
}

impl From<WorkflowStep> for RawStep {
    fn from(step: WorkflowStep) -> Self {
        let (tool, agent) = match step.run {
            StepConfig::Tool { id, run } => (Some(RawTool { id, run }), None),
            StepConfig::Agent(agent) => (None, Some(agent)),
        };
        Self { name: step.name, tool, agent, depends_on: step.depends_on }
    }
}

impl Config for WorkflowConfig {
    /// A run goes on with what it started with: another config is another run.
    fn needs_restart(&self, old: &Self) -> bool {
        self != old
    }
}

impl WorkflowConfig {
    /// Does these steps, with defaults.
    pub fn new(steps: impl IntoIterator<Item = WorkflowStep>) -> Self {
        Self { steps: steps.into_iter().collect(), timeout: timeout(), on_failure: OnFailure::default() }
    }

    /// What serde can't see.
    pub(super) fn check(&self) -> Result<(), DeriveError> {
        if self.steps.is_empty() {
            return Err(DeriveError::config("there is nothing to do: give it a step").at("steps"));
        }
        for (at, step) in self.steps.iter().enumerate() {
            let place = format!("steps[{at}]");
            step.run.check().map_err(|error| settings::below(error, &place))?;
            for (nth, name) in step.depends_on.iter().enumerate() {
                let place = format!("{place}.depends_on[{nth}]");
                if !self.steps.iter().any(|other| other.name == *name) {
                    let known: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
                    let what = format!("there is no step `{name}`; there are {}", known.join(", "));
                    return Err(DeriveError::config(what).at(place));
                }
            }
        }
        let waiting = self.waiting_for_ever();
        if waiting.is_empty() {
            return Ok(());
        }
        let what = format!("these steps wait for each other: {}", waiting.join(", "));
        Err(DeriveError::config(what).at("steps"))
    }

    /// Steps that can't ever start, even if all goes well.
    fn waiting_for_ever(&self) -> Vec<&str> {
        let mut waiting: Vec<&WorkflowStep> = self.steps.iter().collect();
        loop {
            let before = waiting.len();
            let still: Vec<&ChildName> = waiting.iter().map(|step| &step.name).collect();
            waiting.retain(|step| step.depends_on.iter().any(|name| still.contains(&name)));
            if waiting.len() == before {
                return waiting.iter().map(|step| step.name.as_str()).collect();
            }
        }
    }
}
