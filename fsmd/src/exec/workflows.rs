//! Runs workflows: each as a child of the root, made of its steps, that is removed when it has ended.

mod make;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fsm_core::{BoxFuture, ChildName, ChildSpec, NodePath, Outcome, Vars, Worker};
use fsm_supervisor::{AskError, EventReader, Handle, NodeView};
use fsm_templating::nearest;
use fsm_worker_process::{Workflow as Kind, WorkflowConfig, WorkflowEnd};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::record::{End, Fault, Status, Target};
use super::secrets::Hidden;
use super::tasks::Tasks;
use super::way::{Job, Prepared, Refusal, Running, Way};
use crate::config::{RegisteredTool, Workflows};

/// An event may be lost to who lags, and an order may find the node busy: it is looked and asked again after this.
const LOOK: Duration = Duration::from_secs(1);

/// The workflows that can be run.
pub(crate) struct WorkflowRuns {
    tree: Handle,
    root: NodePath,
    tasks: Arc<Tasks>,
    offer: RwLock<Arc<Offer>>,
}

/// What is offered, and what its steps see as `global.*`.
#[derive(Default)]
struct Offer {
    workflows: Workflows,
    global: Arc<Vars>,
}

impl WorkflowRuns {
    /// Runs them below the root of a tree; their tools are those of `tasks`.
    pub(crate) fn new(tree: Handle, root: NodePath, tasks: Arc<Tasks>) -> Self {
        Self { tree, root, tasks, offer: RwLock::default() }
    }

    /// From now on there are these.
    pub(crate) fn set(&self, workflows: Workflows, global: Vars) {
        let offer = Arc::new(Offer { workflows, global: Arc::new(global) });
        *self.offer.write().unwrap_or_else(PoisonError::into_inner) = offer;
    }
}

impl Way for WorkflowRuns {
    fn prepare<'a>(
        &'a self,
        target: &'a Target,
        input: &'a Value,
    ) -> BoxFuture<'a, Result<Box<dyn Prepared>, Refusal>> {
        let offer = Arc::clone(&self.offer.read().unwrap_or_else(PoisonError::into_inner));
        Box::pin(async move {
            let id = target.name();
            let Some(workflow) = offer.workflows.get(id) else {
                let help = match nearest(id, offer.workflows.keys().map(String::as_str)) {
                    Some(near) => {
                        format!("did you mean `{near}`? they are declared under `workflows:` in the config")
                    }
                    None => "workflows are declared under `workflows:` in the config".to_owned(),
                };
                return Err(Refusal::Unknown { what: "workflow", name: id.to_owned(), help });
            };
            let tools = self.tasks.tools();
            let (config, used) =
                make::config(workflow, input, &offer.global, &tools).map_err(Refusal::Input)?;
            let (tree, root, name) = (self.tree.clone(), self.root.clone(), id.to_owned());
            Ok(Box::new(Ready { tree, root, name, config, used }) as Box<_>)
        })
    }
}

/// A workflow whose steps are made.
struct Ready {
    tree: Handle,
    root: NodePath,
    name: String,
    config: WorkflowConfig,
    /// The tools of its steps.
    used: BTreeMap<String, Arc<RegisteredTool>>,
}

impl Prepared for Ready {
    fn begin(self: Box<Self>, job: Job) -> BoxFuture<'static, Result<Running, Refusal>> {
        Box::pin(async move {
            let Self { tree, root, name, mut config, used } = *self;
            if let Some(within) = job.within {
                config.timeout = config.timeout.get().min(within).into();
            }
            let name = make::name(&name, &job.id)
                .map_err(|error| Refusal::Input(format!("its node can't be named: {error}")))?;
            let who: Arc<str> = format!("exec:{}", job.id).into();
            // Before it begins, so that nothing of it is missed.
            let events = tree.events();
            let spec = ChildSpec::new(name.clone(), Kind::KIND).with_typed_config(config);
            tree.upsert(root.clone(), spec, Arc::clone(&who)).await.map_err(|error| match error {
                AskError::Gone(_) => Refusal::Stopping,
                other @ (AskError::Command(_) | _) => Refusal::Busy(fsm_core::chain(&other).to_string()),
            })?;
            let life = Life { path: root.join(&name), tree, root, name, who, cancel: job.cancel };
            Ok(Box::pin(async move {
                let end = life.follow(events).await;
                life.leave().await;
                hidden(used).await.keep_out(end)
            }) as Running)
        })
    }
}

/// Outputs of steps may repeat what their tools were told.
async fn hidden(used: BTreeMap<String, Arc<RegisteredTool>>) -> Hidden {
    let mut tasks = JoinSet::new();
    tasks.spawn_blocking(move || {
        // One that can't be resolved was not told to anybody.
        used.values().filter_map(|tool| tool.resolve().ok()).flat_map(|resolved| resolved.secrets).collect()
    });
    Hidden::new(tasks.join_next().await.and_then(Result::ok).unwrap_or_default())
}

/// The node of a workflow that runs.
struct Life {
    tree: Handle,
    root: NodePath,
    path: NodePath,
    name: ChildName,
    who: Arc<str>,
    cancel: CancellationToken,
}

impl Life {
    /// Until it has ended, early when that is asked for.
    async fn follow(&self, mut events: EventReader) -> End {
        let mut told = false;
        loop {
            match self.tree.node(&self.path).await {
                Ok(Some(view)) => {
                    if let Some(end) = end_of(&view) {
                        return end;
                    }
                }
                Ok(None) => return cancelled("its node was removed"),
                Err(_) => return cancelled("the tree ended, and the workflow with it"),
            }
            if self.cancel.is_cancelled() && !told {
                // Refused while it does something else; then it is asked again.
                told = self
                    .tree
                    .act(self.path.clone(), "cancel", Value::Null, Arc::clone(&self.who))
                    .await
                    .is_ok();
            }
            // Cancel-safe: what is missed is seen by the next look.
            tokio::select! {
                _ = timeout(LOOK, self.moved(&mut events)) => {}
                () = self.cancel.cancelled(), if !self.cancel.is_cancelled() => {}
            }
        }
    }

    /// Completes when something happened at its node.
    async fn moved(&self, events: &mut EventReader) {
        loop {
            match events.next().await {
                Some(event) if event.path == self.path => return,
                Some(_) => {}
                // The tree has ended; the next look says so.
                None => return,
            }
        }
    }

    /// Takes its node away.
    async fn leave(&self) {
        if let Err(error) =
            self.tree.delete(self.root.clone(), self.name.clone(), Arc::clone(&self.who)).await
        {
            tracing::debug!(path = %self.path, error = %fsm_core::chain(&error), "the node of a workflow is gone already");
        }
    }
}

fn cancelled(why: &str) -> End {
    End::failure(Status::Cancelled, Fault::new("cancelled", why))
}

/// How it ended, if it has.
fn end_of(view: &NodeView) -> Option<End> {
    if view.invalid {
        let why = view.error.clone().unwrap_or_else(|| view.reason.clone());
        return Some(End::failure(Status::Failure, Fault::new("invalid", why)));
    }
    // It was told to stop before it had ended.
    if view.state == "Ended" {
        return Some(cancelled("its node was stopped"));
    }
    let end = view.observed.as_ref()?.get("end").filter(|end| !end.is_null())?;
    let end: WorkflowEnd = serde_json::from_value(end.clone()).ok()?;
    Some(told(&end, &view.reason))
}

/// The end of a workflow: the outputs of its steps, and beside them how each step ended.
fn told(end: &WorkflowEnd, reason: &str) -> End {
    let (mut outputs, mut steps) = (Map::new(), Map::new());
    let mut first = None;
    for (name, step) in &end.steps {
        let Some(step) = step else {
            steps.insert(name.to_string(), Value::Null);
            continue;
        };
        if let Some(output) = &step.output {
            outputs.insert(name.to_string(), output.clone());
        }
        if step.outcome != Outcome::Success && first.is_none() {
            first = Some(format!("the step `{name}` did not succeed: {}", step.why));
        }
        let took = u64::try_from(step.duration.as_millis()).unwrap_or(u64::MAX);
        let mut told = json!({"outcome": step.outcome, "took_ms": took});
        if step.outcome != Outcome::Success {
            told["why"] = json!(step.why);
        }
        if !step.ending.is_empty() {
            told["ending"] = json!(step.ending);
        }
        if !step.stderr.is_empty() {
            told["stderr"] = json!(super::tasks::shortened(&step.stderr));
        }
        steps.insert(name.to_string(), told);
    }
    let why = |otherwise: &str| first.clone().unwrap_or_else(|| otherwise.to_owned());
    let end = match end.outcome {
        Outcome::Success => End::success(Value::Null),
        Outcome::Failure | Outcome::Panic => {
            End::failure(Status::Failure, Fault::new("step_failed", why("a step did not succeed")))
        }
        Outcome::Timeout => End::failure(Status::Timeout, Fault::new("timeout", reason)),
        Outcome::Cancelled => cancelled("the workflow was cancelled"),
    };
    End { output: Some(Value::Object(outputs)), metadata: Some(json!({"steps": steps})), ..end }
}
