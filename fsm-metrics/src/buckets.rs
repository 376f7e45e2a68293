//! Bucket bounds, shared so that panels of one range can be compared; one bound equals each default timeout (M-4).
//!
//! Bounds are few on purpose: a bucket is a series, and five busy kinds must fit into a scrape of 200 KB (M-5).

/// Ticks and propagation, 10 µs … 1 s. 10 ms is the promised p99, 100 ms the overrun (a tenth of the tick interval), 1 s the
/// tick interval itself (S-1, S-4).
pub const TICK: &[f64] = &[10e-6, 50e-6, 100e-6, 500e-6, 1e-3, 5e-3, 10e-3, 50e-3, 0.1, 0.5, 1.0];

/// Reconciles, renders and store writes, 10 µs … 10 s. 50 ms is the group commit of the store (H-5).
pub const WORK: &[f64] = &[10e-6, 50e-6, 100e-6, 500e-6, 1e-3, 5e-3, 10e-3, 50e-3, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Actions and their waits, 1 ms … 300 s. 10 s stops and 30 s starts a shipped kind, 300 s is the default timeout;
/// 60 s is the usual timeout of a tool.
pub const ACTION: &[f64] = &[1e-3, 5e-3, 10e-3, 50e-3, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Observations, their ages and messages of a flow, 1 ms … 30 s. 2.2 s is the default timeout of a collection, 10 s the default
/// of `stale_after`, 20 s of `collector_timeout` (S-30, S-31), 30 s the acknowledgement timeout of a flow (D-6).
pub const OBSERVATION: &[f64] = &[1e-3, 5e-3, 10e-3, 50e-3, 0.1, 0.5, 1.0, 2.2, 5.0, 10.0, 20.0, 30.0];

/// Recovery and time in a state, 1 s … 1 d. 30 s is the default stop timeout, 60 s the restart window, 300 s the slow probing
/// of a spent budget (S-22).
pub const LONG: &[f64] = &[1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 43_200.0, 86_400.0];

/// Calls of tools and requests for executions, 5 ms … 300 s: published bounds. 60 s is the default timeout of both, 300 s the
/// greatest that a request may ask for.
pub const TOOL: &[f64] =
    &[5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Waits around executions, 5 ms … 300 s: published bounds. 60 s is the default wait, 5 s the slowest poll.
pub const WAIT: &[f64] = &[5e-3, 25e-3, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Bytes on the stdout of a tool: published bounds. The last one is the default limit.
pub const OUTPUT: &[f64] = &[100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 10_485_760.0];

/// Processor time of a run of a tool: published bounds.
pub const CPU: &[f64] = &[0.01, 0.1, 1.0, 10.0, 60.0];

/// Memory of a process: published bounds.
pub const MEMORY: &[f64] = &[1e6, 1e7, 1e8, 1e9];

#[cfg(test)]
mod tests {
    use super::*;
    use fsm_core::Policy;

    fn has(bounds: &[f64], seconds: f64) -> bool {
        bounds.iter().any(|bound| (bound - seconds).abs() < f64::EPSILON)
    }

    // spec: M-4
    #[test]
    fn each_default_timeout_is_a_bound() {
        let policy = Policy::DEFAULT;
        assert!(has(ACTION, policy.action_timeout.as_secs_f64()));
        assert!(has(OBSERVATION, policy.collect_timeout().as_secs_f64()));
        assert!(has(OBSERVATION, policy.stale_after().as_secs_f64()));
        assert!(has(OBSERVATION, policy.collector_timeout().as_secs_f64()));
        assert!(has(LONG, policy.stop_timeout.as_secs_f64()));
        assert!(has(LONG, policy.restart.window.as_secs_f64()));
        assert!(has(LONG, policy.restart.cap.as_secs_f64()));
        assert!(has(ACTION, 30.0) && has(ACTION, 10.0), "start and stop of the shipped kinds");
    }

    // spec: M-4
    #[test]
    fn bounds_ascend_and_cover_their_range() {
        for (bounds, first, last) in [
            (TICK, 10e-6, 1.0),
            (WORK, 10e-6, 10.0),
            (ACTION, 1e-3, 300.0),
            (OBSERVATION, 1e-3, 30.0),
            (LONG, 1.0, 86_400.0),
            (TOOL, 5e-3, 300.0),
            (WAIT, 5e-3, 300.0),
            (OUTPUT, 100.0, 10_485_760.0),
            (CPU, 0.01, 60.0),
            (MEMORY, 1e6, 1e9),
        ] {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{bounds:?}");
            assert_eq!((bounds[0], bounds[bounds.len() - 1]), (first, last));
        }
    }
}
