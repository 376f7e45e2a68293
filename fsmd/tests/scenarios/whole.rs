//! Scenarios about whole trees: how they end, and how large they can be.

use crate::{golden, holds};

// spec: S-24
#[test]
fn second_signal() {
    golden("second-signal");
}

// spec: S-24
#[test]
fn shutdown() {
    golden("shutdown");
}

// spec: S-24
#[test]
fn shutdown_hangs() {
    golden("shutdown-hangs");
}

// spec
#[test]
fn five() {
    golden("five");
}

// spec: A-2
#[test]
fn five_hundred() {
    holds("five-hundred");
}

// spec: S-11, S-20, A-10
#[test]
fn ten_thousand() {
    holds("ten-thousand");
}
