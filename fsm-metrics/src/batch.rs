//! What one tick has to say, gathered in plain fields and flushed once (M-2).
//!
//! # Flow
//! The engine owns a [`TickBatch`]. A node that is created [enters](TickBatch::enter) its scope and keeps the four bytes of the
//! [`ScopeId`]. While it decides, the engine records with plain additions. Once per tick the driver [flushes](TickBatch::flush):
//! only series that changed are visited, so a tick costs what changed, and a tick in which nothing was recorded costs two
//! comparisons.
//!
//! # Guarantees
//! Recording and flushing allocate nothing; entering may. What was recorded before a node left its scope is flushed before the
//! scope's series go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::Moment;

use crate::block::{Block, bucket_of};
use crate::catalogue::{EngineMetric, NodeMetric};
use crate::def::{Fold, Metric};
use crate::layout::CellKind;
use crate::metrics::{Kind, Metrics};
use crate::scope::Scope;

mod record;

pub use record::Moved;

/// Where a node's samples go: a number that a node keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeId(u32);

/// The engine's own samples go to the first place.
const ENGINE: ScopeId = ScopeId(0);
/// Where an engine without metrics records: no place has this number.
const NOWHERE: ScopeId = ScopeId(u32::MAX);

impl ScopeId {
    /// Where nothing is recorded.
    pub const NOWHERE: Self = NOWHERE;

    /// The number, to find this scope again.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The samples of one tick, in plain fields.
#[derive(Debug)]
pub struct TickBatch {
    metrics: Option<Metrics>,
    places: Vec<Option<Place>>,
    free: Vec<u32>,
    by_kind: HashMap<&'static str, HashMap<Arc<str>, ScopeId>>,
    /// Places that may have lost their last node since the last flush.
    left: Vec<u32>,
    /// Series with samples: place and unit, each once.
    dirty: Vec<(u32, u32)>,
    /// Series of all places together: `dirty` never holds more, so it never grows while recording.
    units: usize,
}

/// The plain fields of one scope.
#[derive(Debug)]
struct Place {
    block: Arc<Block>,
    owner: Owner,
    nodes: usize,
    /// In the layout of the block: counts, gauges as the bits of a float, histograms as counts and a sum.
    cells: Box<[u64]>,
    touched: Box<[bool]>,
}

/// What keeps the series of a place.
#[derive(Debug)]
enum Owner {
    Engine(#[expect(dead_code, reason = "held so that the series stay")] Scope<EngineMetric>),
    Nodes(Kind, Scope<NodeMetric>),
}

impl Place {
    fn nodes(&self) -> Option<(&Kind, &Scope<NodeMetric>)> {
        match &self.owner {
            Owner::Engine(_) => None,
            Owner::Nodes(kind, scope) => Some((kind, scope)),
        }
    }

    fn new(block: &Arc<Block>, owner: Owner) -> Self {
        Self {
            block: Arc::clone(block),
            owner,
            nodes: 0,
            cells: vec![0; block.layout.cells].into(),
            touched: vec![false; block.layout.units.len()].into(),
        }
    }

    fn flush(&mut self, unit: usize) {
        self.touched[unit] = false;
        let (cell, family) = (self.block.layout.units[unit].cell, self.block.layout.family_of(unit));
        let value = self.cells[cell];
        match family.cell_kind {
            CellKind::Count => self.block.count(cell, value),
            CellKind::Amount => self.block.add_amount(cell, f64::from_bits(value)),
            CellKind::Gauge(Fold::Sum) => {
                let by = f64::from_bits(value);
                if by != 0.0 {
                    self.block.add_gauge(cell, by);
                }
            }
            CellKind::Gauge(Fold::Max) => self.block.set_gauge(cell, f64::from_bits(value)),
            CellKind::Histogram => {
                let gathered = &mut self.cells[cell..cell + family.bounds.len() + 2];
                self.block.merge(cell, gathered);
                gathered.fill(0);
                return;
            }
        }
        self.cells[cell] = 0;
    }
}

impl TickBatch {
    /// A batch that flushes into these metrics. Several engines may each have one for the same metrics.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let engine = metrics.engine();
        let first = Place::new(&Arc::clone(engine.block()), Owner::Engine(engine));
        let units = first.touched.len();
        Self {
            places: vec![Some(first)],
            dirty: Vec::with_capacity(units),
            units,
            metrics: Some(metrics.clone()),
            ..Self::off()
        }
    }

    /// A batch that records nothing, for an engine without metrics.
    #[must_use]
    pub fn off() -> Self {
        Self {
            metrics: None,
            places: Vec::new(),
            free: Vec::new(),
            by_kind: HashMap::new(),
            left: Vec::new(),
            dirty: Vec::new(),
            units: 0,
        }
    }

    /// A node of this kind is created at this path. Each call needs a [`leave`](Self::leave) when the node is gone.
    pub fn enter(&mut self, kind: &Kind, path: &str) -> ScopeId {
        let Some(metrics) = &self.metrics else { return NOWHERE };
        if !metrics.is_per_path()
            && let Some(id) = self.by_kind.get(kind.name()).and_then(|paths| paths.get(""))
        {
            let id = *id;
            self.add_node(id);
            return id;
        }
        let scope = metrics.node(kind, path);
        let paths = self.by_kind.entry(kind.name()).or_default();
        let id = match paths.get(scope.path_label()) {
            Some(id) => *id,
            None => {
                let label = Arc::from(scope.path_label());
                let id = self.open(Place::new(&Arc::clone(scope.block()), Owner::Nodes(kind.clone(), scope)));
                self.by_kind.entry(kind.name()).or_default().insert(label, id);
                id
            }
        };
        self.add_node(id);
        id
    }

    /// A node that entered is gone. The series of its path go with the next flush, those of its kind some time after the last
    /// node. What the node still counts for in gauges, such as its state, its children or an open circuit, is taken back before.
    pub fn leave(&mut self, scope: ScopeId) {
        let Some(Some(place)) = self.places.get_mut(scope.0 as usize) else { return };
        if place.nodes().is_some() {
            place.nodes = place.nodes.saturating_sub(1);
            if place.nodes == 0 {
                self.left.push(scope.0);
            }
        }
    }

    /// The scope of a node: handles for what is recorded outside of the tick, such as its actions and its own metrics.
    #[must_use]
    pub fn scope(&self, scope: ScopeId) -> Option<&Scope<NodeMetric>> {
        let place = self.places.get(scope.0 as usize)?.as_ref()?;
        place.nodes().map(|(_, scope)| scope)
    }

    /// Adds what was gathered to the series and forgets it. `now` decides which kinds have been without nodes for long enough.
    #[inline]
    pub fn flush(&mut self, now: Moment) {
        if !self.dirty.is_empty() || !self.left.is_empty() {
            self.flush_dirty();
        }
        if let Some(metrics) = &self.metrics {
            metrics.sweep(now);
        }
    }

    fn flush_dirty(&mut self) {
        for (place, unit) in self.dirty.drain(..) {
            if let Some(place) = &mut self.places[place as usize] {
                place.flush(unit as usize);
            }
        }
        while let Some(id) = self.left.pop() {
            let Some(place) = self.places[id as usize].take_if(|place| place.nodes == 0) else { continue };
            self.free.push(id);
            self.units -= place.touched.len();
            if let Some((kind, scope)) = place.nodes()
                && let Some(paths) = self.by_kind.get_mut(kind.name())
            {
                paths.remove(scope.path_label());
            }
        }
    }

    fn open(&mut self, place: Place) -> ScopeId {
        self.units += place.touched.len();
        self.dirty.reserve(self.units.saturating_sub(self.dirty.len()));
        match self.free.pop() {
            Some(at) => {
                self.places[at as usize] = Some(place);
                ScopeId(at)
            }
            None => {
                self.places.push(Some(place));
                ScopeId(u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX))
            }
        }
    }

    fn add_node(&mut self, id: ScopeId) {
        if let Some(Some(place)) = self.places.get_mut(id.0 as usize) {
            place.nodes += 1;
        }
    }

    /// What writes into the fields of one scope. None when nothing is recorded.
    #[inline]
    fn pen(&mut self, scope: ScopeId) -> Option<Pen<'_>> {
        let place = self.places.get_mut(scope.0 as usize)?.as_mut()?;
        Some(Pen { id: scope.0, place, dirty: &mut self.dirty })
    }
}

/// Writes into the fields of one scope and notes which series changed.
struct Pen<'a> {
    id: u32,
    place: &'a mut Place,
    dirty: &'a mut Vec<(u32, u32)>,
}

impl Pen<'_> {
    #[inline]
    fn touch(&mut self, metric: impl Metric, labels: &[usize]) -> usize {
        let (unit, cell) = self.place.block.layout.find(metric.index(), labels);
        if !self.place.touched[unit] {
            self.place.touched[unit] = true;
            self.dirty.push((self.id, unit as u32));
        }
        cell
    }

    #[inline]
    fn count(&mut self, metric: impl Metric, labels: &[usize], n: u64) {
        let cell = self.touch(metric, labels);
        self.place.cells[cell] += n;
    }

    /// Adds to a gauge that sums over nodes.
    #[inline]
    fn add(&mut self, metric: impl Metric, labels: &[usize], by: f64) {
        let cell = self.touch(metric, labels);
        let value = &mut self.place.cells[cell];
        *value = (f64::from_bits(*value) + by).to_bits();
    }

    /// Raises a gauge that shows the greatest value of the tick.
    #[inline]
    fn raise(&mut self, metric: impl Metric, labels: &[usize], value: f64) {
        let cell = self.touch(metric, labels);
        let greatest = &mut self.place.cells[cell];
        *greatest = f64::from_bits(*greatest).max(value).to_bits();
    }

    #[inline]
    fn observe(&mut self, metric: impl Metric, labels: &[usize], took: Duration) {
        let (bounds, seconds) = (metric.def().spec.buckets, took.as_secs_f64());
        let cell = self.touch(metric, labels);
        let cells = &mut self.place.cells[cell..cell + bounds.len() + 2];
        cells[bucket_of(bounds, seconds)] += 1;
        let sum = &mut cells[bounds.len() + 1];
        *sum = (f64::from_bits(*sum) + seconds).to_bits();
    }

    fn state(&self, state: Option<usize>) -> usize {
        self.place.block.layout.state_position(state)
    }
}
