//! The cells of one scope: atomics that any thread may record into, and a consistent look at them.
//!
//! They are our own and not the `prometheus` crate's, because a scope's cells lie in one allocation (8 bytes a series instead of
//! several hundred), take a whole tick's samples at once, and can stay hidden until their first sample (M-3). Towards that crate
//! they are a [`Collector`](prometheus::core::Collector).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::def::Fold;
use crate::layout::{CellKind, Family, Layout, write_pairs};

/// A gauge that was never written: negative zero, which reads as 0 but can be told from a 0 that was.
const UNTOUCHED: u64 = (-0.0_f64).to_bits();
/// A gauge that was never written and is hidden until it is. Not the NaN that arithmetic makes.
const HIDDEN: u64 = 0x7ff8_dead_0000_0001;

/// The series of one scope.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) layout: Arc<Layout>,
    /// The labels of the scope.
    pub(crate) pairs: Box<[(&'static str, Arc<str>)]>,
    /// `pairs` as text.
    pub(crate) text: Box<str>,
    cells: Box<[AtomicU64]>,
    /// Gauges that several owners write, each into a cell of its own, folded when read.
    shares: Mutex<BTreeMap<usize, Vec<Arc<AtomicU64>>>>,
}

/// What a series shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    Count(u64),
    Number(f64),
    /// The counts per bucket are in the buffer that was passed in.
    Histogram {
        sum: f64,
    },
}

impl Block {
    pub(crate) fn new(layout: Arc<Layout>, pairs: Vec<(&'static str, Arc<str>)>) -> Self {
        let mut cells: Vec<AtomicU64> = (0..layout.cells).map(|_| AtomicU64::new(0)).collect();
        for unit in &layout.units {
            if let CellKind::Gauge(_) = layout.families[unit.family].cell_kind {
                *cells[unit.cell].get_mut() = if unit.known { UNTOUCHED } else { HIDDEN };
            }
        }
        let mut text = String::new();
        write_pairs(&mut text, &pairs);
        Self {
            layout,
            pairs: pairs.into(),
            text: text.into(),
            cells: cells.into(),
            shares: Mutex::new(BTreeMap::new()),
        }
    }

    pub(crate) fn cell_of(&self, unit: usize) -> usize {
        self.layout.units[unit].cell
    }

    #[inline]
    pub(crate) fn count(&self, cell: usize, n: u64) {
        self.cells[cell].fetch_add(n, Relaxed);
    }

    /// Adds to a float counter; what is not a positive number is ignored.
    #[inline]
    pub(crate) fn add_amount(&self, cell: usize, amount: f64) {
        if amount > 0.0 && amount.is_finite() {
            add_float(&self.cells[cell], amount);
        }
    }

    #[inline]
    pub(crate) fn set_gauge(&self, cell: usize, value: f64) {
        set_float(&self.cells[cell], value);
    }

    #[inline]
    pub(crate) fn add_gauge(&self, cell: usize, by: f64) {
        let cell = &self.cells[cell];
        let mut old = cell.load(Relaxed);
        loop {
            let from = if old == HIDDEN { 0.0 } else { f64::from_bits(old) };
            match cell.compare_exchange_weak(old, (from + by).to_bits(), Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Adds a sample; what is not a number is ignored.
    #[inline]
    pub(crate) fn observe(&self, cell: usize, bounds: &[f64], value: f64) {
        if value.is_nan() {
            return;
        }
        self.cells[cell + bucket_of(bounds, value)].fetch_add(1, Relaxed);
        add_float(&self.cells[cell + bounds.len() + 1], value);
    }

    /// Adds the samples that were gathered elsewhere: counts per bucket, then the sum as bits.
    pub(crate) fn merge(&self, cell: usize, gathered: &[u64]) {
        let Some((sum, counts)) = gathered.split_last() else { return };
        for (at, n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
            self.cells[cell + at].fetch_add(*n, Relaxed);
        }
        add_float(&self.cells[cell + counts.len()], f64::from_bits(*sum));
    }

    /// A cell of one owner's own for a gauge that several write.
    pub(crate) fn share(self: &Arc<Self>, unit: usize) -> Arc<AtomicU64> {
        let cell = Arc::new(AtomicU64::new(UNTOUCHED));
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let owners = shares.entry(unit).or_default();
        if owners.len() == owners.capacity() {
            owners.retain(|owner| Arc::strong_count(owner) > 1);
        }
        owners.push(Arc::clone(&cell));
        cell
    }

    /// Remembers that a share which goes away had been written.
    pub(crate) fn keep_touched(&self, unit: usize, share: &AtomicU64) {
        if share.load(Relaxed) != UNTOUCHED {
            self.add_gauge(self.cell_of(unit), 0.0);
        }
    }

    /// What the series shows, nothing while it is hidden. Buckets go to `buckets`, not cumulated, the one above the last bound
    /// included.
    pub(crate) fn read(&self, unit: usize, buckets: &mut Vec<u64>) -> Option<Reading> {
        let (unit_at, unit) = (unit, &self.layout.units[unit]);
        let family = &self.layout.families[unit.family];
        let bits = self.cells[unit.cell].load(Relaxed);
        match family.cell_kind {
            CellKind::Count => (unit.known || bits > 0).then_some(Reading::Count(bits)),
            CellKind::Amount => (unit.known || bits > 0).then(|| Reading::Number(f64::from_bits(bits))),
            CellKind::Gauge(fold) => self.read_gauge(unit_at, fold, bits),
            CellKind::Histogram => {
                self.read_buckets(unit.cell, family, buckets);
                let sum = f64::from_bits(self.cells[unit.cell + family.bounds.len() + 1].load(Relaxed));
                buckets.iter().any(|n| *n > 0).then_some(Reading::Histogram { sum })
            }
        }
    }

    fn read_gauge(&self, unit: usize, fold: Fold, bits: u64) -> Option<Reading> {
        let own = (bits != HIDDEN).then(|| f64::from_bits(bits));
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = match shares.get_mut(&unit) {
            None => None,
            Some(owners) => {
                owners.retain(|owner| Arc::strong_count(owner) > 1);
                let values = owners.iter().map(|owner| f64::from_bits(owner.load(Relaxed)));
                match fold {
                    Fold::Sum => values.reduce(|a, b| a + b),
                    Fold::Max => values.reduce(f64::max),
                }
            }
        };
        let value = match (own, shared) {
            (Some(own), Some(shared)) => match fold {
                Fold::Sum => own + shared,
                // The scope's own cell is 0 while only shares are written; a maximum of negative values is their own.
                Fold::Max if own == 0.0 => shared,
                Fold::Max => own.max(shared),
            },
            (Some(value), None) | (None, Some(value)) => value,
            (None, None) => return None,
        };
        // Adding 0 turns the negative zero of an untouched gauge into 0.
        Some(Reading::Number(value + 0.0))
    }

    fn read_buckets(&self, cell: usize, family: &Family, buckets: &mut Vec<u64>) {
        buckets.clear();
        let cells = &self.cells[cell..=cell + family.bounds.len()];
        buckets.extend(cells.iter().map(|cell| cell.load(Relaxed)));
    }

    /// Whether production code ever changed the series.
    pub(crate) fn moved(&self, unit_at: usize) -> bool {
        let unit = &self.layout.units[unit_at];
        let bits = |at: usize| self.cells[at].load(Relaxed);
        match self.layout.families[unit.family].cell_kind {
            CellKind::Count | CellKind::Amount => bits(unit.cell) != 0,
            CellKind::Gauge(_) => {
                let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
                let mut owners = shares.get(&unit_at).into_iter().flatten();
                !matches!(bits(unit.cell), UNTOUCHED | HIDDEN)
                    || owners.any(|owner| owner.load(Relaxed) != UNTOUCHED)
            }
            CellKind::Histogram => {
                (unit.cell..).take(self.layout.families[unit.family].bounds.len() + 1).any(|at| bits(at) != 0)
            }
        }
    }
}

/// The position of the first bound that is not below the value; bounds are so few that looking at all beats searching.
#[inline]
pub(crate) fn bucket_of(bounds: &[f64], value: f64) -> usize {
    bounds.iter().map(|bound| usize::from(value > *bound)).sum()
}

#[inline]
fn add_float(cell: &AtomicU64, by: f64) {
    let mut old = cell.load(Relaxed);
    loop {
        let new = (f64::from_bits(old) + by).to_bits();
        match cell.compare_exchange_weak(old, new, Relaxed, Relaxed) {
            Ok(_) => return,
            Err(now) => old = now,
        }
    }
}

/// Sets a gauge. A 0 that was never anything else stays untouched: it did not move.
#[inline]
pub(crate) fn set_float(cell: &AtomicU64, value: f64) {
    if value == 0.0 && matches!(cell.load(Relaxed), UNTOUCHED | HIDDEN) {
        cell.store(UNTOUCHED, Relaxed);
    } else {
        // Adding 0 keeps a negative zero from looking untouched.
        cell.store((value + 0.0).to_bits(), Relaxed);
    }
}
