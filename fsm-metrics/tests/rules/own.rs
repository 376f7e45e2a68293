//! Metrics that a kind declares itself.

use fsm_core::{MetricSink, MetricSpec};
use fsm_metrics::{MetricSpecError, Metrics, MetricsError, TickBatch, WorkerMetrics};

use crate::world::{at, metrics, series_with, shape, value};

const POLLS: usize = 0;
const QUEUE: usize = 1;
const OLDEST_AGE: usize = 2;
const POLL_SECONDS: usize = 3;
const BY_CODE: usize = 4;
const BY_LANE: usize = 5;
const OWN: &[MetricSpec] = &[
    MetricSpec::counter("polls_total", "Polls."),
    MetricSpec::gauge("queue", "", "Entries in the queue."),
    MetricSpec::gauge("oldest_age_seconds", "seconds", "Age of the oldest entry."),
    MetricSpec::histogram("poll_seconds", "seconds", "How long a poll took.", &[0.1, 1.0]),
    MetricSpec::counter("answers_total", "Answers.").with_labels(&["code"]),
    MetricSpec::gauge("lane_length", "", "Length of a lane.").with_labels(&["lane"]),
];

fn sinks<const N: usize>(metrics: &Metrics) -> [WorkerMetrics; N] {
    let kind = metrics.register(shape("press-7").with_metrics(OWN)).expect("good metrics");
    let mut batch = TickBatch::new(metrics);
    let scope = batch.enter(&kind, "/a");
    let sinks = std::array::from_fn(|_| batch.scope(scope).expect("just entered").worker_metrics());
    std::mem::forget(batch);
    sinks
}

fn own(metrics: &Metrics, name: &str, labels: &str) -> Option<f64> {
    value(metrics, &format!("fsm_worker_press_7_{name}{{{labels}path=\"\",supervisor_id=\"press-7\"}}"))
}

// spec: M-7
#[test]
fn a_kind_records_its_own_metrics_under_its_name() {
    let metrics = metrics();
    let [sink] = sinks(&metrics);
    assert_eq!(own(&metrics, "polls_total", ""), Some(0.0));
    assert_eq!(series_with(&metrics, "poll_seconds"), Vec::<String>::new());
    sink.add(POLLS, &[], 2.5);
    sink.observe(POLL_SECONDS, &[], 0.5);
    sink.add(BY_CODE, &["200"], 1.0);
    sink.add(BY_CODE, &["500"], 1.0);
    sink.add(BY_CODE, &["200"], 1.0);
    assert_eq!(own(&metrics, "polls_total", ""), Some(2.5));
    assert_eq!(own(&metrics, "poll_seconds_bucket", "le=\"0.1\","), Some(0.0));
    assert_eq!(own(&metrics, "poll_seconds_bucket", "le=\"1\","), Some(1.0));
    assert_eq!(own(&metrics, "answers_total", "code=\"200\","), Some(2.0));
}

// spec: M-7, M-1
#[test]
fn gauges_of_several_nodes_are_summed_and_ages_are_maxima() {
    let metrics = metrics();
    let [one, two] = sinks(&metrics);
    for (sink, queue, age) in [(&one, 3.0, 9.0), (&two, 4.0, 2.0)] {
        sink.set(QUEUE, &[], queue);
        sink.set(OLDEST_AGE, &[], age);
        sink.set(BY_LANE, &["left"], queue);
    }
    one.set(QUEUE, &[], 5.0);
    assert_eq!(own(&metrics, "queue", ""), Some(9.0));
    assert_eq!(own(&metrics, "oldest_age_seconds", ""), Some(9.0));
    assert_eq!(own(&metrics, "lane_length", "lane=\"left\","), Some(7.0));
    drop(one);
    assert_eq!(own(&metrics, "queue", ""), Some(4.0));
    assert_eq!(own(&metrics, "oldest_age_seconds", ""), Some(2.0));
    assert_eq!(own(&metrics, "lane_length", "lane=\"left\","), Some(4.0));
}

#[test]
fn what_a_kind_did_not_declare_is_ignored() {
    let metrics = metrics();
    let [sink] = sinks(&metrics);
    let before = metrics.encode();
    sink.add(99, &[], 1.0);
    sink.add(QUEUE, &[], 1.0);
    sink.set(POLLS, &[], 1.0);
    sink.observe(POLLS, &[], 1.0);
    sink.observe(POLL_SECONDS, &[], f64::NAN);
    sink.add(POLLS, &[], -1.0);
    sink.add(POLLS, &[], f64::INFINITY);
    assert_eq!(metrics.encode(), before);
}

// spec: J7
#[test]
fn label_values_beyond_the_cap_share_a_series() {
    let metrics = metrics();
    let [sink] = sinks(&metrics);
    for code in 0..1_000 {
        sink.add(BY_CODE, &[&code.to_string()], 1.0);
    }
    assert_eq!(series_with(&metrics, "answers_total").len(), 101);
    assert_eq!(own(&metrics, "answers_total", "code=\"_other\","), Some(900.0));
}

// spec: M-3, M-7
#[test]
fn own_series_go_with_their_kind() {
    let metrics = metrics();
    let kind = metrics.register(shape("press").with_metrics(OWN)).expect("good metrics");
    let mut batch = TickBatch::new(&metrics);
    let scope = batch.enter(&kind, "/a");
    assert_ne!(series_with(&metrics, "fsm_worker_press_"), Vec::<String>::new());
    batch.leave(scope);
    batch.flush(at(0));
    batch.flush(at(60));
    assert_eq!(series_with(&metrics, "fsm_worker_press_"), Vec::<String>::new());
}

#[track_caller]
fn refused(own: &'static [MetricSpec], expected: impl Fn(&MetricSpecError) -> bool) {
    let refused = metrics().register(shape("press").with_metrics(own)).expect_err("it is wrong");
    let MetricsError::Spec { source, .. } = &refused else { panic!("{refused}") };
    assert!(expected(source), "{source}");
}

// spec: M-7
#[test]
fn a_wrong_declaration_is_refused_by_name() {
    const NAME: &[MetricSpec] = &[MetricSpec::counter("Polls", "Polls.")];
    refused(NAME, |e| matches!(e, MetricSpecError::Name { name: "Polls", .. }));
    const TWICE: &[MetricSpec] = &[MetricSpec::counter("a", "A."), MetricSpec::gauge("a", "", "A.")];
    refused(TWICE, |e| matches!(e, MetricSpecError::Taken { metric: "a", .. }));
    const ENGINES: &[MetricSpec] = &[MetricSpec::counter("a", "A.").with_labels(&["path"])];
    refused(ENGINES, |e| matches!(e, MetricSpecError::Label { label: "path", .. }));
    const SAME: &[MetricSpec] = &[MetricSpec::counter("a", "A.").with_labels(&["x", "x"])];
    refused(SAME, |e| matches!(e, MetricSpecError::Label { label: "x", .. }));
    const NO_BUCKETS: &[MetricSpec] = &[MetricSpec::histogram("a", "", "A.", &[])];
    refused(NO_BUCKETS, |e| matches!(e, MetricSpecError::Buckets { .. }));
    const FALLING: &[MetricSpec] = &[MetricSpec::histogram("a", "", "A.", &[2.0, 1.0])];
    refused(FALLING, |e| matches!(e, MetricSpecError::Buckets { .. }));
    const ENDLESS: &[MetricSpec] = &[MetricSpec::histogram("a", "", "A.", &[1.0, f64::INFINITY])];
    refused(ENDLESS, |e| matches!(e, MetricSpecError::Buckets { .. }));
    const SILENT: &[MetricSpec] = &[MetricSpec::counter("a", "")];
    refused(SILENT, |e| matches!(e, MetricSpecError::NoHelp { .. }));
}

// spec: M-7
#[test]
fn two_kinds_whose_names_would_meet_are_told_apart_at_registration() {
    const C: &[MetricSpec] = &[MetricSpec::counter("c_total", "C.")];
    const B_C: &[MetricSpec] = &[MetricSpec::counter("b_c_total", "C.")];
    let metrics = metrics();
    metrics.register(shape("a_b").with_metrics(C)).expect("the name is free");
    let refused = metrics.register(shape("a").with_metrics(B_C)).expect_err("the name is taken");
    let MetricsError::Spec { source: MetricSpecError::Taken { metric, name, .. }, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!((metric, name.as_str()), ("b_c_total", "fsm_worker_a_b_c_total"));
}
