//! How long to wait after an error, by its class, and when to start over with new connections (W-3): pure.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// The longest wait of the doubling kind.
const MOST: Duration = Duration::from_secs(60);
/// Waits after a rate limit: the first, the second, the third, and all later ones in a row.
const RATE_LIMIT: [u64; 4] = [30, 60, 120, 300];
/// A login page or a challenge wants a person; a minute is what one needs.
const PROXY_PAGE: Duration = Duration::from_secs(60);
/// Who deleted an instance does so on purpose.
const INSTANCE_DELETED: Duration = Duration::from_secs(300);
/// A relay that asks for more is looked at again all the same.
const MOST_ASKED: Duration = Duration::from_secs(3_600);
/// After so many network errors in a row the connections, the resolver's answer or the TLS session may be to blame.
const RESET_AT_NETWORK: u32 = 5;
/// A server that answers with errors is reached; another address of it may do better.
const RESET_AT_SERVER: u32 = 10;

/// What kind of error an exchange with the relay ended with; a label of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The relay was not reached, or the connection broke.
    Network,
    /// The relay answered that it can't, or with nonsense.
    Server,
    /// The relay asks to slow down.
    RateLimit,
    /// Somebody else answered: a proxy, a captive portal, a challenge.
    ProxyPage,
    /// The session is over: log in again.
    TokenExpired,
    /// The relay does not take the token.
    InvalidToken,
    /// The relay does not know the instance any more.
    InstanceDeleted,
    /// The relay does not take these messages.
    Rejected,
}

impl ErrorClass {
    /// All classes.
    pub const ALL: [Self; 8] = [
        Self::Network,
        Self::Server,
        Self::RateLimit,
        Self::ProxyPage,
        Self::TokenExpired,
        Self::InvalidToken,
        Self::InstanceDeleted,
        Self::Rejected,
    ];

    /// The word of metrics, events and observations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Server => "server",
            Self::RateLimit => "rate_limit",
            Self::ProxyPage => "proxy_page",
            Self::TokenExpired => "token_expired",
            Self::InvalidToken => "invalid_token",
            Self::InstanceDeleted => "instance_deleted",
            Self::Rejected => "rejected",
        }
    }

    /// Whether nothing is tried again until the token, the URL or the instance's id is another one (W-2).
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::InvalidToken | Self::InstanceDeleted => true,
            Self::Network
            | Self::Server
            | Self::RateLimit
            | Self::ProxyPage
            | Self::TokenExpired
            | Self::Rejected => false,
        }
    }
}

/// How long to wait after the `in_a_row`th error of a class in a row, from 1. What the relay asked for wins.
///
/// ```
/// use fsm_worker_communicator::{ErrorClass, wait};
/// use std::time::Duration;
/// assert_eq!(wait(ErrorClass::Network, 3, None), Duration::from_secs(8));
/// assert_eq!(wait(ErrorClass::Network, 3, Some(Duration::from_secs(90))), Duration::from_secs(90));
/// ```
#[must_use]
pub fn wait(class: ErrorClass, in_a_row: u32, retry_after: Option<Duration>) -> Duration {
    if let Some(asked) = retry_after {
        return asked.min(MOST_ASKED);
    }
    let doubled = |n: u32| Duration::from_secs(1_u64 << n.min(6)).min(MOST);
    match class {
        ErrorClass::Network | ErrorClass::Server => doubled(in_a_row),
        ErrorClass::RateLimit => {
            let nth = (in_a_row.max(1) as usize - 1).min(RATE_LIMIT.len() - 1);
            Duration::from_secs(RATE_LIMIT[nth])
        }
        ErrorClass::ProxyPage => PROXY_PAGE,
        ErrorClass::InstanceDeleted => INSTANCE_DELETED,
        // The first is the end of a session, which is no fault; one after the other is.
        ErrorClass::TokenExpired => match in_a_row {
            0 | 1 => Duration::ZERO,
            n => doubled(n - 1),
        },
        // Nothing is tried again with this token; the pace is that of a slow look.
        ErrorClass::InvalidToken => INSTANCE_DELETED,
        // What is left of the batch goes at once.
        ErrorClass::Rejected => Duration::ZERO,
    }
}

/// Whether this many errors of a class in a row ask for new connections.
#[must_use]
pub const fn is_reset_due(class: ErrorClass, in_a_row: u32) -> bool {
    let every = match class {
        ErrorClass::Network => RESET_AT_NETWORK,
        ErrorClass::Server => RESET_AT_SERVER,
        ErrorClass::RateLimit
        | ErrorClass::ProxyPage
        | ErrorClass::TokenExpired
        | ErrorClass::InvalidToken
        | ErrorClass::InstanceDeleted
        | ErrorClass::Rejected => return false,
    };
    in_a_row > 0 && in_a_row.is_multiple_of(every)
}

/// The header `Retry-After`: seconds, or a date, as seen at `now`. A date that is past asks for no wait.
///
/// ```
/// use fsm_worker_communicator::parse_retry_after;
/// use std::time::{Duration, UNIX_EPOCH};
/// assert_eq!(parse_retry_after("120", UNIX_EPOCH), Some(Duration::from_secs(120)));
/// assert_eq!(parse_retry_after("Thu, 01 Jan 1970 00:01:30 GMT", UNIX_EPOCH), Some(Duration::from_secs(90)));
/// assert_eq!(parse_retry_after("soon", UNIX_EPOCH), None);
/// ```
#[must_use]
pub fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long time.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Errors in a row of one operation. One of another class begins a new row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    row: Option<(ErrorClass, u32)>,
}

impl Failures {
    /// Another error. Gives its place in the row, from 1.
    pub fn count(&mut self, class: ErrorClass) -> u32 {
        let before = self.row.filter(|(last, _)| *last == class).map_or(0, |(_, count)| count);
        let count = before.saturating_add(1);
        self.row = Some((class, count));
        count
    }

    /// It went well.
    pub fn clear(&mut self) {
        self.row = None;
    }

    /// The class of the present row and its length.
    #[must_use]
    pub const fn row(&self) -> Option<(ErrorClass, u32)> {
        self.row
    }
}

/// How long a second of the table is. Only tests, where nobody waits for minutes, have another than a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    second: Duration,
}

impl Pace {
    /// A second is a second.
    pub const REAL: Self = Self { second: Duration::from_secs(1) };

    /// A second of the table takes this long.
    #[must_use]
    pub const fn of(second: Duration) -> Self {
        Self { second }
    }

    /// How long this is at this pace.
    #[must_use]
    pub fn scale(self, time: Duration) -> Duration {
        if self == Self::REAL { time } else { time.mul_f64(self.second.as_secs_f64()) }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::REAL
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::ErrorClass::{
        InstanceDeleted, InvalidToken, Network, ProxyPage, RateLimit, Rejected, Server, TokenExpired,
    };
    use super::*;

    #[track_caller]
    fn check(class: ErrorClass, expected: &[u64]) {
        let waits: Vec<_> = (1..).take(expected.len()).map(|n| wait(class, n, None).as_secs()).collect();
        assert_eq!(waits, expected, "{class:?}");
    }

    // spec: W-3
    #[test]
    fn each_class_has_its_waits() {
        check(Network, &[2, 4, 8, 16, 32, 60, 60, 60]);
        check(Server, &[2, 4, 8, 16, 32, 60, 60, 60]);
        check(RateLimit, &[30, 60, 120, 300, 300]);
        check(ProxyPage, &[60, 60, 60]);
        check(InstanceDeleted, &[300, 300]);
        check(TokenExpired, &[0, 2, 4, 8, 16, 32, 60]);
        check(InvalidToken, &[300]);
        check(Rejected, &[0]);
        assert_eq!(wait(Network, u32::MAX, None), MOST);
        assert_eq!(wait(RateLimit, 0, None).as_secs(), 30);
    }

    // spec: W-3
    #[test]
    fn what_the_relay_asks_for_wins_over_every_class() {
        for class in ErrorClass::ALL {
            for asked in [0, 1, 90, 3_600] {
                assert_eq!(wait(class, 4, Some(Duration::from_secs(asked))).as_secs(), asked, "{class:?}");
            }
            assert_eq!(wait(class, 1, Some(Duration::MAX)), MOST_ASKED, "nothing is given up for ever");
        }
    }

    // spec: W-3
    #[test]
    fn every_fifth_network_and_tenth_server_error_in_a_row_asks_for_new_connections() {
        let due = |class| (0..=20).filter(|n| is_reset_due(class, *n)).collect::<Vec<_>>();
        assert_eq!(due(Network), [5, 10, 15, 20]);
        assert_eq!(due(Server), [10, 20]);
        for class in [RateLimit, ProxyPage, TokenExpired, InvalidToken, InstanceDeleted, Rejected] {
            assert!(due(class).is_empty(), "{class:?}");
        }
    }

    // spec: W-3
    #[test]
    fn a_row_ends_with_another_class_or_with_success() {
        let mut failures = Failures::default();
        assert_eq!([Network, Network, Network].map(|class| failures.count(class)), [1, 2, 3]);
        assert_eq!([Server, Server, Network].map(|class| failures.count(class)), [1, 2, 1]);
        failures.clear();
        assert_eq!((failures.row(), failures.count(Network)), (None, 1));
    }

    // spec: W-3
    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(120)),
            ("Sunday, 06-Nov-94 08:51:37 GMT", Some(120)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(parse_retry_after(text, now), expected.map(Duration::from_secs), "`{text}`");
        }
    }
}
