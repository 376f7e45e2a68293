//! What a tool is told on stdin and what its stdout means: pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How a tool is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// One JSON object in, one JSON object out.
    #[default]
    Json,
    /// The input as bytes in, text out: any ordinary command.
    Raw,
}

/// What a tool says about its own failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolError {
    /// What went wrong.
    pub message: String,
    /// Its sort, such as the name of an exception.
    #[serde(default)]
    pub name: String,
    /// Where in the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
}

impl ToolError {
    /// An error without a stack.
    pub fn new(message: impl Into<String>, name: impl Into<String>) -> Self {
        Self { message: message.into(), name: name.into(), stack: None }
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.name, self.message)
        }
    }
}

/// What goes into a request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) tool_id: &'a str,
    pub(crate) exec_id: &'a str,
    pub(crate) input: &'a Value,
    pub(crate) config: &'a Value,
    pub(crate) env: BTreeMap<&'a str, &'a str>,
    pub(crate) timeout: Duration,
}

/// What a stdout said.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) outcome: Result<Value, ToolError>,
    pub(crate) metadata: Option<Value>,
}

impl Answer {
    fn result(value: Value) -> Self {
        Self { outcome: Ok(value), metadata: None }
    }
}

impl Protocol {
    /// The bytes for stdin.
    pub(crate) fn request(self, request: &Request<'_>) -> Vec<u8> {
        match (self, request.input) {
            (Self::Json, _) => json!({
                "tool_id": request.tool_id,
                "exec_id": request.exec_id,
                "input": request.input,
                "config": request.config,
                "env": request.env,
                "timeout_ms": u64::try_from(request.timeout.as_millis()).unwrap_or(u64::MAX),
            })
            .to_string()
            .into_bytes(),
            (Self::Raw, Value::Null) => Vec::new(),
            (Self::Raw, Value::String(text)) => text.clone().into_bytes(),
            (Self::Raw, other) => other.to_string().into_bytes(),
        }
    }

    /// What the bytes of a whole stdout mean; the error says why they mean nothing.
    pub(crate) fn answer(self, stdout: &[u8]) -> Result<Answer, String> {
        let text = std::str::from_utf8(stdout)
            .map_err(|error| format!("stdout is not UTF-8 from byte {} on", error.valid_up_to()))?;
        match self {
            Self::Raw => Ok(Answer::result(text.into())),
            Self::Json if text.trim().is_empty() => Ok(Answer::result(Value::Object(Map::new()))),
            Self::Json => parse(text),
        }
    }
}

fn parse(text: &str) -> Result<Answer, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        format!("stdout is not one JSON value, it begins with {:?}: {error}", start_of(text))
    })?;
    let Value::Object(mut object) = value else {
        return Ok(Answer::result(value));
    };
    let metadata = object.swap_remove("metadata");
    match (object.swap_remove("result"), object.swap_remove("error")) {
        (Some(result), None | Some(Value::Null)) => Ok(Answer { outcome: Ok(result), metadata }),
        (None | Some(Value::Null), Some(error)) => {
            let error = serde_json::from_value(error)
                .map_err(|error| format!("`error` must be an object with `message` and `name`: {error}"))?;
            Ok(Answer { outcome: Err(error), metadata })
        }
        (Some(_), Some(_)) => Err("it has both a `result` and an `error`".into()),
        (None, None) => Err("an object must have a `result` or an `error`".into()),
    }
}

fn start_of(text: &str) -> &str {
    /// Enough to recognise what it is, and to fit into a line of the tree.
    const SHOWN: usize = 40;
    text.char_indices().nth(SHOWN).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn json_gives(stdout: &str, expected: Value) {
        let answer = Protocol::Json.answer(stdout.as_bytes()).expect("an answer");
        assert_eq!(answer.outcome, Ok(expected), "{stdout}");
    }

    // spec: X-1
    #[test]
    fn a_result_is_kept_as_it_is() {
        json_gives(r#"{"result": {"a": 1}}"#, json!({"a": 1}));
        json_gives(r#"{"result": null}"#, Value::Null);
        json_gives(r#"{"result": 1, "error": null}"#, json!(1));
        json_gives("[1, 2]", json!([1, 2]));
        json_gives("42", json!(42));
        json_gives("\"text\"", json!("text"));
        json_gives("", json!({}));
        json_gives(" \n", json!({}));
    }

    // spec: X-1
    #[test]
    fn errors_and_metadata_are_told_apart() {
        let stdout = r#"{"error": {"message": "no paper", "name": "Printer", "stack": "l. 3"}, "metadata": {"ms": 3}}"#;
        let answer = Protocol::Json.answer(stdout.as_bytes()).expect("an answer");
        let error = answer.outcome.expect_err("it says so");
        assert_eq!((error.to_string().as_str(), error.stack.as_deref()), ("Printer: no paper", Some("l. 3")));
        assert_eq!(answer.metadata, Some(json!({"ms": 3})));
    }

    // spec: X-1, X-7
    #[test]
    fn what_is_no_answer_says_why() {
        for (stdout, why) in [
            (&b"hello"[..], "begins with \"hello\""),
            (b"{}{}", "not one JSON value"),
            (b"{\"a\": 1}", "must have a `result`"),
            (b"{\"result\": 1, \"error\": {\"message\": \"m\"}}", "both"),
            (b"{\"error\": \"text\"}", "must be an object"),
            (b"{\"result\": \"\xff\"}", "not UTF-8 from byte 12"),
        ] {
            let error = Protocol::Json.answer(stdout).expect_err("no answer");
            assert!(error.contains(why), "{error}");
        }
    }

    // spec: X-1
    #[test]
    fn raw_passes_text_through() {
        let request = |input: &Value| {
            Protocol::Raw.request(&Request {
                tool_id: "t",
                exec_id: "e",
                input,
                config: &Value::Null,
                env: BTreeMap::new(),
                timeout: Duration::from_secs(1),
            })
        };
        assert_eq!(request(&json!("a\nb")), b"a\nb");
        assert_eq!(request(&Value::Null), b"");
        assert_eq!(request(&json!({"a": 1})), br#"{"a":1}"#);
        assert_eq!(Protocol::Raw.answer(b"x\n").expect("text").outcome, Ok(json!("x\n")));
        assert!(Protocol::Raw.answer(b"\xff").is_err());
    }
}
