//! The one place where it is decided whether and when an attempt is made again. Pure.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use foldhash::fast::FixedState;
use fsm_core::{ActionError, ActionId, RetryPolicy};

/// What the jitter depends on, and nothing else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jitter<K> {
    pub(crate) seed: u64,
    pub(crate) key: K,
    pub(crate) id: ActionId,
}

/// The wait before the next attempt after attempt number `made` failed with this error; none when there is no next attempt.
pub(crate) fn next_attempt<K: Hash>(
    policy: &RetryPolicy,
    error: &ActionError,
    made: u32,
    jitter: Jitter<K>,
) -> Option<Duration> {
    if error.is_permanent() || made > policy.retries {
        return None;
    }
    Some(error.retry_after().unwrap_or_else(|| back_off(policy, made, jitter)))
}

/// Full jitter: anything between nothing and the doubled base, so that nodes which failed together don't come back together.
fn back_off<K: Hash>(policy: &RetryPolicy, made: u32, jitter: Jitter<K>) -> Duration {
    let doublings = made.saturating_sub(1).min(31);
    let ceiling = policy.base.saturating_mul(1 << doublings).min(policy.cap);
    let hash = FixedState::with_seed(jitter.seed).hash_one((jitter.key, jitter.id, made));
    let nanos = (u128::from(u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX)) * u128::from(hash)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(policy: &RetryPolicy, made: u32) -> Vec<Duration> {
        let error = ActionError::transient("no");
        (0..1_000_u32).filter_map(|key| next_attempt(policy, &error, made, jitter(key))).collect()
    }

    fn jitter(key: u32) -> Jitter<u32> {
        Jitter { seed: 42, key, id: ActionId::new(1) }
    }

    // spec: A-4
    #[test]
    fn back_off_spreads_over_the_whole_doubled_range() {
        for (made, ceiling) in [(1, 100), (2, 200), (3, 400)] {
            let waits = waits(&RetryPolicy::DEFAULT, made);
            let ceiling = Duration::from_millis(ceiling);
            let (min, max) = (waits.iter().min().expect("1 000"), waits.iter().max().expect("1 000"));
            assert!(*max < ceiling, "attempt {made}: {max:?} is above {ceiling:?}");
            assert!(*max > ceiling.mul_f64(0.95) && *min < ceiling.mul_f64(0.05), "{made}: {min:?} {max:?}");
        }
    }

    // spec: A-4
    #[test]
    fn back_off_never_exceeds_its_cap() {
        let policy = RetryPolicy { retries: u32::MAX, ..RetryPolicy::DEFAULT };
        for made in [10, 32, 33, 64, u32::MAX] {
            let waits = waits(&policy, made);
            assert_eq!(waits.len(), 1_000);
            assert!(waits.iter().all(|wait| *wait <= policy.cap), "attempt {made}");
            assert!(waits.iter().any(|wait| *wait > policy.cap / 2), "attempt {made}");
        }
    }

    #[test]
    fn back_off_depends_on_seed_key_id_and_attempt_alone() {
        let error = ActionError::transient("no");
        let wait = |j, made| next_attempt(&RetryPolicy::DEFAULT, &error, made, j);
        assert_eq!(wait(jitter(1), 1), wait(jitter(1), 1));
        assert_ne!(wait(jitter(1), 1), wait(jitter(2), 1));
        assert_ne!(wait(jitter(1), 1), wait(Jitter { seed: 43, ..jitter(1) }, 1));
        assert_ne!(wait(jitter(1), 1), wait(Jitter { id: ActionId::new(2), ..jitter(1) }, 1));
    }

    // spec: A-4
    #[test]
    fn retries_are_counted_after_the_first_attempt() {
        let error = ActionError::transient("no");
        assert!(next_attempt(&RetryPolicy::DEFAULT, &error, 3, jitter(1)).is_some());
        assert_eq!(next_attempt(&RetryPolicy::DEFAULT, &error, 4, jitter(1)), None);
        assert_eq!(next_attempt(&RetryPolicy::NEVER, &error, 1, jitter(1)), None);
    }

    // spec: A-4
    #[test]
    fn permanent_errors_end_and_retry_after_wins() {
        let hour = Duration::from_secs(3_600);
        let wait = |error: &ActionError| next_attempt(&RetryPolicy::DEFAULT, error, 1, jitter(1));
        assert_eq!(wait(&ActionError::transient("429").with_retry_after(hour)), Some(hour));
        assert_eq!(wait(&ActionError::permanent("403").with_retry_after(hour)), None);
    }
}
