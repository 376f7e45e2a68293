//! Expressions of PromQL, built from the catalogue: a metric, label or label value that isn't there can't be asked for.
//!
//! A mistake is kept until the expression is taken, so that panels and alerts read like what they ask.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use fsm_core::MetricType;
use fsm_metrics::{Metric, MetricDef, Values};

/// What Prometheus adds to every series by itself.
const OF_THE_SCRAPE: [&str; 2] = ["instance", "job"];

/// Some series of one metric.
#[derive(Clone)]
pub(super) struct Select {
    def: &'static MetricDef,
    suffix: &'static str,
    matchers: Vec<String>,
    wrong: Vec<String>,
}

/// The series of a counter or a gauge.
pub(super) fn series(metric: impl Metric) -> Select {
    let mut select = Select::new(metric, "");
    if select.def.metric_type() == MetricType::Histogram {
        select.wrong.push(format!("{} is a histogram: take its count or its buckets", select.def.name()));
    }
    select
}

/// How many samples a histogram took.
pub(super) fn count(metric: impl Metric) -> Select {
    Select::of_histogram(metric, "_count")
}

/// The sum of the samples of a histogram.
pub(super) fn total(metric: impl Metric) -> Select {
    Select::of_histogram(metric, "_sum")
}

/// How many samples of a histogram were at most this, which has to be one of its bounds.
pub(super) fn at_most(metric: impl Metric, bound: f64) -> Select {
    let mut select = Select::of_histogram(metric, "_bucket");
    if !select.def.spec.buckets.contains(&bound) {
        select.wrong.push(format!("{} has no bound {bound}", select.def.name()));
    }
    select.matchers.push(format!("le=\"{bound}\""));
    select
}

fn buckets(metric: impl Metric) -> Select {
    Select::of_histogram(metric, "_bucket")
}

impl Select {
    fn new(metric: impl Metric, suffix: &'static str) -> Self {
        Self { def: metric.def(), suffix, matchers: Vec::new(), wrong: Vec::new() }
    }

    fn of_histogram(metric: impl Metric, suffix: &'static str) -> Self {
        let mut select = Self::new(metric, suffix);
        if select.def.metric_type() != MetricType::Histogram {
            select.wrong.push(format!("{} is no histogram", select.def.name()));
        }
        select
    }

    /// Only those with this label value.
    pub(super) fn with(self, label: &'static str, value: &str) -> Self {
        self.matching(label, "=", &[value])
    }

    /// Only those with one of these label values.
    pub(super) fn with_any(self, label: &'static str, values: &[&str]) -> Self {
        self.matching(label, "=~", values)
    }

    /// All but those with one of these label values.
    pub(super) fn without(self, label: &'static str, values: &[&str]) -> Self {
        self.matching(label, "!~", values)
    }

    fn matching(mut self, label: &'static str, operator: &str, values: &[&str]) -> Self {
        let wrong = values.iter().filter_map(|value| wrong_value(self.def, label, value));
        self.wrong.extend(wrong);
        self.matchers.push(format!("{label}{operator}\"{}\"", values.join("|")));
        self
    }

    /// Only those that are chosen by the dashboard's variables of these labels.
    pub(super) fn chosen(mut self, labels: &[&'static str]) -> Self {
        for label in labels {
            self.wrong.extend(wrong_label(self.def, label));
            self.matchers.push(format!("{label}=~\"${label}\""));
        }
        self
    }

    fn text(&self) -> String {
        let name = self.def.name();
        let matchers =
            if self.matchers.is_empty() { String::new() } else { format!("{{{}}}", self.matchers.join(",")) };
        format!("{name}{}{matchers}", self.suffix)
    }

    fn expression(self, text: String) -> Expr {
        let le = (self.suffix == "_bucket").then_some("le");
        let labels = self.def.labels().chain(OF_THE_SCRAPE).chain(le).collect();
        Expr { text, labels, wrong: self.wrong }
    }

    fn over_time(mut self, function: &str, window: &str) -> Expr {
        if self.def.metric_type() == MetricType::Gauge {
            self.wrong.push(format!("{} is a gauge: {function} is for counters", self.def.name()));
        }
        let text = format!("{function}({}[{window}])", self.text());
        self.expression(text)
    }

    /// Per second, over this window.
    pub(super) fn rate(self, window: &str) -> Expr {
        self.over_time("rate", window)
    }

    /// How much it grew in this window.
    pub(super) fn increase(self, window: &str) -> Expr {
        self.over_time("increase", window)
    }

    /// As it is now, which says something of gauges only.
    pub(super) fn now(mut self) -> Expr {
        if self.def.metric_type() != MetricType::Gauge {
            self.wrong.push(format!("{} is no gauge: ask for a rate", self.def.name()));
        }
        let text = self.text();
        self.expression(text)
    }
}

/// What is wrong with a label of this metric, if anything.
fn wrong_label(def: &MetricDef, label: &str) -> Option<String> {
    let known = def.labels().chain(OF_THE_SCRAPE).any(|known| known == label);
    (!known).then(|| format!("{} has no label {label}", def.name()))
}

/// What is wrong with a label value of this metric, if anything. States, actions and names of nodes are not known here.
pub(super) fn wrong_value(def: &MetricDef, label: &str, value: &str) -> Option<String> {
    let own = def.spec.labels.iter().position(|own| *own == label);
    match own.and_then(|at| def.values.get(at)) {
        Some(Values::Closed(words)) if !words.contains(&value) => {
            Some(format!("{label} of {} is never `{value}`: it is one of {}", def.name(), words.join(" ")))
        }
        Some(Values::Closed(_) | Values::States | Values::Actions) => None,
        None => wrong_label(def, label),
    }
}

/// An expression that gives a vector.
#[derive(Clone)]
pub(super) struct Expr {
    text: String,
    /// The labels of its elements, as far as known.
    labels: BTreeSet<&'static str>,
    wrong: Vec<String>,
}

/// The value that this share of the samples does not exceed.
pub(super) fn quantile(
    share: f64,
    metric: impl Metric,
    narrow: impl FnOnce(Select) -> Select,
    window: &str,
    by: &[&'static str],
) -> Expr {
    let mut with_bounds = by.to_vec();
    with_bounds.push("le");
    let mut found = narrow(buckets(metric)).rate(window).sum_by(&with_bounds);
    found.text = format!("histogram_quantile({share}, {})", found.text);
    found.labels.remove("le");
    found
}

/// Whether Prometheus reaches the daemons, by its own series: the only one that is not of the catalogue.
pub(super) fn up(job: &str) -> Expr {
    let labels = OF_THE_SCRAPE.into_iter().collect();
    Expr { text: format!("up{{job=\"{job}\"}}"), labels, wrong: Vec::new() }
}

/// What [`up`] is fed in a unit test.
pub(super) fn up_fed(job: &str, values: &str) -> Result<Sample> {
    Ok(Sample { series: format!("up{{job=\"{job}\",instance=\"edge-01:8080\"}}"), values: values.to_owned() })
}

impl Expr {
    fn aggregate(mut self, how: &str, by: &[&'static str]) -> Self {
        for label in by.iter().filter(|label| !self.labels.contains(*label)) {
            self.wrong.push(format!("there is no label {label} to group by in {}", self.text));
        }
        self.text = match by {
            [] => format!("{how}({})", self.text),
            by => format!("{how} by ({}) ({})", by.join(", "), self.text),
        };
        self.labels = by.iter().copied().collect();
        self
    }

    /// The sum of those that have the same values of these labels.
    pub(super) fn sum_by(self, by: &[&'static str]) -> Self {
        self.aggregate("sum", by)
    }

    /// The greatest of those that have the same values of these labels.
    pub(super) fn max_by(self, by: &[&'static str]) -> Self {
        self.aggregate("max", by)
    }

    /// Two vectors meet element by element, so their labels have to be the same: otherwise the answer is always empty.
    fn meet(mut self, operator: &str, other: Self) -> Self {
        if self.labels != other.labels {
            self.wrong.push(format!(
                "`{operator}` of differently labelled vectors: {} and {}",
                self.text, other.text
            ));
        }
        self.wrong.extend(other.wrong);
        self.text = format!("{}\n{operator}\n{}", self.text, other.text);
        self
    }

    /// Their ratio.
    pub(super) fn over(self, other: Self) -> Self {
        self.meet("/", other)
    }

    /// What is missing to one.
    pub(super) fn missing_to_one(mut self) -> Self {
        self.text = format!("1 - {}", self.text);
        self
    }

    /// Those that are more.
    pub(super) fn above(mut self, limit: f64) -> Self {
        self.text = format!("{}\n> {limit}", self.text);
        self
    }

    /// Those that are as much or more.
    pub(super) fn at_least(mut self, limit: f64) -> Self {
        self.text = format!("{}\n>= {limit}", self.text);
        self
    }

    /// Those that are less.
    pub(super) fn below(mut self, limit: f64) -> Self {
        self.text = format!("{}\n< {limit}", self.text);
        self
    }

    /// Those that are in the other, too.
    pub(super) fn and(self, other: Self) -> Self {
        self.meet("and", other)
    }

    /// These, and those of the other that are not in here.
    pub(super) fn or(self, other: Self) -> Self {
        self.meet("or", other)
    }

    /// These, and if the other has no element one that says so.
    pub(super) fn or_none(mut self, other: Self) -> Self {
        self.wrong.extend(other.wrong);
        self.text = format!("{}\nor\nabsent({})", self.text, other.text);
        self
    }

    /// The text, if nothing is wrong with it.
    pub(super) fn text(&self) -> Result<&str> {
        if !self.wrong.is_empty() {
            bail!("the expression can't be asked: {}", self.wrong.join("; "));
        }
        Ok(&self.text)
    }
}

/// One series with fixed label values, as a unit test of rules feeds it.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) series: String,
    pub(super) values: String,
}

impl Select {
    /// A series of these, fed by these values in the notation of promtool: `0+2x60` is 0, 2, 4 … and so on sixty times.
    pub(super) fn fed(mut self, values: &str) -> Result<Sample> {
        let given =
            |label: &str| self.matchers.iter().any(|matcher| matcher.starts_with(&format!("{label}=")));
        let missing: Vec<_> = self.def.labels().filter(|label| !given(label)).collect();
        if !missing.is_empty() {
            self.wrong.push(format!("a series of {} has the labels {}", self.def.name(), missing.join(", ")));
        }
        if !self.wrong.is_empty() {
            bail!("the series can't be: {}", self.wrong.join("; "));
        }
        self.matchers.extend(["instance=\"edge-01:8080\"".to_owned(), "job=\"fsmd\"".to_owned()]);
        Ok(Sample { series: self.text(), values: values.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use fsm_metrics::{EngineMetric, NodeMetric, PoolMetric};

    use super::*;

    #[track_caller]
    fn refused(expr: &Expr, why: &str) {
        let error = expr.text().expect_err("it is refused").to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn an_expression_is_what_it_says() {
        let errors =
            series(NodeMetric::ReconciliationTotal).with_any("result", &["partial", "error"]).rate("5m");
        let all = series(NodeMetric::ReconciliationTotal).rate("5m");
        let ratio = errors.sum_by(&["supervisor_id"]).over(all.sum_by(&["supervisor_id"])).above(0.1);
        assert_eq!(
            ratio.text().expect("right"),
            "sum by (supervisor_id) (rate(fsm_reconciliation_total{result=~\"partial|error\"}[5m]))\n/\n\
             sum by (supervisor_id) (rate(fsm_reconciliation_total[5m]))\n> 0.1"
        );
        let slow =
            quantile(0.99, EngineMetric::TickDuration, |all| all.chosen(&["instance"]), "5m", &["instance"]);
        assert_eq!(
            slow.text().expect("right"),
            "histogram_quantile(0.99, sum by (instance, le) (rate(fsm_tick_duration_seconds_bucket{instance=~\"$instance\"}[5m])))"
        );
    }

    #[test]
    fn what_is_not_in_the_catalogue_cant_be_asked_for() {
        let all = || series(NodeMetric::ReconciliationTotal);
        refused(&all().with("resutl", "error").rate("5m"), "no label resutl");
        refused(&all().with("result", "eror").rate("5m"), "never `eror`");
        refused(&all().chosen(&["tool_id"]).rate("5m"), "no label tool_id");
        refused(&all().rate("5m").sum_by(&["tool_id"]), "no label tool_id to group by");
        refused(&all().now(), "no gauge");
        refused(&series(NodeMetric::ChildCount).rate("5m"), "is a gauge");
        refused(&series(NodeMetric::ActionWait).rate("5m"), "is a histogram");
        refused(&at_most(NodeMetric::ActionWait, 31.0).rate("5m"), "no bound 31");
    }

    #[test]
    fn differently_labelled_vectors_never_meet() {
        let used = series(PoolMetric::WorkerPoolUtilization).now();
        let ticks = count(EngineMetric::TickDuration).rate("5m");
        refused(&used.clone().over(ticks.clone()), "differently labelled");
        refused(&used.clone().max_by(&["pool_name"]).and(used), "differently labelled");
    }

    #[test]
    fn a_fed_series_has_all_its_labels() {
        let feed = |select: Select| select.fed("0+1x5").map(|sample| sample.series);
        let error = feed(series(NodeMetric::ChildCount).with("supervisor_id", "group")).expect_err("no path");
        assert!(error.to_string().contains("labels path"), "{error}");
        let whole = series(NodeMetric::ChildCount).with("supervisor_id", "group").with("path", "");
        assert_eq!(
            feed(whole).expect("whole"),
            "fsm_child_count{supervisor_id=\"group\",path=\"\",instance=\"edge-01:8080\",job=\"fsmd\"}"
        );
    }
}
