//! Names the kinds of this crate.

use fsm_core::{RegisterError, Registry};

use crate::process::Process;

/// Registers the kind `process`.
///
/// # Errors
/// [`RegisterError`] when the name is taken.
pub fn register(registry: &mut Registry, process: Process) -> Result<(), RegisterError> {
    registry.register(process)?;
    Ok(())
}
