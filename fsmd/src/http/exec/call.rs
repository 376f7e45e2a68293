//! Reads a call: where it comes from, what it says, within which bounds.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use serde::Deserialize;
use serde_json::Value;

use super::answer;
use crate::exec::ExecId;
use crate::http::Problem;

/// Bytes of a body: what the largest request to a tool may have by default.
pub(super) const MAX_BODY: usize = 10 << 20;
/// How long an answer is waited for when nobody says.
pub(super) const DEFAULT_WAIT: Duration = Duration::from_secs(60);
/// The longest wait: what takes longer is asked for without waiting.
const MAX_WAIT: f64 = 300.0;
/// Bytes of an `Idempotency-Key`.
const MAX_KEY: usize = 50;
const KEY: &str = "idempotency-key";

/// What a call says.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) input: Value,
    pub(super) timeout: Option<Duration>,
    pub(super) cancel_on_timeout: bool,
    pub(super) key: Option<String>,
    pub(super) asynchronous: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Said {
    input: Value,
    timeout_s: Option<f64>,
    cancel_on_timeout: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Mode {
    r#async: bool,
}

fn mode(uri: &Uri) -> Result<Mode, Problem> {
    Query::try_from_uri(uri).map(|Query(mode)| mode).map_err(|error| answer::bad_mode(error.body_text()))
}

/// Whether somebody waits for the end; also when nobody can know what is meant.
pub(super) fn is_synchronous(uri: &Uri) -> bool {
    mode(uri).is_ok_and(|mode| !mode.r#async)
}

/// Pages of strangers may make a browser send something, too: they say where they are from.
pub(super) fn is_from_here(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let from: Option<Uri> = origin.to_str().ok().and_then(|origin| origin.parse().ok());
    let own = headers.get(HOST).and_then(|host| host.to_str().ok());
    match from.as_ref().and_then(Uri::authority) {
        Some(from) if own == Some(from.as_str()) => Ok(()),
        Some(_) | None => Err(answer::foreign_page()),
    }
}

pub(super) async fn read(request: Request) -> Result<Call, Problem> {
    let (parts, body) = request.into_parts();
    let asynchronous = mode(&parts.uri)?.r#async;
    let key = key(&parts.headers)?;
    let Said { input, timeout_s, cancel_on_timeout } = self::body(&parts.headers, body).await?;
    let timeout = match timeout_s {
        None => None,
        Some(seconds) if seconds > 0.0 && seconds <= MAX_WAIT => Some(Duration::from_secs_f64(seconds)),
        Some(seconds) => {
            let help = "leave it out for 60; what takes longer is run with `?async=true`";
            let what = format!("`timeout_s` is {seconds}, and has to be more than 0 and at most {MAX_WAIT}");
            return Err(answer::bad_call(what, help));
        }
    };
    Ok(Call { input, timeout, cancel_on_timeout, key, asynchronous })
}

async fn body(headers: &HeaderMap, body: Body) -> Result<Said, Problem> {
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(answer::too_large());
    }
    let bytes = to_bytes(body, MAX_BODY).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(inner) = cause {
            if inner.is::<http_body_util::LengthLimitError>() {
                return answer::too_large();
            }
            cause = inner.source();
        }
        answer::bad_call(fsm_core::chain(&error).to_string(), "send the whole body")
    })?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Said::default());
    }
    // A page of a stranger can't say so without being asked first, which nobody answers.
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(answer::not_json(kind));
    }
    let help = "write it as in {\"input\": {\"n\": 1}, \"timeout_s\": 10, \"cancel_on_timeout\": true}; all of it may be left out";
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(answer::bad_call("the body is not an object", help));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| answer::bad_call(format!("the body can't be read: {error}"), help))
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all(KEY).iter();
    let (key, more) = (keys.next(), keys.next());
    let Some(key) = key else { return Ok(None) };
    let text = key.to_str().ok().filter(|text| !text.is_empty() && text.len() <= MAX_KEY && more.is_none());
    text.map(|text| Some(text.to_owned())).ok_or_else(|| {
        let help = "send one, such as a UUID, or none";
        answer::bad_call(
            format!("`Idempotency-Key` has to be one text of 1 to {MAX_KEY} visible ASCII characters"),
            help,
        )
    })
}

/// Waiters of different executions look at different times.
pub(super) fn seed(id: &ExecId) -> u64 {
    id.as_str().bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let one = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), HeaderValue::from_static(value))
        };
        all.iter().map(one).collect()
    }

    // spec: U-83
    #[test]
    fn a_page_of_a_stranger_starts_nothing() {
        let host = ("host", "127.0.0.1:8080");
        assert!(is_from_here(&headers(&[host])).is_ok());
        assert!(is_from_here(&headers(&[host, ("origin", "http://127.0.0.1:8080")])).is_ok());
        for origin in ["http://evil.example", "http://127.0.0.1:8081", "null", "", "http://localhost:8080"] {
            assert!(is_from_here(&headers(&[host, ("origin", origin)])).is_err(), "{origin}");
        }
        assert!(is_from_here(&headers(&[("origin", "http://127.0.0.1:8080")])).is_err());
    }

    // spec: X-24
    #[test]
    fn a_key_is_one_text_of_at_most_fifty_bytes() {
        const FIFTY: &str = "01234567890123456789012345678901234567890123456789";
        assert_eq!(key(&headers(&[])).unwrap(), None);
        assert_eq!(key(&headers(&[(KEY, FIFTY)])).unwrap().as_deref(), Some(FIFTY));
        for wrong in [
            &[(KEY, "")][..],
            &[(KEY, "a"), (KEY, "b")],
            &[(KEY, concat!("0123456789", "01234567890123456789012345678901234567890"))],
        ] {
            assert_eq!(key(&headers(wrong)).unwrap_err().status, 400, "{wrong:?}");
        }
    }

    async fn read_body(text: &str) -> Result<Call, Problem> {
        let request =
            Request::post("/v1/exec/tasks/a").header(CONTENT_TYPE, "application/json; charset=utf-8");
        read(request.body(Body::from(text.to_owned())).unwrap()).await
    }

    // spec: X-20
    #[tokio::test]
    async fn a_timeout_is_more_than_nothing_and_at_most_five_minutes() {
        assert_eq!(read_body("{}").await.unwrap().timeout, None);
        for (text, ms) in [("300", 300_000), ("0.5", 500), ("1", 1_000)] {
            let call = read_body(&format!("{{\"timeout_s\": {text}}}")).await.unwrap();
            assert_eq!(call.timeout, Some(Duration::from_millis(ms)));
        }
        for text in ["0", "-1", "300.1", "1e300", "\"10\"", "-0.0"] {
            let problem = read_body(&format!("{{\"timeout_s\": {text}}}")).await.unwrap_err();
            assert_eq!(problem.status, 400, "{text}");
        }
    }

    // spec: X-20, U-82
    #[tokio::test]
    async fn a_body_that_is_not_what_is_asked_for_says_why() {
        for (text, why) in
            [("{", "EOF"), ("[1]", "not an object"), ("{\"inputs\": 1}", "unknown field `inputs`")]
        {
            let problem = read_body(text).await.unwrap_err();
            assert!(problem.status == 400 && problem.detail.contains(why), "{problem:?}");
        }
        assert_eq!(read_body(" \n").await.unwrap().input, Value::Null);
        let problem = read_body(&" ".repeat(MAX_BODY + 1)).await.unwrap_err();
        assert!(problem.status == 413 && problem.detail.contains("10 MiB"), "{problem:?}");
        assert!(read_body(&" ".repeat(MAX_BODY)).await.is_ok());
        let plain = Request::post("/").header(CONTENT_TYPE, "text/plain").body(Body::from("{}")).unwrap();
        assert_eq!(read(plain).await.unwrap_err().status, 415);
        for query in ["/?async=maybe", "/?sync=true"] {
            assert_eq!(
                read(Request::post(query).body(Body::empty()).unwrap()).await.unwrap_err().status,
                400
            );
        }
    }
}
