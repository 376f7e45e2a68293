//! The one function that a composition root calls to have these kinds.

use fsm_core::{RegisterError, Registry};

use crate::child::Child;
use crate::failing::Failing;
use crate::hello::Hello;
use crate::panicking::Panicking;
use crate::parent::Parent;
use crate::slow::Slow;
use crate::template_demo::TemplateDemo;

/// Adds the kinds of this crate.
///
/// # Errors
/// [`RegisterError`] when one of their names is taken.
pub fn register(registry: &mut Registry) -> Result<&mut Registry, RegisterError> {
    registry.register(Hello)?.register(Parent)?.register(Child)?.register(TemplateDemo)?;
    registry.register(Failing)?.register(Slow)?.register(Panicking)
}
