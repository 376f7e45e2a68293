//! Where each series of a scope has its cells: resolving a metric and its labels to a place is arithmetic, not a lookup (M-2).

use std::borrow::Cow;
use std::fmt::Write as _;

use fsm_core::{MetricSpec, MetricType};

use crate::def::{Fold, Init, MetricDef, Values};
use crate::shape::KindShape;

/// What stands in a label when its value is not among the known ones, or when a cap is reached.
pub(crate) const OTHER: &str = "_other";
/// What stands for every id that names nothing, so that callers can't make series. Takes no place under a cap.
pub(crate) const INVALID: &str = "_invalid";
/// The state label of a node that has no state yet, such as an invalid one.
pub(crate) const NO_STATE: &str = "_none";
/// States with a label of their own; the transitions of a kind are a square of it, and J7 wants a cap on series.
pub(crate) const MAX_STATES: usize = 64;

/// How the cells of a series are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellKind {
    /// One cell, an integer.
    Count,
    /// One cell, a float that only grows.
    Amount,
    /// One cell, a float.
    Gauge(Fold),
    /// One cell per bucket, one for the samples above the last bound, one for the sum.
    Histogram,
}

/// All series of one metric in one scope.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: Cow<'static, str>,
    pub(crate) help: &'static str,
    pub(crate) cell_kind: CellKind,
    pub(crate) bounds: &'static [f64],
    /// The bounds as label text.
    pub(crate) bound_texts: Box<[String]>,
    init: Init,
    labels: Labels,
    first_unit: usize,
    units: usize,
}

/// The label sets of a family.
#[derive(Debug, Default)]
struct Labels {
    /// The labels, with the values of each.
    values: Vec<(&'static str, Vec<&'static str>)>,
    /// The sets there are, unless every combination of values is one.
    only: &'static [&'static [&'static str]],
}

impl Labels {
    fn sets(&self) -> usize {
        if self.only.is_empty() {
            self.values.iter().map(|(_, values)| values.len()).product()
        } else {
            self.only.len()
        }
    }

    /// What a position counts through: a set where they are listed, else the first and the second label.
    fn strides(&self) -> [usize; 2] {
        if !self.only.is_empty() {
            return [self.only.len(), 1];
        }
        let values = |at: usize| self.values.get(at).map_or(1, |(_, values)| values.len());
        debug_assert!(self.values.len() <= 2, "a stride has room for two labels, {:?} are more", self.values);
        [values(0), values(1)]
    }

    fn set(&self, at: usize) -> Vec<(&'static str, &'static str)> {
        let names = self.values.iter().map(|(label, _)| *label);
        if let Some(set) = self.only.get(at) {
            return names.zip(set.iter().copied()).collect();
        }
        let mut rest = at;
        let mut pairs = Vec::with_capacity(self.values.len());
        for (label, values) in self.values.iter().rev() {
            pairs.push((*label, values[rest % values.len()]));
            rest /= values.len();
        }
        pairs.reverse();
        pairs
    }
}

impl Family {
    pub(crate) fn metric_type(&self) -> MetricType {
        match self.cell_kind {
            CellKind::Count | CellKind::Amount => MetricType::Counter,
            CellKind::Gauge(_) => MetricType::Gauge,
            CellKind::Histogram => MetricType::Histogram,
        }
    }

    fn cells(&self) -> usize {
        match self.cell_kind {
            CellKind::Count | CellKind::Amount | CellKind::Gauge(_) => 1,
            CellKind::Histogram => self.bounds.len() + 2,
        }
    }
}

/// One series: its place among the cells and its labels after those of the scope.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) family: usize,
    pub(crate) cell: usize,
    /// Exposed from the start.
    pub(crate) known: bool,
    pub(crate) pairs: Box<[(&'static str, &'static str)]>,
    /// `pairs` as text, without a leading comma.
    pub(crate) text: Box<str>,
}

/// What recording needs of a family, in one cache line with its neighbours.
#[derive(Debug, Clone, Copy)]
struct Stride {
    first_unit: usize,
    first_cell: usize,
    cells: usize,
    /// Values of the first and the second label, 1 for a label that isn't there; or label sets, where they are listed.
    values: [usize; 2],
}

/// The series of a scope. Scopes of one kind share it.
#[derive(Debug)]
pub(crate) struct Layout {
    strides: Vec<Stride>,
    /// States of the kind.
    states: usize,
    pub(crate) families: Vec<Family>,
    pub(crate) units: Vec<Unit>,
    pub(crate) cells: usize,
}

impl Layout {
    /// The layout of a group of the catalogue, for a kind where its labels depend on one.
    pub(crate) fn of(defs: &'static [MetricDef], shape: &KindShape) -> Self {
        let mut layout = Self { states: shape.states.len(), ..Self::empty() };
        for def in defs {
            let labels = def.spec.labels.iter().zip(def.values);
            let values = labels.map(|(label, values)| (*label, values_of(*values, shape))).collect();
            let labels = Labels { values, only: def.only };
            let cell_kind = match def.metric_type() {
                MetricType::Counter => CellKind::Count,
                MetricType::Gauge => CellKind::Gauge(def.fold),
                MetricType::Histogram => CellKind::Histogram,
            };
            layout.push(Cow::Borrowed(def.name()), &def.spec, cell_kind, def.init, labels, shape);
        }
        layout
    }

    /// The layout of metrics that a kind declares itself; labels of theirs are the scope's business.
    pub(crate) fn of_own(names: impl IntoIterator<Item = (String, MetricSpec)>) -> Self {
        let mut layout = Self::empty();
        for (name, spec) in names {
            let cell_kind = match spec.metric_type {
                MetricType::Counter => CellKind::Amount,
                MetricType::Gauge => CellKind::Gauge(fold_of_own(&spec)),
                MetricType::Histogram => CellKind::Histogram,
            };
            let init =
                if spec.metric_type == MetricType::Histogram { Init::FirstSample } else { Init::Known };
            layout.push(Cow::Owned(name), &spec, cell_kind, init, Labels::default(), &KindShape::new(""));
        }
        layout
    }

    const fn empty() -> Self {
        Self { strides: Vec::new(), states: 0, families: Vec::new(), units: Vec::new(), cells: 0 }
    }

    fn push(
        &mut self,
        name: Cow<'static, str>,
        spec: &MetricSpec,
        cell_kind: CellKind,
        init: Init,
        labels: Labels,
        shape: &KindShape,
    ) {
        let units = labels.sets();
        let family = Family {
            name,
            help: spec.help,
            cell_kind,
            bounds: spec.buckets,
            bound_texts: spec.buckets.iter().map(f64::to_string).collect(),
            init,
            labels,
            first_unit: self.units.len(),
            units,
        };
        self.strides.push(Stride {
            first_unit: family.first_unit,
            first_cell: self.cells,
            cells: family.cells(),
            values: family.labels.strides(),
        });
        for at in 0..units {
            let unit = self.unit_at(&family, at, shape);
            self.cells += family.cells();
            self.units.push(unit);
        }
        self.families.push(family);
    }

    fn unit_at(&self, family: &Family, at: usize, shape: &KindShape) -> Unit {
        let pairs = family.labels.set(at);
        let real = pairs.iter().all(|(_, value)| *value != OTHER && *value != NO_STATE);
        let known = real
            && match family.init {
                Init::Known => true,
                Init::FirstSample => false,
                Init::OwnPhase => is_own_phase(&pairs, shape),
            };
        let mut text = String::new();
        write_pairs(&mut text, &pairs);
        Unit { family: self.families.len(), cell: self.cells, known, pairs: pairs.into(), text: text.into() }
    }

    /// The series and the cell of a metric with these label values, given by their positions. A position that is too great means
    /// the last value, which is the one for unknown ones where there may be such.
    #[inline]
    pub(crate) fn find(&self, family: usize, positions: &[usize]) -> (usize, usize) {
        let stride = &self.strides[family];
        let position = |at: usize| {
            positions.get(at).copied().unwrap_or_default().min(stride.values[at].saturating_sub(1))
        };
        let at = position(0) * stride.values[1] + position(1);
        (stride.first_unit + at, stride.first_cell + at * stride.cells)
    }

    /// The position of a state among the values of [`Values::States`].
    #[inline]
    pub(crate) fn state_position(&self, state: Option<usize>) -> usize {
        let named = self.states.min(MAX_STATES);
        match state {
            Some(at) => at.min(named),
            None => named + 1,
        }
    }

    /// The series of one metric.
    pub(crate) fn units_of(&self, family: usize) -> impl Iterator<Item = (usize, &Unit)> {
        let family = &self.families[family];
        self.units.iter().enumerate().skip(family.first_unit).take(family.units)
    }

    /// What belongs to a series.
    pub(crate) fn family_of(&self, unit: usize) -> &Family {
        &self.families[self.units[unit].family]
    }
}

fn values_of(values: Values, shape: &KindShape) -> Vec<&'static str> {
    match values {
        Values::Closed(words) => words.to_vec(),
        Values::States => {
            let names = shape.states.iter().map(|(name, _)| *name).take(MAX_STATES);
            names.chain([OTHER, NO_STATE]).collect()
        }
        Values::Actions => shape.actions.iter().copied().chain([OTHER]).collect(),
    }
}

fn is_own_phase(pairs: &[(&str, &str)], shape: &KindShape) -> bool {
    let [(_, state), (_, phase)] = pairs else { return false };
    shape.states.iter().any(|(name, own)| name == state && own.as_str() == *phase)
}

/// What a kind declares has no fold: ages, depths and ratios are known by their names, everything else is a count or a size.
fn fold_of_own(spec: &MetricSpec) -> Fold {
    let of_maxima = ["age", "depth", "ratio", "utilization"];
    let mut words = spec.name.split('_');
    if spec.unit == "ratio" || words.any(|word| of_maxima.contains(&word)) { Fold::Max } else { Fold::Sum }
}

/// Writes `a="x",b="y"`.
pub(crate) fn write_pairs<V: AsRef<str>>(out: &mut String, pairs: &[(&'static str, V)]) {
    for (at, (label, value)) in pairs.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{label}=\"");
        for c in value.as_ref().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
}
