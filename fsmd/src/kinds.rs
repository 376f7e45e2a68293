//! Every kind of worker that this daemon knows, named in one place.

use std::sync::Arc;

use fsm_core::{RegisterError, Registry};
use fsm_metrics::Metrics;
use fsm_store::MemoryStore;
use fsm_worker_communicator::Communicator;
use fsm_worker_dataflow::Dataflow;
use fsm_worker_persistence::Persistence;

/// All kinds. `agent` tells this daemon from others at the same broker; flows record into `metrics`, if there are any;
/// `persistence` looks after the store that the tree writes to; `communicator` knows that store and the tree.
///
/// # Errors
/// [`RegisterError`] when two of them take one name; a mistake of this program.
pub fn registry(
    agent: &str,
    metrics: Option<&Metrics>,
    persistence: Persistence,
    communicator: Communicator,
) -> Result<Registry, RegisterError> {
    let dataflow = Dataflow::new(agent);
    let dataflow = match metrics {
        Some(metrics) => dataflow.with_metrics(metrics.clone()),
        None => dataflow,
    };
    let mut registry = Registry::new();
    fsm_worker_bridge::register(&mut registry)?;
    fsm_worker_dataflow::register(&mut registry, dataflow)?;
    fsm_worker_broker::register(&mut registry)?;
    fsm_worker_simulator::register(&mut registry)?;
    fsm_worker_persistence::register(&mut registry, persistence)?;
    fsm_worker_communicator::register(&mut registry, communicator)?;
    fsm_worker_examples::register(&mut registry)?;
    Ok(registry)
}

/// All kinds, for checking a config without running it.
///
/// # Errors
/// As [`registry`].
pub fn for_checking() -> Result<Registry, RegisterError> {
    let persistence = Persistence::new(Arc::new(MemoryStore::default()));
    registry("check", None, persistence, Communicator::for_checking())
}
