//! The three routes of the relay, and its faults.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Shared};
use crate::message::Message;
use crate::observed::Operation;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v2/instance/login", post(login))
        .route("/v2/instance/pull", get(pull))
        .route("/v2/instance/push", post(push))
        .fallback(stray)
        .with_state(shared)
}

fn bearer(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"error": {"code": code, "message": message}}))).into_response()
}

/// An answer that ends in the middle.
fn broken() -> Response {
    let parts = [Ok(axum::body::Bytes::from_static(b"{")), Err(std::io::Error::other("on purpose"))];
    Body::from_stream(futures::stream::iter(parts)).into_response()
}

/// Misbehaves if it is to, else does what was asked.
async fn answer(
    shared: &Arc<Shared>,
    operation: Operation,
    headers: &HeaderMap,
    fine: impl Future<Output = Response>,
) -> Response {
    let (fault, slow) = shared.change(|book| {
        book.begun.push(operation);
        let fault = book.faults.get_mut(operation.as_str()).and_then(std::collections::VecDeque::pop_front);
        (fault, book.slow)
    });
    if !slow.is_zero() {
        tokio::time::sleep(slow).await;
    }
    let response = match &fault {
        None => fine.await,
        Some(Fault::Status(status, code)) => error(*status, code, "on purpose"),
        Some(Fault::RetryAfter(status, after)) => {
            ([(header::RETRY_AFTER, after.clone())], error(*status, "slow_down", "on purpose"))
                .into_response()
        }
        Some(Fault::Page(status)) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::OK);
            (status, axum::response::Html("<!doctype html><title>Sign in</title>")).into_response()
        }
        Some(Fault::Break) => broken(),
        Some(Fault::BreakAfter) => {
            fine.await;
            broken()
        }
        Some(Fault::Echo(status)) => error(*status, "strange", &format!("what is {}?", bearer(headers))),
    };
    let status = match fault {
        Some(Fault::Break | Fault::BreakAfter) => 0,
        Some(_) | None => response.status().as_u16(),
    };
    shared.change(|book| book.requests.push((operation, status)));
    response
}

async fn stray(State(shared): State<Arc<Shared>>, uri: axum::http::Uri) -> Response {
    shared.change(|book| book.strays.push(uri.to_string()));
    error(404, "no_route", "there are login, pull and push")
}

async fn login(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let fine = async {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        shared.change(|book| {
            if bearer(&headers) != book.token {
                return error(401, "invalid_token", "this token is unknown");
            }
            if book.deleted {
                return error(403, "instance_deleted", "this instance was deleted");
            }
            let jwt = book.log_in(now);
            Json(json!({"jwt": jwt, "instance": book.instance})).into_response()
        })
    };
    answer(&shared, Operation::Login, &headers, fine).await
}

/// Why a session may not.
fn outsider(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    let book = shared.lock();
    if book.deleted {
        return Some(error(403, "instance_deleted", "this instance was deleted"));
    }
    (!book.sessions.contains(bearer(headers))).then(|| error(401, "token_expired", "log in again"))
}

#[derive(Deserialize)]
struct Poll {
    #[serde(default)]
    wait: u64,
    #[serde(default = "batch")]
    max: usize,
}

const fn batch() -> usize {
    50
}

async fn pull(State(shared): State<Arc<Shared>>, Query(poll): Query<Poll>, headers: HeaderMap) -> Response {
    let fine = async {
        if let Some(refusal) = outsider(&shared, &headers) {
            return refusal;
        }
        let ready = shared.until(|book| {
            if book.deleted || !book.sessions.contains(bearer(&headers)) {
                return Some(Vec::new());
            }
            Some(book.hand_out(poll.max)).filter(|messages| !messages.is_empty())
        });
        let messages = tokio::time::timeout(Duration::from_secs(poll.wait), ready).await.unwrap_or_default();
        if let Some(refusal) = outsider(&shared, &headers) {
            return refusal;
        }
        Json(json!({"messages": messages})).into_response()
    };
    answer(&shared, Operation::Pull, &headers, fine).await
}

async fn push(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let fine = async {
        if let Some(refusal) = outsider(&shared, &headers) {
            return refusal;
        }
        let messages = body["messages"].as_array().into_iter().flatten();
        let Ok(messages) = messages.map(Message::read).collect::<Result<Vec<_>, _>>() else {
            return error(400, "bad_message", "not all of them are messages");
        };
        shared.change(|book| {
            if messages.iter().any(|message| Some(&message.kind) == book.refuses.as_ref()) {
                return error(422, "bad_message", "one of them is of no use");
            }
            book.take(messages);
            StatusCode::NO_CONTENT.into_response()
        })
    };
    answer(&shared, Operation::Push, &headers, fine).await
}
