//! Bound handles: the place of a series, resolved once, so that recording is an atomic and nothing else (M-2).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::block::{Block, set_float};

/// A counter of one series. Cloning is cheap; clones count into the same series.
#[derive(Debug, Clone)]
pub struct Counter {
    block: Arc<Block>,
    cell: usize,
}

impl Counter {
    pub(crate) fn new(block: &Arc<Block>, unit: usize) -> Self {
        Self { block: Arc::clone(block), cell: block.cell_of(unit) }
    }
    /// Counts one.
    #[inline]
    pub fn inc(&self) {
        self.block.count(self.cell, 1);
    }
    /// Counts several.
    #[inline]
    pub fn add(&self, n: u64) {
        self.block.count(self.cell, n);
    }
}

/// A gauge of one series, for one owner of the value. Cloning is cheap; clones write the same series.
#[derive(Debug, Clone)]
pub struct Gauge {
    block: Arc<Block>,
    cell: usize,
}

impl Gauge {
    pub(crate) fn new(block: &Arc<Block>, unit: usize) -> Self {
        Self { block: Arc::clone(block), cell: block.cell_of(unit) }
    }
    /// Sets the value.
    #[inline]
    pub fn set(&self, value: f64) {
        self.block.set_gauge(self.cell, value);
    }
    /// Adds to the value, or takes from it.
    #[inline]
    pub fn add(&self, by: f64) {
        self.block.add_gauge(self.cell, by);
    }
}

/// One owner's part of a gauge: a count or size is the sum of all parts, an age or depth their maximum (M-1). A part that is
/// dropped doesn't count any more.
#[derive(Debug)]
pub struct GaugeShare {
    block: Arc<Block>,
    unit: usize,
    cell: Arc<AtomicU64>,
}

impl GaugeShare {
    pub(crate) fn new(block: &Arc<Block>, unit: usize) -> Self {
        Self { block: Arc::clone(block), unit, cell: block.share(unit) }
    }
    /// Sets this owner's part.
    #[inline]
    pub fn set(&self, value: f64) {
        set_float(&self.cell, value);
    }
}

impl Drop for GaugeShare {
    fn drop(&mut self) {
        self.block.keep_touched(self.unit, &self.cell);
    }
}

/// A histogram of one series. Cloning is cheap; clones sample into the same series.
#[derive(Debug, Clone)]
pub struct Histogram {
    block: Arc<Block>,
    cell: usize,
    bounds: &'static [f64],
}

impl Histogram {
    pub(crate) fn new(block: &Arc<Block>, unit: usize) -> Self {
        let bounds = block.layout.family_of(unit).bounds;
        Self { block: Arc::clone(block), cell: block.cell_of(unit), bounds }
    }
    /// Adds a sample. What is not a number is ignored.
    #[inline]
    pub fn observe(&self, value: f64) {
        self.block.observe(self.cell, self.bounds, value);
    }
    /// Adds a duration in seconds.
    #[inline]
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }
}
