//! Who plays: specs of the nodes that most scenarios are about.

use fsm_core::{ChildName, ChildSpec, NodePath, Worker};
use fsm_supervisor::Command;
use fsm_testkit::workers::{Scripted, ScriptedConfig};
use fsm_worker_examples::parent::{Parent, ParentChild, ParentConfig};

use super::Broken;

/// A root of kind `parent` with these children: as healthy as they are.
pub(super) fn parent(
    name: &str,
    children: impl IntoIterator<Item = ParentChild>,
) -> Result<ChildSpec, Broken> {
    Ok(ChildSpec::try_new(name, Parent::KIND)?.with_typed_config(ParentConfig::new(children)))
}

/// A child of this kind.
pub(super) fn child(name: &str, kind: &str) -> Result<ParentChild, Broken> {
    Ok(ParentChild::new(ChildName::try_new(name)?, kind))
}

/// A child that does what its script says.
pub(super) fn scripted(name: &str) -> Result<ParentChild, Broken> {
    child(name, Scripted::KIND)
}

/// A root that does what its script says, with children of that kind.
pub(super) fn scripted_root(name: &str, config: ScriptedConfig) -> Result<ChildSpec, Broken> {
    Ok(ChildSpec::try_new(name, Scripted::KIND)?.with_typed_config(config))
}

/// Who gives the commands of a scenario.
const OPERATOR: &str = "operator";

/// Stops a node.
pub(super) fn stop(path: &str) -> Result<Command, Broken> {
    Ok(Command::Stop { path: NodePath::try_new(path)?, who: OPERATOR.into() })
}

/// Starts a stopped node.
pub(super) fn start(path: &str) -> Result<Command, Broken> {
    Ok(Command::Start { path: NodePath::try_new(path)?, who: OPERATOR.into() })
}

/// Tries again at once.
pub(super) fn retry(path: &str) -> Result<Command, Broken> {
    Ok(Command::Retry { path: NodePath::try_new(path)?, who: OPERATOR.into() })
}

/// Adds or changes a child at run time.
pub(super) fn upsert(parent: &str, spec: ChildSpec) -> Result<Command, Broken> {
    Ok(Command::Upsert { parent: NodePath::try_new(parent)?, spec: Box::new(spec), who: OPERATOR.into() })
}

/// Removes a child that was added at run time.
pub(super) fn delete(parent: &str, name: &str) -> Result<Command, Broken> {
    let (parent, name) = (NodePath::try_new(parent)?, ChildName::try_new(name)?);
    Ok(Command::Delete { parent, name, who: OPERATOR.into() })
}
