//! Scenarios about what goes wrong.

use crate::{golden, holds};

// spec
#[test]
fn failing_recovers() {
    golden("failing-recovers");
}

// spec: A-4, J4
#[test]
fn failing_for_ever() {
    holds("failing-for-ever");
}

// spec: S-21, S-22
#[test]
fn failing_restarts() {
    golden("failing-restarts");
}

// spec: S-22
#[test]
fn restart_budget() {
    holds("restart-budget");
}

// spec: A-7, S-42
#[test]
fn panic_in_action() {
    golden("panic-in-action");
}

// spec: S-40, S-42
#[test]
fn panic_in_next() {
    golden("panic-in-next");
}

// spec: A-1
#[test]
fn slow_action() {
    golden("slow-action");
}

// spec
#[test]
fn action_timeout() {
    golden("action-timeout");
}

// spec: S-35
#[test]
fn cascade() {
    golden("cascade");
}

// spec: S-31, S-33
#[test]
fn collector() {
    golden("collector");
}

// spec: K-2, J5
#[test]
fn clock() {
    golden("clock");
}

// spec: H-6
#[test]
fn store() {
    holds("store");
}
