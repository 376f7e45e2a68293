//! When the store is looked after: a function of the wall's time and of when it was done last. It has no clock.

use std::time::Duration;

use fsm_store::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::config::{PersistenceConfig, Window};

/// Whether maintenance is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// It has time.
    #[default]
    NotYet,
    /// It is due, and waits for its window; only a start doesn't wait.
    Overdue,
    /// It is to be done now.
    Now,
}

/// Whether a compaction is due.
#[must_use]
pub fn compaction_is_due(config: &PersistenceConfig, now: Timestamp, last: Option<Timestamp>) -> bool {
    last.is_none_or(|last| age(now, last, config.compact_every.get()) >= config.compact_every.get())
}

/// Whether maintenance is due, with the window in this time zone.
#[must_use]
pub fn maintenance_due(
    config: &PersistenceConfig,
    now: Timestamp,
    last: Option<Timestamp>,
    zone: &TimeZone,
) -> Due {
    let every = config.maintain_every.get();
    let age = last.map_or(Duration::MAX, |last| age(now, last, every));
    let early = every.saturating_sub(config.early.get());
    let late = every.saturating_add(config.late.get());
    if age >= late || (age >= early && is_open(&config.window, now, zone)) {
        Due::Now
    } else if age >= every {
        Due::Overdue
    } else {
        Due::NotYet
    }
}

/// How long ago that was. A clock that was set back a little makes it just now, and one that was set back by more than a whole
/// period proves nothing any more: then it was too long ago.
fn age(now: Timestamp, last: Timestamp, period: Duration) -> Duration {
    if last.since(now) >= period { Duration::MAX } else { now.since(last) }
}

/// Whether the window is open.
fn is_open(window: &Window, now: Timestamp, zone: &TimeZone) -> bool {
    let now = i64::try_from(now.get()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    // Beyond the calendar's end there are no days.
    let Some(now) = now else { return false };
    let local = zone.to_datetime(now);
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    let (from, to) = (i32::from(window.from.minutes()), i32::from(window.to.minutes()));
    let opens_on = |day: Weekday| window.days.iter().any(|open| open.weekday() == day);
    let (today, yesterday) = (local.weekday(), local.weekday().previous());
    if from < to {
        opens_on(today) && (from..to).contains(&minute)
    } else {
        (opens_on(today) && minute >= from) || (opens_on(yesterday) && minute < to)
    }
}
