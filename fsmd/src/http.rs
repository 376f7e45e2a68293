//! What the daemon answers over HTTP: health, metrics, the tree, executions (U-41). On loopback only.

mod exec;
mod problem;
mod ready;
mod statistics;
mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use fsm_core::NodePath;
use fsm_metrics::{Metrics, NodeMetricsCollector};
use fsm_supervisor::Handle;
use fsm_templating::nearest;
use serde::Deserialize;
use tokio::net::TcpListener;

pub(crate) use exec::{Exec, Needs};
pub(crate) use problem::Problem;
pub(crate) use ready::Wanted;

/// What the routes see.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    tree: Handle,
    metrics: Metrics,
    statistics: Arc<NodeMetricsCollector>,
    exec: Exec,
    /// The time that a shutdown has.
    deadline: Duration,
    wanted: Arc<Mutex<Arc<Wanted>>>,
    stopping: Arc<AtomicBool>,
}

impl Api {
    pub(crate) fn new(
        tree: Handle,
        metrics: Metrics,
        statistics: Arc<NodeMetricsCollector>,
        exec: Exec,
        deadline: Duration,
    ) -> Self {
        Self { tree, metrics, statistics, exec, deadline, wanted: Arc::default(), stopping: Arc::default() }
    }

    /// What can be run by a call.
    pub(crate) fn exec(&self) -> &Exec {
        &self.exec
    }

    /// From now on the tree has to be this to be ready. Said before it is applied, so that nobody takes the old tree for it.
    pub(crate) fn wants(&self, wanted: Wanted) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(wanted);
    }

    /// The tree has taken what it was wanted to be.
    pub(crate) fn applied(&self) {
        self.wanted().was_applied();
    }

    fn wanted(&self) -> Arc<Wanted> {
        Arc::clone(&self.wanted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on it is not ready.
    pub(crate) fn stops(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

/// Binds the address. It is done before anything is started, so that a second daemon does no harm.
///
/// # Errors
/// The system's, mostly that the address is in use.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until `end` completes, then finishes the answers under way.
///
/// # Errors
/// None that a client can cause.
pub(crate) async fn serve(
    listener: TcpListener,
    api: Api,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(api)).with_graceful_shutdown(end).await
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/v1/tree", get(tree))
        .route("/v1/nodes/{*path}", get(node))
        .route("/v1/incidents", get(incidents))
        .route("/v1/node-metrics", get(statistics::node_metrics))
        .route("/v1/longest-stop", get(longest_stop))
        .merge(exec::routes())
        .fallback(async || Problem::no_route())
        .method_not_allowed_fallback(async || Problem::method())
        .layer(middleware::from_fn(only_local))
        .with_state(api)
}

/// A page of a stranger whose name was pointed at this machine may not read the answers: the name has to be local, too.
async fn only_local(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
    if host.is_none_or(is_local) {
        let mut response = next.run(request).await;
        response
            .headers_mut()
            .entry(CACHE_CONTROL)
            .or_insert(axum::http::HeaderValue::from_static("no-store"));
        response
    } else {
        Problem::stranger().into_response()
    }
}

fn is_local(host: &str) -> bool {
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(api): State<Api>) -> Result<&'static str, Problem> {
    if api.stopping.load(Ordering::Acquire) {
        return Err(Problem::stopping());
    }
    let entries = api.tree.tree().await.map_err(|_| Problem::stopping())?;
    match api.wanted().not_ready(&entries) {
        waiting if waiting.is_empty() => Ok("ready\n"),
        waiting => Err(Problem::not_ready(waiting)),
    }
}

async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    ([(CONTENT_TYPE, fsm_metrics::CONTENT_TYPE)], api.metrics.encode())
}

/// What of the tree is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only nodes that are not as they should be.
    #[serde(default)]
    unhealthy: bool,
}

async fn tree(
    State(api): State<Api>,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(which) =
        which.map_err(|error| Problem::bad_query(error.body_text(), "/v1/tree takes `unhealthy=true`"))?;
    let entries = api.tree.tree().await.map_err(|_| Problem::stopping())?;
    let wanted = api.wanted();
    let shown: Vec<_> = wanted
        .judged(&entries)
        .filter(|(_, healthy)| !(which.unhealthy && *healthy))
        .map(|(entry, healthy)| wire::entry(entry, healthy, &api.tree))
        .collect();
    Ok(Json(shown).into_response())
}

/// The longest chain of stops, if all take as long as they may, and the time that a shutdown has.
async fn longest_stop(State(api): State<Api>) -> Result<Response, Problem> {
    let longest = api.tree.longest_stop().await.map_err(|_| Problem::stopping())?;
    Ok(Json(wire::longest_stop(&longest, api.deadline)).into_response())
}

/// What nodes need of the outside world and can't reach.
async fn incidents(State(api): State<Api>) -> Result<Response, Problem> {
    let incidents = api.tree.incidents().await.map_err(|_| Problem::stopping())?;
    Ok(Json(incidents.iter().map(|incident| wire::incident(incident, &api.tree)).collect::<Vec<_>>())
        .into_response())
}

async fn node(State(api): State<Api>, Path(path): Path<String>) -> Result<Response, Problem> {
    let path = NodePath::try_new(format!("/{path}")).map_err(|error| Problem::bad_path(&error))?;
    match api.tree.node(&path).await.map_err(|_| Problem::stopping())? {
        Some(view) => {
            let wanted = api.wanted();
            let parent = path.parent().filter(|_| wanted.asks_parent(&view.entry));
            let parent = match &parent {
                Some(parent) => api.tree.node(parent).await.map_err(|_| Problem::stopping())?,
                None => None,
            };
            let healthy = wanted.is_fit(&view.entry, parent.as_ref().map(|parent| &parent.entry));
            let statistics = api.statistics.get(path.as_str());
            Ok(Json(wire::node(&view, healthy, &statistics, &api.tree)).into_response())
        }
        None => Err(no_node(&api, &path).await),
    }
}

/// That there is no such node, with the one that may have been meant.
async fn no_node(api: &Api, path: &NodePath) -> Problem {
    let Ok(entries) = api.tree.tree().await else { return Problem::stopping() };
    let near = nearest(path.as_str(), entries.iter().map(|entry| entry.path.as_str()));
    Problem::no_node(path, near)
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "127.9.9.9"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.7", ""] {
            assert!(!is_local(host), "{host}");
        }
    }
}
