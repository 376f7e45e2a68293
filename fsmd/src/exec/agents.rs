//! Runs actions of live workers, each through its worker's own slot. The action's own timeout bounds it.

use std::sync::Arc;

use fsm_core::{ActionReport, BoxFuture, NodePath, Outcome, RequestError};
use fsm_supervisor::{ActError, ActionRequestError, AgentRun, CommandError, Handle};
use fsm_templating::nearest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::record::{End, Fault, Status, Target};
use super::way::{Job, Prepared, Refusal, Running, Way};

/// The workers of a tree.
pub(crate) struct Agents {
    tree: Handle,
}

impl Agents {
    pub(crate) fn new(tree: Handle) -> Self {
        Self { tree }
    }
}

impl Way for Agents {
    fn prepare<'a>(
        &'a self,
        target: &'a Target,
        _input: &'a Value,
    ) -> BoxFuture<'a, Result<Box<dyn Prepared>, Refusal>> {
        Box::pin(async move {
            let Target::Agent { path, action } = target else {
                // The lane of agents is given agents only.
                return Err(Refusal::Input("it is not the action of a worker".into()));
            };
            match self.tree.node(path).await {
                Ok(Some(_)) => {
                    let (tree, path, action) = (self.tree.clone(), path.clone(), action.clone());
                    Ok(Box::new(Ready { tree, path, action }) as Box<_>)
                }
                Ok(None) => Err(no_node(&self.tree, path).await),
                Err(_) => Err(Refusal::Stopping),
            }
        })
    }
}

async fn no_node(tree: &Handle, path: &NodePath) -> Refusal {
    let entries = tree.tree().await.unwrap_or_default();
    let help = match nearest(path.as_str(), entries.iter().map(|entry| entry.path.as_str())) {
        Some(near) => format!("did you mean `{near}`? `fsmd tree` and /v1/tree list all nodes"),
        None => "`fsmd tree` and /v1/tree list all nodes".to_owned(),
    };
    Refusal::Unknown { what: "node", name: path.to_string(), help }
}

/// An action of a node that is there.
struct Ready {
    tree: Handle,
    path: NodePath,
    action: String,
}

impl Prepared for Ready {
    fn begin(self: Box<Self>, job: Job) -> BoxFuture<'static, Result<Running, Refusal>> {
        Box::pin(async move {
            let Self { tree, path, action } = *self;
            let Job { id, input, cancel, .. } = job;
            let who: Arc<str> = format!("exec:{id}").into();
            match tree.act(path.clone(), action, input, Arc::clone(&who)).await {
                Ok(run) => Ok(Box::pin(follow(run, cancel, who)) as Running),
                Err(error) => Err(refusal(error, &tree, &path).await),
            }
        })
    }
}

/// To its end, early when that is asked for.
async fn follow(mut run: AgentRun, cancel: CancellationToken, who: Arc<str>) -> End {
    match run.ended_or_cancelled(cancel.cancelled(), who).await {
        Ok(report) => end(&report),
        Err(_) => End::failure(
            Status::Cancelled,
            Fault::new("cancelled", "the tree ended, and its actions with it"),
        ),
    }
}

fn end(report: &ActionReport) -> End {
    let why = |otherwise: &str| report.error.as_deref().unwrap_or(otherwise).to_owned();
    let end = match report.outcome {
        Outcome::Success => End::success(Value::Null),
        Outcome::Failure => {
            End::failure(Status::Failure, Fault::new("action_failed", why("the action failed")))
        }
        Outcome::Panic => End::failure(
            Status::Failure,
            Fault::new("panic", format!("panic: {}", why("the action panicked"))),
        ),
        Outcome::Timeout => {
            End::failure(Status::Timeout, Fault::new("timeout", why("the action took longer than it may")))
        }
        Outcome::Cancelled => {
            End::failure(Status::Cancelled, Fault::new("cancelled", why("the action was cancelled")))
        }
    };
    let took = u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX);
    End { attempts: report.attempts, metadata: Some(json!({"took_ms": took})), ..end }
}

async fn refusal(error: ActError, tree: &Handle, path: &NodePath) -> Refusal {
    let error = match error {
        ActError::Request(ActionRequestError::Request { path, source }) => {
            return match source {
                RequestError::Unknown { name, known } => {
                    let help = match (nearest(&name, known.iter().copied()), known) {
                        (Some(near), _) => {
                            format!("did you mean `{near}`? {path} knows: {}", known.join(", "))
                        }
                        (None, []) => format!("{path} knows no actions that can be asked for"),
                        (None, known) => format!("{path} knows: {}", known.join(", ")),
                    };
                    Refusal::Unknown { what: "action", name, help }
                }
                other @ (RequestError::Input { .. } | _) => {
                    Refusal::Input(fsm_core::chain(&other).to_string())
                }
            };
        }
        ActError::Command(error) | ActError::Request(ActionRequestError::Command(error)) => error,
        ActError::Gone(_) => return Refusal::Stopping,
        // The pool of actions is full, or the node can't be asked for another reason.
        other @ (ActError::Refused { .. } | ActError::Request(_) | _) => {
            return Refusal::Busy(fsm_core::chain(&other).to_string());
        }
    };
    match error {
        CommandError::NoSuchNode { .. } => no_node(tree, path).await,
        other @ (CommandError::Declared { .. }
        | CommandError::BadSpec { .. }
        | CommandError::Busy { .. }
        | CommandError::NotNow { .. }
        | _) => Refusal::Busy(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fsm_core::{ActionId, Moment};

    use super::*;

    // spec: X-20
    #[test]
    fn every_outcome_of_an_action_has_its_status_and_a_panic_says_so() {
        for (outcome, status, reason) in [
            (Outcome::Success, Status::Success, None),
            (Outcome::Failure, Status::Failure, Some("action_failed")),
            (Outcome::Panic, Status::Failure, Some("panic")),
            (Outcome::Timeout, Status::Timeout, Some("timeout")),
            (Outcome::Cancelled, Status::Cancelled, Some("cancelled")),
        ] {
            let mut report = ActionReport::new(
                ActionId::default(),
                "probe",
                outcome,
                Moment::ZERO,
                Duration::from_millis(7),
            );
            report.attempts = 3;
            report.error = (outcome != Outcome::Success).then(|| "no answer".into());
            let end = end(&report);
            assert_eq!((end.status, end.attempts), (status, 3));
            assert_eq!(end.error.as_ref().map(|error| error.reason.as_str()), reason);
            assert!(end.error.is_none_or(|error| error.message.contains("no answer")));
            assert_eq!(end.metadata, Some(json!({"took_ms": 7})));
        }
    }
}
