//! Actions that steps of workflows ask live workers for, taken to the tree.

use std::sync::{Arc, Mutex, PoisonError};

use fsm_core::{ActionReport, BoxFuture, Outcome};
use fsm_supervisor::{AgentRun, Handle};
use fsm_worker_process::{AgentCall, Agents, RunEnd};

/// The way from a step to the tree that it is part of: kinds are made before there is one.
#[derive(Debug, Default)]
pub struct TreeAgents(Mutex<Option<Handle>>);

impl TreeAgents {
    /// From now on calls go to this tree.
    pub fn bind(&self, tree: Handle) {
        *self.tree() = Some(tree);
    }

    /// Lets go of the tree, which lives as long as somebody holds it.
    pub fn unbind(&self) {
        *self.tree() = None;
    }

    fn tree(&self) -> std::sync::MutexGuard<'_, Option<Handle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agents for TreeAgents {
    fn run(&self, call: AgentCall) -> BoxFuture<'static, RunEnd> {
        let tree = self.tree().clone();
        Box::pin(async move {
            let Some(tree) = tree else { return failed("the tree is not there yet, or no more") };
            let AgentCall { path, action, input, who, .. } = call.clone();
            match tree.act(path, action, input, who).await {
                Ok(run) => followed(run, &call).await,
                Err(error) => failed(&fsm_core::chain(&error)),
            }
        })
    }
}

fn failed(why: &str) -> RunEnd {
    RunEnd::new(Outcome::Failure, why)
}

/// Follows a run to its end, which also a cancelled one has.
async fn followed(mut run: AgentRun, call: &AgentCall) -> RunEnd {
    match run.ended_or_cancelled(call.cancel.cancelled(), Arc::clone(&call.who)).await {
        Ok(report) => end_of(&report),
        Err(gone) => RunEnd::new(Outcome::Cancelled, &gone.to_string()),
    }
}

fn end_of(report: &ActionReport) -> RunEnd {
    let why = match &report.error {
        Some(error) => format!("`{}` ended with {}: {error}", report.name, report.outcome.as_str()),
        None => format!("`{}` ended with {}", report.name, report.outcome.as_str()),
    };
    let mut end = RunEnd::new(report.outcome, &why);
    end.duration = report.duration;
    end
}
