//! What an answer of the relay means: pure. Texts of the relay are not shown before they are scrubbed of secrets.

use std::time::Duration;

use serde_json::Value;

use crate::backoff::ErrorClass;
use crate::observed::Operation;

/// Of a text that the relay sends as its explanation, this much is shown, in characters.
const SHOWN: usize = 200;

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a [u8],
}

/// Why an answer is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) class: ErrorClass,
    pub(crate) what: String,
}

/// An exchange with the relay that did not go well. Its text holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct RelayError {
    pub(crate) class: ErrorClass,
    pub(crate) what: String,
    pub(crate) retry_after: Option<Duration>,
}

impl RelayError {
    pub(crate) fn new(class: ErrorClass, what: impl Into<String>) -> Self {
        Self { class, what: what.into(), retry_after: None }
    }
}

/// The JSON of an answer that is fine, or what is wrong with it. An empty body is `null`.
pub(crate) fn judge(operation: Operation, answer: &Answer<'_>) -> Result<Value, Bad> {
    let Answer { status, body, .. } = *answer;
    let bad = |class, what: String| Err(Bad { class, what });
    // Redirects are not followed: they lead to a login page, or would carry the token elsewhere.
    if (300..400).contains(&status) || matches!(status, 407 | 511) || is_page(answer) {
        let what = format!(
            "status {status} with a page where JSON was due: a proxy, portal or challenge is in the way, or `url` is not the relay's"
        );
        return bad(ErrorClass::ProxyPage, what);
    }
    let json: Option<Value> = match body.trim_ascii() {
        [] => Some(Value::Null),
        body => serde_json::from_slice(body).ok(),
    };
    if (200..300).contains(&status) {
        return match json {
            Some(json) => Ok(json),
            None => bad(ErrorClass::Server, format!("status {status} without the JSON that was due")),
        };
    }
    let error = json.as_ref().and_then(|json| json.get("error"));
    let text = |key: &str| error.and_then(|error| error.get(key)).and_then(Value::as_str);
    let code = text("code").unwrap_or_default();
    let class = class(operation, status, code);
    let mut what = format!("status {status}");
    for (lead, part) in [(" ", code), (": ", text("message").unwrap_or_default())] {
        if !part.is_empty() {
            what.push_str(lead);
            what.extend(part.chars().filter(|c| !c.is_control()).take(SHOWN));
        }
    }
    bad(class, what)
}

fn class(operation: Operation, status: u16, code: &str) -> ErrorClass {
    match (code, status) {
        ("invalid_token", _) => ErrorClass::InvalidToken,
        ("instance_deleted", _) => ErrorClass::InstanceDeleted,
        ("token_expired", _) => ErrorClass::TokenExpired,
        (_, 429) => ErrorClass::RateLimit,
        (_, 401 | 403) => match operation {
            Operation::Login => ErrorClass::InvalidToken,
            // The next login tells whether it is the token.
            Operation::Pull | Operation::Push => ErrorClass::TokenExpired,
        },
        (_, 400 | 413 | 422) if operation == Operation::Push => ErrorClass::Rejected,
        _ => ErrorClass::Server,
    }
}

fn is_page(answer: &Answer<'_>) -> bool {
    let of_type = answer.content_type.to_ascii_lowercase();
    of_type.starts_with("text/html")
        || of_type.starts_with("application/xhtml")
        || answer.body.trim_ascii_start().starts_with(b"<")
}

/// The text without these secrets.
pub(crate) fn scrub(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        if text.contains(secret) {
            text = text.replace(secret, fsm_templating::MASK);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ErrorClass::{
        InstanceDeleted, InvalidToken, ProxyPage, RateLimit, Rejected, Server, TokenExpired,
    };
    use super::Operation::{Login, Pull, Push};
    use super::*;

    fn ask(operation: Operation, status: u16, content_type: &str, body: &str) -> Result<Value, Bad> {
        judge(operation, &Answer { status, content_type, body: body.as_bytes() })
    }

    fn code(code: &str) -> String {
        json!({"error": {"code": code, "message": "so it is"}}).to_string()
    }

    // spec: W-2, W-3
    #[test]
    fn statuses_and_codes_have_their_class() {
        let plain = "{}";
        for (operation, status, body, class) in [
            (Login, 401, plain.to_owned(), InvalidToken),
            (Login, 403, plain.to_owned(), InvalidToken),
            (Pull, 401, plain.to_owned(), TokenExpired),
            (Push, 401, code("token_expired"), TokenExpired),
            (Pull, 401, code("invalid_token"), InvalidToken),
            (Pull, 403, code("instance_deleted"), InstanceDeleted),
            (Push, 410, code("instance_deleted"), InstanceDeleted),
            (Login, 429, plain.to_owned(), RateLimit),
            (Push, 429, code("slow_down"), RateLimit),
            (Push, 400, plain.to_owned(), Rejected),
            (Push, 413, plain.to_owned(), Rejected),
            (Push, 422, code("bad_message"), Rejected),
            (Pull, 400, plain.to_owned(), Server),
            (Login, 422, plain.to_owned(), Server),
            (Push, 404, plain.to_owned(), Server),
            (Pull, 500, "oops".to_owned(), Server),
            (Pull, 503, String::new(), Server),
        ] {
            let bad = ask(operation, status, "application/json", &body).expect_err("an error");
            assert_eq!(bad.class, class, "{operation:?} {status} {body}");
            assert!(bad.what.contains(&status.to_string()), "{}", bad.what);
        }
    }

    // spec: W-3
    #[test]
    fn a_page_where_json_was_due_is_somebody_else() {
        let page = "<!doctype html><title>Sign in</title>";
        for (status, content_type, body) in [
            (200, "text/html; charset=utf-8", page),
            (200, "", page),
            (403, "TEXT/HTML", "x"),
            (503, "text/html", page),
            (302, "", ""),
            (407, "application/json", "{}"),
            (511, "", ""),
        ] {
            let bad = ask(Pull, status, content_type, body).expect_err("a page");
            assert_eq!(bad.class, ProxyPage, "{status} {content_type} {body}");
            assert!(!bad.what.contains("Sign in"), "{}", bad.what);
        }
    }

    #[test]
    fn what_is_fine_is_json_or_nothing() {
        assert_eq!(ask(Push, 204, "", ""), Ok(Value::Null));
        assert_eq!(ask(Pull, 200, "application/json", r#" {"messages": []} "#), Ok(json!({"messages": []})));
        assert_eq!(ask(Pull, 200, "application/json", "{").expect_err("torn").class, Server);
    }

    // spec: W-5
    #[test]
    fn an_explanation_is_one_short_line_and_secrets_in_it_are_masked() {
        let long =
            json!({"error": {"code": "a", "message": format!("x\n{}", "y".repeat(10_000))}}).to_string();
        let bad = ask(Push, 500, "", &long).expect_err("an error");
        assert!(bad.what.len() < 300 && !bad.what.contains('\n'), "{}", bad.what);
        assert_eq!(scrub("token T0P is not J.W.T", &["T0P", "J.W.T", ""]), "token [secret] is not [secret]");
    }
}
