//! What the config says, in the words of the crates that do it.

use fsm_executor::ExecutorConfig;
use fsm_metrics::MetricsConfig;
use fsm_supervisor::DriverConfig;

use crate::config::{MetricsSection, PerPath, Supervision};

/// The pool of actions.
pub(crate) fn executor(supervision: &Supervision) -> ExecutorConfig {
    ExecutorConfig::default()
        .with_concurrency(supervision.action.concurrency)
        .with_max_waiting(supervision.action.queue)
}

pub(super) fn driver(supervision: &Supervision) -> DriverConfig {
    DriverConfig::default()
        .with_tick_interval(supervision.tick_interval.get())
        .with_executor(executor(supervision))
}

pub(super) fn metrics(section: &MetricsSection) -> MetricsConfig {
    let per_path = match &section.per_path {
        PerPath::All(false) => fsm_metrics::PerPath::Off,
        PerPath::All(true) => fsm_metrics::PerPath::All,
        PerPath::Only(paths) => fsm_metrics::PerPath::Only(paths.iter().cloned().collect()),
    };
    MetricsConfig::default().with_per_path(per_path).with_max_paths(section.max_paths)
}
