//! What is told of a scenario: its steps for everybody, and between them what happened, for those who want to know.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use fsm_core::HumanDuration;

/// Whether a scenario went as it should.
pub type Outcome = Result<(), Broken>;

/// Something was not as it should be. Made of a text, or by `?` of any error.
pub struct Broken(String);

impl Broken {
    /// With what was wrong.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The same as `Display`: it is what `unwrap` shows.
impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<E: Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(fsm_core::chain(&error).to_string())
    }
}

/// This must hold; else it is told what should have been.
pub(super) fn expects(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Broken::new(what())) }
}

/// These two must be equal.
pub(super) fn equal<T: PartialEq + fmt::Debug>(what: &str, is: T, should: T) -> Outcome {
    expects(is == should, || format!("{what} should be {should:?} and is {is:?}"))
}

/// The steps of a scenario and what happened between them, each with virtual time from the beginning.
#[derive(Debug, Default)]
pub struct Story {
    steps: String,
    trace: String,
    pub(super) passed: Duration,
}

impl Story {
    /// One step, at this time.
    pub(super) fn says(&mut self, at: Duration, what: &str) {
        // Below a millisecond is noise, even under virtual time.
        let at = HumanDuration::new(Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX)));
        self.steps += &format!("+{:<8} {what}\n", at.to_string());
        self.trace += &format!("+{:<6} -- {what}\n", at.to_string());
    }

    /// Lines about what happened.
    pub(super) fn happened(&mut self, lines: &str) {
        self.trace += lines;
    }

    /// The steps alone.
    #[must_use]
    pub fn steps(&self) -> &str {
        &self.steps
    }

    /// The steps, and between them what happened.
    #[must_use]
    pub fn trace(&self) -> &str {
        &self.trace
    }

    /// Virtual time from beginning to end.
    #[must_use]
    pub const fn passed(&self) -> Duration {
        self.passed
    }
}
