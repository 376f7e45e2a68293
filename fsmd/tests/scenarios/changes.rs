//! Scenarios about children that come, change and go.

use crate::golden;

// spec: S-5, S-1
#[test]
fn hello() {
    golden("hello");
}

// spec: S-15, S-16, S-24, S-26
#[test]
fn parent() {
    golden("parent");
}

// spec: S-17, S-11
#[test]
fn variables() {
    golden("variables");
}

// spec: S-14, S-10
#[test]
fn configs() {
    golden("configs");
}

// spec: S-19, S-11
#[test]
fn dynamic() {
    golden("dynamic");
}

// spec: S-13
#[test]
fn disabled() {
    golden("disabled");
}

// spec: S-12
#[test]
fn declared_again() {
    golden("declared-again");
}

// spec: S-10, S-11
#[test]
fn same_name() {
    golden("same-name");
}

// spec: S-11, J1
#[test]
fn other_kind() {
    golden("other-kind");
}
