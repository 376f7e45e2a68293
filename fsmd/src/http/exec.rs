//! The execution API: run a tool, an action or a workflow, look at runs, follow them, cancel them (X-20 … X-24).

mod answer;
mod call;
mod spans;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use fsm_core::{HumanDuration, NodePath, Vars};
use fsm_metrics::{ExecMetrics, ExecOutcome, Metrics, RunMetrics};
use fsm_store::{ReadError, Store};
use fsm_supervisor::Handle;
use fsm_worker_process::Runner;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use super::{Api, Problem};
use crate::config::{self, Tools, Workflows};
use crate::exec::{
    Accepted, Agents, ArchiveError, Call as Counted, ExecId, Executions, Filter, Kind, Order, Record, Status,
    Target, Tasks, Waited, Way, WorkflowRuns, wait, wait_for_workflow,
};
use call::Call;

/// Clients that may follow executions at the same time (U-82).
const MAX_FOLLOWERS: usize = 1_024;
/// Executions in one page when nobody says.
const PAGE: usize = 100;
/// Executions in one page at most.
const MAX_PAGE: usize = 1_000;

/// What the routes of executions see.
#[derive(Clone)]
pub(crate) struct Exec {
    executions: Executions,
    tasks: Arc<Tasks>,
    workflows: Arc<WorkflowRuns>,
    followers: Arc<Semaphore>,
}

impl std::fmt::Debug for Exec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exec").finish_non_exhaustive()
    }
}

/// What executions need of the rest of the daemon.
pub(crate) struct Needs {
    pub(crate) tree: Handle,
    /// The root of the tree, below which workflows run.
    pub(crate) root: NodePath,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) runner: Runner,
    /// What the runner records into.
    pub(crate) runs: RunMetrics,
    pub(crate) metrics: Metrics,
}

impl Exec {
    /// Takes up what an earlier daemon left.
    ///
    /// # Errors
    /// [`ReadError`] when the store can't be read.
    pub(crate) fn try_new(bounds: &config::Exec, needs: Needs) -> Result<Self, ReadError> {
        let Needs { tree, root, store, runner, runs, metrics } = needs;
        let tasks = Arc::new(Tasks::new(runner, runs));
        let workflows = Arc::new(WorkflowRuns::new(tree.clone(), root, Arc::clone(&tasks)));
        let ways: [Arc<dyn Way>; 3] = [
            Arc::clone(&tasks) as Arc<dyn Way>,
            Arc::new(Agents::new(tree)),
            Arc::clone(&workflows) as Arc<dyn Way>,
        ];
        let counted = ExecMetrics::new(metrics.executions());
        let executions = Executions::try_new(store, bounds, counted, ways)?;
        Ok(Self { executions, tasks, workflows, followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)) })
    }

    /// From now on these can be called, and see this as `global.*`. What was called before goes on with what it was called with.
    pub(crate) fn offer(&self, tools: Tools, workflows: Workflows, global: &Vars) {
        self.tasks.set(tools);
        self.workflows.set(workflows, global.clone());
    }

    /// Ends all that runs.
    pub(crate) async fn stop(&self, within: Duration) {
        self.executions.stop(within).await;
    }
}

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/v1/exec", get(list))
        .route("/v1/exec/tasks/{*tool}", post(task))
        .route("/v1/exec/agents/{*rest}", post(agent))
        .route("/v1/exec/workflows/{workflow}", post(workflow))
        .route("/v1/exec/{exec_id}", get(one).delete(cancel))
        .route("/v1/exec/{exec_id}/stream", get(stream::follow))
}

async fn task(State(api): State<Api>, Path(tool): Path<String>, request: Request) -> Response {
    start(&api.exec, Kind::Task, Ok(Target::Task { tool }), request).await
}

async fn agent(State(api): State<Api>, Path(rest): Path<String>, request: Request) -> Response {
    let target = match rest.split_once("/-/") {
        Some((path, action)) => NodePath::try_new(format!("/{path}"))
            .map(|path| Target::Agent { path, action: action.to_owned() })
            .map_err(|error| answer::bad_agent(&error)),
        None => Err(answer::no_action()),
    };
    start(&api.exec, Kind::Agent, target, request).await
}

async fn workflow(State(api): State<Api>, Path(workflow): Path<String>, request: Request) -> Response {
    start(&api.exec, Kind::Workflow, Ok(Target::Workflow { workflow }), request).await
}

/// Starts something. Whatever comes of it, errors are counted by their status, and synchronous calls by their outcome.
async fn start(exec: &Exec, kind: Kind, target: Result<Target, Problem>, request: Request) -> Response {
    let metrics = exec.executions.metrics().clone();
    let counted = call::is_synchronous(request.uri()).then(|| Counted::begin(metrics.clone(), kind));
    let span = spans::request(kind, request.headers());
    let answered = match started(exec, target, request).instrument(span.clone()).await {
        Ok(answered) => answered,
        Err(problem) => (problem.into_response(), ExecOutcome::Error),
    };
    let (response, outcome) = answered;
    if let Some(counted) = counted {
        counted.end(outcome);
    }
    metrics.responded(kind.counted(), response.status().as_u16());
    spans::answered(&span, response.status().as_u16());
    response
}

async fn started(
    exec: &Exec,
    target: Result<Target, Problem>,
    request: Request,
) -> Result<(Response, ExecOutcome), Problem> {
    call::is_from_here(request.headers())?;
    let target = target?;
    let kind = target.kind();
    let headers = request.headers().clone();
    let Call { input, timeout, cancel_on_timeout, key, asynchronous } = call::read(request).await?;
    // Nobody waits for an asynchronous run: what is said of its time is said of the run.
    let within = timeout.filter(|_| asynchronous);
    let wait_for = timeout.unwrap_or(call::DEFAULT_WAIT);
    let open = (!asynchronous).then(|| spans::begin(&target, wait_for));
    let traceparent = spans::passed_on(open.as_ref(), &headers);
    let order = Order { target: target.clone(), input, key, within, traceparent };
    let Accepted { record, is_new } = match exec.executions.submit(order).await {
        Ok(accepted) => accepted,
        Err(refusal) => {
            open.into_iter().for_each(|open| open.end(Some("refused")));
            return Err(answer::refused(&refusal));
        }
    };
    let id = record.borrow().id.clone();
    let Some(open) = open.map(|open| spans::taken(open, &target, &id, wait_for)) else {
        if is_new {
            exec.executions.metrics().accepted(kind.counted());
        }
        let status = record.borrow().status;
        return Ok((answer::accepted(&id, status), ExecOutcome::Success));
    };
    let leaving = Leaving { executions: &exec.executions, id: &id, cancels: cancel_on_timeout };
    let within = wait_for;
    let span = open.span().clone();
    let waited = match kind {
        Kind::Task | Kind::Agent => wait(record, within).instrument(span).await,
        Kind::Workflow => {
            let look = || exec.executions.stored(&id);
            let wait = wait_for_workflow(record, look, within, call::seed(&id), exec.executions.metrics());
            wait.instrument(span).await
        }
    };
    open.end(match &waited {
        Waited::Ended(record) => Some(record.status).filter(|it| *it != Status::Success).map(Status::as_str),
        Waited::RanOut(_) => Some("timeout"),
        Waited::Lost => Some("lost"),
    });
    match waited {
        Waited::Ended(record) => {
            leaving.stays();
            let outcome = match record.status {
                Status::Success => ExecOutcome::Success,
                Status::Timeout => ExecOutcome::Timeout,
                Status::Cancelled => ExecOutcome::Cancelled,
                Status::Failure | Status::Pending | Status::Running => ExecOutcome::Error,
            };
            Ok((answer::ended(&record), outcome))
        }
        // A run that is to be cancelled is: by the drop.
        Waited::RanOut(record) => {
            let problem = answer::ran_out(&record, within, leaving.cancels);
            Ok((problem.into_response(), ExecOutcome::Timeout))
        }
        Waited::Lost => Err(answer::lost(&id)),
    }
}

/// A client that waits: when it goes away without an end, the run goes on, unless it was to be cancelled.
struct Leaving<'a> {
    executions: &'a Executions,
    id: &'a ExecId,
    cancels: bool,
}

impl Leaving<'_> {
    fn stays(mut self) {
        self.cancels = false;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.cancels {
            self.executions.abandon(self.id);
        }
    }
}

/// The record of what was asked for.
async fn find(exec: &Exec, id: &str) -> Result<Arc<Record>, Problem> {
    let Some(parsed) = ExecId::parse(id) else { return Err(answer::unknown(id)) };
    let found = exec.executions.get(&parsed).await;
    found.map_err(|error| answer::unreadable(&error))?.ok_or_else(|| answer::unknown(id))
}

async fn one(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(Json(find(&api.exec, &id).await?.to_json()).into_response())
}

async fn cancel(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    call::is_from_here(&headers)?;
    let Some(parsed) = ExecId::parse(&id) else { return Err(answer::unknown(&id)) };
    let found: Result<_, ArchiveError> = api.exec.executions.cancel(&parsed).await;
    let record = found.map_err(|error| answer::unreadable(&error))?.ok_or_else(|| answer::unknown(&id))?;
    // What has ended stays as it is.
    let status = if record.status.is_terminal() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(record.to_json())).into_response())
}

/// Which executions are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    status: Option<Status>,
    kind: Option<Kind>,
    tool: Option<String>,
    /// A time, or how long ago.
    since: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
}

async fn list(
    State(api): State<Api>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(which) = which.map_err(|error| answer::bad_list(error.body_text()))?;
    let since = which.since.as_deref().map(|text| since(text).ok_or_else(|| answer::bad_since(text)));
    let before = which.before.as_deref().map(|id| ExecId::parse(id).ok_or_else(|| answer::unknown(id)));
    let limit = which.limit.unwrap_or(PAGE);
    if limit == 0 || limit > MAX_PAGE {
        return Err(answer::bad_list(format!("`limit` is {limit}, and may be 1 to {MAX_PAGE}")));
    }
    let filter = Filter {
        status: which.status,
        kind: which.kind,
        tool: which.tool,
        since: since.transpose()?,
        before: before.transpose()?,
        limit,
    };
    let (found, more) = api.exec.executions.list(&filter);
    // The id after which the next page begins.
    let next = found.last().filter(|_| more).map(|last| last.id.clone());
    let found: Vec<_> = found.iter().map(|one| one.to_json()).collect();
    Ok(Json(json!({"executions": found, "next": next})).into_response())
}

/// Milliseconds since 1970 of a time, or of so long ago.
fn since(text: &str) -> Option<u64> {
    let at = match text.parse::<HumanDuration>() {
        Ok(ago) => std::time::SystemTime::now().checked_sub(ago.get())?,
        Err(_) => humantime::parse_rfc3339_weak(text).ok()?,
    };
    let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).ok()
}
