//! The catalogue as a page for people: the table in docs/metrics.md is written by this and checked for drift.

use std::fmt::Write as _;

use fsm_core::MetricType;

use super::catalogue;
use crate::def::{Fold, MetricDef, Values};

const HIERARCHY: &str = "\
Four metrics show how the tree is driven, and they answer different questions. `fsm_child_count` is for capacity: how wide a \
kind's supervisors are, and whether a template suddenly makes more children than expected. `fsm_tick_propagation_depth` and \
`fsm_tick_propagation_duration_seconds` are for latency: how many levels a change had to pass and how long that took below one \
supervisor; a long duration at a small depth points at a slow worker, a long one at a great depth at the shape of the tree. \
`fsm_hierarchy_depth` and `fsm_hierarchy_size` describe the whole tree: watch them for slow growth, and use the former three to \
find the kind that grows. Whether cost follows changes is shown by `fsm_nodes_evaluated_total` against \
`fsm_nodes_skipped_total`, not by any of these. All of them are per kind; turn on `metrics.per_path` for the few paths that \
need a series of their own.
";

/// The catalogue as Markdown: a paragraph on when to use the metrics of the hierarchy, then one table row per metric.
///
/// The same catalogue always gives the same text.
#[must_use]
pub fn catalogue_markdown() -> String {
    let mut out = String::from("## The hierarchy metrics\n\n");
    out.push_str(HIERARCHY);
    out.push_str("\n## All metrics\n\n");
    out.push_str("| metric | type | unit | labels | buckets | what it says | recorded when |\n");
    out.push_str("|---|---|---|---|---|---|---|\n");
    for def in catalogue() {
        row(&mut out, def);
    }
    out
}

fn row(out: &mut String, def: &MetricDef) {
    let labels: Vec<String> = (def.group.labels().iter().map(|label| format!("`{label}`")))
        .chain(def.spec.labels.iter().zip(def.values).map(|(label, values)| describe(label, *values)))
        .collect();
    let buckets: Vec<String> = def.spec.buckets.iter().map(f64::to_string).collect();
    let (labels, buckets) = (or_dash(labels.join(", ")), or_dash(buckets.join(" ")));
    let kind = match (def.metric_type(), def.fold) {
        (MetricType::Counter, _) => "counter",
        (MetricType::Gauge, Fold::Sum) => "gauge",
        (MetricType::Gauge, Fold::Max) => "gauge (maximum)",
        (MetricType::Histogram, _) => "histogram",
    };
    let unit = or_dash(def.spec.unit.into());
    let (name, help, recorded) = (def.name(), def.spec.help, def.recorded);
    // Writing to a String can't fail.
    let _ = writeln!(out, "| `{name}` | {kind} | {unit} | {labels} | {buckets} | {help} | {recorded} |");
}

fn describe(label: &str, values: Values) -> String {
    match values {
        Values::Closed(words) => {
            let named = words.iter().copied().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            let or_empty = if words.contains(&"") { ", or empty" } else { "" };
            format!("`{label}` ∈ {named}{or_empty}")
        }
        Values::States => format!("`{label}` (the kind's states)"),
        Values::Actions => format!("`{label}` (the kind's actions)"),
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "–".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_row_with_its_buckets_and_closed_values() {
        let page = catalogue_markdown();
        for def in catalogue() {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", def.name())));
            let row = row.unwrap_or_else(|| panic!("{} has no row", def.name()));
            assert_eq!(row.matches(" | ").count(), 6, "{row}");
            for bound in def.spec.buckets {
                assert!(row.contains(&bound.to_string()), "{row}");
            }
            for values in def.values {
                if let Values::Closed(words) = values {
                    assert!(words.iter().all(|word| row.contains(word)), "{row}");
                }
            }
        }
    }

    #[test]
    fn the_page_says_when_to_use_the_metrics_of_the_hierarchy() {
        let page = catalogue_markdown();
        let intro = page.split("## All metrics").next().expect("split yields at least one part");
        for metric in ["fsm_child_count", "fsm_tick_propagation_depth", "fsm_hierarchy_size"] {
            assert!(intro.contains(metric), "{metric}");
        }
    }
}
