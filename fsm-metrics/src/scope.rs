//! A scope: the series of one kind, path, pool or flow, held as long as somebody needs them (M-3).

use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use crate::block::Block;
use crate::catalogue::NodeMetric;
use crate::def::{Group, Metric};
use crate::handle::{Counter, Gauge, GaugeShare, Histogram};
use crate::metrics::Inner;
use crate::own::{Own, WorkerMetrics};

/// Which scope it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// Nodes of this kind with this label `path`.
    Node(&'static str, Arc<str>),
    /// Another group with these label values.
    Named(Group, Vec<Arc<str>>),
}

/// The series of one kind and path, pool, flow or subscriber. They exist as long as a scope of theirs does: a path's or a flow's
/// series go with its last scope, a kind's some time later, so that a kind whose nodes come and go can be scraped in between.
///
/// Handles taken from a scope don't keep its series: what they record after its end is lost, so take them anew with the scope.
#[derive(Debug, Clone)]
pub struct Scope<M> {
    lease: Arc<Lease>,
    metrics: PhantomData<fn() -> M>,
}

#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) home: Weak<Inner>,
    pub(crate) key: Key,
    pub(crate) block: Arc<Block>,
    pub(crate) own: Option<Arc<Own>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            home.release(&self.key);
        }
    }
}

impl<M: Metric> Scope<M> {
    pub(crate) fn new(lease: Lease) -> Self {
        Self { lease: Arc::new(lease), metrics: PhantomData }
    }

    pub(crate) fn block(&self) -> &Arc<Block> {
        &self.lease.block
    }

    pub(crate) fn key(&self) -> &Key {
        &self.lease.key
    }

    fn unit(&self, metric: M, labels: &[usize]) -> usize {
        self.lease.block.layout.find(metric.index(), labels).0
    }

    /// The handle of a counter; `labels` are the positions of its label values among the known ones, in declared order.
    pub(crate) fn counter(&self, metric: M, labels: &[usize]) -> Counter {
        Counter::new(self.block(), self.unit(metric, labels))
    }

    /// The handle of a gauge that has one owner.
    pub(crate) fn gauge(&self, metric: M, labels: &[usize]) -> Gauge {
        Gauge::new(self.block(), self.unit(metric, labels))
    }

    /// One owner's part of a gauge.
    pub(crate) fn share(&self, metric: M, labels: &[usize]) -> GaugeShare {
        GaugeShare::new(self.block(), self.unit(metric, labels))
    }

    /// The handle of a histogram.
    pub(crate) fn histogram(&self, metric: M, labels: &[usize]) -> Histogram {
        Histogram::new(self.block(), self.unit(metric, labels))
    }
}

impl Scope<NodeMetric> {
    /// The sink for the metrics that the kind declares itself, for one node (M-7).
    ///
    /// Gauges fold over nodes, so each node needs a sink of its own; its part of a gauge goes with it.
    #[must_use]
    pub fn worker_metrics(&self) -> WorkerMetrics {
        WorkerMetrics::new(self.lease.own.clone())
    }

    /// The label `path` of these series.
    #[must_use]
    pub fn path_label(&self) -> &str {
        self.block().pairs.iter().find(|(label, _)| *label == "path").map_or("", |(_, value)| value)
    }
}
