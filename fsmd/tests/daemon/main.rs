//! The daemon as its users meet it: a process, its signals, its files, its API and its verbs.

mod ending;
mod proof;
mod quickstart;
mod reload;
mod rig;
mod verbs;
