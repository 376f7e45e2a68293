//! Statistics per node: how often, how long and how well each worker's actions and each tool ran. For the API and `describe`,
//! where a series per node would be too much (M-1).
//!
//! A node here is a name that does something now and then: a worker's path or the id of a tool. A [`NodeMetricsCollector`] is
//! injected where it is wanted; nothing needs one. It stands alone: no registry, no runtime, no engine.
//!
//! ```
//! use std::time::Duration;
//! use fsm_metrics::{ErrorCategory, NodeMetricsCollector, NodeMetricsConfig};
//!
//! let collector = NodeMetricsCollector::try_new(NodeMetricsConfig::default())?;
//! collector.record_success("/edge-01/press-7", Duration::from_millis(12));
//! collector.record_failure("/edge-01/press-7", Duration::from_secs(5), None, Some(ErrorCategory::Timeout));
//!
//! let press = collector.get("/edge-01/press-7");
//! assert_eq!((press.total_executions, press.timeout_errors), (2, 1));
//! assert_eq!((press.p50, press.p99), (Some(12.0), Some(5_000.0)));
//! # Ok::<(), fsm_metrics::NodeMetricsError>(())
//! ```

mod category;
mod collector;
mod config;
mod shown;
mod table;
mod threshold;
mod window;

pub use category::ErrorCategory;
pub use collector::NodeMetricsCollector;
pub use config::{NodeMetricsConfig, NodeMetricsError};
pub use shown::NodeMetrics;
pub use threshold::{Threshold, ThresholdEvent, ThresholdState};
