//! Scenarios about whole trees: how they end, and how large they can be.

use crate::{golden, holds};

// spec: S-24
#[test]
fn a_second_signal_forces_what_does_not_stop() {
    golden("second-signal");
}

// spec: S-24
#[test]
fn three_levels_stop_inside_their_deadline() {
    golden("shutdown");
}

// spec: S-24
#[test]
fn one_that_can_not_stop_is_forced_in_its_share_of_the_deadline() {
    golden("shutdown-hangs");
}

// spec
#[test]
fn five_workers_start_side_by_side() {
    golden("five");
}

// spec: A-2
#[test]
fn five_hundred_workers_share_ten_places() {
    holds("five-hundred");
}

// spec: S-11, S-20, A-10
#[test]
fn ten_thousand_children_come_and_go_and_nothing_is_left() {
    holds("ten-thousand");
}
