//! What sort of failure it was, out of the error: its innermost cause tells, not what was wrapped around it.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::{self, ErrorKind};

use serde::{Deserialize, Serialize};

/// What sort of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCategory {
    /// It took too long.
    Timeout,
    /// What it was given, or what came back, is wrong.
    Validation,
    /// A connection could not be made or was lost.
    Network,
    /// Anything else.
    Other,
}

/// Parts of messages that tell the category of a cause whose type tells nothing; the first that fits counts. They are what the
/// standard library, tokio and the clients of common protocols say.
const SAID: [(ErrorCategory, &[&str]); 3] = [
    (ErrorCategory::Timeout, &["timed out", "timeout", "deadline has elapsed", "took longer than"]),
    (
        ErrorCategory::Network,
        &["connection", "network", "unreachable", "broken pipe", "dns", "lookup address", "not connected"],
    ),
    (ErrorCategory::Validation, &["invalid", "validation", "malformed", "can't be parsed", "is no "]),
];

/// What an error of the standard library's I/O is; of other kinds the text tells.
const OF_IO: [(ErrorCategory, &[ErrorKind]); 3] = [
    (ErrorCategory::Timeout, &[ErrorKind::TimedOut]),
    (ErrorCategory::Validation, &[ErrorKind::InvalidData, ErrorKind::InvalidInput]),
    (
        ErrorCategory::Network,
        &[
            ErrorKind::AddrInUse,
            ErrorKind::AddrNotAvailable,
            ErrorKind::BrokenPipe,
            ErrorKind::ConnectionAborted,
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionReset,
            ErrorKind::HostUnreachable,
            ErrorKind::NetworkDown,
            ErrorKind::NetworkUnreachable,
            ErrorKind::NotConnected,
            ErrorKind::UnexpectedEof,
        ],
    ),
];

impl ErrorCategory {
    /// All categories.
    pub const ALL: [Self; 4] = [Self::Timeout, Self::Validation, Self::Network, Self::Other];

    /// The category of an error: that of its innermost cause, by its type where that is one of the standard library's, else by
    /// what it says. Allocates nothing.
    ///
    /// ```
    /// use std::io::{Error, ErrorKind};
    /// use fsm_metrics::ErrorCategory;
    ///
    /// assert_eq!(ErrorCategory::of(&Error::from(ErrorKind::ConnectionRefused)), ErrorCategory::Network);
    /// ```
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self::by_type(cause).unwrap_or_else(|| Self::by_text(cause))
    }

    fn by_type(cause: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return OF_IO.iter().find(|(_, kinds)| kinds.contains(&io.kind())).map(|(category, _)| *category);
        }
        let parsed = cause.is::<std::num::ParseIntError>()
            || cause.is::<std::num::ParseFloatError>()
            || cause.is::<std::num::TryFromIntError>()
            || cause.is::<std::str::Utf8Error>()
            || cause.is::<std::string::FromUtf8Error>()
            || cause.is::<std::net::AddrParseError>();
        parsed.then_some(Self::Validation)
    }

    fn by_text(cause: &(dyn Error + 'static)) -> Self {
        let mut said = Said { bytes: [0; ROOM], len: 0 };
        // What doesn't fit is cut off, which is no error here.
        let _ = write!(said, "{cause}");
        let said = &said.bytes[..said.len];
        let has = |part: &&str| said.windows(part.len()).any(|window| window == part.as_bytes());
        SAID.iter().find(|(_, parts)| parts.iter().any(has)).map_or(Self::Other, |(category, _)| *category)
    }
}

/// The beginning of a message says what went wrong; the rest is details.
const ROOM: usize = 256;

/// The beginning of a message in lower case, without an allocation.
struct Said {
    bytes: [u8; ROOM],
    len: usize,
}

impl fmt::Write for Said {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes().take(ROOM - self.len) {
            self.bytes[self.len] = byte.to_ascii_lowercase();
            self.len += 1;
        }
        if self.len < ROOM { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsm_core::ActionError;

    #[derive(Debug, thiserror::Error)]
    #[error("gave up after 3 attempts: the last one timed out")]
    struct GaveUp(#[source] Box<dyn Error + Send + Sync>);

    #[track_caller]
    fn check(expected: ErrorCategory, error: impl Error + 'static) {
        assert_eq!(ErrorCategory::of(&error), expected, "{error}");
    }

    // spec: N-15
    #[test]
    fn the_innermost_cause_is_classified_and_not_the_retry_around_it() {
        let refused = || io::Error::from(ErrorKind::ConnectionRefused);
        check(ErrorCategory::Network, GaveUp(refused().into()));
        check(ErrorCategory::Network, GaveUp(Box::new(GaveUp(refused().into()))));
        check(ErrorCategory::Network, ActionError::transient("invalid").with_source(refused()));
        let parse = "x".parse::<u8>().expect_err("no number");
        check(ErrorCategory::Validation, GaveUp(parse.into()));
        check(ErrorCategory::Other, GaveUp("no paper".into()));
    }

    // spec: N-15
    #[test]
    fn a_cause_without_a_known_type_is_classified_by_what_it_says() {
        check(ErrorCategory::Timeout, ActionError::transient("the device Timed Out"));
        check(ErrorCategory::Timeout, io::Error::from(ErrorKind::TimedOut));
        check(ErrorCategory::Timeout, io::Error::other("deadline has elapsed"));
        check(ErrorCategory::Network, ActionError::transient("lost the connection"));
        check(ErrorCategory::Validation, ActionError::permanent("invalid topic"));
        check(ErrorCategory::Other, ActionError::permanent("the valve is stuck"));
        check(ErrorCategory::Other, ActionError::permanent(format!("{}timeout", "x".repeat(ROOM))));
    }
}
