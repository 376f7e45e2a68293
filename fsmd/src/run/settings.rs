//! What the config says, in the words of the crates that do it.

use fsm_executor::ExecutorConfig;
use fsm_metrics::MetricsConfig;
use fsm_supervisor::DriverConfig;

use crate::config::{MetricsSection, PerPath, Supervision};

pub(super) fn driver(supervision: &Supervision) -> DriverConfig {
    let executor = ExecutorConfig::default()
        .with_concurrency(supervision.action.concurrency)
        .with_max_waiting(supervision.action.queue);
    DriverConfig::default().with_tick_interval(supervision.tick_interval.get()).with_executor(executor)
}

pub(super) fn metrics(section: &MetricsSection) -> MetricsConfig {
    let per_path = match &section.per_path {
        PerPath::All(false) => fsm_metrics::PerPath::Off,
        PerPath::All(true) => fsm_metrics::PerPath::All,
        PerPath::Only(paths) => fsm_metrics::PerPath::Only(paths.iter().cloned().collect()),
    };
    MetricsConfig::default().with_per_path(per_path).with_max_paths(section.max_paths)
}
