//! From a workflow of the config and an input to the steps that are run: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fsm_core::{ChildName, NameError, VariableBundle, Vars};
use fsm_templating::{Location, RenderContext};
use fsm_worker_process::{OnFailure, StepAgent, StepConfig, WorkflowConfig, WorkflowStep};
use serde_json::Value;

use crate::config::{self, RegisteredTool, StepEntry, Tools, Workflow};
use crate::exec::ExecId;

/// Longest part of a node's name that is the workflow's: the rest is the execution's.
const MAX_NAME: usize = 40;

/// The name of the node of an execution.
pub(super) fn name(workflow: &str, id: &ExecId) -> Result<ChildName, NameError> {
    let (_, own) = id.as_str().split_at(17);
    ChildName::try_new(format!("{}-{own}", &workflow[..workflow.len().min(MAX_NAME)]))
}

/// Its steps with this input filled in, and the tools that they use. The error says why that can't be.
pub(super) fn config(
    workflow: &Workflow,
    input: &Value,
    global: &Arc<Vars>,
    tools: &Tools,
) -> Result<(WorkflowConfig, BTreeMap<String, Arc<RegisteredTool>>), String> {
    let user: Vars = match input {
        Value::Null => Vars::default(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err("the input of a workflow is an object: its parameters by name".to_owned());
        }
    };
    let unknown = workflow.template.check_variables(&user, &Vars::default(), None);
    if let Some(error) = unknown.iter().find(|found| found.is_error()) {
        let help = error.help.as_ref().map(|help| format!(" ({help})"));
        return Err(format!("{}{}", error.message, help.unwrap_or_default()));
    }
    let variables = VariableBundle { global: Arc::clone(global), ..VariableBundle::default() }
        .with_user(user)
        .map_err(|error| error.to_string())?;
    let location = Location::default();
    let rendered = workflow.template.render(&RenderContext::new(&variables, &location, &workflow.entry.id));
    let rendered = rendered.map_err(|errors| {
        // One parameter may be missed in many places; the help is about variables of a bridge.
        let once: BTreeSet<&str> = errors.iter().map(|error| &*error.message).collect();
        once.into_iter().collect::<Vec<_>>().join("; ")
    })?;
    let steps: Vec<StepEntry> = serde_json::from_value(rendered.value["steps"].clone())
        .map_err(|error| format!("its steps can't be made: {error}"))?;
    let mut used = BTreeMap::new();
    let steps =
        steps.into_iter().map(|entry| step(entry, tools, &mut used)).collect::<Result<Vec<_>, _>>()?;
    let mut config = WorkflowConfig::new(steps);
    config.timeout = workflow.entry.timeout;
    config.on_failure = match workflow.entry.on_failure {
        config::OnFailure::Stop => OnFailure::Stop,
        config::OnFailure::Continue => OnFailure::Continue,
    };
    Ok((config, used))
}

fn step(
    entry: StepEntry,
    tools: &Tools,
    used: &mut BTreeMap<String, Arc<RegisteredTool>>,
) -> Result<WorkflowStep, String> {
    let named = |name: &str| ChildName::try_new(name).map_err(|error| error.to_string());
    let StepEntry { name, tool, agent, action, input, depends_on } = entry;
    let run = match (tool, agent, action) {
        (Some(id), None, None) => {
            let registered = tools
                .get(&id)
                .ok_or_else(|| format!("the step `{name}` uses the tool `{id}`, which is not there"))?;
            used.insert(id.clone(), Arc::clone(registered));
            let mut run = registered.config.clone();
            run.input = input;
            StepConfig::Tool { id: Some(id), run: Box::new(run) }
        }
        (None, Some(agent), Some(action)) => {
            let mut call = StepAgent::new(agent, action);
            call.input = input;
            StepConfig::Agent(call)
        }
        _ => return Err(format!("the step `{name}` has to run one thing: `tool`, or `agent` and `action`")),
    };
    let after = depends_on.iter().map(|name| named(name)).collect::<Result<Vec<_>, _>>()?;
    Ok(WorkflowStep::new(named(&name)?, run).after(after))
}
