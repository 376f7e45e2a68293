//! Names the kinds of this crate.

use std::sync::Arc;

use fsm_core::{RegisterError, Registry};

use crate::agents::Agents;
use crate::process::Process;
use crate::step::Step;
use crate::stream::Stream;
use crate::tool_kind::ToolWorker;
use crate::workflow::Workflow;

/// Registers the kinds `benthos_dataflow`, `process`, `tool` and `workflow` with its steps; tools are started as the processes are, and steps ask
/// `agents` for actions of live workers.
///
/// # Errors
/// [`RegisterError`] when a name is taken.
pub fn register(
    registry: &mut Registry,
    process: Process,
    agents: Arc<dyn Agents>,
) -> Result<(), RegisterError> {
    let runner = process.runner();
    registry.register(Stream::new(process.clone()))?;
    registry.register(process)?;
    registry.register(ToolWorker::new(runner.clone()))?;
    registry.register(Workflow)?;
    registry.register(Step::new(runner, agents))?;
    Ok(())
}
