//! How a collector is set up, and what refuses to be set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::threshold::{Callback, Limits, ThresholdEvent};

/// Enough for a p99 that is not simply the slowest, few enough to be of now.
const WINDOW: usize = 100;
/// As many as the greatest tree that one daemon is measured with, at about 1 KB each.
const MAX_NODES: usize = 10_000;
/// Below this one failure would be a rate.
const MIN_SAMPLES: u64 = 20;

/// Tells how long it has been since some fixed moment.
pub(super) type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How a [`NodeMetricsCollector`](super::NodeMetricsCollector) is set up.
///
/// ```
/// use fsm_metrics::{NodeMetricsCollector, NodeMetricsConfig, ThresholdState};
///
/// let config = NodeMetricsConfig::default()
///     .with_failure_rate(0.5)
///     .with_min_samples(2)
///     .with_callback(|event| match event.state {
///         ThresholdState::Exceeded => println!("{}: {:?} is {}", event.node, event.threshold, event.value),
///         ThresholdState::Recovered => println!("{} is well again", event.node),
///     });
/// assert!(NodeMetricsCollector::try_new(config).is_ok());
/// assert!(NodeMetricsCollector::try_new(NodeMetricsConfig::default().with_window(0)).is_err());
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct NodeMetricsConfig {
    /// Executions that percentiles are of, per node; by default 100.
    pub window: usize,
    /// Nodes that are kept, the least recently used go first; by default 10 000.
    pub max_nodes: usize,
    /// The share of failures over the collector's life, 0 to 1, above which callbacks are called.
    pub failure_rate: Option<f64>,
    /// The same over the window.
    pub windowed_failure_rate: Option<f64>,
    /// The 99th percentile in milliseconds above which callbacks are called.
    pub latency_ms: Option<f64>,
    /// Executions of a node before thresholds are looked at; by default 20.
    pub min_samples: u64,
    /// Whether callbacks are called at each record above a threshold, instead of when it is passed.
    pub every: bool,
    pub(super) callbacks: Vec<Callback>,
    pub(super) clock: Option<Clock>,
}

impl Default for NodeMetricsConfig {
    fn default() -> Self {
        Self {
            window: WINDOW,
            max_nodes: MAX_NODES,
            failure_rate: None,
            windowed_failure_rate: None,
            latency_ms: None,
            min_samples: MIN_SAMPLES,
            every: false,
            callbacks: Vec::new(),
            clock: None,
        }
    }
}

impl NodeMetricsConfig {
    /// With percentiles of so many executions.
    #[must_use]
    pub fn with_window(mut self, window: usize) -> Self {
        self.window = window;
        self
    }

    /// With so many nodes at most.
    #[must_use]
    pub fn with_max_nodes(mut self, max_nodes: usize) -> Self {
        self.max_nodes = max_nodes;
        self
    }

    /// Callbacks are called when more than this share of all executions of a node failed.
    #[must_use]
    pub fn with_failure_rate(mut self, limit: f64) -> Self {
        self.failure_rate = Some(limit);
        self
    }

    /// Callbacks are called when more than this share of the executions in a node's window failed.
    #[must_use]
    pub fn with_windowed_failure_rate(mut self, limit: f64) -> Self {
        self.windowed_failure_rate = Some(limit);
        self
    }

    /// Callbacks are called when a node's 99th percentile is above this.
    #[must_use]
    pub fn with_latency_ms(mut self, limit: f64) -> Self {
        self.latency_ms = Some(limit);
        self
    }

    /// Thresholds are looked at from so many executions of a node on.
    #[must_use]
    pub fn with_min_samples(mut self, min_samples: u64) -> Self {
        self.min_samples = min_samples;
        self
    }

    /// Callbacks are called at each record above a threshold.
    #[must_use]
    pub fn with_every(mut self, every: bool) -> Self {
        self.every = every;
        self
    }

    /// With one more callback. It runs on the thread that recorded, without any lock; one that panics hurts nobody.
    #[must_use]
    pub fn with_callback(mut self, callback: impl Fn(&ThresholdEvent) + Send + Sync + 'static) -> Self {
        self.callbacks.push(Arc::new(callback));
        self
    }

    /// With another clock for how often the same warning is logged.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    pub(super) fn check(&self) -> Result<(), NodeMetricsError> {
        if self.window == 0 {
            return Err(NodeMetricsError::NoWindow);
        }
        if self.max_nodes == 0 {
            return Err(NodeMetricsError::NoNodes);
        }
        let rates =
            [("failure_rate", self.failure_rate), ("windowed_failure_rate", self.windowed_failure_rate)];
        for (name, limit) in rates {
            // Written so that what is not a number is refused, too.
            if let Some(value) = limit.filter(|limit| !(0.0..=1.0).contains(limit)) {
                return Err(NodeMetricsError::Rate { name, value });
            }
        }
        match self.latency_ms {
            Some(value) if !value.is_finite() || value < 0.0 => Err(NodeMetricsError::Latency { value }),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            failure_rate: self.failure_rate,
            windowed_failure_rate: self.windowed_failure_rate,
            latency_ms: self.latency_ms,
            min_samples: self.min_samples,
            every: self.every,
        }
    }
}

impl fmt::Debug for NodeMetricsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeMetricsConfig")
            .field("window", &self.window)
            .field("max_nodes", &self.max_nodes)
            .field("limits", &self.limits())
            .field("callbacks", &self.callbacks.len())
            .finish_non_exhaustive()
    }
}

/// A collector can't be set up.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeMetricsError {
    /// There would be no percentiles.
    #[error("the `window` of node statistics is 0, so there would be no percentiles: use at least 1")]
    NoWindow,
    /// There would be no statistics.
    #[error("`max_nodes` of node statistics is 0, so nothing would be kept: use at least 1")]
    NoNodes,
    /// A share can't be that.
    #[error("the threshold `{name}` is {value}, which is no share: use 0 to 1, such as 0.1 for one of ten")]
    Rate {
        /// Which threshold.
        name: &'static str,
        /// The refused limit.
        value: f64,
    },
    /// A duration can't be that.
    #[error("the threshold `latency_ms` is {value}, which is no duration: use milliseconds from 0 on")]
    Latency {
        /// The refused limit.
        value: f64,
    },
}
