//! What is seen of a stream engine.

use std::net::SocketAddr;
use std::sync::Arc;

use fsm_core::Observed;
use serde::{Deserialize, Serialize};

use super::config::StreamConfig;
use crate::process::ProcessObserved;

/// What is seen of a stream engine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamObserved {
    /// The process that it is.
    pub process: ProcessObserved,
    /// Where it answers.
    pub address: Option<SocketAddr>,
    /// The config that is written down for it and that it has found good.
    #[serde(skip)]
    pub written: Option<Arc<StreamConfig>>,
    /// The config that it runs with.
    #[serde(skip)]
    pub deployed: Option<Arc<StreamConfig>>,
}

impl StreamObserved {
    /// Its file is there, with this config.
    pub fn is_written(&self, config: &StreamConfig) -> bool {
        self.written.as_deref() == Some(config)
    }

    /// Lives, with this config.
    pub fn runs(&self, config: &StreamConfig) -> bool {
        self.process.alive && self.deployed.as_deref() == Some(config)
    }

    /// Left, and was not to.
    pub fn has_crashed(&self) -> bool {
        self.process.ended && !self.process.alive
    }
}

impl Observed<StreamConfig> for StreamObserved {
    fn same_for_decisions(&self, old: &Self) -> bool {
        let Self { process, address, written, deployed } = self;
        process.same_for_decisions(&old.process)
            && *address == old.address
            && *written == old.written
            && *deployed == old.deployed
    }

    fn deployed(&self) -> Option<&StreamConfig> {
        self.deployed.as_deref()
    }
}
