//! What can be run: registered programs with checked names, arguments and limits.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::env::Environment;
use crate::protocol::Protocol;

/// The name of a registered tool, such as `label-printer/print`.
///
/// ```
/// use fsm_worker_process::ToolId;
///
/// assert!(ToolId::try_new("label-printer/print").is_ok());
/// assert!(ToolId::try_new("../bin/sh").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolId(String);

/// Why a text can't name a tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{id}` can't be the id of a tool: {why}; use letters, digits, `_`, `.`, `-` and `/`, such as label-printer/print"
)]
pub struct ToolIdError {
    id: String,
    why: &'static str,
}

/// Longest id: it is a metric label and part of a URL.
const MAX_ID: usize = 200;

impl ToolId {
    /// Checks a name.
    ///
    /// # Errors
    /// [`ToolIdError`] for what could be taken for a path or breaks a URL.
    pub fn try_new(id: impl Into<String>) -> Result<Self, ToolIdError> {
        let id = id.into();
        let why = if id.is_empty() {
            "it is empty"
        } else if id.len() > MAX_ID {
            "it is too long"
        } else if id.starts_with('/') {
            "it begins with `/`"
        } else if id.starts_with('.') {
            "it begins with a dot"
        } else if id.contains("..") {
            "it holds `..`"
        } else if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_/.-".contains(&byte)) {
            "it holds another character than those allowed"
        } else {
            return Ok(Self(id));
        };
        Err(ToolIdError { id, why })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ToolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one run may use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How long it may run.
    pub timeout: Duration,
    /// Bytes on stdout; more of them end the run.
    pub stdout: u64,
    /// Bytes of stderr that are kept, half of them from the beginning and half from the end.
    pub stderr: u64,
    /// Bytes of the request on stdin.
    pub request: u64,
    /// Memory in bytes, held by the kernel where there is a cgroup for it.
    pub memory: Option<u64>,
    /// Time between the polite signal and the deadly one.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            stdout: 10 << 20,
            stderr: 1 << 20,
            request: 10 << 20,
            memory: None,
            grace: Duration::from_secs(2),
        }
    }
}

/// Why a tool can't be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolBuildError {
    /// There is no program to run.
    #[error("`command` of {id} is empty; write the program and its arguments, such as [python3, print.py]")]
    NoCommand {
        /// The tool.
        id: ToolId,
    },
    /// An argument that no program can be given.
    #[error("an argument in `command` of {id} holds a NUL byte; pass such data in the input")]
    Nul {
        /// The tool.
        id: ToolId,
    },
}

/// A registered program. One that exists can be run.
///
/// ```
/// use std::time::Duration;
/// use fsm_worker_process::{Limits, Protocol, Tool, ToolId};
///
/// let mut limits = Limits::default();
/// limits.timeout = Duration::from_secs(5);
/// let date = Tool::try_new(ToolId::try_new("date")?, ["date", "-u"])?
///     .with_protocol(Protocol::Raw)
///     .with_limits(limits);
/// assert_eq!(date.command(), ["date", "-u"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    pub(crate) id: ToolId,
    pub(crate) command: Vec<String>,
    pub(crate) protocol: Protocol,
    pub(crate) env: Environment,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) limits: Limits,
    pub(crate) config: Value,
    counted_as: Option<&'static str>,
}

impl Tool {
    /// A tool with the default limits that talks JSON. `command` is the program and its arguments; no shell sees it.
    ///
    /// # Errors
    /// [`ToolBuildError`] for a command that can't be run.
    pub fn try_new<S: Into<String>>(
        id: ToolId,
        command: impl IntoIterator<Item = S>,
    ) -> Result<Self, ToolBuildError> {
        let command: Vec<String> = command.into_iter().map(Into::into).collect();
        if command.first().is_none_or(String::is_empty) {
            return Err(ToolBuildError::NoCommand { id });
        }
        if command.iter().any(|word| word.contains('\0')) {
            return Err(ToolBuildError::Nul { id });
        }
        Ok(Self {
            id,
            command,
            protocol: Protocol::Json,
            env: Environment::default(),
            cwd: None,
            limits: Limits::default(),
            config: Value::Null,
            counted_as: None,
        })
    }

    /// Talked to like this.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// With this environment.
    #[must_use]
    pub fn with_env(mut self, env: Environment) -> Self {
        self.env = env;
        self
    }

    /// Run in this folder.
    #[must_use]
    pub fn with_cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    /// With these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With a config that is part of every request.
    #[must_use]
    pub fn with_config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// Counted under this name, for tools whose ids come and go with what they are part of: they would be a series each.
    #[must_use]
    pub fn with_counted_as(mut self, name: &'static str) -> Self {
        self.counted_as = Some(name);
        self
    }

    /// The name that metrics count its calls under: its id, unless it was given another.
    pub fn counted_as(&self) -> &str {
        self.counted_as.unwrap_or_else(|| self.id.as_str())
    }

    /// Its name.
    pub fn id(&self) -> &ToolId {
        &self.id
    }

    /// The program and its arguments.
    pub fn command(&self) -> &[String] {
        &self.command
    }

    /// What it may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: X-6
    #[test]
    fn ids_that_look_like_paths_are_refused() {
        for id in ["", "/bin/sh", ".hidden", "a/../b", "..", "a b", "a\n", "ä", "a;b", "%2e"] {
            assert!(ToolId::try_new(id).is_err(), "{id:?}");
        }
        assert!(ToolId::try_new("x".repeat(MAX_ID + 1)).is_err());
        for id in ["a", "a/b", "a.b-c_d/9"] {
            assert_eq!(ToolId::try_new(id).map(|id| id.0).as_deref(), Ok(id));
        }
    }

    // spec: X-7
    #[test]
    fn a_command_that_cannot_be_run_is_refused_at_the_door() {
        let id = || ToolId::try_new("t").expect("a good id");
        assert!(matches!(Tool::try_new(id(), [""; 0]), Err(ToolBuildError::NoCommand { .. })));
        assert!(matches!(Tool::try_new(id(), [""]), Err(ToolBuildError::NoCommand { .. })));
        assert!(matches!(Tool::try_new(id(), ["a", "b\0"]), Err(ToolBuildError::Nul { .. })));
    }

    // spec: X-3
    #[test]
    fn the_default_limits_are_those_that_are_promised() {
        let Limits { timeout, stdout, stderr, request, memory, grace } = Limits::default();
        assert_eq!((timeout, grace), (Duration::from_secs(60), Duration::from_secs(2)));
        assert_eq!((stdout, stderr, request, memory), (10 << 20, 1 << 20, 10 << 20, None));
    }
}
