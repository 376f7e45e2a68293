//! Daemon and command line that run trees of FSM workers from one config file
fn main() {}
