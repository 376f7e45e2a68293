//! Errors as RFC 9457 problem documents: what, why, and what to do, for people and programs.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fsm_core::NodePath;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One node that keeps the tree from being ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) path: String,
    pub(crate) state: String,
    pub(crate) goal: String,
    pub(crate) reason: String,
}

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// A stable name of the sort of problem.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    /// What belongs to some sorts only.
    #[serde(flatten)]
    pub(crate) beside: Box<Beside>,
}

/// What some sorts of problems tell more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beside {
    /// What is not ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) not_ready: Vec<Waiting>,
    /// Of an execution: which one, and how it is.
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
    /// Seconds after which it is worth trying again.
    #[serde(skip)]
    pub(crate) retry_after: Option<u64>,
}

const ROUTES: &str =
    "there are /healthz, /readyz, /metrics, /v1/tree, /v1/nodes/{path}, /v1/node-metrics and /v1/exec";

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:fsmd:problem:{kind}"),
            title: title.into(),
            status: status.as_u16(),
            detail: detail.into(),
            help: None,
            beside: Box::default(),
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-route", "there is nothing here", "no route has this path")
            .help(ROUTES)
    }

    pub(super) fn method() -> Self {
        let detail = "this route can't be used with this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "the method is not allowed", detail).help(
            "GET reads; POST runs what is below /v1/exec/tasks, /v1/exec/agents and /v1/exec/workflows; DELETE cancels an execution",
        )
    }

    pub(super) fn stranger() -> Self {
        let detail = "the request names a host that is not this machine";
        Self::new(StatusCode::MISDIRECTED_REQUEST, "host", "this is not the host that was asked for", detail)
            .help("ask for http://127.0.0.1 or http://localhost")
    }

    pub(super) fn bad_query(detail: String, help: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-query", "the query can't be read", detail).help(help)
    }

    pub(super) fn bad_path(error: &fsm_core::PathError) -> Self {
        let detail = fsm_core::chain(error).to_string();
        Self::new(StatusCode::BAD_REQUEST, "bad-path", "this is not the path of a node", detail)
            .help("write it as in /v1/nodes/edge-01/press-7")
    }

    pub(super) fn no_node(path: &NodePath, near: Option<&str>) -> Self {
        let help = match near {
            Some(near) => format!("did you mean `{near}`? `fsmd tree` and /v1/tree list all nodes"),
            None => "`fsmd tree` and /v1/tree list all nodes".to_owned(),
        };
        let detail = format!("no node of the tree has the path `{path}`");
        Self::new(StatusCode::NOT_FOUND, "no-node", "there is no such node", detail).help(help)
    }

    pub(super) fn stopping() -> Self {
        let detail = "the daemon was told to stop";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the daemon is stopping", detail)
    }

    pub(super) fn not_ready(waiting: Vec<Waiting>) -> Self {
        let detail = match waiting.len() {
            1 => "1 node is not as it should be".to_owned(),
            n => format!("{n} nodes are not as they should be"),
        };
        let mut problem =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "the tree is not ready", detail)
                .help("`fsmd describe PATH` says what a node waits for");
        problem.beside.not_ready = waiting;
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.beside.retry_after;
        let mut response = (status, Json(self)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
