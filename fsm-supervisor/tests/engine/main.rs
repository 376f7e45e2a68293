//! The engine under virtual time: each rule of supervision as a test, and its invariants after every step.

mod check;
mod group;
mod rig;
mod unit;
mod world;

mod acting;
mod observing;
