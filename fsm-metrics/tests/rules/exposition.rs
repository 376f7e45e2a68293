//! What a scrape shows, and that it is what the registry gathers.

use std::io::Write as _;
use std::process::{Command, Stdio};

use fsm_core::Moment;
use fsm_metrics::{KindShape, Metrics, MetricsConfig, MetricsError, TickBatch, catalogue, never_moved_in};
use prometheus::{Registry, TextEncoder};

use crate::world::{at, kind, metrics, parse, record_everything, record_runs, shape, value};

fn gathered(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).expect("families with names and series")
}

// spec: M-6
#[test]
fn a_scrape_is_what_the_registry_gathers() {
    let registry = Registry::new();
    let foreign = prometheus::IntCounter::new("foreign_total", "Of somebody else.").expect("a good name");
    registry.register(Box::new(foreign.clone())).expect("a free name");
    foreign.inc_by(7);
    let metrics = Metrics::try_new(MetricsConfig::default(), &registry).expect("free names");
    let mut batch = TickBatch::new(&metrics);
    let odd = metrics.register(shape("odd \"kind\" \\ of\nnode")).expect("any label value can be escaped");
    record_everything(&metrics, &mut batch, &odd, "/edge/a");
    let plain = kind(&metrics, "plain");
    record_everything(&metrics, &mut batch, &plain, "/edge/b");
    record_runs(&metrics);

    let (ours, theirs) = (parse(&metrics.encode()), parse(&gathered(&registry)));
    assert_eq!(ours.get("foreign_total"), Some(&7.0));
    assert!(ours.len() > 300, "{} series", ours.len());
    assert_eq!(ours, theirs);
}

// spec: M-6
#[test]
fn two_registries_do_not_meet() {
    let (one, two) = (metrics(), metrics());
    let mut batch = TickBatch::new(&one);
    record_everything(&one, &mut batch, &kind(&one, "bridge"), "/a");
    let _kind = kind(&two, "bridge");
    assert!(parse(&one.encode()).len() > 100);
    assert_eq!(two.encode(), "");
}

// spec: M-6
#[test]
fn a_registry_holds_one_engine_at_a_time() {
    let registry = Registry::new();
    let first = Metrics::try_new(MetricsConfig::default(), &registry).expect("free names");
    let refused = Metrics::try_new(MetricsConfig::default(), &registry);
    assert!(matches!(refused, Err(MetricsError::Registry(_))));
    drop(first);
    Metrics::try_new(MetricsConfig::default(), &registry).expect("the names are free again");
}

#[test]
fn every_metric_of_the_catalogue_can_move_and_none_has_before() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    let bridge = kind(&metrics, "bridge");
    let scope = batch.enter(&bridge, "/a");
    assert_eq!(metrics.never_moved(), catalogue().map(|def| def.name()).collect::<Vec<_>>());
    batch.leave(scope);
    record_everything(&metrics, &mut batch, &bridge, "/a");
    record_runs(&metrics);
    assert_eq!(metrics.never_moved(), Vec::<&str>::new());
    assert_eq!(never_moved_in([metrics.encode().as_str()]), Vec::<&str>::new());
}

#[test]
fn what_moved_is_remembered_when_its_series_are_gone() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    let scope = batch.enter(&kind(&metrics, "bridge"), "/a");
    batch.escalated(scope);
    batch.leave(scope);
    batch.flush(at(0));
    batch.flush(at(3_600));
    assert_eq!(value(&metrics, "fsm_escalations_total{path=\"\",supervisor_id=\"bridge\"}"), None);
    assert!(!metrics.never_moved().contains(&"fsm_escalations_total"));
    assert!(metrics.never_moved().contains(&"fsm_restarts_total"));
}

#[test]
fn a_gauge_that_is_set_to_nothing_but_zero_has_not_moved() {
    let metrics = metrics();
    let pool = fsm_metrics::PoolMetrics::new(metrics.pool("actions"));
    pool.waiting(0);
    assert!(metrics.never_moved().contains(&"fsm_worker_pool_queue_size"));
    pool.waiting(1);
    pool.waiting(0);
    assert!(!metrics.never_moved().contains(&"fsm_worker_pool_queue_size"));
    assert_eq!(value(&metrics, "fsm_worker_pool_queue_size{pool_name=\"actions\"}"), Some(0.0));
}

#[test]
fn a_share_that_is_gone_has_moved_all_the_same() {
    let metrics = metrics();
    let held = metrics.flow("/a");
    let flow = fsm_metrics::FlowMetrics::new(held.clone());
    flow.in_flight.set(3.0);
    drop(flow);
    assert_eq!(value(&metrics, "dataflow_in_flight{flow=\"/a\"}"), Some(0.0));
    assert!(!metrics.never_moved().contains(&"dataflow_in_flight"));
    assert!(metrics.never_moved().contains(&"dataflow_lag_messages"));
    drop(held);
}

// spec: M-5
#[test]
fn ten_thousand_workers_of_five_kinds_fit_into_200_kb() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    for name in ["application", "bridge", "connection", "dataflow", "device_simulator"] {
        let kind = kind(&metrics, name);
        record_everything(&metrics, &mut batch, &kind, "/edge/flow");
        for node in 1..2_000 {
            let _scope = batch.enter(&kind, &format!("/edge/{node}"));
        }
    }
    batch.flush(Moment::ZERO);
    let size = metrics.encode().len();
    assert!(size <= 200_000, "{size} bytes");
}

#[test]
fn promtool_reads_a_scrape_and_finds_nothing_but_a_published_name() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    record_everything(&metrics, &mut batch, &kind(&metrics, "bridge"), "/a");
    record_runs(&metrics);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is in the package `prometheus` of the distribution: install that");
    let mut stdin = promtool.stdin.take().expect("it is piped");
    stdin.write_all(metrics.encode().as_bytes()).expect("promtool reads all of it");
    drop(stdin);
    let said = promtool.wait_with_output().expect("promtool ends");
    let text = String::from_utf8([said.stdout, said.stderr].concat()).expect("promtool writes text");
    // The catalogue's name for it; promtool wants the suffix for histograms only.
    let known = |line: &&str| line.starts_with("fsm_child_count ") && line.contains("\"_count\" suffix");
    assert_eq!(text.lines().filter(|line| !known(line)).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn a_kind_is_registered_once_or_alike() {
    let metrics = metrics();
    let _first = kind(&metrics, "bridge");
    let _again = kind(&metrics, "bridge");
    let other = metrics.register(KindShape::new("bridge"));
    assert!(matches!(other, Err(MetricsError::OtherShape { kind: "bridge" })));
}
