//! What the routes of executions answer.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use fsm_core::{HumanDuration, PathError};
use serde_json::{Map, Value, json};

use super::call::MAX_BODY;
use crate::exec::{ArchiveError, ExecId, Record, Refusal, Status, url};
use crate::http::Problem;

/// A place is free as soon as one run ends, and nobody knows when: short enough to lose no time, long enough to be no load.
const RETRY_AFTER: u64 = 2;

/// It has ended: its output, or why there is none.
pub(super) fn ended(record: &Record) -> Response {
    if record.status == Status::Success {
        let mut answer = json!({
            "exec_id": record.id,
            "exec_url": url(&record.id),
            "status": record.status,
            "output": record.output,
        });
        if let Some(metadata) = &record.metadata {
            answer["metadata"] = metadata.clone();
        }
        return Json(answer).into_response();
    }
    let what = match &record.error {
        Some(error) => error.message.clone(),
        None => format!("it ended with the status {}", record.status),
    };
    let mut problem =
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "run-failed", "the run did not succeed", what);
    problem.beside.more = of(record);
    let told = record.to_json();
    for key in ["error", "output", "metadata", "stderr"] {
        if let Some(value) = told.get(key) {
            problem.beside.more.insert(key.into(), value.clone());
        }
    }
    problem.into_response()
}

/// Which execution a problem is about.
fn of(record: &Record) -> Map<String, Value> {
    let mut of = Map::new();
    of.insert("exec_id".into(), json!(record.id));
    of.insert("exec_url".into(), json!(url(&record.id)));
    of.insert("state".into(), json!(record.status));
    of
}

/// It is taken; nobody waits for it.
pub(super) fn accepted(id: &ExecId, status: Status) -> Response {
    let at = url(id);
    let answer = Json(json!({"exec_id": id, "exec_url": at, "status": status}));
    (StatusCode::ACCEPTED, [(LOCATION, at)], answer).into_response()
}

pub(super) fn ran_out(record: &Record, within: Duration, cancels: bool) -> Problem {
    let within = HumanDuration::new(within);
    let what = format!("after {within} the run is {}", record.status);
    let help = match cancels {
        true => "it is being cancelled, as was asked for".to_owned(),
        false => {
            format!("it goes on: GET {0} looks, GET {0}/stream follows, DELETE {0} cancels", url(&record.id))
        }
    };
    let mut problem =
        Problem::new(StatusCode::REQUEST_TIMEOUT, "wait-timeout", "the wait for the run is over", what)
            .help(help);
    problem.beside.more = of(record);
    problem
}

pub(super) fn refused(refusal: &Refusal) -> Problem {
    let what = refusal.to_string();
    match refusal {
        Refusal::Unknown { help, .. } => {
            Problem::new(StatusCode::NOT_FOUND, "unknown-target", "there is nothing to run here", what)
                .help(help)
        }
        Refusal::Input(why) => {
            Problem::new(StatusCode::BAD_REQUEST, "bad-input", "the input can't be taken", why.clone())
                .help("docs/execution.md says what tools, actions and workflows take as `input`")
        }
        Refusal::Busy(_) => Problem::new(StatusCode::CONFLICT, "busy", "the worker is busy", what)
            .help("a worker does one thing at a time: try again when it is done"),
        Refusal::Full { .. } => {
            let mut problem =
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "queue-full", "the queue is full", what)
                    .help("try again in a moment; `exec.queue` and `exec.concurrency` of the config say how many there may be");
            problem.beside.retry_after = Some(RETRY_AFTER);
            problem
        }
        Refusal::Key(id) => {
            let mut problem = Problem::new(
                StatusCode::CONFLICT,
                "idempotency-key",
                "the key belongs to another call",
                what,
            )
            .help("a repeat has the same target and the same input; a new call needs a new key");
            problem.beside.more.insert("exec_id".into(), json!(id));
            problem.beside.more.insert("exec_url".into(), json!(url(id)));
            problem
        }
        Refusal::Stopping => Problem::stopping(),
        Refusal::Archive(error) => unreadable(error),
    }
}

pub(super) fn unreadable(error: &ArchiveError) -> Problem {
    let what = fsm_core::chain(error).to_string();
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store", "the store can't be used", what)
        .help("`fsmd tree --unhealthy` says whether the store is in trouble")
}

/// The run was refused when it was to begin, or its record is gone.
pub(super) fn lost(id: &ExecId) -> Problem {
    let what = format!("nobody knows of the execution {id} any more");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "lost", "the execution is not known any more", what)
}

pub(super) fn unknown(id: &str) -> Problem {
    let what = format!("there is no execution `{id}`");
    Problem::new(StatusCode::NOT_FOUND, "no-execution", "there is no such execution", what).help(
        "GET /v1/exec lists those that are known; they are forgotten a week after their end, or when there are too many",
    )
}

pub(super) fn foreign_page() -> Problem {
    let what = "the request comes from a page of another origin";
    Problem::new(StatusCode::FORBIDDEN, "origin", "a page of a stranger may run nothing", what)
        .help("leave out `Origin`, or serve the page from this address")
}

pub(super) fn bad_mode(what: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-query", "the query can't be read", what)
        .help("runs take `async=true`, and nothing else")
}

pub(super) fn bad_list(what: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-query", "the query can't be read", what)
        .help("/v1/exec takes `status`, `kind`, `tool`, `since`, `before` and `limit`")
}

pub(super) fn bad_since(text: &str) -> Problem {
    let what = format!("`since` is `{text}`, which is no time");
    Problem::new(StatusCode::BAD_REQUEST, "bad-query", "the query can't be read", what)
        .help("write a time as in 2026-01-31T06:00:00Z, or how long ago as in 10m")
}

pub(super) fn bad_call(what: impl Into<String>, help: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-call", "the call can't be read", what).help(help)
}

pub(super) fn too_large() -> Problem {
    let what = format!("the body is larger than {} MiB", MAX_BODY >> 20);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the body is too large", what)
        .help("pass the name of a file instead of what is in it")
}

pub(super) fn not_json(kind: &str) -> Problem {
    let what = match kind {
        "" => "the body has no content type".to_owned(),
        kind => format!("the body is called `{kind}`"),
    };
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "the body has to be JSON", what)
        .help("send `Content-Type: application/json`; curl does so with --json")
}

pub(super) fn no_action() -> Problem {
    let what = "the path names no action";
    Problem::new(StatusCode::NOT_FOUND, "no-action", "there is nothing to run here", what)
        .help("write it as in /v1/exec/agents/edge-01/press-7/connection/-/probe")
}

pub(super) fn bad_agent(error: &PathError) -> Problem {
    let what = fsm_core::chain(error).to_string();
    Problem::new(StatusCode::NOT_FOUND, "bad-path", "this is not the path of a node", what)
        .help("write it as in /v1/exec/agents/edge-01/press-7/connection/-/probe")
}

pub(super) fn too_many_followers() -> Problem {
    let what = "as many clients as may follow executions already";
    let mut problem =
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "followers", "too many clients follow", what)
            .help("GET the execution from time to time instead");
    problem.beside.retry_after = Some(RETRY_AFTER);
    problem
}
