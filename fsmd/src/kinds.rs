//! Every kind of worker that this daemon knows, named in one place.

use fsm_core::{RegisterError, Registry};
use fsm_metrics::Metrics;
use fsm_worker_dataflow::Dataflow;

/// All kinds. `agent` tells this daemon from others at the same broker; flows record into `metrics`, if there are any.
///
/// # Errors
/// [`RegisterError`] when two of them take one name; a mistake of this program.
pub fn registry(agent: &str, metrics: Option<&Metrics>) -> Result<Registry, RegisterError> {
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
    fsm_worker_examples::register(&mut registry)?;
    Ok(registry)
}

/// All kinds, for checking a config without running it.
///
/// # Errors
/// As [`registry`].
pub fn for_checking() -> Result<Registry, RegisterError> {
    registry("check", None)
}
