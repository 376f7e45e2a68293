//! Metrics as plain data: what a kind declares and where it sends samples, without any metrics library.

/// What a metric counts like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution over fixed buckets.
    Histogram,
}

/// The declaration of one metric (M-7). Plain data: fsm-metrics makes a series of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricSpec {
    /// Name without prefix, in snake case with the unit as suffix (`poll_seconds`).
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub metric_type: MetricType,
    /// Unit of the value (`seconds`, `bytes`, or empty for a count).
    pub unit: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// Label names of its own; their values must be bounded.
    pub labels: &'static [&'static str],
    /// Upper bounds for a histogram, else empty.
    pub buckets: &'static [f64],
}

impl MetricSpec {
    /// A counter without labels.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, metric_type: MetricType::Counter, unit: "", help, labels: &[], buckets: &[] }
    }

    /// A gauge without labels.
    #[must_use]
    pub const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Self { name, metric_type: MetricType::Gauge, unit, help, labels: &[], buckets: &[] }
    }

    /// A histogram without labels.
    #[must_use]
    pub const fn histogram(
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        buckets: &'static [f64],
    ) -> Self {
        Self { name, metric_type: MetricType::Histogram, unit, help, labels: &[], buckets }
    }

    /// The same metric with label names.
    #[must_use]
    pub const fn with_labels(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }
}

/// Where a worker's own samples go. `index` is the position in [`Worker::metrics`](crate::Worker::metrics),
/// `labels` are the values of its labels in declared order. Implementations ignore an index they don't know.
pub trait MetricSink: Send + Sync {
    /// Adds to a counter.
    fn add(&self, index: usize, labels: &[&str], amount: f64);
    /// Sets a gauge.
    fn set(&self, index: usize, labels: &[&str], value: f64);
    /// Adds a sample to a histogram.
    fn observe(&self, index: usize, labels: &[&str], value: f64);
}

/// A sink that drops every sample, for tests and for embedders that don't measure.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMetrics;

impl MetricSink for NoMetrics {
    fn add(&self, _index: usize, _labels: &[&str], _amount: f64) {}
    fn set(&self, _index: usize, _labels: &[&str], _value: f64) {}
    fn observe(&self, _index: usize, _labels: &[&str], _value: f64) {}
}
