//! Scenarios about what goes wrong.

use crate::{golden, holds};

// spec
#[test]
fn an_action_that_fails_three_times_is_one_that_succeeds() {
    golden("failing-recovers");
}

// spec: A-4, J4
#[test]
fn an_action_that_always_fails_is_tried_slowly_and_never_given_up() {
    holds("failing-for-ever");
}

// spec: S-21, S-22
#[test]
fn a_worker_that_failed_five_times_starts_over() {
    golden("failing-restarts");
}

// spec: S-22
#[test]
fn a_restart_budget_is_spent_probed_slowly_and_given_back() {
    holds("restart-budget");
}

// spec: A-7, S-42
#[test]
fn a_panic_of_an_action_is_an_outcome() {
    golden("panic-in-action");
}

// spec: S-40, S-42
#[test]
fn a_panic_of_a_decision_opens_a_circuit_and_its_sibling_runs_on() {
    golden("panic-in-next");
}

// spec: A-1
#[test]
fn a_slow_action_delays_nobody_else() {
    golden("slow-action");
}

// spec
#[test]
fn an_action_that_hangs_is_dropped_at_its_timeout() {
    golden("action-timeout");
}

// spec: S-35
#[test]
fn a_parent_fails_and_recovers_with_its_children_twice() {
    golden("cascade");
}

// spec: S-31, S-33
#[test]
fn who_can_not_be_observed_is_not_believed_until_it_can() {
    golden("collector");
}

// spec: K-2, J5
#[test]
fn a_tree_survives_clocks_that_jump() {
    golden("clock");
}

// spec: W-10, W-11
#[test]
fn a_store_is_kept_small_and_looked_at_and_holds_up_nothing() {
    holds("persistence");
}

// spec: W-1, W-2, W-3, W-4
#[test]
fn what_happens_gets_to_the_relay_once_and_in_order_whatever_the_relay_does() {
    holds("communicator");
}

// spec: H-6
#[test]
fn a_store_that_is_slow_full_or_failing_holds_nobody_up() {
    holds("store");
}
