//! The engine under virtual time: each rule of supervision as a test, and its invariants after every step.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod check;
mod group;
mod mirror;
mod rig;
mod unit;
mod world;

mod acting;
mod children;
mod commands;
mod economy;
mod faults;
mod incidents;
mod observing;
mod plan;
mod random;
mod siblings;
mod stopping;
