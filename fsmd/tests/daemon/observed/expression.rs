//! The names in an expression, read by a parser that is not the one that wrote it.

use std::collections::{BTreeMap, BTreeSet};

use fsm_metrics::{MetricDef, Values, catalogue};
use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::{self, Expr};

/// What every series of a scrape has.
const OF_THE_SCRAPE: [&str; 2] = ["instance", "job"];

/// What can be asked for: what the daemon exposes, and what the catalogue says it will.
pub(super) struct Known {
    exposed: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    pub(super) fn of(mut exposed: BTreeMap<String, BTreeSet<String>>) -> Self {
        exposed.entry("up".to_owned()).or_default();
        Self { exposed }
    }

    /// The labels of a metric: as they are exposed, else as they are declared.
    pub(super) fn labels(&self, metric: &str) -> Result<BTreeSet<String>, String> {
        let declared = declaration(metric).map(|(def, suffix)| {
            let le = (suffix == "_bucket").then_some("le");
            def.labels().chain(le).map(str::to_owned).collect::<BTreeSet<_>>()
        });
        match (self.exposed.get(metric), declared) {
            (Some(exposed), Some(declared)) if *exposed != declared => {
                Err(format!("{metric} is exposed with {exposed:?} and declared with {declared:?}"))
            }
            (Some(exposed), _) => Ok(exposed.clone()),
            (None, Some(declared)) => Ok(declared),
            (None, None) => Err(format!("there is no metric {metric}")),
        }
    }

    pub(super) fn has_label(&self, metric: &str, label: &str) -> Result<(), String> {
        let labels = self.labels(metric)?;
        match labels.contains(label) || OF_THE_SCRAPE.contains(&label) {
            true => Ok(()),
            false => Err(format!("{metric} has no label {label}, but {labels:?}")),
        }
    }
}

/// The declaration of an exposed name, and what is added to it in a scrape.
fn declaration(metric: &str) -> Option<(&'static MetricDef, &'static str)> {
    catalogue().find_map(|def| {
        let histogram = !def.spec.buckets.is_empty();
        let suffixes: &[&'static str] = if histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        let rest = metric.strip_prefix(def.name())?;
        suffixes.iter().find(|suffix| **suffix == rest).map(|suffix| (def, *suffix))
    })
}

/// A parsed expression.
pub(super) struct Expression(Expr);

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        parser::parse(text).map(Self)
    }

    /// Every name in it is known, and its elements have these labels. Gives the metrics in it.
    pub(super) fn check(
        &self,
        known: &Known,
        named: &BTreeSet<String>,
    ) -> Result<BTreeSet<&'static str>, String> {
        let mut metrics = BTreeSet::new();
        let labels = walk(&self.0, known, &mut metrics)?;
        match named.iter().find(|name| !labels.contains(*name)) {
            Some(name) => Err(format!("{name} is shown, but the answer has only {labels:?}")),
            None => Ok(metrics),
        }
    }
}

/// The labels of what an expression gives.
fn walk(
    expr: &Expr,
    known: &Known,
    metrics: &mut BTreeSet<&'static str>,
) -> Result<BTreeSet<String>, String> {
    match expr {
        Expr::Aggregate(all) => {
            let inner = walk(&all.expr, known, metrics)?;
            let Some(by) = &all.modifier else { return Ok(BTreeSet::new()) };
            if !by.is_include() {
                return Err("`without` keeps what nobody has read".to_owned());
            }
            match by.labels().labels.iter().find(|label| !inner.contains(*label)) {
                Some(label) => Err(format!("there is no label {label} to group by, but {inner:?}")),
                None => Ok(by.labels().labels.iter().cloned().collect()),
            }
        }
        Expr::Binary(both) => {
            let (left, right) = (walk(&both.lhs, known, metrics)?, walk(&both.rhs, known, metrics)?);
            let scalar = |side: &Expr| matches!(side, Expr::NumberLiteral(_));
            let absent = matches!(&*both.rhs, Expr::Call(call) if call.func.name == "absent");
            if !scalar(&both.lhs) && !scalar(&both.rhs) && !absent && left != right {
                return Err(format!("vectors of {left:?} and {right:?} never meet"));
            }
            Ok(if scalar(&both.lhs) { right } else { left })
        }
        Expr::Call(call) => {
            let mut labels = BTreeSet::new();
            for argument in &call.args.args {
                labels.extend(walk(argument, known, metrics)?);
            }
            if call.func.name == "histogram_quantile" && !labels.remove("le") {
                return Err("a quantile of what has no bounds".to_owned());
            }
            Ok(labels)
        }
        Expr::Paren(inner) => walk(&inner.expr, known, metrics),
        Expr::Unary(inner) => walk(&inner.expr, known, metrics),
        Expr::Subquery(inner) => walk(&inner.expr, known, metrics),
        Expr::VectorSelector(series) => select(series.name.as_deref(), &series.matchers, known, metrics),
        Expr::MatrixSelector(series) => {
            select(series.vs.name.as_deref(), &series.vs.matchers, known, metrics)
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(BTreeSet::new()),
        Expr::Extension(_) => Err("an extension of the parser".to_owned()),
    }
}

fn select(
    name: Option<&str>,
    matchers: &Matchers,
    known: &Known,
    metrics: &mut BTreeSet<&'static str>,
) -> Result<BTreeSet<String>, String> {
    let name = name.ok_or("series without a name")?;
    let mut labels = known.labels(name)?;
    for matcher in &matchers.matchers {
        known.has_label(name, &matcher.name)?;
        let values: Vec<&str> = match matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => vec![&matcher.value],
            MatchOp::Re(_) | MatchOp::NotRe(_) => matcher.value.split('|').collect(),
        };
        // A variable of a dashboard with everything chosen.
        for value in values.into_iter().filter(|value| *value != ".*") {
            is_value(name, &matcher.name, value)?;
        }
    }
    metrics.extend(declaration(name).map(|(def, _)| def.name()));
    labels.extend(OF_THE_SCRAPE.map(str::to_owned));
    Ok(labels)
}

fn is_value(metric: &str, label: &str, value: &str) -> Result<(), String> {
    let Some((def, _)) = declaration(metric) else { return Ok(()) };
    if label == "le" {
        let known = def.spec.buckets.iter().any(|bound| bound.to_string() == value) || value == "+Inf";
        return if known { Ok(()) } else { Err(format!("{metric} has no bound {value}")) };
    }
    let own = def.spec.labels.iter().position(|own| *own == label);
    match own.and_then(|at| def.values.get(at)) {
        Some(Values::Closed(words)) if !words.contains(&value) => {
            Err(format!("{label} of {metric} is never `{value}`, but one of {words:?}"))
        }
        Some(Values::Closed(_) | Values::States | Values::Actions) | None => Ok(()),
    }
}
