//! What is seen of a tool.

use std::sync::Arc;

use fsm_core::Observed;
use serde::{Deserialize, Serialize};

use super::config::ToolConfig;
use crate::end::RunEnd;

/// What is seen of a tool.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolObserved {
    /// It runs.
    pub running: bool,
    /// How its last run ended; none while one runs, and before the first.
    pub end: Option<RunEnd>,
    /// The config of its last run.
    #[serde(skip)]
    pub deployed: Option<Arc<ToolConfig>>,
}

impl ToolObserved {
    fn is_of(&self, config: &ToolConfig) -> bool {
        self.deployed.as_deref() == Some(config)
    }

    /// Runs, with this config.
    pub fn runs(&self, config: &ToolConfig) -> bool {
        self.running && self.is_of(config)
    }

    /// How the run with this config ended.
    pub fn ended(&self, config: &ToolConfig) -> Option<&RunEnd> {
        self.end.as_ref().filter(|_| self.is_of(config))
    }

    /// Nothing runs, and nothing has.
    pub fn is_nothing(&self) -> bool {
        !self.running && self.end.is_none()
    }
}

impl Observed<ToolConfig> for ToolObserved {
    fn deployed(&self) -> Option<&ToolConfig> {
        self.deployed.as_deref()
    }
}
