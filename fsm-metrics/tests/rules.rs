//! The rules of the metrics, each against a real `prometheus` registry.

#[path = "rules/batch.rs"]
mod batch;
#[path = "rules/cardinality.rs"]
mod cardinality;
#[path = "rules/exec.rs"]
mod exec;
#[path = "rules/exposition.rs"]
mod exposition;
#[path = "rules/node.rs"]
mod node;
#[path = "rules/own.rs"]
mod own;
#[path = "rules/world.rs"]
mod world;
