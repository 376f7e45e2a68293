//! The one function that a composition root calls to have this kind.

use fsm_core::{RegisterError, Registry};

use crate::worker::Communicator;

/// Registers the kind `communicator`.
///
/// # Errors
/// [`RegisterError`] when the name is taken.
pub fn register(registry: &mut Registry, communicator: Communicator) -> Result<(), RegisterError> {
    registry.register(communicator)?;
    Ok(())
}
