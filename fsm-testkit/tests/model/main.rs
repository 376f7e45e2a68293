//! The model check finds what is planted, and nothing where nothing is.

mod circles;
mod faults;
mod graph;
mod house;
mod lamp;
mod pasted;
mod world;
