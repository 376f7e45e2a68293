//! The door to the `prometheus` crate: whoever gathers the registry that was passed in sees our series too.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use fsm_core::MetricType;
use prometheus::core::{Collector, Desc};
use prometheus::{Registry, proto};

use crate::block::Reading;
use crate::catalogue::catalogue;
use crate::def::Group;
use crate::metrics::{Inner, Section};
use crate::own::OwnLayout;

thread_local! {
    /// Set while this thread gathers what other people put into the registry.
    static MUTED: Cell<bool> = const { Cell::new(false) };
}

/// What of our series one collector gives.
#[derive(Debug, Clone, Copy)]
enum Part {
    Catalogue,
    Own(&'static str),
}

struct Series {
    home: Weak<Inner>,
    part: Part,
    descs: Vec<Desc>,
}

impl Collector for Series {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let Some(home) = self.home.upgrade() else { return Vec::new() };
        if MUTED.get() {
            return Vec::new();
        }
        let sections = match self.part {
            Part::Catalogue => home.catalogue_sections(),
            Part::Own(kind) => home.own_sections(kind),
        };
        sections.iter().flat_map(families).collect()
    }
}

/// Our collectors in a registry; they leave it with the last clone of the metrics.
#[derive(Debug)]
pub(crate) struct Registered {
    registry: Registry,
    descs: Mutex<Vec<Vec<Desc>>>,
}

impl Registered {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registry, descs: Mutex::default() }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn add_catalogue(&self, home: &Arc<Inner>) -> prometheus::Result<()> {
        let descs = catalogue().map(|def| desc(def.name(), def.spec.help, def.labels()));
        self.add(home, Part::Catalogue, descs.collect::<prometheus::Result<_>>()?)
    }

    pub(crate) fn add_own(
        &self,
        home: &Arc<Inner>,
        kind: &'static str,
        own: &OwnLayout,
    ) -> prometheus::Result<()> {
        let descs = own
            .families()
            .map(|(name, help, labels)| desc(name, help, Group::Node.labels().iter().chain(labels).copied()));
        self.add(home, Part::Own(kind), descs.collect::<prometheus::Result<_>>()?)
    }

    fn add(&self, home: &Arc<Inner>, part: Part, descs: Vec<Desc>) -> prometheus::Result<()> {
        let series = Series { home: Arc::downgrade(home), part, descs: descs.clone() };
        self.registry.register(Box::new(series))?;
        self.descs.lock().unwrap_or_else(PoisonError::into_inner).push(descs);
        Ok(())
    }

    /// What others put into the registry.
    pub(crate) fn gather_foreign(registry: &Registry) -> Vec<proto::MetricFamily> {
        MUTED.set(true);
        let families = registry.gather();
        MUTED.set(false);
        families
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let all = self.descs.get_mut().unwrap_or_else(PoisonError::into_inner);
        for descs in all.drain(..) {
            // The registry finds a collector by its descriptions. That it is not there can't be: it was registered.
            let _ = self.registry.unregister(Box::new(Series {
                home: Weak::new(),
                part: Part::Catalogue,
                descs,
            }));
        }
    }
}

fn desc(name: &str, help: &str, labels: impl Iterator<Item = &'static str>) -> prometheus::Result<Desc> {
    Desc::new(name.to_owned(), help.to_owned(), labels.map(str::to_owned).collect(), HashMap::new())
}

fn families(section: &Section) -> Vec<proto::MetricFamily> {
    let mut buckets = Vec::new();
    let mut all = Vec::with_capacity(section.families);
    for at in 0..section.families {
        let mut series = Vec::new();
        for block in &section.blocks {
            let family = &block.layout.families[at];
            for (unit_at, unit) in block.layout.units_of(at) {
                let Some(reading) = block.read(unit_at, &mut buckets) else { continue };
                let scope = block.pairs.iter().map(|(label, value)| (*label, &**value));
                let mut pairs: Vec<_> = scope.chain(unit.pairs.iter().copied()).collect();
                pairs.sort_unstable();
                series.push(metric(&pairs, family.bounds, reading, family.metric_type(), &buckets));
            }
        }
        let Some(family) = section.blocks.first().map(|block| &block.layout.families[at]) else { continue };
        let mut out = proto::MetricFamily::default();
        out.set_name(family.name.to_string());
        out.set_help(family.help.to_owned());
        out.set_field_type(match family.metric_type() {
            MetricType::Counter => proto::MetricType::COUNTER,
            MetricType::Gauge => proto::MetricType::GAUGE,
            MetricType::Histogram => proto::MetricType::HISTOGRAM,
        });
        out.set_metric(series);
        all.push(out);
    }
    all
}

fn metric(
    pairs: &[(&str, &str)],
    bounds: &[f64],
    reading: Reading,
    metric_type: MetricType,
    buckets: &[u64],
) -> proto::Metric {
    let label = |(name, value): &(&str, &str)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    let mut out = proto::Metric::from_label(pairs.iter().map(label).collect());
    let number = match reading {
        Reading::Count(n) => n as f64,
        Reading::Number(value) => value,
        Reading::Histogram { sum } => {
            out.set_histogram(histogram(bounds, buckets, sum));
            return out;
        }
    };
    if metric_type == MetricType::Counter {
        let mut counter = proto::Counter::default();
        counter.set_value(number);
        out.set_counter(counter);
    } else {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(number);
        out.set_gauge(gauge);
    }
    out
}

fn histogram(bounds: &[f64], counts: &[u64], sum: f64) -> proto::Histogram {
    let mut cumulative = 0;
    let bucket = |(bound, n): (&f64, &u64)| {
        cumulative += n;
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(cumulative);
        bucket
    };
    let buckets = bounds.iter().zip(counts).map(bucket).collect();
    let mut out = proto::Histogram::default();
    out.set_bucket(buckets);
    out.set_sample_count(counts.iter().sum());
    out.set_sample_sum(sum);
    out
}
