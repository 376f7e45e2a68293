//! What keeper and owner say to each other: one JSON value per line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ending::Exit;
use crate::identity::Identity;

/// What to start; the first line. Goes over the socket, so that secrets are in nobody's arguments.
#[derive(Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: Option<PathBuf>,
    /// A cgroup folder to join first.
    pub(crate) cgroup: Option<PathBuf>,
}

/// Every later line of the owner.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// SIGTERM now, SIGKILL after the grace; without one SIGKILL now.
    End { grace_ms: u64 },
}

/// What the keeper tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum News {
    /// The program runs.
    Started(Identity),
    /// It could not be started.
    Failed(String),
    /// The program itself left; others of it may live.
    Exited(Exit),
    /// Nobody of it is left. The last word.
    Gone { cpu_us: u64, peak_rss: u64 },
}

/// One line.
pub(crate) fn line(value: &impl Serialize) -> Vec<u8> {
    // Strings, numbers and maps with text keys always have a JSON form.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}
