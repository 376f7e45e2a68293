//! Ids of executions: they sort in the order of acceptance, and nobody guesses one.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The id of an execution: 12 hex digits of milliseconds, 4 that count within one, 16 of chance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ExecId(Arc<str>);

/// Digits and the hyphen between time and chance.
const LENGTH: usize = 33;
/// Where the hyphen is.
const HYPHEN: usize = 16;

impl ExecId {
    /// An id as somebody wrote it; none for what can't be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let fits = text.len() == LENGTH
            && text.bytes().enumerate().all(|(at, byte)| if at == HYPHEN { byte == b'-' } else { hex(byte) });
        fits.then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn shared(&self) -> &Arc<str> {
        &self.0
    }
}

impl fmt::Display for ExecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Gives out ids.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// Milliseconds, and how many ids they had: as one number.
    last: Mutex<u64>,
}

impl Ids {
    /// The next id. It sorts after all before it, also while the clock goes back.
    pub(super) fn next(&self, now_ms: u64, chance: u64) -> ExecId {
        /// 65 536 ids in a millisecond; one more borrows from the next.
        const COUNTER_BITS: u32 = 16;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (now_ms << COUNTER_BITS).max(*last + 1);
        ExecId(format!("{:016x}-{chance:016x}", *last).into())
    }
}

/// A number that nobody guesses.
pub(super) fn chance() -> u64 {
    // Without the kernel's randomness the id is still unique, by its time.
    getrandom::u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_in_the_order_of_acceptance_whatever_the_clock_does() {
        let ids = Ids::default();
        let times = [1_700_000_000_000, 1_700_000_000_000, 1_600_000_000_000, 1_700_000_000_001];
        let given: Vec<ExecId> = times.into_iter().zip([9, 3, 7, 0]).map(|(ms, n)| ids.next(ms, n)).collect();
        let mut sorted = given.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(given, sorted);
        assert_eq!(given[0].as_str(), "018bcfe568000000-0000000000000009");
    }

    #[test]
    fn an_id_is_read_as_it_was_written_and_nothing_else_is_one() {
        let id = Ids::default().next(1_700_000_000_000, u64::MAX);
        assert_eq!(ExecId::parse(id.as_str()), Some(id.clone()));
        for text in
            ["", "stream", &id.as_str().to_uppercase(), &format!("{id}0"), &id.as_str().replace('-', "0")]
        {
            assert_eq!(ExecId::parse(text), None, "{text}");
        }
        assert_ne!(chance(), chance());
    }
}
