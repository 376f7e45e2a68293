//! The tokio driver with real tasks, under paused time where time matters.

mod kinds;
mod rules;
