//! Agent runs: an action that somebody outside asked for by name, and the way its end gets back to whoever asked.

use std::collections::HashMap;
use std::sync::Arc;

use fsm_core::{ActionId, ActionReport, NodePath};
use tokio::sync::oneshot;

use super::handle::{AskError, Gone, Handle};
use crate::input::{ActionRequestError, Command, CommandError, Input, Refusal};

/// An action can't be asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// The tree has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The node can't take it.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// No action can be made of the request.
    #[error(transparent)]
    Request(#[from] ActionRequestError),
    /// The pool of actions did not take it.
    #[error("the action pool did not take `{action}` of {path}: {why}")]
    Refused {
        /// The node.
        path: NodePath,
        /// Which action.
        action: String,
        /// Why not.
        why: Refusal,
    },
}

/// One action that was asked for and taken. Dropping this leaves the action alone.
///
/// ```no_run
/// # async fn example(tree: fsm_supervisor::Handle) -> Result<(), Box<dyn std::error::Error>> {
/// let connection = "/edge-01/press-7/connection".parse()?;
/// let mut run = tree.act(connection, "probe", serde_json::Value::Null, "me").await?;
/// let report = run.ended().await?;
/// println!("{} after {:?}", report.outcome.as_str(), report.duration);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct AgentRun {
    tree: Handle,
    path: NodePath,
    id: ActionId,
    end: oneshot::Receiver<Result<ActionReport, Refusal>>,
}

impl AgentRun {
    /// Which request it is, unique in the life of a tree.
    #[must_use]
    pub const fn id(&self) -> ActionId {
        self.id
    }

    /// The node that acts.
    #[must_use]
    pub const fn path(&self) -> &NodePath {
        &self.path
    }

    /// How it ended. Told once: asked again it says that nobody is there.
    ///
    /// # Errors
    /// [`Gone`] when the tree ended and took the action with it.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; it can be asked for again.
    pub async fn ended(&mut self) -> Result<ActionReport, Gone> {
        // A refusal is known before this value is handed out, so that what comes here is the report.
        (&mut self.end).await.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    /// How it ended; when `enough` completes before, it is cancelled, and its end is told as always.
    ///
    /// # Errors
    /// As [`ended`](Self::ended).
    ///
    /// # Cancel safety
    /// As [`ended`](Self::ended); a cancel that was asked for stays asked for.
    pub async fn ended_or_cancelled(
        &mut self,
        enough: impl Future<Output = ()>,
        who: impl Into<Arc<str>>,
    ) -> Result<ActionReport, Gone> {
        // Cancel-safe: the end is kept until it is taken.
        tokio::select! {
            ended = self.ended() => return ended,
            () = enough => {}
        }
        // It may have ended just now; then its end comes anyway.
        let _ = self.cancel(who).await;
        self.ended().await
    }

    /// Cancels it, if it is still in flight; its end is told as always.
    ///
    /// # Errors
    /// [`AskError`] when the node is gone or does something else by now.
    pub async fn cancel(&self, who: impl Into<Arc<str>>) -> Result<(), AskError> {
        let (path, action) = (self.path.clone(), self.id);
        self.tree.command(Command::CancelAction { path, action, who: who.into() }).await
    }
}

/// Who waits for the end of which action.
#[derive(Default)]
pub(super) struct Awaited(HashMap<ActionId, oneshot::Sender<Result<ActionReport, Refusal>>>);

impl Awaited {
    pub(super) fn wait(&mut self, id: ActionId) -> oneshot::Receiver<Result<ActionReport, Refusal>> {
        let (told, end) = oneshot::channel();
        self.0.insert(id, told);
        end
    }

    /// The end of an action that ended before anybody could wait.
    pub(super) fn told(report: ActionReport) -> oneshot::Receiver<Result<ActionReport, Refusal>> {
        let (told, end) = oneshot::channel();
        let _ = told.send(Ok(report));
        end
    }

    /// Tells whoever waits for what this input says has ended.
    pub(super) fn tell(&mut self, input: &Input) {
        match input {
            // Almost no action is awaited: one look, and no copy of the report.
            Input::ActionEnded { report, .. } => self.end(report.id, || Ok(report.clone())),
            Input::ActionRefused { id, why, .. } => self.end(*id, || Err(*why)),
            Input::Observed { .. }
            | Input::Pushed { .. }
            | Input::ActionStarted { .. }
            | Input::Probed { .. }
            | Input::Root { .. }
            | Input::Command(_) => {}
        }
    }

    fn end(&mut self, id: ActionId, how: impl FnOnce() -> Result<ActionReport, Refusal>) {
        if let Some(told) = self.0.remove(&id) {
            // Whoever asked may have left.
            let _ = told.send(how());
        }
    }
}

impl Handle {
    /// Runs an action of a node's kind, asked for by name, through the node's own slot: an agent run. The kind makes the action
    /// out of the input ([`Action::from_request`](fsm_core::Action::from_request)); the action's own timeout bounds it.
    ///
    /// # Errors
    /// [`ActError`] for an unknown node or action, an input that doesn't fit, a busy or stopping node, or a full pool.
    ///
    /// # Cancel safety
    /// Dropping the future leaves an action that was taken alone.
    pub async fn act(
        &self,
        path: NodePath,
        action: impl Into<String>,
        input: serde_json::Value,
        who: impl Into<Arc<str>>,
    ) -> Result<AgentRun, ActError> {
        let (id, end) = self.ask_to_act(path.clone(), action.into(), input, who.into()).await?;
        Ok(AgentRun { tree: self.clone(), path, id, end })
    }
}

/// An action in flight and the way its end comes.
pub(super) type Taken = (ActionId, oneshot::Receiver<Result<ActionReport, Refusal>>);
