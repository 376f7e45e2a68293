//! Every kind of worker that this daemon knows, named in one place.

use std::path::PathBuf;
use std::sync::Arc;

use fsm_core::{RegisterError, Registry};
use fsm_metrics::Metrics;
use fsm_store::MemoryStore;
use fsm_worker_communicator::Communicator;
use fsm_worker_dataflow::Dataflow;
use fsm_worker_persistence::Persistence;
use fsm_worker_process::{Agents, Cgroups, Keeper, Ledger, NoAgents, Process};

/// The kind `process`, as this machine allows it: with cgroups where they can be made, with notes where there is a folder
/// for what lives as long as the machine does. What survived an earlier daemon is ended.
pub fn process() -> Process {
    let mut process = Process::new(Keeper::this_program());
    if let Some(cgroups) = Cgroups::detect() {
        process = process.with_cgroups(cgroups);
    }
    // systemd's RuntimeDirectory=, or that of a user's session. Not a folder that everybody can write.
    let folder = std::env::var_os("RUNTIME_DIRECTORY").or_else(|| std::env::var_os("XDG_RUNTIME_DIR"));
    let Some(folder) = folder else { return process };
    let ledger = Ledger::open(PathBuf::from(folder).join("fsmd-runs"));
    match ledger.and_then(|ledger| Ok((ledger.end_survivors()?, ledger))) {
        Ok((survivors, ledger)) => {
            if survivors.killed > 0 {
                let (runs, killed) = (survivors.runs, survivors.killed);
                tracing::warn!(runs, killed, "ended programs that an earlier daemon had left");
            }
            process.with_ledger(ledger)
        }
        Err(error) => {
            tracing::warn!(error = %fsm_core::chain(&error), "no notes are kept of running programs");
            process
        }
    }
}

/// All kinds. `agent` tells this daemon from others at the same broker; flows record into `metrics`, if there are any;
/// `persistence` looks after the store that the tree writes to; `communicator` knows that store and the tree; `process` starts
/// programs; steps of workflows ask `agents` for actions of other workers.
///
/// # Errors
/// [`RegisterError`] when two of them take one name; a mistake of this program.
pub fn registry(
    agent: &str,
    metrics: Option<&Metrics>,
    persistence: Persistence,
    communicator: Communicator,
    process: Process,
    agents: Arc<dyn Agents>,
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
    fsm_worker_process::register(&mut registry, process, agents)?;
    fsm_worker_examples::register(&mut registry)?;
    Ok(registry)
}

/// All kinds, for checking a config without running it.
///
/// # Errors
/// As [`registry`].
pub fn for_checking() -> Result<Registry, RegisterError> {
    let persistence = Persistence::new(Arc::new(MemoryStore::default()));
    let process = Process::new(Keeper::this_program());
    registry("check", None, persistence, Communicator::for_checking(), process, Arc::new(NoAgents))
}
