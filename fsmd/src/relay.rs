//! Lends the tree to communicators: what happens there goes up, and commands of the relay are carried out here (W-1).

mod configs;
mod events;

use std::sync::{Arc, Mutex, PoisonError};

use fsm_core::{BoxFuture, NodePath, Registry};
use fsm_supervisor::{AskError, Command as TreeCommand, CommandError, Handle};
use fsm_worker_communicator::{Command, CommandFailure, Exchange, Happenings, NoExchange, Order};
use serde_json::{Value, json};

use crate::http::Api;
use events::Events;

/// What communicators are given before there is a tree: they are kinds of it, and it needs its kinds to start.
#[derive(Default)]
pub(crate) struct Port {
    bound: Mutex<Option<Bound>>,
}

/// The running tree, and what a config for it is checked with.
#[derive(Clone)]
struct Bound {
    tree: Handle,
    api: Api,
    kinds: Arc<Registry>,
}

impl Port {
    /// From now on there is a tree.
    pub(crate) fn bind(&self, tree: Handle, api: Api, kinds: Registry) {
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Bound { tree, api, kinds: Arc::new(kinds) });
    }

    /// From now on there is none.
    pub(crate) fn unbind(&self) {
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn bound(&self) -> Option<Bound> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Exchange for Port {
    fn happenings(&self, _own: &NodePath) -> Box<dyn Happenings> {
        match self.bound() {
            Some(Bound { tree, .. }) => Box::new(Events::new(tree)),
            None => Box::new(NoExchange),
        }
    }

    fn run(&self, order: Order) -> BoxFuture<'static, Result<Value, CommandFailure>> {
        let bound = self.bound();
        Box::pin(async move {
            let bound = bound.ok_or_else(gone)?;
            let (name, who) = (order.command.name().as_str(), order.who.clone());
            let result = bound.run(order).await;
            match &result {
                Ok(_) => tracing::info!(command = name, %who, "carried out for the relay"),
                Err(failure) => {
                    tracing::warn!(command = name, %who, %failure, "not carried out for the relay")
                }
            }
            result
        })
    }
}

fn gone() -> CommandFailure {
    CommandFailure::new("stopping", "the daemon is stopping")
}

impl Bound {
    async fn run(self, order: Order) -> Result<Value, CommandFailure> {
        let who: Arc<str> = order.who.into();
        match order.command {
            Command::Plan { files } => configs::plan(self, files).await,
            Command::Apply { files } => configs::apply(self, files).await,
            Command::Retry { path } => self.tell(TreeCommand::Retry { path, who }).await,
            Command::Stop { path } => self.tell(TreeCommand::Stop { path, who }).await,
            Command::Start { path } => self.tell(TreeCommand::Start { path, who }).await,
            Command::Exec { .. } => Err(CommandFailure::not_available("exec")),
            other => Err(CommandFailure::not_available(other.name().as_str())),
        }
    }

    async fn tell(&self, command: TreeCommand) -> Result<Value, CommandFailure> {
        match self.tree.command(command).await {
            Ok(()) => Ok(json!({})),
            Err(AskError::Command(error @ CommandError::NoSuchNode { .. })) => {
                Err(CommandFailure::new("no_such_node", error.to_string()))
            }
            Err(AskError::Command(error)) => Err(CommandFailure::new("not_now", error.to_string())),
            Err(AskError::Gone(_) | _) => Err(gone()),
        }
    }
}
