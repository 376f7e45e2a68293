//! The statistics of a node in two lines.

use fsm_metrics::NodeMetrics;

use super::count;

/// How often it acted and how long that took; nothing for one that never did.
pub(super) fn statistics(of: &NodeMetrics) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if of.total_executions + of.retry_count == 0 {
        return lines;
    }
    let mut acted = count_of(of.total_executions, "execution");
    if of.failure_count > 0 {
        let sorts = [
            (of.timeout_errors, "timeout"),
            (of.validation_errors, "validation"),
            (of.network_errors, "network"),
            (of.other_errors, "other"),
        ];
        let sorts = sorts.iter().filter(|(n, _)| *n > 0).map(|(n, sort)| format!("{n} {sort}"));
        acted.push_str(&format!(", {} failed ({})", of.failure_count, sorts.collect::<Vec<_>>().join(", ")));
    }
    if of.retry_count > 0 {
        acted.push_str(&format!(", {}", count_of(of.retry_count, "further attempt")));
    }
    lines.push(("acted", acted));
    if let (Some(last), Some(p50), Some(p90), Some(p99)) = (of.last_execution_ms, of.p50, of.p90, of.p99) {
        let [last, average, p50, p90, p99] = [last, of.avg_execution_ms, p50, p90, p99].map(time);
        lines.push((
            "took",
            format!(
                "{last} the last time, {average} on average; of the last {}: half {p50}, 90 % {p90}, 99 % {p99} at most",
                of.sample_count
            ),
        ));
    }
    lines
}

fn count_of(n: u64, what: &str) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX), what)
}

/// Milliseconds in the unit that leaves few digits.
fn time(ms: f64) -> String {
    if ms < 10.0 {
        format!("{}ms", (ms * 100.0).round() / 100.0)
    } else if ms < 10_000.0 {
        format!("{}ms", ms.round())
    } else {
        format!("{}s", (ms / 100.0).round() / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fsm_metrics::{ErrorCategory, NodeMetricsCollector};

    use super::*;

    // spec: N-19
    #[test]
    fn a_person_reads_how_often_how_well_and_how_long() {
        let collector = NodeMetricsCollector::try_new(Default::default()).unwrap();
        assert_eq!(statistics(&collector.get("/a")), []);
        collector.record_success("/a", Duration::from_micros(1_234));
        collector.record_retry("/a", 2);
        assert_eq!(statistics(&collector.get("/a"))[0].1, "1 execution, 1 further attempt");
        collector.record_failure("/a", Duration::from_secs(61), None, Some(ErrorCategory::Timeout));
        collector.record_failure("/a", Duration::from_millis(345), None, None);
        let lines = statistics(&collector.get("/a"));
        assert_eq!(lines[0].1, "3 executions, 2 failed (1 timeout, 1 other), 1 further attempt");
        assert_eq!(
            lines[1].1,
            "345ms the last time, 20.4s on average; of the last 3: half 345ms, 90 % 61s, 99 % 61s at most"
        );
    }
}
