//! `hello`: watches a mood file and keeps a greeting file as the config says. The smallest whole worker.

use std::path::PathBuf;

use fsm_core::{Action, Config, Observed, RequestError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod state;
mod worker;

pub use state::HelloState;
pub use worker::Hello;

/// Where the mood is read, and what greeting stands where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HelloConfig {
    /// The file whose first word is the mood: `sad` degrades the worker, anything else, or no file, doesn't.
    pub mood_file: PathBuf,
    /// The file that shall hold the greeting; its folder must be there.
    pub greeting_file: PathBuf,
    /// The greeting.
    #[serde(default = "hello")]
    pub greeting: String,
    /// The state of a new incarnation.
    #[serde(default)]
    pub initially: Initially,
}

fn hello() -> String {
    "hello".into()
}

impl HelloConfig {
    /// Watches `mood_file` and writes `hello` to `greeting_file`.
    #[must_use]
    pub fn new(mood_file: impl Into<PathBuf>, greeting_file: impl Into<PathBuf>) -> Self {
        Self {
            mood_file: mood_file.into(),
            greeting_file: greeting_file.into(),
            greeting: hello(),
            initially: Initially::Stopped,
        }
    }

    /// With this greeting.
    #[must_use]
    pub fn with_greeting(mut self, greeting: impl Into<String>) -> Self {
        self.greeting = greeting.into();
        self
    }

    /// With this state at the beginning.
    #[must_use]
    pub fn with_initially(mut self, initially: Initially) -> Self {
        self.initially = initially;
        self
    }
}

impl Config for HelloConfig {}

/// In which state a new incarnation begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Initially {
    /// It greets first.
    #[default]
    Stopped,
    /// The greeting is taken to be there, as after a restart of the program; an observation that says otherwise wins.
    Running,
}

/// What was seen in the two files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HelloObserved {
    /// The mood.
    pub mood: Mood,
    /// What stands in the greeting file; none when there is no such file.
    pub greeting: Option<String>,
}

impl HelloObserved {
    /// An observation of this mood and greeting.
    #[must_use]
    pub const fn new(mood: Mood, greeting: Option<String>) -> Self {
        Self { mood, greeting }
    }
}

impl Observed<HelloConfig> for HelloObserved {}

/// What the mood file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mood {
    /// There is no mood file.
    Unknown,
    /// Its first word is not `sad`.
    Happy,
    /// Its first word is `sad`.
    Sad,
}

/// What `hello` can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelloAction {
    /// Writes the greeting unless it stands there already.
    Greet,
}

impl Action for HelloAction {
    const NAMES: &'static [&'static str] = &["greet"];

    fn name(&self) -> &'static str {
        match self {
            Self::Greet => "greet",
        }
    }

    fn from_request(name: &str, _input: serde_json::Value) -> Result<Self, RequestError> {
        match name {
            "greet" => Ok(Self::Greet),
            other => Err(RequestError::Unknown { name: other.into(), known: Self::NAMES }),
        }
    }
}
