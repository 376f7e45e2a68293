//! What is seen of a process.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{Observed, Reason};
use serde::{Deserialize, Serialize};

use super::config::{ProcessConfig, Ready};
use crate::ending::Exit;

/// What is seen of a process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProcessObserved {
    /// It, or something of it, lives.
    pub alive: bool,
    /// Its pid while it lives.
    pub pid: Option<u32>,
    /// It was started and has ended by itself.
    pub ended: bool,
    /// How the program left, when that is known.
    pub exit: Option<Exit>,
    /// It does its work, as `ready` says.
    pub ready: bool,
    /// Why it is not well, when `live` has failed three times in a row.
    pub unwell: Option<Arc<str>>,
    /// What it uses.
    pub usage: Usage,
    /// The last lines that it wrote.
    pub log: Vec<Arc<str>>,
    /// The config that it was started with.
    #[serde(skip)]
    pub deployed: Option<Arc<ProcessConfig>>,
}

/// What a process and its descendants use; what can't be read is missing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// How many of them there are.
    pub processes: u32,
    /// User and system time of those that live.
    pub cpu: Option<Duration>,
    /// Resident memory in bytes.
    pub rss: Option<u64>,
    /// Memory of its cgroup in bytes; none without a cgroup.
    pub cgroup_memory: Option<u64>,
}

impl ProcessObserved {
    fn is_of(&self, config: &ProcessConfig) -> bool {
        self.deployed.as_deref() == Some(config)
    }

    /// Lives, with this config.
    pub fn runs(&self, config: &ProcessConfig) -> bool {
        self.alive && self.is_of(config)
    }

    /// Did what it was to do, and left.
    pub fn is_done(&self, config: &ProcessConfig) -> bool {
        self.ended
            && !self.alive
            && config.ready == Ready::Exit
            && self.exit == Some(Exit::Code(0))
            && self.is_of(config)
    }

    /// Left, and was not to.
    pub fn has_crashed(&self, config: &ProcessConfig) -> bool {
        self.ended && !self.alive && self.is_of(config) && !self.is_done(config)
    }

    pub(crate) fn how_it_left(&self) -> Reason {
        match self.exit {
            Some(Exit::Code(code)) => ("it left with exit code {}", code).into(),
            Some(Exit::Signal(signal)) => ("signal {} ended it", signal).into(),
            None => "it was killed together with its keeper".into(),
        }
    }
}

impl Observed<ProcessConfig> for ProcessObserved {
    fn same_for_decisions(&self, old: &Self) -> bool {
        // Figures and lines only tell.
        let Self { alive, pid, ended, exit, ready, unwell, usage: _, log: _, deployed } = self;
        *alive == old.alive
            && *pid == old.pid
            && *ended == old.ended
            && *exit == old.exit
            && *ready == old.ready
            && *unwell == old.unwell
            && *deployed == old.deployed
    }

    fn deployed(&self) -> Option<&ProcessConfig> {
        self.deployed.as_deref()
    }
}
