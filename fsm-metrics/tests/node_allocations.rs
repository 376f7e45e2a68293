//! Recording statistics of a known node allocates nothing. One test in a binary of its own, because the count is that of the
//! whole process.

use std::time::Duration;

use fsm_core::ActionError;
use fsm_metrics::{ErrorCategory, NodeMetricsCollector, NodeMetricsConfig};

bench_support::count_allocations!();

// spec: N-2
#[test]
fn recording_a_known_node_allocates_nothing() {
    let config =
        NodeMetricsConfig::default().with_failure_rate(0.9).with_latency_ms(1e9).with_callback(|_| {});
    let collectors = [NodeMetricsConfig::default(), config]
        .map(|config| NodeMetricsCollector::try_new(config).expect("a good config"));
    let nodes: Vec<String> = (0..100).map(|node| format!("/edge-01/press-{node}")).collect();
    let error = ActionError::transient("the connection was lost");
    let record = |times: usize| {
        for (collector, node) in collectors.iter().flat_map(|c| nodes.iter().map(move |node| (c, node))) {
            for _ in 0..times {
                collector.record_success(node, Duration::from_millis(3));
                collector.record_retry(node, 2);
                collector.record_failure(node, Duration::from_millis(3), None, Some(ErrorCategory::Timeout));
                collector.record_failure(node, Duration::from_millis(3), Some(&error), None);
            }
        }
    };
    // The thresholds are looked at from the twentieth execution on.
    record(20);
    // The thread of the test harness may allocate beside one run, but hardly beside each.
    let runs = [(); 5].map(|()| bench_support::allocations(|| record(50)).1);
    let least = runs.iter().map(|run| (run.count, run.bytes)).min();
    assert_eq!(least, Some((0, 0)), "{runs:?}");
    assert_eq!(collectors[0].get(&nodes[7]).network_errors, 270, "it did record");
}
