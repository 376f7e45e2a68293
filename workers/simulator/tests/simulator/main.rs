//! The simulator against real brokers: mosquitto, and the one of this project.

mod idempotent;
mod publishing;
mod support;
mod worker;
