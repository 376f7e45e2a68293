//! The tokio driver with real tasks, under paused time where time matters.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod blocking;
mod kinds;
mod rules;
