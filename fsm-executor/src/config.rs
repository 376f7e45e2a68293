//! How an executor is set up, and what refuses to be set up.

use std::time::Duration;

/// Upper bound of all places: each place is a resident task of about half a KiB, and a pool of more than this bounds nothing.
pub(crate) const MAX_PLACES: usize = 65_536;

/// The sizes and times of an [`Executor`](crate::Executor).
///
/// ```
/// use fsm_executor::ExecutorConfig;
/// let config = ExecutorConfig::default().with_concurrency(4).with_seed(7);
/// assert_eq!((config.concurrency, config.reserved_for_stop), (4, 2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecutorConfig {
    /// Attempts that run at the same time; by default 10.
    pub concurrency: usize,
    /// Further places for [`Priority::Stop`](crate::Priority::Stop) only, so that nodes can stop while the pool hangs; by
    /// default 2.
    pub reserved_for_stop: usize,
    /// Actions that may wait for a place before new ones are refused; by default 65 536. One that comes back from its retry
    /// back-off is never refused.
    pub max_waiting: usize,
    /// Time that shutdown gives to running actions before their futures are dropped; by default 5 s.
    pub grace: Duration,
    /// Seed of the jitter: the same seed, keys and ids give the same back-offs.
    pub seed: u64,
}

impl Default for ExecutorConfig {
    fn default() -> Self {
        Self {
            concurrency: 10,
            reserved_for_stop: 2,
            max_waiting: 65_536,
            grace: Duration::from_secs(5),
            seed: 0,
        }
    }
}

impl ExecutorConfig {
    /// With this many attempts at the same time.
    #[must_use]
    pub const fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }
    /// With this many more places for stopping.
    #[must_use]
    pub const fn with_reserved_for_stop(mut self, reserved: usize) -> Self {
        self.reserved_for_stop = reserved;
        self
    }
    /// With this bound of the queue.
    #[must_use]
    pub const fn with_max_waiting(mut self, max_waiting: usize) -> Self {
        self.max_waiting = max_waiting;
        self
    }
    /// With this grace at shutdown.
    #[must_use]
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
    /// With this seed of the jitter.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(crate) fn check(&self) -> Result<(), StartError> {
        let places = self.concurrency.saturating_add(self.reserved_for_stop);
        if self.concurrency == 0 {
            Err(StartError::NoPlaces)
        } else if places > MAX_PLACES {
            Err(StartError::TooManyPlaces { places })
        } else if self.max_waiting == 0 {
            Err(StartError::NoQueue)
        } else {
            Ok(())
        }
    }
}

/// An executor can't be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Nothing could ever run.
    #[error("the executor's `concurrency` is 0, so no action could ever run: use at least 1")]
    NoPlaces,
    /// More places than make sense.
    #[error(
        "`concurrency` and `reserved_for_stop` add up to {places} places: use at most {MAX_PLACES} together"
    )]
    TooManyPlaces {
        /// The asked number.
        places: usize,
    },
    /// Nothing could ever be accepted.
    #[error("the executor's `max_waiting` is 0, so no action could ever be accepted: use at least 1")]
    NoQueue,
    /// There is no runtime to run on.
    #[error("the executor was made outside of a tokio runtime: make it inside `Runtime::block_on` or a task")]
    NoRuntime,
}
