//! The catalogue of every metric, and recorders that cost an atomic.
//!
//! [`catalogue`] is the only place where a metric is declared; code, docs, dashboards and alerts come from it. [`Metrics`] holds
//! the series of one engine and is gathered by a `prometheus` registry that is passed in. What records is cheap: the engine
//! gathers a tick's samples in the plain fields of a [`TickBatch`], everything else records through bound handles such as
//! [`ActionMetrics`] and [`FlowMetrics`], and a kind's own metrics through [`WorkerMetrics`].
//!
//! Series don't grow with the tree: `supervisor_id` is the kind, `path` is empty unless asked for, and what is over a cap folds
//! into `_other`.

// What there is.
pub mod buckets;
mod catalogue;
mod def;
mod words;

// Where it is kept.
mod block;
mod layout;
mod metrics;
mod paths;
mod scope;
mod shape;

// What records it.
mod batch;
mod handle;
mod own;
mod recorders;

// Who reads it.
mod collector;
mod encode;
mod never_moved;

// Beside it, for the nodes themselves.
pub mod node;

// What is told beside numbers.
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod trace;

pub use batch::{Moved, ScopeId, TickBatch};
pub use catalogue::{
    BuildMetric, EngineMetric, ExecMetric, FlowMetric, NodeMetric, PoolMetric, ProcessMetric, StoreMetric,
    SubscriberMetric, ToolMetric, catalogue, catalogue_markdown,
};
pub use def::{Fold, Group, Init, Metric, MetricDef, Values};
pub use encode::CONTENT_TYPE;
pub use handle::{Counter, Gauge, GaugeShare, Histogram};
pub use metrics::{Kind, Metrics, MetricsConfig, MetricsError};
pub use never_moved::never_moved_in;
pub use node::{
    ErrorCategory, NodeMetrics, NodeMetricsCollector, NodeMetricsConfig, NodeMetricsError, Threshold,
    ThresholdEvent, ThresholdState,
};
pub use own::{MetricSpecError, WorkerMetrics};
pub use paths::PerPath;
pub use recorders::{
    ActionMetrics, ExecMetrics, ExecRun, FlowMetrics, PoolMetrics, ProcessMetrics, RunMetrics, StoreMetrics,
    SubscriberMetrics, ToolCall, ToolMetrics, WorkflowWait,
};
pub use scope::Scope;
pub use shape::KindShape;
pub use words::{
    ChildChange, ChildHealth, Circuit, DropReason, ExecErrorCode, ExecKind, ExecOutcome, ExecStatus,
    FlowErrorKind, FlowStage, ObservationResult, PanicPlace, PanicType, PollOutcome, ProcessExit,
    ReconcileResult, ReloadResult, RenderStatus, RestartCause, StoreRole, TemplateErrorType, ToolErrorKind,
    ToolOutcome,
};
