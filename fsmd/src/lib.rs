//! The daemon that runs trees of FSM workers from one config file, and its command line: the composition root.
//!
//! Reading order: which kinds there are, how a config becomes a tree, what is run by a call, how the tree is
//! run and served, what the verbs print.

pub mod agents;
pub mod kinds;

pub mod config;

mod exec;

pub mod http;
mod relay;
pub mod run;

pub mod client;
pub mod show;

pub mod scenario;

pub mod sim;

pub mod cli;
