//! Runs tools: the registered programs of the config, as they were when the call was accepted.

mod end;

pub(super) use end::shortened;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fsm_core::BoxFuture;
use fsm_metrics::{RunMetrics, ToolErrorKind, ToolMetrics};
use fsm_templating::nearest;
use fsm_worker_process::{Call, Runner};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::record::{End, Fault, Status, Target};
use super::secrets::Hidden;
use super::way::{Job, Prepared, Refusal, Running, Way};
use crate::config::{RegisteredTool, Resolved, Tools};

/// The tools that can be run.
pub(crate) struct Tasks {
    runner: Runner,
    /// The runner's own, for calls that don't come to it.
    counted: RunMetrics,
    tools: RwLock<Arc<Tools>>,
}

impl Tasks {
    /// `counted` is what the runner records into.
    pub(crate) fn new(runner: Runner, counted: RunMetrics) -> Self {
        Self { runner, counted, tools: RwLock::default() }
    }

    /// From now on there are these. What waits or runs goes on with what it was accepted with.
    pub(crate) fn set(&self, tools: Tools) {
        let tools = Arc::new(tools);
        let before = std::mem::replace(
            &mut *self.tools.write().unwrap_or_else(PoisonError::into_inner),
            Arc::clone(&tools),
        );
        // Their series are there from the beginning, and go with them; those of others are left alone.
        for id in tools.keys() {
            let _ = self.counted.tool(id);
        }
        self.counted.retain(|id| tools.contains_key(id) || !before.contains_key(id));
    }

    /// Those that there are.
    pub(crate) fn tools(&self) -> Arc<Tools> {
        Arc::clone(&self.tools.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Way for Tasks {
    fn prepare<'a>(
        &'a self,
        target: &'a Target,
        _input: &'a Value,
    ) -> BoxFuture<'a, Result<Box<dyn Prepared>, Refusal>> {
        Box::pin(async move {
            let (tools, id) = (self.tools(), target.name());
            match tools.get(id) {
                Some(tool) => {
                    let (runner, counted) = (self.runner.clone(), self.counted.tool(id));
                    Ok(Box::new(Ready { runner, counted, tool: Arc::clone(tool) }) as Box<_>)
                }
                None => {
                    self.counted.unknown_tool().begin(|| Duration::ZERO).end(Some(ToolErrorKind::Start));
                    let help = match nearest(id, tools.keys().map(String::as_str)) {
                        Some(near) => {
                            format!("did you mean `{near}`? tools are declared under `tools:` in the config")
                        }
                        None if tools.is_empty() => {
                            "the config declares no tools: add some under `tools:`".to_owned()
                        }
                        None => "tools are declared under `tools:` in the config".to_owned(),
                    };
                    Err(Refusal::Unknown { what: "tool", name: id.to_owned(), help })
                }
            }
        })
    }
}

/// A tool as it was when the call was accepted.
struct Ready {
    runner: Runner,
    counted: ToolMetrics,
    tool: Arc<RegisteredTool>,
}

impl Prepared for Ready {
    fn begin(self: Box<Self>, job: Job) -> BoxFuture<'static, Result<Running, Refusal>> {
        Box::pin(async move { Ok(Box::pin(self.run(job)) as Running) })
    }
}

impl Ready {
    async fn run(self: Box<Self>, job: Job) -> End {
        let Self { runner, counted, tool } = *self;
        let runtime = tool.runtime.clone();
        let began = Instant::now();
        let Resolved { tool, secrets } = match resolve(tool).await {
            Ok(resolved) => resolved,
            Err(why) => {
                // The runner, which counts its calls, doesn't hear of this one.
                counted.begin(move || began.elapsed()).end(Some(ToolErrorKind::Start));
                return End::failure(Status::Failure, Fault::new("spawn_failed", why));
            }
        };
        let mut limits = tool.limits().clone();
        limits.timeout = job.within.map_or(limits.timeout, |within| within.min(limits.timeout));
        let mut call = Call::new().with_input(job.input);
        call.exec_id = job.id.to_string();
        call.traceparent = job.traceparent;
        call.runtime = runtime;
        let run = runner.run(&tool.with_limits(limits), call, &job.cancel).await;
        Hidden::new(secrets).keep_out(end::of(run))
    }
}

/// Secrets may be in files, which are not read on a thread that others wait for.
async fn resolve(tool: Arc<RegisteredTool>) -> Result<Resolved, String> {
    let mut tasks = JoinSet::new();
    tasks.spawn_blocking(move || tool.resolve());
    match tasks.join_next().await {
        Some(Ok(Ok(resolved))) => Ok(resolved),
        Some(Ok(Err(error))) => Err(format!("it was not started: {}", fsm_core::chain(&error))),
        Some(Err(_)) | None => {
            Err("it was not started because of a bug: reading its secrets panicked".to_owned())
        }
    }
}
