//! Who runs named actions of live workers, for steps that ask for one.

use std::fmt;
use std::sync::Arc;

use fsm_core::{BoxFuture, NodePath, Outcome};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::end::RunEnd;

/// One action that a live worker is asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AgentCall {
    /// The worker.
    pub path: NodePath,
    /// The action's name.
    pub action: String,
    /// What it is made of.
    pub input: Value,
    /// Who asks: the path of the step.
    pub who: Arc<str>,
    /// Cancels the action, if it is in flight; the call then ends with `Outcome::Cancelled`.
    pub cancel: CancellationToken,
}

impl AgentCall {
    /// A call that nobody cancels.
    pub fn new(path: NodePath, action: impl Into<String>, input: Value, who: impl Into<Arc<str>>) -> Self {
        Self { path, action: action.into(), input, who: who.into(), cancel: CancellationToken::new() }
    }

    /// Cancelled by this.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }
}

/// Runs named actions of live workers. Whoever embeds the tree implements it with the tree's handle; kinds only know this.
pub trait Agents: fmt::Debug + Send + Sync + 'static {
    /// Runs one to its end; what can't be asked for ends with a failure that says why.
    fn run(&self, call: AgentCall) -> BoxFuture<'static, RunEnd>;
}

/// Nobody can be asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAgents;

impl Agents for NoAgents {
    fn run(&self, call: AgentCall) -> BoxFuture<'static, RunEnd> {
        let why = format!("`{}` of {} can't be asked for: there is no tree here", call.action, call.path);
        Box::pin(async move { RunEnd::new(Outcome::Failure, &why) })
    }
}
