//! Every metric there is: the only place where one is declared.

use crate::def::{Metric, MetricDef};

mod engine;
mod exec;
mod flow;
mod markdown;
mod node;

pub use engine::{BuildMetric, EngineMetric, PoolMetric, StoreMetric, SubscriberMetric};
pub use exec::{ExecMetric, ProcessMetric, ToolMetric};
pub use flow::FlowMetric;
pub use markdown::catalogue_markdown;
pub use node::NodeMetric;

/// The tables of the catalogue, in the order of the docs and of a scrape.
const TABLES: [&[MetricDef]; 10] = [
    NodeMetric::DEFS,
    EngineMetric::DEFS,
    PoolMetric::DEFS,
    StoreMetric::DEFS,
    SubscriberMetric::DEFS,
    BuildMetric::DEFS,
    FlowMetric::DEFS,
    ToolMetric::DEFS,
    ProcessMetric::DEFS,
    ExecMetric::DEFS,
];

/// Every metric of the catalogue. The metrics that kinds declare for themselves (M-7) are not in it; they follow its rules.
///
/// ```
/// let gauge = fsm_metrics::catalogue().find(|metric| metric.name() == "fsm_child_count").unwrap();
/// assert_eq!(gauge.labels().collect::<Vec<_>>(), ["supervisor_id", "path"]);
/// ```
pub fn catalogue() -> impl Iterator<Item = &'static MetricDef> {
    TABLES.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fsm_core::MetricType;

    use super::*;

    /// The names without a prefix: they were published before this catalogue was, and dashboards know them by these.
    const PUBLISHED: &str = "runtime_tool_execute_seconds runtime_tool_errors_total runtime_tool_timeouts_total \
        runtime_process_exits_total runtime_tool_output_bytes http_exec_started_total workflow_sync_polls_total \
        workflow_sync_poll_duration_seconds http_exec_sync_latency_seconds http_exec_timeouts_total \
        http_exec_errors_total exec_finished_total exec_in_flight exec_queue_wait_seconds runtime_tool_cpu_seconds \
        runtime_tool_peak_rss_bytes runtime_tool_first_byte_seconds";

    #[test]
    fn names_are_unique_and_follow_the_conventions_of_their_type_and_unit() {
        let mut seen = BTreeSet::new();
        for def in catalogue() {
            let name = def.name();
            assert!(seen.insert(name), "{name} is declared twice");
            let prefixed = name.starts_with("fsm_") || name.starts_with("dataflow_");
            assert_ne!(prefixed, PUBLISHED.split_whitespace().any(|published| published == name), "{name}");
            assert_eq!(name.ends_with("_total"), def.metric_type() == MetricType::Counter, "{name}");
            if matches!(def.spec.unit, "seconds" | "bytes") && def.metric_type() != MetricType::Counter {
                assert!(name.ends_with(def.spec.unit), "{name} lacks its unit");
            }
            assert_eq!(def.spec.buckets.is_empty(), def.metric_type() != MetricType::Histogram, "{name}");
        }
    }

    #[test]
    fn every_metric_says_what_it_is_and_when_it_is_recorded() {
        for def in catalogue() {
            assert!(def.spec.help.ends_with('.'), "{}: {:?}", def.name(), def.spec.help);
            assert!(!def.spec.help.starts_with(' '), "{}", def.name());
            assert!(!def.recorded.is_empty(), "{}", def.name());
            assert_eq!(def.spec.labels.len(), def.values.len(), "{}", def.name());
        }
    }

    // spec: M-1
    #[test]
    fn whoever_has_a_supervisor_id_has_a_path() {
        for def in catalogue() {
            let labels: Vec<_> = def.labels().collect();
            assert_eq!(labels.contains(&"supervisor_id"), labels.contains(&"path"), "{}", def.name());
            for forbidden in ["id", "topic", "message", "exec_id", "workflow_id"] {
                assert!(!labels.contains(&forbidden), "{} has the label {forbidden}", def.name());
            }
        }
    }

    #[test]
    fn listed_label_sets_hold_no_value_that_the_catalogue_does_not_name() {
        for def in catalogue() {
            for set in def.only {
                assert_eq!(set.len(), def.values.len(), "{}", def.name());
                for (word, values) in set.iter().zip(def.values) {
                    assert!(
                        matches!(values, crate::Values::Closed(words) if words.contains(word)),
                        "{}",
                        def.name()
                    );
                }
            }
        }
    }

    #[test]
    fn the_catalogue_is_complete() {
        let names: BTreeSet<_> = catalogue().map(MetricDef::name).collect();
        let expected = "circuit_open infrastructure_recovery_total infrastructure_recovery_duration_seconds \
            child_health_check_total reconciliation_total reconciliation_duration_seconds children_changed_total \
            variable_propagation_total template_rendering_duration_seconds template_rendering_errors_total \
            action_queued_total action_queue_size action_execution_duration_seconds action_timeout_total \
            action_retry_total action_wait_seconds action_in_flight action_stuck_total action_leaked \
            worker_pool_utilization worker_pool_queue_size child_count tick_propagation_depth \
            tick_propagation_duration_seconds tick_duration_seconds tick_overrun_total nodes_evaluated_total \
            nodes_skipped_total hierarchy_depth hierarchy_size state_transitions_total workers \
            state_duration_seconds observation_total observation_duration_seconds observation_age_seconds \
            observation_stale_total collector_restarts_total panic_recovery_total restarts_total \
            restart_budget_spent_total store_write_duration_seconds store_changes_total store_size_bytes \
            collectors_leaked stop_timeouts_total incidents_open escalations_total events_dropped_total \
            config_generation config_reload_total build_info";
        let flow = "messages_in_total messages_out_total bytes_in_total bytes_out_total dropped_total errors_total \
            retries_total in_flight lag_messages last_message_age_seconds end_to_end_latency_seconds buffer_bytes \
            reconnects_total";
        let expected: BTreeSet<_> = (expected.split_whitespace().map(|name| format!("fsm_{name}")))
            .chain(flow.split_whitespace().map(|name| format!("dataflow_{name}")))
            .chain(PUBLISHED.split_whitespace().map(str::to_owned))
            .collect();
        assert_eq!(names, expected.iter().map(String::as_str).collect());
    }
}
