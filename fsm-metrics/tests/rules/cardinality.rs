//! Which series there are: they don't grow with the tree, appear when they are known, and go with what they are about.

use std::collections::BTreeSet;

use fsm_core::Phase;
use fsm_metrics::{FlowMetrics, KindShape, MetricsConfig, Moved, ObservationResult, PerPath, TickBatch};

use crate::world::{RUNNING, STOPPED, at, kind, metrics, ms, parse, series_with, value, with};

fn child_count(path: &str) -> String {
    format!("fsm_child_count{{path=\"{path}\",supervisor_id=\"bridge\"}}")
}

// spec: M-1
#[test]
fn series_do_not_grow_with_the_tree() {
    let metrics = metrics();
    let bridge = kind(&metrics, "bridge");
    let mut batch = TickBatch::new(&metrics);
    let first = batch.enter(&bridge, "/a");
    batch.children(first, 1);
    batch.flush(at(0));
    let before = parse(&metrics.encode()).len();
    for node in 0..1_000 {
        let scope = batch.enter(&bridge, &format!("/{node}"));
        assert_eq!(scope, first, "nodes of a kind share a scope");
        batch.children(scope, 1);
    }
    batch.flush(at(1));
    assert_eq!(parse(&metrics.encode()).len(), before);
    assert_eq!(value(&metrics, &child_count("")), Some(1_001.0));
}

// spec: M-1
#[test]
fn paths_over_the_cap_fold_into_other() {
    let config = MetricsConfig::default().with_per_path(PerPath::All).with_max_paths(2);
    let metrics = with(config);
    let bridge = kind(&metrics, "bridge");
    let mut batch = TickBatch::new(&metrics);
    for (path, children) in [("/a", 1), ("/b", 10), ("/c", 100), ("/d", 1_000)] {
        let scope = batch.enter(&bridge, path);
        batch.children(scope, children);
    }
    batch.flush(at(0));
    assert_eq!(value(&metrics, &child_count("/a")), Some(1.0));
    assert_eq!(value(&metrics, &child_count("/b")), Some(10.0));
    assert_eq!(value(&metrics, &child_count("_other")), Some(1_100.0));
    assert_eq!(series_with(&metrics, "path=\"/c\""), Vec::<String>::new());
}

// spec: M-1
#[test]
fn the_cap_counts_paths_and_not_the_kinds_at_them() {
    let metrics = with(MetricsConfig::default().with_per_path(PerPath::All).with_max_paths(1));
    let mut batch = TickBatch::new(&metrics);
    let _bridge = batch.enter(&kind(&metrics, "bridge"), "/a");
    let _flow = batch.enter(&kind(&metrics, "dataflow"), "/a");
    batch.flush(at(0));
    assert_eq!(series_with(&metrics, "fsm_child_count").len(), 2);
    assert_eq!(series_with(&metrics, "_other"), Vec::<String>::new());
}

// spec: M-1
#[test]
fn with_an_allowlist_all_other_paths_fold() {
    let allowed = BTreeSet::from(["/a".to_owned()]);
    let metrics = with(MetricsConfig::default().with_per_path(PerPath::Only(allowed)));
    let bridge = kind(&metrics, "bridge");
    let mut batch = TickBatch::new(&metrics);
    for path in ["/a", "/b", "/c"] {
        let scope = batch.enter(&bridge, path);
        batch.children(scope, 1);
    }
    batch.flush(at(0));
    assert_eq!(value(&metrics, &child_count("/a")), Some(1.0));
    assert_eq!(value(&metrics, &child_count("_other")), Some(2.0));
}

// spec: M-1
#[test]
fn flows_have_the_cap_of_paths_and_fold_as_sums_and_maxima() {
    let metrics = with(MetricsConfig::default().with_max_paths(1));
    let flows = ["/a", "/b", "/c"].map(|path| FlowMetrics::new(metrics.flow(path)));
    for (at, flow) in flows.iter().enumerate() {
        flow.messages_in.inc();
        flow.in_flight.set(10.0 * at as f64);
        flow.last_message_age.set(5.0 - at as f64);
    }
    let other = |name: &str| value(&metrics, &format!("dataflow_{name}{{flow=\"_other\"}}"));
    assert_eq!(other("messages_in_total"), Some(2.0));
    assert_eq!(other("in_flight"), Some(30.0), "counts are summed");
    assert_eq!(other("last_message_age_seconds"), Some(4.0), "ages are maxima");
    let [_a, b, _c] = flows;
    drop(b);
    assert_eq!(other("in_flight"), Some(20.0), "what is gone does not count");
    assert_eq!(other("last_message_age_seconds"), Some(3.0));
}

// spec: M-3
#[test]
fn known_series_begin_at_zero_and_histograms_with_their_first_sample() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    assert_eq!(series_with(&metrics, "bridge"), Vec::<String>::new(), "an unused kind has no series");
    let bridge = kind(&metrics, "bridge");
    let scope = batch.enter(&bridge, "/a");
    for series in [
        "fsm_action_queued_total{action_type=\"start\",path=\"\",supervisor_id=\"bridge\"}",
        "fsm_observation_total{path=\"\",result=\"timeout\",supervisor_id=\"bridge\"}",
        "fsm_workers{path=\"\",phase=\"running\",state=\"Running\",supervisor_id=\"bridge\"}",
        "fsm_circuit_open{circuit=\"panic\",path=\"\",supervisor_id=\"bridge\"}",
    ] {
        assert_eq!(value(&metrics, series), Some(0.0), "{series}");
    }
    assert_eq!(series_with(&metrics, "_bucket"), Vec::<String>::new());
    assert_eq!(series_with(&metrics, "fsm_state_transitions_total"), Vec::<String>::new());
    assert_eq!(series_with(&metrics, "_none"), Vec::<String>::new());

    batch.observed(scope, ObservationResult::Changed, ms(2_200));
    batch.flush(at(0));
    let bucket = |le: &str| {
        let labels = format!("le=\"{le}\",path=\"\",supervisor_id=\"bridge\"");
        value(&metrics, &format!("fsm_observation_duration_seconds_bucket{{{labels}}}"))
    };
    assert_eq!((bucket("1"), bucket("2.2"), bucket("+Inf")), (Some(0.0), Some(1.0), Some(1.0)));
}

// spec: M-3
#[test]
fn the_series_of_a_removed_path_go_with_the_next_flush() {
    let metrics = with(MetricsConfig::default().with_per_path(PerPath::All));
    let bridge = kind(&metrics, "bridge");
    let mut batch = TickBatch::new(&metrics);
    let (a, b) = (batch.enter(&bridge, "/a"), batch.enter(&bridge, "/b"));
    assert_ne!(a, b);
    batch.leave(a);
    batch.flush(at(0));
    assert_eq!(series_with(&metrics, "path=\"/a\""), Vec::<String>::new());
    assert!(!series_with(&metrics, "path=\"/b\"").is_empty());
    let again = batch.enter(&bridge, "/a");
    assert_eq!(again, a, "the place is used again");
    batch.children(again, 4);
    batch.flush(at(1));
    assert_eq!(value(&metrics, &child_count("/a")), Some(4.0));
}

// spec: M-3
#[test]
fn the_series_of_a_removed_kind_go_after_two_scrapes() {
    let metrics = metrics();
    let bridge = kind(&metrics, "bridge");
    let mut batch = TickBatch::new(&metrics);
    let scope = batch.enter(&bridge, "/a");
    batch.escalated(scope);
    batch.leave(scope);
    batch.flush(at(100));
    let escalations = || value(&metrics, "fsm_escalations_total{path=\"\",supervisor_id=\"bridge\"}");
    assert_eq!(escalations(), Some(1.0), "what the last node did can still be scraped");
    batch.flush(at(129));
    assert_eq!(escalations(), Some(1.0));
    batch.flush(at(130));
    assert_eq!(series_with(&metrics, "bridge"), Vec::<String>::new());
    let _scope = batch.enter(&bridge, "/a");
    assert_eq!(escalations(), Some(0.0));
}

// spec: M-3
#[test]
fn a_kind_that_comes_back_in_time_keeps_counting() {
    let metrics = metrics();
    let bridge = kind(&metrics, "bridge");
    let mut batch = TickBatch::new(&metrics);
    for second in 0..100 {
        let scope = batch.enter(&bridge, "/a");
        batch.escalated(scope);
        batch.leave(scope);
        batch.flush(at(second * 10));
    }
    assert_eq!(value(&metrics, "fsm_escalations_total{path=\"\",supervisor_id=\"bridge\"}"), Some(100.0));
}

// spec: J7
#[test]
fn states_beyond_the_cap_share_a_label() {
    let names: Vec<&'static str> = (0..200).map(|n| &*Box::leak(format!("S{n}").into_boxed_str())).collect();
    let metrics = metrics();
    let shape = KindShape::new("big").with_states(names.iter().map(|name| (*name, Phase::Running)));
    let big = metrics.register(shape).expect("a good shape");
    let mut batch = TickBatch::new(&metrics);
    let scope = batch.enter(&big, "/a");
    batch.entered(scope, None, Phase::Degraded);
    batch.entered(scope, Some(150), Phase::Running);
    batch.entered(scope, Some(199), Phase::Running);
    batch.flush(at(0));
    let workers = |state: &str, phase: &str| {
        let labels = format!("path=\"\",phase=\"{phase}\",state=\"{state}\",supervisor_id=\"big\"");
        value(&metrics, &format!("fsm_workers{{{labels}}}"))
    };
    assert_eq!(workers("_other", "running"), Some(2.0));
    assert_eq!(workers("_none", "degraded"), Some(1.0));
    assert_eq!(workers("S63", "running"), Some(0.0));
    assert_eq!(workers("S64", "running"), None);
}

#[test]
fn an_action_that_is_not_named_counts_as_other() {
    let metrics = metrics();
    let mut batch = TickBatch::new(&metrics);
    let scope = batch.enter(&kind(&metrics, "bridge"), "/a");
    let actions = batch.scope(scope).expect("just entered").actions();
    actions.queued(7);
    let other = "fsm_action_queued_total{action_type=\"_other\",path=\"\",supervisor_id=\"bridge\"}";
    assert_eq!(value(&metrics, other), Some(1.0));
}

#[test]
fn an_engine_without_metrics_records_nothing() {
    let metrics = metrics();
    let bridge = kind(&metrics, "bridge");
    let mut batch = TickBatch::off();
    let scope = batch.enter(&bridge, "/a");
    let (from, to) = ((STOPPED, Phase::Stopped), (RUNNING, Phase::Running));
    batch.moved(scope, Moved { from, to, after: ms(1) });
    batch.leave(scope);
    batch.flush(at(0));
    assert!(batch.scope(scope).is_none());
    assert_eq!(metrics.encode(), "");
}
