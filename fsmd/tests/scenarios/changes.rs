//! Scenarios about children that come, change and go.

use crate::golden;

// spec: S-5, S-1
#[test]
fn a_sad_file_degrades_its_worker_until_it_says_something_else() {
    golden("hello");
}

// spec: S-15, S-16, S-24, S-26
#[test]
fn children_start_in_order_and_stop_in_reverse() {
    golden("parent");
}

// spec: S-17, S-11
#[test]
fn variables_flow_down_three_levels_and_the_nearest_wins() {
    golden("variables");
}

// spec: S-14, S-10
#[test]
fn bad_configs_are_named_beside_a_good_one_and_mended() {
    golden("configs");
}

// spec: S-19, S-11
#[test]
fn a_child_is_added_changed_and_removed_at_run_time() {
    golden("dynamic");
}

// spec: S-13
#[test]
fn a_disabled_child_stays_and_an_absent_one_does_not() {
    golden("disabled");
}

// spec: S-12
#[test]
fn a_child_declared_again_before_it_is_gone_is_drained_then_new() {
    golden("declared-again");
}

// spec: S-10, S-11
#[test]
fn one_name_under_two_parents_is_two_nodes() {
    golden("same-name");
}

// spec: S-11, J1
#[test]
fn another_kind_under_one_name_is_another_node() {
    golden("other-kind");
}
