//! What a `failing` incarnation remembers. A state can't: it is `Copy`, and asked again it must answer the same.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fsm_core::Moment;

use super::{FailingConfig, FailingObserved, Fails};

/// How it stands with the thing that fails.
#[derive(Debug, Default)]
pub struct FailingHandle {
    world: Mutex<World>,
}

#[derive(Debug, Default)]
struct World {
    up_since: Option<Moment>,
    breakdowns: u32,
    /// Failed starts since the last success.
    failures: u32,
}

impl World {
    /// It has been up for as long as it may, and is to break down once more.
    fn is_broken(&self, now: Moment, config: &FailingConfig) -> bool {
        let over = self.up_since.is_some_and(|since| now.since(since) >= config.up_for.get());
        over && self.breakdowns < config.breakdowns
    }
}

impl FailingHandle {
    pub(super) fn look(&self, now: Moment, config: &FailingConfig) -> FailingObserved {
        let world = self.lock();
        let broken = world.is_broken(now, config);
        let breakdowns = world.breakdowns + u32::from(broken);
        FailingObserved { up: world.up_since.is_some() && !broken, breakdowns }
    }

    /// Starts it unless it is up; the error is which failure in a row it is.
    pub(super) fn start(&self, now: Moment, config: &FailingConfig, healed: bool) -> Result<(), u32> {
        let mut world = self.lock();
        if world.is_broken(now, config) {
            (world.up_since, world.failures) = (None, 0);
            world.breakdowns += 1;
        }
        if world.up_since.is_some() {
            return Ok(());
        }
        let fails = match config.fails {
            Fails::Times(times) => world.failures < times,
            Fails::Always => true,
        };
        if fails && !healed {
            world.failures = world.failures.saturating_add(1);
            return Err(world.failures);
        }
        (world.up_since, world.failures) = (Some(now), 0);
        Ok(())
    }

    pub(super) fn stop(&self) {
        let mut world = self.lock();
        (world.up_since, world.failures) = (None, 0);
    }

    /// A panic elsewhere leaves plain numbers, good as they are.
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
