//! How a metric of the catalogue is declared: plain data, from which code, docs, dashboards and alerts come.

use fsm_core::{MetricSpec, MetricType};

/// Which scope's labels a metric has in front of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Nodes of a kind (and, where wanted, of a path).
    Node,
    /// The engine as a whole.
    Engine,
    /// The running program.
    Build,
    /// A pool of the executor.
    Pool,
    /// The store.
    Store,
    /// A subscriber of events.
    Subscriber,
    /// A dataflow.
    Flow,
    /// A tool.
    Tool,
    /// The processes that this program started.
    Process,
    /// The executions.
    Exec,
}

impl Group {
    /// The labels that every metric of this group has.
    #[must_use]
    pub const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Node => &["supervisor_id", "path"],
            Self::Engine | Self::Store | Self::Process | Self::Exec => &[],
            Self::Build => &["version", "commit"],
            Self::Pool => &["pool_name"],
            Self::Subscriber => &["subscriber"],
            Self::Flow => &["flow"],
            Self::Tool => &["tool_id"],
        }
    }
}

/// Where the values of a label come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// These and no others.
    Closed(&'static [&'static str]),
    /// The states of the kind.
    States,
    /// The actions of the kind.
    Actions,
}

/// How the values of several nodes make one gauge (M-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// Counts and sizes are summed.
    Sum,
    /// Of ages, depths and ratios the greatest counts.
    Max,
}

/// When a series appears (M-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// At once, with 0: its labels are known.
    Known,
    /// With its first sample.
    FirstSample,
    /// At once for a state in the phase that it declares, else with its first sample.
    OwnPhase,
}

/// One metric of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct MetricDef {
    /// Full name, type, unit, help, labels after the group's, bucket bounds.
    pub spec: MetricSpec,
    /// Where the values of `spec.labels` come from, in the same order.
    pub values: &'static [Values],
    /// The label sets there are, in the order of `spec.labels`, where only some combinations of values have a meaning; empty
    /// where all have.
    pub only: &'static [&'static [&'static str]],
    /// Whose metric it is.
    pub group: Group,
    /// How a gauge folds over nodes.
    pub fold: Fold,
    /// When its series appear.
    pub init: Init,
    /// At which moment production code records it.
    pub recorded: &'static str,
}

impl MetricDef {
    const fn new(spec: MetricSpec, init: Init) -> Self {
        Self { spec, values: &[], only: &[], group: Group::Engine, fold: Fold::Sum, init, recorded: "" }
    }

    pub(crate) const fn counter(name: &'static str) -> Self {
        Self::new(MetricSpec::counter(name, ""), Init::Known)
    }

    pub(crate) const fn gauge(name: &'static str, unit: &'static str) -> Self {
        Self::new(MetricSpec::gauge(name, unit, ""), Init::Known)
    }

    pub(crate) const fn maximum(name: &'static str, unit: &'static str) -> Self {
        let mut def = Self::gauge(name, unit);
        def.fold = Fold::Max;
        def
    }

    pub(crate) const fn seconds(name: &'static str, buckets: &'static [f64]) -> Self {
        Self::histogram(name, "seconds", buckets)
    }

    pub(crate) const fn histogram(name: &'static str, unit: &'static str, buckets: &'static [f64]) -> Self {
        Self::new(MetricSpec::histogram(name, unit, "", buckets), Init::FirstSample)
    }

    pub(crate) const fn only(mut self, rows: &'static [&'static [&'static str]]) -> Self {
        self.only = rows;
        self
    }

    pub(crate) const fn at(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    pub(crate) const fn described(
        mut self,
        group: Group,
        help: &'static str,
        labels: &'static [&'static str],
        values: &'static [Values],
        recorded: &'static str,
    ) -> Self {
        self.group = group;
        self.spec.help = help;
        self.spec.labels = labels;
        self.values = values;
        self.recorded = recorded;
        self
    }

    /// The full name, as it is exposed.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Counter, gauge or histogram.
    #[must_use]
    pub const fn metric_type(&self) -> MetricType {
        self.spec.metric_type
    }

    /// All labels, the group's first.
    pub fn labels(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.group.labels().iter().chain(self.spec.labels).copied()
    }
}

/// An enum that names the metrics of one group.
pub trait Metric: Copy + 'static {
    /// Whose metrics they are.
    const GROUP: Group;
    /// Their declarations, in the order of the variants.
    const DEFS: &'static [MetricDef];
    /// Position in [`DEFS`](Metric::DEFS).
    fn index(self) -> usize;
    /// The declaration.
    fn def(self) -> &'static MetricDef {
        &Self::DEFS[self.index()]
    }
}

/// Declares one group: an enum and the table behind it. The doc line of a variant is the metric's help text.
macro_rules! group {
    ($(#[$doc:meta])* $name:ident($group:expr) { $(
        #[doc = $help:literal]
        $variant:ident = $def:expr, [$($label:ident: $values:expr),*], $recorded:literal;
    )+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name { $(#[doc = $help] $variant),+ }

        impl $crate::def::Metric for $name {
            const GROUP: $crate::def::Group = $group;
            const DEFS: &'static [$crate::def::MetricDef] = &[$(
                // A doc comment begins with the space after its slashes.
                $def.described($group, $help.split_at(1).1, &[$(stringify!($label)),*], &[$($values),*], $recorded)
            ),+];
            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use group;
