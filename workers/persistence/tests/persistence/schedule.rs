//! The schedule over weeks, hour by hour.

use std::time::Duration;

use fsm_store::Timestamp;
use fsm_worker_persistence::{
    ClockTime, Day, Due, PersistenceConfig, Window, compaction_is_due, maintenance_due,
};
use jiff::tz::{TimeZone, offset};

/// Thursday, the first of January 2026, 00:00 in universal time.
const THURSDAY: u64 = 1_767_225_600_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn at(ms: u64) -> Timestamp {
    Timestamp::new(ms)
}

fn east() -> TimeZone {
    TimeZone::fixed(offset(9))
}

fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

/// Local days and hours at which it is done within these weeks, when somebody looks each quarter of an hour.
fn done(
    config: &PersistenceConfig,
    zone: &TimeZone,
    begin: u64,
    mut last: Option<u64>,
    weeks: u64,
) -> Vec<String> {
    let mut done = Vec::new();
    for now in (begin..begin + weeks * 7 * DAY).step_by(15 * MINUTE as usize) {
        if maintenance_due(config, at(now), last.map(at), zone) == Due::Now {
            let local = zone.to_datetime(jiff::Timestamp::from_millisecond(now as i64).unwrap());
            done.push(local.strftime("%a %d %H:%M").to_string());
            last = Some(now);
        }
    }
    done
}

// spec: W-10
#[test]
fn once_a_week_at_the_beginning_of_the_weekend_s_first_window() {
    let config = PersistenceConfig::default();
    let expected = ["Sat 03 02:00", "Sat 10 02:00", "Sat 17 02:00", "Sat 24 02:00"];
    for (zone, shift) in [(TimeZone::UTC, 0), (east(), 9 * HOUR)] {
        // Wherever it is: the same local time, since last Saturday's window.
        let begin = THURSDAY - shift;
        let last = Some(begin - 5 * DAY + 2 * HOUR);
        assert_eq!(done(&config, &zone, begin, last, 4), expected);
    }
}

// spec: W-10 — up to two days early in the window, not a minute more.
#[test]
fn early_only_as_far_as_allowed() {
    let config = PersistenceConfig::default();
    let saturday_night = THURSDAY + 2 * DAY + 2 * HOUR;
    let due = |since| {
        maintenance_due(&config, at(saturday_night), Some(at(saturday_night - since)), &TimeZone::UTC)
    };
    assert_eq!(due(5 * DAY), Due::Now);
    assert_eq!(due(5 * DAY - MINUTE), Due::NotYet);
}

// spec: W-10 — outside of the window it waits for two days, and not longer.
#[test]
fn late_only_as_far_as_allowed() {
    let config = PersistenceConfig::default();
    // Due on Tuesday noon: no window is open before Saturday.
    let last = THURSDAY - 2 * DAY + 12 * HOUR;
    let due = |now| maintenance_due(&config, at(now), Some(at(last)), &TimeZone::UTC);
    assert_eq!(due(last + 7 * DAY - MINUTE), Due::NotYet);
    assert_eq!(due(last + 7 * DAY), Due::Overdue);
    assert_eq!(due(last + 9 * DAY - MINUTE), Due::Overdue);
    assert_eq!(due(last + 9 * DAY), Due::Now, "forced");
    // From then on it comes back to the weekend.
    let expected = ["Thu 08 12:00", "Sat 17 02:00", "Sat 24 02:00"];
    assert_eq!(done(&config, &TimeZone::UTC, THURSDAY, Some(last), 4), expected);
}

#[test]
fn what_was_never_done_is_due_now() {
    let config = PersistenceConfig::default();
    assert_eq!(maintenance_due(&config, at(THURSDAY), None, &TimeZone::UTC), Due::Now);
    assert!(compaction_is_due(&config, at(THURSDAY), None));
}

// spec: W-10
#[test]
fn a_window_is_open_from_its_beginning_until_before_its_end() {
    let config = PersistenceConfig::default();
    let open = |minutes: u64| {
        // Due and overdue say apart whether it is open.
        let now = THURSDAY + 2 * DAY + minutes * MINUTE;
        maintenance_due(&config, at(now), Some(at(now - 8 * DAY)), &TimeZone::UTC) == Due::Now
    };
    assert!(!open(119) && open(120) && open(299) && !open(300));
    assert!(open(24 * 60 + 120), "on Sunday, too");
    assert!(!open(48 * 60 + 120), "and not on Monday");
}

#[test]
fn a_window_may_go_past_midnight() {
    let window = Window::new([Day::Fri], ClockTime::hour(22), ClockTime::hour(4));
    let config = PersistenceConfig::default().with_window(window);
    let last = Some(THURSDAY - 6 * DAY);
    assert_eq!(done(&config, &TimeZone::UTC, THURSDAY, last, 1), ["Fri 02 22:00"]);
    let saturday = THURSDAY + 2 * DAY;
    let due = |now| maintenance_due(&config, at(now), Some(at(now - 8 * DAY)), &TimeZone::UTC);
    assert_eq!((due(saturday + 3 * HOUR), due(saturday + 4 * HOUR)), (Due::Now, Due::Overdue));
    assert_eq!(due(saturday - 3 * HOUR), Due::Overdue, "21:00");
}

/// In spring the hour from two to three is left out on a Sunday, in autumn it comes twice.
#[test]
fn clocks_that_are_set_forward_and_back_do_it_once() {
    let sunday = Window::new([Day::Sun], ClockTime::hour(2), ClockTime::hour(3));
    let config = PersistenceConfig::default().with_window(sunday);
    // Monday, the 19th of October 2026.
    let october = THURSDAY + 291 * DAY;
    let last = Some(october - 2 * DAY);
    assert_eq!(done(&config, &berlin(), october, last, 1), ["Sun 25 02:00"]);
    // Monday, the 23rd of March 2026: the window never opens, and it is done when it is late.
    let march = THURSDAY + 81 * DAY;
    let last = Some(march - 2 * DAY);
    assert_eq!(done(&config, &berlin(), march, last, 2), ["Mon 30 02:00", "Sun 05 02:00"]);
}

// spec: W-10
#[test]
fn compactions_come_at_their_interval() {
    let config = PersistenceConfig::default();
    let due = |since| compaction_is_due(&config, at(THURSDAY), Some(at(THURSDAY - since)));
    assert!(!due(0) && !due(5 * MINUTE - 1) && due(5 * MINUTE));
}

#[test]
fn a_clock_that_was_set_back_does_not_put_everything_off() {
    let config = PersistenceConfig::default();
    // A little: the last time is in the future, and counts as just now.
    assert!(!compaction_is_due(&config, at(THURSDAY), Some(at(THURSDAY + MINUTE))));
    let maintain = |last| maintenance_due(&config, at(THURSDAY), Some(at(last)), &TimeZone::UTC);
    assert_eq!(maintain(THURSDAY + DAY), Due::NotYet);
    // A year: it proves nothing.
    assert!(compaction_is_due(&config, at(THURSDAY), Some(at(THURSDAY + 365 * DAY))));
    assert_eq!(maintain(THURSDAY + 365 * DAY), Due::Now);
    assert!(Duration::from_millis(365 * DAY) > config.maintain_every.get());
}
