//! A compaction in steps: each forgets a little, so that it can be cut off between two of them and nobody waits long for the
//! store. What a step forgot is forgotten: the store itself is the checkpoint.

use std::time::Duration;

use fsm_store::{Retention, StoreStats, Timestamp};

/// Changes that a step forgets, about: at 100 000 changes a second and less, that is some tens of milliseconds.
const STEP: usize = 4_096;
/// More steps than this are slower than they are gentle.
const MOST: usize = 64;

/// What the store is told to keep, step by step; the last step is what is wanted.
pub(crate) fn steps(stats: &StoreStats, now: Timestamp, wanted: &Retention) -> Vec<Retention> {
    let count = stats.records.div_ceil(STEP).clamp(1, MOST);
    let oldest = stats.oldest_at.map_or(Duration::ZERO, |at| now.since(at));
    let step = |number: usize| {
        let left = count - number;
        let between = |has: usize, most: usize| most + has.saturating_sub(most) / count * left;
        let over = oldest.saturating_sub(wanted.max_age);
        let share = u32::try_from(left).unwrap_or(0);
        let of = u32::try_from(count).unwrap_or(1);
        wanted
            .clone()
            .with_max_age(wanted.max_age.saturating_add(over / of * share))
            .with_max_records(between(stats.records, wanted.max_records))
            .with_max_bytes(between(stats.record_bytes, wanted.max_bytes))
    };
    (1..=count).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(records: usize, oldest: u64) -> StoreStats {
        let mut stats = StoreStats::default();
        (stats.records, stats.record_bytes) = (records, records * 100);
        stats.oldest_at = Some(Timestamp::new(oldest));
        stats
    }

    // spec: W-10
    #[test]
    fn each_step_keeps_less_and_the_last_what_is_wanted() {
        let wanted = Retention::default().with_max_records(1_000).with_max_bytes(50_000);
        for records in [0, 1, STEP, STEP + 1, 100 * STEP, 1_000 * STEP] {
            let steps = steps(&stats(records, 0), Timestamp::new(86_400_000), &wanted);
            assert!(steps.len() <= MOST && steps.len() >= records.div_ceil(STEP).min(MOST), "{records}");
            assert_eq!(steps.last(), Some(&wanted));
            for pair in steps.windows(2) {
                assert!(pair[0].max_age > pair[1].max_age);
                assert!(pair[0].max_records > pair[1].max_records);
                assert!(pair[0].max_bytes > pair[1].max_bytes);
            }
        }
    }

    #[test]
    fn what_is_young_and_small_is_kept_in_every_step() {
        let wanted = Retention::default();
        for step in steps(&stats(3 * STEP, 1_000), Timestamp::new(2_000), &wanted) {
            assert_eq!(step, wanted);
        }
    }
}
