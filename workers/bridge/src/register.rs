//! The one function that a composition root calls to have these kinds.

use fsm_core::{RegisterError, Registry};

use crate::connection::Connection;

/// Adds the kinds of this crate.
///
/// # Errors
/// [`RegisterError`] when one of their names is taken.
pub fn register(registry: &mut Registry) -> Result<&mut Registry, RegisterError> {
    registry.register(Connection::default())
}
