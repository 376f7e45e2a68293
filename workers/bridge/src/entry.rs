//! The sections of the config file whose entries become children of the application.

use fsm_core::{ChildName, ChildSpec, Dependency, DeriveError, PolicyOverride, Vars, check_names};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod bridge;
mod dataflow;
mod worker;

pub use bridge::{BridgeEntry, FlowSection, ForEach};
pub use dataflow::DataflowEntry;
pub(crate) use worker::GROUP;
pub use worker::WorkerEntry;

/// A sibling that an entry waits for: its name means until it is healthy (S-15).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DependsOn {
    /// Until it is healthy.
    Name(ChildName),
    /// Until it is something else.
    Condition(Dependency),
}

impl From<&DependsOn> for Dependency {
    fn from(needs: &DependsOn) -> Self {
        match needs {
            DependsOn::Name(name) => Self::on(name.clone()),
            DependsOn::Condition(dependency) => dependency.clone(),
        }
    }
}

pub(crate) const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
pub(crate) const fn is_yes(flag: &bool) -> bool {
    *flag
}

/// What entries of all sections say about their node.
pub(crate) fn finish(
    mut spec: ChildSpec,
    enabled: bool,
    depends_on: &[DependsOn],
    policy: &PolicyOverride,
) -> ChildSpec {
    spec = spec.with_enabled(enabled);
    for needs in depends_on {
        spec = spec.with_dependency(needs.into());
    }
    // Most have none, and pay nothing for it.
    if *policy == PolicyOverride::default() { spec } else { spec.with_policy(policy.clone()) }
}

/// The spec with variables of its own; invalid when one of them would hide a part of what templates see.
pub(crate) fn with_variables(spec: ChildSpec, variables: &Vars) -> ChildSpec {
    if variables.is_empty() {
        return spec;
    }
    match check_names(variables) {
        Ok(()) => spec.with_variables(variables.clone()),
        Err(error) => {
            ChildSpec::invalid(spec.name, spec.kind, DeriveError::config(error.to_string()).at("variables"))
        }
    }
}
