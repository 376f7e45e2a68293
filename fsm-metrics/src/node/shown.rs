//! What is shown of a node.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The statistics of one node at one moment. As JSON its names are in camel case; what is not known yet is null.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NodeMetrics {
    /// Executions that ended, well or not. Of an action that was tried again all attempts are one execution.
    pub total_executions: u64,
    /// Those that succeeded.
    pub success_count: u64,
    /// Those that did not.
    pub failure_count: u64,
    /// Further attempts after a failed one.
    pub retry_count: u64,
    /// Duration of the last execution, in milliseconds; none before the first.
    pub last_execution_ms: Option<f64>,
    /// Average duration of all executions, in milliseconds; 0 before the first.
    pub avg_execution_ms: f64,
    /// Half of the executions in the window took at most so many milliseconds.
    pub p50: Option<f64>,
    /// Nine of ten.
    pub p90: Option<f64>,
    /// Ninety-nine of a hundred.
    pub p99: Option<f64>,
    /// Executions in the window that the percentiles are of.
    pub sample_count: u64,
    /// Failures because it took too long.
    pub timeout_errors: u64,
    /// Failures because of what it was given or got back.
    pub validation_errors: u64,
    /// Failures because of a connection.
    pub network_errors: u64,
    /// All other failures.
    pub other_errors: u64,
}

/// Nanoseconds as milliseconds.
pub(super) fn ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// Milliseconds as a duration; what is none counts as 0, and that is told.
pub(super) fn from_ms(ms: f64) -> Result<Duration, Duration> {
    if !ms.is_finite() || ms < 0.0 {
        return Err(Duration::ZERO);
    }
    Ok(Duration::try_from_secs_f64(ms / 1e3).unwrap_or(Duration::MAX))
}
