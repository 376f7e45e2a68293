//! An execution as it happens, as server-sent events. What they say follows from the record: a client that comes back after
//! anything, a restart of the daemon included, hears what it has missed and nothing twice.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{Api, Problem, answer};
use crate::exec::{ExecId, Record, rfc3339, url};

/// Shorter than what proxies take for a dead connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The id of the last event of each execution.
const LAST: u64 = 3;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
struct Happened {
    id: u64,
    data: Value,
}

/// What a client has not heard yet that has heard up to `heard`.
fn news(record: &Record, heard: u64) -> impl Iterator<Item = Happened> {
    let told = |status: &str, at: u64| json!({"exec_id": record.id, "exec_url": url(&record.id), "status": status, "at": rfc3339(at)});
    let all = [
        Some(Happened { id: 1, data: told("pending", record.created) }),
        record.started.map(|at| Happened { id: 2, data: told("running", at) }),
        record.status.is_terminal().then(|| Happened { id: LAST, data: record.to_json() }),
    ];
    all.into_iter().flatten().filter(move |happened| happened.id > heard)
}

/// A client that follows.
struct Follower {
    record: watch::Receiver<Arc<Record>>,
    heard: u64,
    waiting: VecDeque<Happened>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The next event; none after the last. Cancel-safe: what was not taken is told again.
    async fn next(&mut self) -> Option<Happened> {
        while self.waiting.is_empty() {
            if self.heard >= LAST {
                return None;
            }
            let seen = Arc::clone(&self.record.borrow_and_update());
            self.waiting.extend(news(&seen, self.heard));
            if self.waiting.is_empty() && self.record.changed().await.is_err() {
                return None;
            }
        }
        let next = self.waiting.pop_front()?;
        self.heard = next.id;
        Some(next)
    }
}

pub(super) async fn follow(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(parsed) = ExecId::parse(&id) else { return Err(answer::unknown(&id)) };
    let record = api.exec.executions.follow(&parsed).await.map_err(|error| answer::unreadable(&error))?;
    let record = record.ok_or_else(|| answer::unknown(&id))?;
    let heard = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok()).unwrap_or(0);
    if heard >= LAST {
        // This tells a browser not to come back.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = Arc::clone(&api.exec.followers).try_acquire_owned();
    let place = place.map_err(|_| answer::too_many_followers())?;
    let follower = Follower { record, heard, waiting: VecDeque::new(), _place: place };
    let events = futures::stream::unfold(follower, async |mut follower| {
        let happened = follower.next().await?;
        let event =
            Event::default().event("status").id(happened.id.to_string()).data(happened.data.to_string());
        Some((Ok::<_, Infallible>(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}
