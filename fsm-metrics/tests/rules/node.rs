//! Statistics of nodes: what is counted, what is shown, and what passes a threshold.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_metrics::{
    ErrorCategory, NodeMetrics, NodeMetricsCollector, NodeMetricsConfig, NodeMetricsError, Threshold,
    ThresholdEvent, ThresholdState,
};

use crate::world::ms;

const NODE: &str = "/edge-01/press-7";

fn collector(config: NodeMetricsConfig) -> NodeMetricsCollector {
    NodeMetricsCollector::try_new(config).expect("a good config")
}

fn plain() -> NodeMetricsCollector {
    collector(NodeMetricsConfig::default())
}

fn fail(collector: &NodeMetricsCollector, category: ErrorCategory) {
    collector.record_failure(NODE, ms(2), None, Some(category));
}

// spec: N-2, N-3
#[test]
fn an_unknown_node_is_empty_and_is_not_made_by_asking() {
    let collector = plain();
    assert_eq!(collector.get(NODE), NodeMetrics::default());
    assert!(collector.get_all().is_empty());
}

// spec: N-2
#[test]
fn successes_and_failures_count_and_a_retry_counts_only_as_one() {
    let collector = plain();
    collector.record_retry(NODE, 2);
    let retried = collector.get(NODE);
    assert_eq!((retried.total_executions, retried.retry_count, retried.sample_count), (0, 1, 0));
    assert_eq!((retried.last_execution_ms, retried.p50), (None, None));
    collector.record_success(NODE, ms(10));
    collector.record_failure(NODE, ms(30), None, None);
    let all = collector.get(NODE);
    assert_eq!((all.total_executions, all.success_count, all.failure_count, all.retry_count), (2, 1, 1, 1));
    assert_eq!((all.last_execution_ms, all.sample_count, all.other_errors), (Some(30.0), 2, 1));
    assert!((all.avg_execution_ms - 20.0).abs() < 1e-9);
    assert_eq!((all.p50, all.p90, all.p99), (Some(10.0), Some(30.0), Some(30.0)));
}

// spec: N-2, N-15
#[test]
fn a_failure_has_the_category_that_is_named_else_that_of_its_error_else_other() {
    let collector = plain();
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    collector.record_failure(NODE, ms(1), Some(&refused), Some(ErrorCategory::Validation));
    collector.record_failure(NODE, ms(1), Some(&refused), None);
    collector.record_failure(NODE, ms(1), None, None);
    ErrorCategory::ALL.into_iter().for_each(|category| fail(&collector, category));
    let all = collector.get(NODE);
    assert_eq!(
        (all.timeout_errors, all.validation_errors, all.network_errors, all.other_errors, all.failure_count),
        (1, 2, 2, 2, 7)
    );
}

// spec: N-1
#[test]
fn its_json_has_these_names_and_is_null_before_the_first_sample() {
    let collector = plain();
    collector.record_retry(NODE, 2);
    let text = collector.to_json();
    let expected = format!(
        "{{\"{NODE}\":{{\"totalExecutions\":0,\"successCount\":0,\"failureCount\":0,\"retryCount\":1,\
         \"lastExecutionMs\":null,\"avgExecutionMs\":0.0,\"p50\":null,\"p90\":null,\"p99\":null,\"sampleCount\":0,\
         \"timeoutErrors\":0,\"validationErrors\":0,\"networkErrors\":0,\"otherErrors\":0}}}}"
    );
    assert_eq!(text, expected);
    let read: std::collections::BTreeMap<String, NodeMetrics> =
        serde_json::from_str(&text).expect("its own form");
    assert_eq!(read[NODE], collector.get(NODE));
}

// spec: N-16, N-4
#[test]
fn json_and_copies_are_in_the_order_of_names_and_of_the_moment() {
    let collector = plain();
    for node in ["/b", "/c", "/a"] {
        collector.record_success(node, ms(1));
    }
    let before = collector.get_all();
    assert_eq!(before.keys().map(|name| &**name).collect::<Vec<_>>(), ["/a", "/b", "/c"]);
    collector.record_success("/a", ms(9));
    assert_eq!(before["/a"].p99, Some(1.0), "a copy stays as it is");
    let json: serde_json::Value = serde_json::from_str(&collector.to_json()).expect("JSON");
    assert_eq!(json["/a"]["p99"], 9.0, "percentiles are of the call");
    assert!(collector.to_json().find("/a") < collector.to_json().find("/b"));
}

// spec: N-5
#[test]
fn a_reset_forgets_one_node_with_its_window_or_all() {
    let collector = plain();
    for node in ["/a", "/b", "/c"] {
        collector.record_success(node, ms(500));
    }
    collector.reset(Some("/a"));
    collector.reset(Some("/unknown"));
    assert_eq!(collector.get("/a"), NodeMetrics::default());
    collector.record_success("/a", ms(1));
    assert_eq!((collector.get("/a").p99, collector.get("/a").sample_count), (Some(1.0), 1));
    assert_eq!(collector.get("/c").p99, Some(500.0));
    collector.reset(None);
    assert!(collector.get_all().is_empty());
}

// spec: N-8
#[test]
fn percentiles_of_milliseconds_are_exact() {
    for (samples, window, expected) in [
        (1_u64, 100, [1.0, 1.0, 1.0]),
        (2, 100, [1.0, 2.0, 2.0]),
        (10, 100, [5.0, 9.0, 10.0]),
        (20, 100, [10.0, 18.0, 20.0]),
        (100, 100, [50.0, 90.0, 99.0]),
        (1_000, 1_000, [500.0, 900.0, 990.0]),
        (300, 100, [250.0, 290.0, 299.0]),
    ] {
        let collector = collector(NodeMetricsConfig::default().with_window(window));
        (1..=samples).for_each(|sample| collector.record_success(NODE, ms(sample)));
        let all = collector.get(NODE);
        assert_eq!([all.p50, all.p90, all.p99], expected.map(Some), "{samples} samples");
        assert_eq!((all.total_executions, all.sample_count), (samples, samples.min(window as u64)));
    }
}

// spec: N-13
#[test]
fn eight_threads_lose_nothing() {
    const RECORDS: u64 = 10_000;
    let collector = plain();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let collector = &collector;
            scope.spawn(move || {
                for record in 0..RECORDS {
                    match record % 4 {
                        0 => collector.record_success(NODE, ms(1)),
                        1 => collector.record_success(["/a", "/b"][thread % 2], ms(1)),
                        2 => fail(collector, ErrorCategory::Network),
                        _ => collector.record_retry(NODE, 2),
                    }
                }
            });
        }
    });
    let (shared, a, b) = (collector.get(NODE), collector.get("/a"), collector.get("/b"));
    let quarter = 8 * RECORDS / 4;
    assert_eq!(
        (shared.success_count, shared.network_errors, shared.retry_count),
        (quarter, quarter, quarter)
    );
    assert_eq!((shared.total_executions, shared.failure_count), (2 * quarter, quarter));
    assert_eq!((a.total_executions, b.total_executions), (quarter / 2, quarter / 2));
}

// spec: N-18
#[test]
fn the_least_recently_used_nodes_go_first() {
    let collector = collector(NodeMetricsConfig::default().with_max_nodes(3));
    for node in ["/a", "/b", "/c"] {
        collector.record_success(node, ms(7));
    }
    collector.record_retry("/a", 2);
    assert_eq!(collector.get("/b").total_executions, 1, "reading is no use");
    collector.record_success("/d", ms(1));
    let names: Vec<_> = collector.get_all().into_keys().collect();
    assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["/a", "/c", "/d"]);
    assert_eq!(collector.get("/d").p99, Some(1.0), "the window of the one that left is not its own");
}

// spec: N-8, N-17
#[test]
fn what_cannot_be_set_up_is_refused_with_what_to_do() {
    let config = NodeMetricsConfig::default;
    let refused = |config, why: &str| {
        let error = NodeMetricsCollector::try_new(config).expect_err("it can't be");
        assert!(error.to_string().contains(why), "{error}");
        error
    };
    assert_eq!(refused(config().with_window(0), "use at least 1"), NodeMetricsError::NoWindow);
    assert_eq!(refused(config().with_max_nodes(0), "use at least 1"), NodeMetricsError::NoNodes);
    for limit in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        refused(config().with_failure_rate(limit), "`failure_rate` is");
        refused(config().with_windowed_failure_rate(limit), "`windowed_failure_rate` is");
    }
    for limit in [-1.0, f64::NAN, f64::INFINITY] {
        refused(config().with_latency_ms(limit), "`latency_ms` is");
    }
    for limit in [0.0, 1.0] {
        assert!(NodeMetricsCollector::try_new(config().with_failure_rate(limit)).is_ok());
    }
}

/// What a collector told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<ThresholdEvent>>>);

impl Told {
    fn by(&self, config: NodeMetricsConfig) -> NodeMetricsCollector {
        let told = Arc::clone(&self.0);
        let hear = move |event: &ThresholdEvent| told.lock().expect("no panic under it").push(event.clone());
        collector(config.with_callback(hear))
    }

    fn take(&self) -> Vec<(Threshold, ThresholdState, f64)> {
        let events = std::mem::take(&mut *self.0.lock().expect("no panic under it"));
        events.into_iter().map(|event| (event.threshold, event.state, event.value)).collect()
    }
}

// spec: N-17
#[test]
fn a_threshold_is_told_when_it_is_passed_and_when_that_is_over() {
    use Threshold::FailureRate;
    use ThresholdState::{Exceeded, Recovered};
    let told = Told::default();
    let collector = told.by(NodeMetricsConfig::default().with_failure_rate(0.5).with_min_samples(4));
    for _ in 0..3 {
        fail(&collector, ErrorCategory::Other);
    }
    assert_eq!(told.take(), [], "too few executions");
    fail(&collector, ErrorCategory::Other);
    assert_eq!(told.take(), [(FailureRate, Exceeded, 1.0)]);
    fail(&collector, ErrorCategory::Other);
    (0..4).for_each(|_| collector.record_success(NODE, ms(1)));
    assert_eq!(told.take(), [], "still above, told once");
    collector.record_success(NODE, ms(1));
    assert_eq!(told.take(), [(FailureRate, Recovered, 0.5)], "exactly the limit is not above it");
    fail(&collector, ErrorCategory::Other);
    assert_eq!(told.take().len(), 1, "and passed again");
}

// spec: N-17
#[test]
fn a_rate_over_the_window_forgets_what_a_rate_over_life_does_not() {
    let told = Told::default();
    let config = NodeMetricsConfig::default().with_window(10).with_min_samples(1);
    let collector = told.by(config.with_windowed_failure_rate(0.0).with_failure_rate(0.0));
    fail(&collector, ErrorCategory::Other);
    assert_eq!(told.take().len(), 2);
    (0..9).for_each(|_| collector.record_success(NODE, ms(1)));
    assert_eq!(told.take(), []);
    collector.record_success(NODE, ms(1));
    assert_eq!(told.take(), [(Threshold::WindowedFailureRate, ThresholdState::Recovered, 0.0)]);
}

// spec: N-17
#[test]
fn a_latency_is_the_99th_percentile_of_the_window() {
    let told = Told::default();
    let collector = told.by(NodeMetricsConfig::default().with_latency_ms(10.0));
    (0..100).for_each(|_| collector.record_success(NODE, ms(10)));
    collector.record_success(NODE, ms(11));
    assert_eq!(told.take(), [], "one of a hundred is slower");
    collector.record_success(NODE, ms(11));
    assert_eq!(told.take(), [(Threshold::Latency, ThresholdState::Exceeded, 11.0)]);
}

// spec: N-17
#[test]
fn with_every_each_record_above_a_threshold_is_told() {
    let told = Told::default();
    let config = NodeMetricsConfig::default().with_failure_rate(0.0).with_min_samples(2).with_every(true);
    let collector = told.by(config);
    (0..5).for_each(|_| fail(&collector, ErrorCategory::Other));
    assert_eq!(told.take().len(), 4);
}

// spec: N-17
#[test]
fn a_callback_runs_outside_of_the_lock_and_its_panic_hurts_nobody() {
    let (home, heard) =
        (Arc::new(Mutex::new(None::<Arc<NodeMetricsCollector>>)), Arc::new(AtomicU64::new(0)));
    let (inside, counted) = (Arc::clone(&home), Arc::clone(&heard));
    let config = NodeMetricsConfig::default().with_failure_rate(0.0).with_min_samples(1);
    let config = config.with_callback(|_| panic!("a callback's own mistake")).with_callback(move |event| {
        let collector = inside.lock().expect("no panic under it").clone().expect("it is made");
        counted.store(collector.get(&event.node).total_executions, Relaxed);
    });
    let collector = Arc::new(collector(config));
    *home.lock().expect("no panic under it") = Some(Arc::clone(&collector));
    let recorded = catch_unwind(AssertUnwindSafe(|| fail(&collector, ErrorCategory::Other)));
    assert!(recorded.is_ok(), "whoever records learns nothing of it");
    assert_eq!(heard.load(Relaxed), 1, "the other callback was called, and could ask");
    collector.record_success(NODE, ms(1));
    assert_eq!(collector.get(NODE).total_executions, 2);
    home.lock().expect("no panic under it").take();
}

// spec: N-14
#[test]
fn a_threshold_without_a_callback_and_a_very_long_duration_are_no_error() {
    let collector = collector(NodeMetricsConfig::default().with_latency_ms(1.0).with_min_samples(1));
    collector.record_success(NODE, Duration::MAX);
    collector.record_success_ms(NODE, f64::MAX);
    let all = collector.get(NODE);
    assert_eq!(all.total_executions, 2);
    assert!(all.p99.is_some_and(|ms| ms > 1e12 && ms.is_finite()) && all.avg_execution_ms.is_finite());
}

/// A writer for the log of one test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic under it").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// spec: N-14
#[test]
fn milliseconds_that_are_none_count_as_0_and_are_logged_once_per_node_and_minute() {
    let seconds = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&seconds);
    let config = NodeMetricsConfig::default().with_clock(move || Duration::from_secs(clock.load(Relaxed)));
    let (collector, log) = (collector(config), Log::default());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let lines = tracing::subscriber::with_default(subscriber, || {
        for (second, node, value) in [
            (0, "/a", -1.0),
            (59, "/a", -2.0),
            (59, "/b", f64::NAN),
            (60, "/a", f64::INFINITY),
            (60, "/a", 3.0),
        ] {
            seconds.store(second, Relaxed);
            collector.record_success_ms(node, value);
        }
        collector.record_failure_ms("/a", f64::NEG_INFINITY, None, None);
        String::from_utf8(log.0.lock().expect("no panic under it").clone()).expect("text")
    });
    let found: Vec<_> = lines.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(found.len(), 3, "{lines}");
    for (line, (node, value)) in found.iter().zip([("/a", "-1"), ("/b", "NaN"), ("/a", "inf")]) {
        assert!(line.contains(node) && line.contains(&format!("value={value}")), "{line}");
    }
    let a = collector.get("/a");
    assert_eq!((a.total_executions, a.failure_count, a.p50, a.p99), (5, 1, Some(0.0), Some(3.0)));
}
