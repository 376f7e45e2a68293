//! Example worker kinds, to learn from and to copy: `hello`, `parent`, `child`, `template_demo`, and three that misbehave:
//! `failing`, `slow` and `panicking`.
//!
//! Each kind has its pure half in `state.rs` and its I/O in `worker.rs`. Read [`hello`] first: it watches a file and writes
//! one. [`child`] owns a live resource, [`parent`] owns children, [`template_demo`] renders children from a template. Put
//! [`failing`], [`slow`] and [`panicking`] below a `parent` to see what a failure does to whoever is near it.
//!
//! ```
//! let mut registry = fsm_core::Registry::new();
//! fsm_worker_examples::register(&mut registry)?;
//! assert!(registry.get("hello").is_some());
//! # Ok::<(), fsm_core::RegisterError>(())
//! ```

pub mod hello;

pub mod child;

pub mod parent;

pub mod template_demo;

pub mod failing;

pub mod slow;

pub mod panicking;

mod register;

pub use register::register;
