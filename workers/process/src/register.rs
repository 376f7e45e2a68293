//! Names the kinds of this crate.

use fsm_core::{RegisterError, Registry};

use crate::process::Process;
use crate::tool_kind::ToolWorker;

/// Registers the kinds `process` and `tool`; a tool is started as the processes are.
///
/// # Errors
/// [`RegisterError`] when a name is taken.
pub fn register(registry: &mut Registry, process: Process) -> Result<(), RegisterError> {
    let tools = ToolWorker::new(process.runner());
    registry.register(process)?;
    registry.register(tools)?;
    Ok(())
}
