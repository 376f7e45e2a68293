//! The one function that a composition root calls to have these kinds.

use fsm_core::{RegisterError, Registry, Worker};

use crate::application::Application;
use crate::bridge::Bridge;
use crate::connection::Connection;
use crate::group::Group;

/// Adds the kinds of this crate, and `protocol_converter` as another name of `bridge`.
///
/// # Errors
/// [`RegisterError`] when one of their names is taken.
pub fn register(registry: &mut Registry) -> Result<&mut Registry, RegisterError> {
    registry
        .register(Application)?
        .register(Group)?
        .register(Bridge)?
        .register(Connection::default())?
        .alias("protocol_converter", Bridge::KIND)
}
