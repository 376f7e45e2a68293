//! The kind's own metrics: what they are called, and who counts (M-7).

use fsm_core::{MetricSink, MetricSpec};

use crate::backoff::ErrorClass;
use crate::observed::Operation;

const UP: usize = 0;
const DOWN: usize = 1;
const RETRIES: usize = 2;
const POISON: usize = 3;
const BUFFERED: usize = 4;
const ERRORS: usize = 5;
const RESETS: usize = 6;
const DUPLICATES: usize = 7;
const LOST: usize = 8;

pub(crate) const METRICS: &[MetricSpec] = &[
    MetricSpec::counter("messages_up_total", "Messages that the relay has taken."),
    MetricSpec::counter("messages_down_total", "Messages that were pulled, each counted once."),
    MetricSpec::counter("retries_total", "Requests that were made again after an error.")
        .with_labels(&["operation"]),
    MetricSpec::counter("poison_total", "Messages that were set aside, since one side can't use them.")
        .with_labels(&["direction"]),
    MetricSpec::gauge("buffered", "", "Messages that wait, unsent or to be carried out.")
        .with_labels(&["direction"]),
    MetricSpec::counter("errors_total", "Requests that went wrong.").with_labels(&["operation", "class"]),
    MetricSpec::counter("transport_resets_total", "How often the connections were made anew."),
    MetricSpec::counter("duplicates_total", "Messages that were pulled again."),
    MetricSpec::counter("lost_total", "Events that were lost while there was no room for them."),
];

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

impl Direction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

pub(crate) fn sent(sink: &dyn MetricSink, count: usize) {
    sink.add(UP, &[], count as f64);
}

pub(crate) fn pulled(sink: &dyn MetricSink) {
    sink.add(DOWN, &[], 1.0);
}

pub(crate) fn duplicate(sink: &dyn MetricSink) {
    sink.add(DUPLICATES, &[], 1.0);
}

pub(crate) fn retry(sink: &dyn MetricSink, operation: Operation) {
    sink.add(RETRIES, &[operation.as_str()], 1.0);
}

pub(crate) fn poison(sink: &dyn MetricSink, direction: Direction) {
    sink.add(POISON, &[direction.as_str()], 1.0);
}

pub(crate) fn error(sink: &dyn MetricSink, operation: Operation, class: ErrorClass) {
    sink.add(ERRORS, &[operation.as_str(), class.as_str()], 1.0);
}

pub(crate) fn reset(sink: &dyn MetricSink) {
    sink.add(RESETS, &[], 1.0);
}

pub(crate) fn lost(sink: &dyn MetricSink, count: u64) {
    sink.add(LOST, &[], count as f64);
}

pub(crate) fn buffered(sink: &dyn MetricSink, unsent: usize, waiting: usize) {
    sink.set(BUFFERED, &[Direction::Up.as_str()], unsent as f64);
    sink.set(BUFFERED, &[Direction::Down.as_str()], waiting as f64);
}
