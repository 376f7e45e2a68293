//! Finds metrics that nobody records: an honest catalogue needs a test that can fail.

use std::collections::BTreeSet;

use crate::catalogue::catalogue;
use crate::def::MetricDef;

/// The metrics of the catalogue that show no value but 0 in any of these scrapes: for tests that only see a daemon from outside.
///
/// A gauge that went up and down between two scrapes counts as not moved; inside a process
/// [`Metrics::never_moved`](crate::Metrics::never_moved) knows better.
///
/// ```
/// let scrape = "fsm_tick_overrun_total 0\nfsm_hierarchy_size 12\nfsm_tick_duration_seconds_count 3\n";
/// let still = fsm_metrics::never_moved_in([scrape]);
/// assert!(still.contains(&"fsm_tick_overrun_total"));
/// assert!(!still.contains(&"fsm_hierarchy_size") && !still.contains(&"fsm_tick_duration_seconds"));
/// ```
pub fn never_moved_in<'a>(scrapes: impl IntoIterator<Item = &'a str>) -> Vec<&'static str> {
    let mut moved = BTreeSet::new();
    for line in scrapes.into_iter().flat_map(str::lines).filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let name = series.split('{').next().unwrap_or(series);
        if value.parse::<f64>().is_ok_and(|value| value != 0.0) {
            // `fsm_child_count` is a name of its own, `…_seconds_count` belongs to a histogram.
            moved.extend([name, name.strip_suffix("_count").unwrap_or(name)]);
        }
    }
    catalogue().map(MetricDef::name).filter(|name| !moved.contains(name)).collect()
}
