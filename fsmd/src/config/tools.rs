//! The sections of the file that say what can be run by a call: `tools` and `exec`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fsm_core::HumanDuration;
use fsm_templating::{Secret, SecretError};
use fsm_worker_dataflow::config::ByteSize;
use fsm_worker_process::{
    DEFAULT_ALLOWED, EnvError, Environment, Limits, Protocol, Tool, ToolConfig, ToolLimits,
};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How calls of tools are run: in a pool of their own, apart from the actions of workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Exec {
    /// Tools that run at the same time.
    #[schemars(range(min = 1, max = 1_000))]
    pub concurrency: usize,
    /// Runs that may wait for a place; more are refused.
    #[schemars(range(min = 0, max = 100_000))]
    pub queue: usize,
}

impl Default for Exec {
    fn default() -> Self {
        Self { concurrency: 16, queue: 256 }
    }
}

/// A program that can be run by its id, once per call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ToolEntry {
    /// Its name, such as `label-printer/print`: letters, digits, `_`, `.`, `-` and `/`.
    #[schemars(length(min = 1, max = 200))]
    pub id: String,
    /// The program and its arguments; no shell sees them.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// How it is talked to.
    #[serde(default)]
    pub protocol: Protocol,
    /// Variables of its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Secret>,
    /// Names of the daemon's variables that it sees too: PATH, HOME, LANG, TZ and TMPDIR by default.
    #[serde(default = "allowed")]
    pub allow_env: Vec<String>,
    /// The folder that it runs in, relative to this file; by default the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// A config that is part of each request.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub config: Value,
    /// What one run may use.
    #[serde(default)]
    pub limits: LimitsEntry,
    /// What it is written in, such as `python`: a label only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
}

fn allowed() -> Vec<String> {
    DEFAULT_ALLOWED.map(String::from).into()
}

impl ToolEntry {
    /// As a node of the tree runs it, in this folder.
    pub(crate) fn of_node(&self, cwd: Option<PathBuf>) -> ToolConfig {
        let mut config = ToolConfig::new(self.command.iter().cloned());
        config.protocol = self.protocol;
        config.env.clone_from(&self.env);
        config.allow_env.clone_from(&self.allow_env);
        config.cwd = cwd;
        config.config = self.config.clone();
        config.limits = self.limits.of_node();
        config
    }
}

/// What one run of a tool may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LimitsEntry {
    /// How long it may run.
    pub timeout: HumanDuration,
    /// Bytes on stdout; more of them end the run.
    pub stdout: ByteSize,
    /// Bytes of stderr that are kept.
    pub stderr: ByteSize,
    /// Bytes of the request on stdin.
    pub request: ByteSize,
    /// Memory, held where there is a cgroup for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Time between the polite signal and the deadly one.
    pub grace: HumanDuration,
}

impl Default for LimitsEntry {
    fn default() -> Self {
        let Limits { timeout, grace, .. } = Limits::default();
        let (timeout, grace) = (timeout.into(), grace.into());
        let ten = ByteSize::mib(10);
        Self { timeout, stdout: ten, stderr: ByteSize::mib(1), request: ten, memory: None, grace }
    }
}

impl LimitsEntry {
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.timeout = self.timeout.get();
        limits.stdout = self.stdout.get();
        limits.stderr = self.stderr.get();
        limits.request = self.request.get();
        limits.memory = self.memory.map(ByteSize::get);
        limits.grace = self.grace.get();
        limits
    }

    fn of_node(&self) -> ToolLimits {
        let mut limits = ToolLimits::default();
        (limits.timeout, limits.grace) = (self.timeout, self.grace);
        limits.stdout = self.stdout.get();
        limits.stderr = self.stderr.get();
        limits.request = self.request.get();
        limits.memory = self.memory.map(ByteSize::get);
        limits
    }
}

/// A tool that was checked: it can be run as soon as its secrets are known.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredTool {
    /// Everything but its environment.
    pub(crate) tool: Tool,
    /// The same for a node of the tree, with its environment, without an input.
    pub(crate) config: ToolConfig,
    /// What it is written in.
    pub(crate) runtime: Option<String>,
}

/// All tools, by their ids, in declared order.
pub type Tools = IndexMap<String, Arc<RegisteredTool>>;

/// A tool's environment can't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvironmentError {
    #[error("the value of its variable `{name}` is not known")]
    Secret { name: String, source: SecretError },
    #[error(transparent)]
    Refused(#[from] EnvError),
}

/// A tool that can be run now, and the clear texts that nobody may see.
pub(crate) struct Resolved {
    pub(crate) tool: Tool,
    pub(crate) secrets: Vec<String>,
}

impl RegisteredTool {
    /// With its secrets as they are now. Reads files.
    ///
    /// # Errors
    /// [`EnvironmentError`] names the variable.
    pub(crate) fn resolve(&self) -> Result<Resolved, EnvironmentError> {
        let mut environment = Environment::allowing(self.config.allow_env.iter().map(String::as_str))?;
        let mut secrets = Vec::new();
        for (name, secret) in &self.config.env {
            let clear = secret
                .resolve()
                .map_err(|source| EnvironmentError::Secret { name: name.clone(), source })?
                .into_exposed();
            if secret.references().next().is_some() && !clear.is_empty() {
                secrets.push(clear.clone());
            }
            environment = environment.with(name, clear)?;
        }
        Ok(Resolved { tool: self.tool.clone().with_env(environment), secrets })
    }
}
