//! How a node is run: how it collects, how long things may take, what is retried. A kind's defaults, and what a node overrides.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::HumanDuration;

/// How the observation of a node comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectMode {
    /// `collect_observed_state` runs at this interval (S-30).
    Poll {
        /// From the start of one collection to the start of the next.
        interval: Duration,
    },
    /// A task pushes observations; `collect_observed_state` serves the first one, the heartbeat and the look after an action.
    Push {
        /// At the latest after this long without a push, collect.
        heartbeat: Duration,
    },
    /// No observation: the truth of this kind is its children only (S-37).
    None,
}

/// What happens to a running action when the desired state of its node changes (A-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// It runs to its end.
    #[default]
    Finish,
    /// It is cancelled; the next evaluation waits for a new observation.
    Cancel,
    /// It is cancelled, and what replaces it is asked for without waiting for the retry back-off.
    Supersede,
}

/// Retries inside the executor (A-4): exponential with full jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Attempts after the first one.
    pub retries: u32,
    /// Back-off before the first retry; doubles each time.
    pub base: Duration,
    /// Upper bound of a back-off.
    pub cap: Duration,
}

impl RetryPolicy {
    /// Three retries, 100 ms doubling to 30 s.
    pub const DEFAULT: Self =
        Self { retries: 3, base: Duration::from_millis(100), cap: Duration::from_secs(30) };
    /// One attempt only.
    pub const NEVER: Self = Self { retries: 0, ..Self::DEFAULT };
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a kind says about one of its actions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActionPolicy {
    /// The action's name, one of `Action::NAMES`.
    pub name: &'static str,
    /// Time for one attempt.
    pub timeout: Duration,
    /// Retries of this action.
    pub retry: RetryPolicy,
    /// What a change of the desired state does to it.
    pub on_change: OnChange,
    /// Whether it blocks its thread and belongs on the blocking pool.
    pub blocking: bool,
}

impl ActionPolicy {
    /// The defaults for an action of this name with this timeout per attempt.
    #[must_use]
    pub const fn new(name: &'static str, timeout: Duration) -> Self {
        Self { name, timeout, retry: RetryPolicy::DEFAULT, on_change: OnChange::Finish, blocking: false }
    }
    /// With this retry policy.
    #[must_use]
    pub const fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }
    /// With this answer to a changed desired state.
    #[must_use]
    pub const fn with_on_change(mut self, on_change: OnChange) -> Self {
        self.on_change = on_change;
        self
    }
    /// On the blocking pool.
    #[must_use]
    pub const fn blocking(mut self) -> Self {
        self.blocking = true;
        self
    }
}

/// Restart budget (S-22).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RestartPolicy {
    /// Restarts allowed inside `window`.
    pub max_restarts: u32,
    /// Restarts of its children, all together, allowed inside `window`. A child whose own children used up theirs counts as
    /// one restart. By default each child has its own budget only, so that one that fails uses up nothing of its siblings'.
    pub max_restarts_below: Option<u32>,
    /// The window of the budget; a healthy run of this length resets it.
    pub window: Duration,
    /// First back-off; doubles.
    pub base: Duration,
    /// Upper bound of the back-off, and the pace of probing once the budget is spent.
    pub cap: Duration,
}

impl RestartPolicy {
    /// Five in a minute, 1 s doubling to 5 min.
    pub const DEFAULT: Self = Self {
        max_restarts: 5,
        max_restarts_below: None,
        window: Duration::from_secs(60),
        base: Duration::from_secs(1),
        cap: Duration::from_secs(300),
    };
}

/// Who is restarted with a failed child (S-23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The child alone.
    #[default]
    OneForOne,
    /// All children.
    OneForAll,
    /// The child and those declared after it.
    RestForOne,
}

/// Allowance in the default observation timeout for a process that its cgroup throttles: one throttling period of 100 ms, twice.
const CGROUP_ALLOWANCE: Duration = Duration::from_millis(200);
/// What a collection may take beyond its interval by default.
const COLLECT_SLACK: Duration = Duration::from_secs(1);
/// `stale_after` never defaults below this.
const MIN_STALE_AFTER: Duration = Duration::from_secs(10);
/// Bounds of an observation interval (S-30): below, collecting costs more than it tells; above, nobody calls it supervision.
const MIN_INTERVAL: Duration = Duration::from_millis(50);
const MAX_INTERVAL: Duration = Duration::from_secs(86_400);

/// The defaults of a kind. Made in a `const` from [`Policy::DEFAULT`]; nodes override parts of it.
///
/// ```
/// use fsm_core::Policy;
/// use std::time::Duration;
/// const POLICY: Policy = Policy::DEFAULT.poll_every(Duration::from_secs(5));
/// assert_eq!(POLICY.stale_after(), Duration::from_millis(21_200)); // 3 × interval + timeout
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// How observations come about.
    pub collect: CollectMode,
    /// Time for one collection; by default interval + 200 ms + 1 s.
    pub collect_timeout: Option<Duration>,
    /// An older observation is not believed; by default max(10 s, 3 × interval + timeout).
    pub stale_after: Option<Duration>,
    /// An older observation restarts the collector; by default twice `stale_after`.
    pub collector_timeout: Option<Duration>,
    /// Collector restarts before the node itself is restarted.
    pub max_collector_restarts: u32,
    /// Whether the collector blocks its thread.
    pub blocking_collect: bool,
    /// What the kind says of its actions by name.
    pub actions: &'static [ActionPolicy],
    /// Time for one attempt of an action that `actions` doesn't name.
    pub action_timeout: Duration,
    /// Retries of an action that `actions` doesn't name.
    pub retry: RetryPolicy,
    /// A node that has not stopped after this long is forced.
    pub stop_timeout: Duration,
    /// Panics of `derive`, `next` and `stop` within `panic_window` that open the node's panic circuit.
    pub max_panics: u32,
    /// The window of the panic circuit.
    pub panic_window: Duration,
    /// Restart budget.
    pub restart: RestartPolicy,
    /// Who is restarted with a failed child.
    pub strategy: Strategy,
}

impl Policy {
    /// The defaults of the specification: collect each second, actions 5 min, stop 30 s.
    pub const DEFAULT: Self = Self {
        collect: CollectMode::Poll { interval: Duration::from_secs(1) },
        collect_timeout: None,
        stale_after: None,
        collector_timeout: None,
        max_collector_restarts: 3,
        blocking_collect: false,
        actions: &[],
        action_timeout: Duration::from_secs(300),
        retry: RetryPolicy::DEFAULT,
        stop_timeout: Duration::from_secs(30),
        max_panics: 3,
        panic_window: Duration::from_secs(300),
        restart: RestartPolicy::DEFAULT,
        strategy: Strategy::OneForOne,
    };

    /// Collect at this interval.
    #[must_use]
    pub const fn poll_every(mut self, interval: Duration) -> Self {
        self.collect = CollectMode::Poll { interval };
        self
    }
    /// Observations are pushed; collect when this long went by without one.
    #[must_use]
    pub const fn push(mut self, heartbeat: Duration) -> Self {
        self.collect = CollectMode::Push { heartbeat };
        self
    }
    /// No observation at all.
    #[must_use]
    pub const fn without_observation(mut self) -> Self {
        self.collect = CollectMode::None;
        self
    }
    /// Time for one collection.
    #[must_use]
    pub const fn with_collect_timeout(mut self, timeout: Duration) -> Self {
        self.collect_timeout = Some(timeout);
        self
    }
    /// Age at which an observation is not believed any more.
    #[must_use]
    pub const fn with_stale_after(mut self, age: Duration) -> Self {
        self.stale_after = Some(age);
        self
    }
    /// Age at which the collector is restarted.
    #[must_use]
    pub const fn with_collector_timeout(mut self, age: Duration) -> Self {
        self.collector_timeout = Some(age);
        self
    }
    /// The collector blocks its thread.
    #[must_use]
    pub const fn blocking_collect(mut self) -> Self {
        self.blocking_collect = true;
        self
    }
    /// What the kind says of its actions.
    #[must_use]
    pub const fn with_actions(mut self, actions: &'static [ActionPolicy]) -> Self {
        self.actions = actions;
        self
    }
    /// Time in which a node must stop.
    #[must_use]
    pub const fn with_stop_timeout(mut self, timeout: Duration) -> Self {
        self.stop_timeout = timeout;
        self
    }
    /// Retries of actions that have no policy of their own.
    #[must_use]
    pub const fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The interval or heartbeat; none without observation.
    #[must_use]
    pub const fn interval(&self) -> Option<Duration> {
        match self.collect {
            CollectMode::Poll { interval } => Some(interval),
            CollectMode::Push { heartbeat } => Some(heartbeat),
            CollectMode::None => None,
        }
    }

    /// Time for one collection.
    #[must_use]
    pub fn collect_timeout(&self) -> Duration {
        self.collect_timeout.unwrap_or_else(|| {
            // A push heartbeat may be long; a single look has no reason to be.
            let interval = match self.collect {
                CollectMode::Poll { interval } => interval,
                CollectMode::Push { .. } | CollectMode::None => Duration::from_secs(1),
            };
            interval + CGROUP_ALLOWANCE + COLLECT_SLACK
        })
    }

    /// Age at which an observation is not believed any more.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.stale_after.unwrap_or_else(|| {
            let interval = self.interval().unwrap_or_default();
            (interval * 3 + self.collect_timeout()).max(MIN_STALE_AFTER)
        })
    }

    /// Age at which the collector is restarted.
    #[must_use]
    pub fn collector_timeout(&self) -> Duration {
        self.collector_timeout.unwrap_or_else(|| self.stale_after() * 2)
    }

    /// What holds for the action with this name.
    #[must_use]
    pub fn action(&self, name: &'static str) -> ActionPolicy {
        self.actions
            .iter()
            .find(|a| a.name == name)
            .copied()
            .unwrap_or(ActionPolicy { retry: self.retry, ..ActionPolicy::new(name, self.action_timeout) })
    }

    /// This policy with a node's overrides.
    ///
    /// # Errors
    /// [`PolicyError`] when the result breaks I2, I7 or I11, or an interval is out of bounds.
    pub fn with(&self, over: &PolicyOverride) -> Result<Self, PolicyError> {
        let get = |d: &Option<HumanDuration>| d.map(HumanDuration::get);
        let mut policy = *self;
        if let Some(interval) = get(&over.interval) {
            policy.collect = match policy.collect {
                CollectMode::Poll { .. } => CollectMode::Poll { interval },
                CollectMode::Push { .. } => CollectMode::Push { heartbeat: interval },
                CollectMode::None => return Err(PolicyError::NothingToCollect),
            };
        }
        policy.collect_timeout = get(&over.collect_timeout).or(policy.collect_timeout);
        policy.stale_after = get(&over.stale_after).or(policy.stale_after);
        policy.collector_timeout = get(&over.collector_timeout).or(policy.collector_timeout);
        policy.action_timeout = get(&over.action_timeout).unwrap_or(policy.action_timeout);
        policy.stop_timeout = get(&over.stop_timeout).unwrap_or(policy.stop_timeout);
        policy.retry.retries = over.retries.unwrap_or(policy.retry.retries);
        policy.restart.max_restarts = over.max_restarts.unwrap_or(policy.restart.max_restarts);
        policy.restart.max_restarts_below = over.max_restarts_below.or(policy.restart.max_restarts_below);
        policy.restart.base = get(&over.restart_back_off).unwrap_or(policy.restart.base);
        policy.strategy = over.strategy.unwrap_or(policy.strategy);
        policy.check()?;
        Ok(policy)
    }

    /// Checks the ordering of its times.
    ///
    /// # Errors
    /// [`PolicyError`] names the two that contradict each other.
    pub fn check(&self) -> Result<(), PolicyError> {
        let Some(interval) = self.interval() else { return Ok(()) };
        if !(MIN_INTERVAL..=MAX_INTERVAL).contains(&interval) {
            return Err(PolicyError::IntervalOutOfBounds { interval: interval.into() });
        }
        let order = [
            ("interval", interval, "stale_after", self.stale_after()),
            ("collect_timeout", self.collect_timeout(), "stale_after", self.stale_after()),
            ("stale_after", self.stale_after(), "collector_timeout", self.collector_timeout()),
        ];
        for (less, a, more, b) in order {
            if a >= b {
                return Err(PolicyError::Order { less, a: a.into(), more, b: b.into() });
            }
        }
        Ok(())
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What one node overrides of its kind's policy (`policy:` in the config).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PolicyOverride {
    /// Observation interval, 50 ms to 1 day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<HumanDuration>,
    /// Time for one collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_timeout: Option<HumanDuration>,
    /// Age at which an observation is not believed any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<HumanDuration>,
    /// Age at which the collector is restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collector_timeout: Option<HumanDuration>,
    /// Time for one attempt of an action that has no timeout of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_timeout: Option<HumanDuration>,
    /// Retries of an action that has no policy of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Time in which the node must stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<HumanDuration>,
    /// Restarts allowed inside the budget's window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
    /// Restarts of its children, all together, allowed inside that window; by default each has its own budget only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_restarts_below: Option<u32>,
    /// Wait before the first restart, 1 s by default; it doubles with each further one, up to 5 min. With 0 a node comes again
    /// at once, as often as its budget lets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_back_off: Option<HumanDuration>,
    /// Who is restarted with a failed child.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
}

/// Times of a policy contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// One time must be shorter than another (I2, I7, I11).
    #[error("{less} ({a:?}) must be shorter than {more} ({b:?}): shorten the first or lengthen the second")]
    Order {
        /// The one that must be shorter.
        less: &'static str,
        /// Its value.
        a: HumanDuration,
        /// The one that must be longer.
        more: &'static str,
        /// Its value.
        b: HumanDuration,
    },
    /// The interval is outside 50 ms … 1 day.
    #[error("the interval {interval:?} is out of bounds: use 50ms to 1d")]
    IntervalOutOfBounds {
        /// The refused interval.
        interval: HumanDuration,
    },
    /// An interval for a kind that doesn't collect.
    #[error("this kind observes nothing itself, so it has no interval: leave `interval` out")]
    NothingToCollect,
}
