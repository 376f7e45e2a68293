//! Tests for workers, for us and for whoever writes workers of their own.
//!
//! - [`model_check`] asks a worker's states about every situation that they can get into: is removal reached from everywhere,
//!   does nothing flap, does `stop` never start work. [`Graph`] draws what it found.
//! - [`verify_action_idempotency`] runs an action again and again, and cuts it off midway, and compares the worlds.
//! - [`workers`] has a scripted kind that does wrong what a test wants, [`Transcript`] writes down what comes of it, and a
//!   [`Workbench`] runs one worker without an engine.
//!
//! ```
//! use fsm_testkit::workers::{Scripted, ScriptedConfig, ScriptedObserved};
//! use fsm_testkit::{listed, model_check};
//!
//! let down = ScriptedObserved::new(false, false);
//! let report = model_check::<Scripted>()
//!     .configs(listed![ScriptedConfig::default()])
//!     .observations(listed![down, ScriptedObserved::new(true, true), ScriptedObserved::new(true, false)])
//!     .after("start", |_config, seen| seen.up && seen.well)
//!     .after("stop", |_config, seen| !seen.up)
//!     .check()?;
//! println!("{report}");
//! assert!(report.graph().mermaid().contains("Stopped --> TryingToStart"));
//! # Ok::<(), fsm_testkit::ModelError>(())
//! ```

mod model;

mod graph;

mod idempotency;
mod workbench;

mod transcript;
pub mod workers;

pub mod simulate;

pub use graph::{DiagramError, Graph};
pub use idempotency::{Idempotency, IdempotencyError, Round, verify_action_idempotency};
pub use model::{Check, ChildCase, Finding, Model, ModelError, Report, model_check};
pub use transcript::Transcript;
pub use workbench::{Cut, Workbench};
