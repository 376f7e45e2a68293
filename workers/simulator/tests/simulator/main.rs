//! The simulator against real brokers: mosquitto, and the one of this project.

mod publishing;
mod support;
mod worker;
