//! Metrics that a kind declares itself (M-7): checked once, then as cheap as those of the catalogue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fsm_core::{MetricSink, MetricSpec, MetricType};

use crate::block::Block;
use crate::def::Group;
use crate::handle::GaugeShare;
use crate::layout::{CellKind, Layout, OTHER};
use crate::shape::KindShape;

/// Series per metric and scope when a kind adds labels; what comes later shares `_other`. The values are the kind's to bound:
/// this only keeps a mistake from eating memory (J7).
const MAX_OWN_SERIES: usize = 100;

/// A kind's own metric is declared wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricSpecError {
    /// Its name or a label of it can't be exposed.
    #[error(
        "metric `{metric}` of kind `{kind}`: `{name}` is no name: use a-z, 0-9 and `_`, and begin with a letter"
    )]
    Name {
        /// The kind.
        kind: &'static str,
        /// The metric.
        metric: &'static str,
        /// The refused name.
        name: &'static str,
    },
    /// Two of its labels are the same, or one is the engine's.
    #[error(
        "metric `{metric}` of kind `{kind}` can't use the label `{label}`: it is used already, or the engine's own"
    )]
    Label {
        /// The kind.
        kind: &'static str,
        /// The metric.
        metric: &'static str,
        /// The refused label.
        label: &'static str,
    },
    /// The full name is taken by another metric.
    #[error(
        "metric `{metric}` of kind `{kind}` would be exposed as `{name}`, which is taken: give it another name"
    )]
    Taken {
        /// The kind.
        kind: &'static str,
        /// The metric.
        metric: &'static str,
        /// Its full name.
        name: String,
    },
    /// Bucket bounds of a histogram are missing or don't ascend, or something else has some.
    #[error(
        "metric `{metric}` of kind `{kind}` has wrong buckets: a histogram needs finite bounds that ascend, others have none"
    )]
    Buckets {
        /// The kind.
        kind: &'static str,
        /// The metric.
        metric: &'static str,
    },
    /// It has no help text.
    #[error("metric `{metric}` of kind `{kind}` has no help text: say in a sentence what it counts")]
    NoHelp {
        /// The kind.
        kind: &'static str,
        /// The metric.
        metric: &'static str,
    },
}

/// Where a metric of `Worker::metrics` is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The series of the unlabelled layout with this number.
    Plain(usize),
    /// The family of labelled series with this number.
    Labelled(usize),
}

/// The checked own metrics of a kind.
#[derive(Debug)]
pub(crate) struct OwnLayout {
    places: Vec<Place>,
    pub(crate) plain: Arc<Layout>,
    pub(crate) labelled: Vec<(Arc<Layout>, &'static [&'static str])>,
}

impl OwnLayout {
    pub(crate) fn try_new(shape: &KindShape) -> Result<Self, MetricSpecError> {
        let kind = shape.kind;
        let (mut places, mut plain, mut labelled) = (Vec::new(), Vec::new(), Vec::new());
        for (at, spec) in shape.own.iter().enumerate() {
            check(kind, spec)?;
            let name = full_name(kind, spec.name);
            if shape.own[..at].iter().any(|other| other.name == spec.name) {
                return Err(MetricSpecError::Taken { kind, metric: spec.name, name });
            }
            if spec.labels.is_empty() {
                places.push(Place::Plain(plain.len()));
                plain.push((name, *spec));
            } else {
                places.push(Place::Labelled(labelled.len()));
                labelled.push((Arc::new(Layout::of_own([(name, *spec)])), spec.labels));
            }
        }
        Ok(Self { places, plain: Arc::new(Layout::of_own(plain)), labelled })
    }

    /// The full names with their labels, as the registry of the `prometheus` crate wants to know them.
    pub(crate) fn families(&self) -> impl Iterator<Item = (&str, &'static str, &'static [&'static str])> {
        let plain = self.plain.families.iter().map(|family| (&*family.name, family.help, &[][..]));
        let labelled = self.labelled.iter().flat_map(|(layout, labels)| {
            layout.families.iter().map(move |family| (&*family.name, family.help, *labels))
        });
        plain.chain(labelled)
    }
}

/// `fsm_worker_<kind>_<name>`; what a metric name may not hold becomes `_`.
fn full_name(kind: &str, name: &str) -> String {
    let kind = kind.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("fsm_worker_{kind}_{name}")
}

fn check(kind: &'static str, spec: &MetricSpec) -> Result<(), MetricSpecError> {
    let metric = spec.name;
    for name in [spec.name].iter().chain(spec.labels) {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(fits) {
            return Err(MetricSpecError::Name { kind, metric, name });
        }
    }
    for (at, label) in spec.labels.iter().enumerate() {
        // `le` is the label of a bucket.
        let engines = Group::Node.labels().contains(label) || *label == "le";
        if engines || spec.labels[..at].contains(label) {
            return Err(MetricSpecError::Label { kind, metric, label });
        }
    }
    let is_histogram = spec.metric_type == MetricType::Histogram;
    let ascend = spec.buckets.windows(2).all(|pair| pair[0] < pair[1]);
    let finite = spec.buckets.iter().all(|bound| bound.is_finite());
    if is_histogram == spec.buckets.is_empty() || !ascend || !finite {
        return Err(MetricSpecError::Buckets { kind, metric });
    }
    if spec.help.is_empty() {
        return Err(MetricSpecError::NoHelp { kind, metric });
    }
    Ok(())
}

type LabelledSeries = BTreeMap<Vec<Arc<str>>, Arc<Block>>;

/// The own series of a kind in one scope.
#[derive(Debug)]
pub(crate) struct Own {
    layout: Arc<OwnLayout>,
    scope: Vec<(&'static str, Arc<str>)>,
    pub(crate) plain: Arc<Block>,
    labelled: Vec<Mutex<LabelledSeries>>,
}

impl Own {
    pub(crate) fn new(layout: &Arc<OwnLayout>, scope: Vec<(&'static str, Arc<str>)>) -> Self {
        Self {
            layout: Arc::clone(layout),
            plain: Arc::new(Block::new(Arc::clone(&layout.plain), scope.clone())),
            labelled: layout.labelled.iter().map(|_| Mutex::default()).collect(),
            scope,
        }
    }

    /// The series of a labelled family with these values, or the one that all share when there are too many.
    fn series(&self, family: usize, values: &[&str]) -> Arc<Block> {
        let (layout, labels) = &self.layout.labelled[family];
        let mut series = self.labelled[family].lock().unwrap_or_else(PoisonError::into_inner);
        let values = |other: bool| -> Vec<Arc<str>> {
            let value = |at: usize| values.get(at).copied().unwrap_or_default();
            (0..labels.len()).map(|at| Arc::from(if other { OTHER } else { value(at) })).collect()
        };
        let mut key = values(false);
        if !series.contains_key(&key) && series.len() >= MAX_OWN_SERIES {
            key = values(true);
        }
        let block = series.entry(key).or_insert_with_key(|key| {
            let own = labels.iter().copied().zip(key.iter().cloned());
            Arc::new(Block::new(Arc::clone(layout), self.scope.iter().cloned().chain(own).collect()))
        });
        Arc::clone(block)
    }

    /// The labelled series of one family.
    pub(crate) fn blocks(&self, family: usize) -> Vec<Arc<Block>> {
        self.labelled[family].lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// The sink of one node for the metrics that its kind declares itself (M-7).
///
/// Recording a metric without labels is an atomic; one with labels is looked up among those that this node used before.
/// Samples of a metric that the kind does not have, or of another type than it declared, are ignored.
#[derive(Debug)]
pub struct WorkerMetrics {
    own: Option<Arc<Own>>,
    /// The node's part of each unlabelled gauge, by series.
    shares: Vec<Option<GaugeShare>>,
    bound: Mutex<Vec<Bound>>,
}

/// A labelled series that the node used before.
#[derive(Debug)]
struct Bound {
    family: usize,
    values: Box<[Box<str>]>,
    block: Arc<Block>,
    share: Option<GaugeShare>,
}

impl WorkerMetrics {
    pub(crate) fn new(own: Option<Arc<Own>>) -> Self {
        let shares = own.as_ref().map_or_else(Vec::new, |own| {
            let units = 0..own.plain.layout.units.len();
            units.map(|unit| gauge_share(&own.plain, unit)).collect()
        });
        Self { own, shares, bound: Mutex::default() }
    }

    /// Records into a series if its metric is of the wanted type.
    fn record(&self, index: usize, labels: &[&str], record: impl Fn(&Block, usize, Option<&GaugeShare>)) {
        let Some(own) = &self.own else { return };
        match own.layout.places.get(index) {
            None => {}
            Some(Place::Plain(unit)) => record(&own.plain, *unit, self.shares[*unit].as_ref()),
            Some(Place::Labelled(family)) => self.labelled(own, *family, labels, record),
        }
    }

    fn labelled(
        &self,
        own: &Own,
        family: usize,
        labels: &[&str],
        record: impl Fn(&Block, usize, Option<&GaugeShare>),
    ) {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |b: &Bound| {
            b.family == family && b.values.iter().map(|value| &**value).eq(labels.iter().copied())
        };
        if let Some(known) = bound.iter().find(|b| same(b)) {
            return record(&known.block, 0, known.share.as_ref());
        }
        let block = own.series(family, labels);
        let share = gauge_share(&block, 0);
        record(&block, 0, share.as_ref());
        // A gauge's part must be kept to count; beyond the cap all other series are looked up each time.
        if bound.len() < MAX_OWN_SERIES {
            let values = labels.iter().map(|value| Box::from(*value)).collect();
            bound.push(Bound { family, values, block, share });
        }
    }
}

fn gauge_share(block: &Arc<Block>, unit: usize) -> Option<GaugeShare> {
    match block.layout.family_of(unit).cell_kind {
        CellKind::Gauge(_) => Some(GaugeShare::new(block, unit)),
        CellKind::Count | CellKind::Amount | CellKind::Histogram => None,
    }
}

impl MetricSink for WorkerMetrics {
    fn add(&self, index: usize, labels: &[&str], amount: f64) {
        self.record(index, labels, |block, unit, _| {
            if block.layout.family_of(unit).cell_kind == CellKind::Amount {
                block.add_amount(block.cell_of(unit), amount);
            }
        });
    }

    fn set(&self, index: usize, labels: &[&str], value: f64) {
        self.record(index, labels, |_, _, share| {
            if let Some(share) = share {
                share.set(value);
            }
        });
    }

    fn observe(&self, index: usize, labels: &[&str], value: f64) {
        self.record(index, labels, |block, unit, _| {
            let family = block.layout.family_of(unit);
            if family.cell_kind == CellKind::Histogram {
                block.observe(block.cell_of(unit), family.bounds, value);
            }
        });
    }
}
