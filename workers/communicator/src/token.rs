//! When a session's token is refreshed (W-2): pure. Its expiry is read, not verified: it is ours to present, not to trust.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// How long before its expiry a token is refreshed: room for a relay that is away for some minutes.
pub const REFRESH_BEFORE: Duration = Duration::from_secs(600);
/// A token that would expire in these hours of the local day is refreshed before people come to work.
const BUSY: std::ops::Range<u64> = 7 * HOUR..20 * HOUR;
/// When nobody works.
const QUIET: u64 = 3 * HOUR;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// When a JWT says that it expires, in milliseconds since 1970 UTC; none if it doesn't say.
///
/// ```
/// use fsm_worker_communicator::expires_at;
/// // {"exp": 1700000000}
/// assert_eq!(expires_at("e30.eyJleHAiOjE3MDAwMDAwMDB9.c2ln"), Some(1_700_000_000_000));
/// assert_eq!(expires_at("opaque"), None);
/// ```
#[must_use]
pub fn expires_at(jwt: &str) -> Option<u64> {
    let claims = jwt.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let seconds = claims.get("exp")?.as_f64().filter(|seconds| (0.0..1e12).contains(seconds))?;
    Some((seconds * 1_000.0) as u64)
}

/// When to refresh a token, in milliseconds since 1970 UTC like `now` and `expires`; `offset` is how far the local clock is
/// ahead of UTC, in seconds. Ten minutes before it expires; if that would be between 07 and 20 h of the local day, at 03 h of
/// that day, unless that is past. A token that lives for less than ten minutes is refreshed halfway. None for one that has
/// expired already: either clock is wrong, so the relay's word counts.
#[must_use]
pub fn refresh_at(now: u64, expires: u64, offset: i32) -> Option<u64> {
    let left = expires.checked_sub(now).filter(|left| *left > 0)?;
    let before = u64::try_from(REFRESH_BEFORE.as_millis()).unwrap_or_default();
    let due = expires.saturating_sub(before);
    if due <= now {
        return Some(now + left / 2);
    }
    let local = expires.checked_add_signed(i64::from(offset) * 1_000)?;
    let since_midnight = local % DAY;
    if !BUSY.contains(&since_midnight) {
        return Some(due);
    }
    let quiet = expires.saturating_sub(since_midnight - QUIET);
    Some(if quiet > now { quiet } else { due })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    /// Midnight UTC of some day.
    const MIDNIGHT: u64 = 20_000 * DAY;

    fn at(day: u64, hours: u64, minutes: u64) -> u64 {
        MIDNIGHT + day * DAY + hours * HOUR + minutes * MINUTE
    }

    #[track_caller]
    fn check(now: u64, expires: u64, offset_hours: i32, expected: Option<u64>) {
        assert_eq!(refresh_at(now, expires, offset_hours * 3_600), expected);
    }

    // spec: W-2
    #[test]
    fn a_token_is_refreshed_ten_minutes_before_it_expires() {
        check(at(0, 1, 0), at(0, 6, 59), 0, Some(at(0, 6, 49)));
        check(at(0, 1, 0), at(0, 20, 0), 0, Some(at(0, 19, 50)));
        check(at(0, 1, 0), at(0, 23, 59), 0, Some(at(0, 23, 49)));
        check(at(0, 23, 0), at(1, 0, 5), 0, Some(at(0, 23, 55)));
    }

    // spec: W-2
    #[test]
    fn a_token_that_would_expire_in_the_day_is_refreshed_at_three() {
        for (hours, minutes) in [(7, 0), (12, 0), (19, 59)] {
            check(at(0, 1, 0), at(0, hours, minutes), 0, Some(at(0, 3, 0)));
            check(at(0, 1, 0), at(5, hours, minutes), 0, Some(at(5, 3, 0)));
        }
    }

    // spec: W-2
    #[test]
    fn the_day_is_the_local_one() {
        // 06:00 UTC is 07:00 one hour east; three in the morning there is two in UTC.
        check(at(0, 1, 0), at(0, 6, 0), 0, Some(at(0, 5, 50)));
        check(at(0, 1, 0), at(0, 6, 0), 1, Some(at(0, 2, 0)));
        // 02:00 UTC is 18:00 of the day before, eight hours west.
        check(at(0, 1, 0), at(5, 2, 0), -8, Some(at(4, 11, 0)));
        // India is half an hour off: 01:30 UTC is 07:00, 03:00 there is 21:30 UTC of the day before.
        assert_eq!(refresh_at(at(0, 1, 0), at(5, 1, 30), 19_800), Some(at(4, 21, 30)));
        assert_eq!(refresh_at(at(0, 1, 0), at(5, 1, 29), 19_800), Some(at(5, 1, 19)));
    }

    // spec: W-2
    #[test]
    fn when_three_is_past_it_is_ten_minutes_before_again() {
        check(at(0, 3, 0), at(0, 12, 0), 0, Some(at(0, 11, 50)));
        check(at(0, 9, 0), at(0, 12, 0), 0, Some(at(0, 11, 50)));
        check(at(0, 2, 59), at(0, 12, 0), 0, Some(at(0, 3, 0)));
    }

    // spec: W-2
    #[test]
    fn a_short_life_is_refreshed_halfway_and_never_in_the_past() {
        check(at(0, 12, 0), at(0, 12, 10), 0, Some(at(0, 12, 5)));
        check(at(0, 12, 0), at(0, 12, 2), 0, Some(at(0, 12, 1)));
        check(at(0, 12, 0), at(0, 12, 0), 0, None);
        check(at(0, 12, 0), at(0, 11, 0), 0, None);
    }

    proptest::proptest! {
        // spec: W-2
        #[test]
        fn a_refresh_lies_between_now_and_the_expiry(now in 0..u64::MAX / 4, left in 2..40 * DAY, offset in -50_400..50_400_i32) {
            let refresh = refresh_at(now, now + left, offset).expect("it has not expired");
            proptest::prop_assert!(refresh > now && refresh < now + left);
        }
    }

    // spec: W-2
    #[test]
    fn what_is_no_jwt_has_no_expiry() {
        let jwt = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(expires_at(&jwt(r#"{"exp": 12.5}"#)), Some(12_500));
        for bad in
            ["", "a.b", "a.%%%.c", &jwt("{}"), &jwt(r#"{"exp": "x"}"#), &jwt(r#"{"exp": -1}"#), &jwt("[1]")]
        {
            assert_eq!(expires_at(bad), None, "{bad}");
        }
    }
}
