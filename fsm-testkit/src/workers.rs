//! Workers for tests (K-8): one scripted kind that is well, slow, failing, flapping, panicking or hanging as its script says,
//! and the [`World`] it acts on, to assert on.

mod script;
mod scripted;
mod state;
mod world;

pub use script::{Script, Trick, Where};
pub use scripted::{Scripted, ScriptedAction, ScriptedConfig, ScriptedObserved};
pub use state::ScriptedState;
pub use world::{Calls, World};
