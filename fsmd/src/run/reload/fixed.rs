//! What of a config is read once, at the start: a reload says that it takes a restart.

use crate::config::{Exec, Loaded, LogFormat, MetricsSection, Server, Supervision, Telemetry};

/// The sections that are read once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fixed {
    agent: String,
    server: Server,
    supervision: Supervision,
    exec: Exec,
    metrics: MetricsSection,
    telemetry: Telemetry,
}

impl Fixed {
    pub(super) fn of(loaded: &Loaded) -> Self {
        Self {
            agent: loaded.root.name.to_string(),
            server: loaded.server.clone(),
            supervision: loaded.supervision.clone(),
            exec: loaded.exec.clone(),
            metrics: loaded.metrics.clone(),
            telemetry: loaded.telemetry.clone(),
        }
    }

    /// The sections that differ.
    pub(super) fn differences(&self, new: &Self) -> Vec<&'static str> {
        let all = [
            ("agent.name", self.agent != new.agent),
            ("server", self.server != new.server),
            ("supervision", self.supervision != new.supervision),
            ("exec", self.exec != new.exec),
            ("metrics", self.metrics != new.metrics),
            ("telemetry", self.telemetry != new.telemetry),
        ];
        all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    pub(super) const fn log(&self) -> LogFormat {
        self.telemetry.log
    }
}
