//! What travels both ways, as `docs/relay.md` says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest id, kind and trace id, in bytes.
const MAX_WORD: usize = 128;

/// One message: `{id, kind, trace_id, payload}`.
///
/// ```
/// # use fsm_worker_communicator::Message;
/// let json = serde_json::json!({"id": "c-1", "kind": "stop", "payload": {"path": "/edge-01/press-7"}});
/// let message = Message::read(&json).unwrap();
/// assert_eq!((message.kind.as_str(), message.trace_id.as_str()), ("stop", ""));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Unique among the messages of its sender: duplicates are told apart by it.
    pub id: String,
    /// What it is.
    pub kind: String,
    /// What it belongs to; a receipt has that of its command.
    #[serde(default)]
    pub trace_id: String,
    /// The rest, by kind.
    #[serde(default)]
    pub payload: Value,
}

/// Something that was pulled is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// There is no id to answer to.
    #[error("a message without a usable `id` (a text of 1 to 128 bytes)")]
    NoId,
    /// It has an id, but is no message.
    #[error("`{id}` is no message: {why}")]
    Malformed {
        /// Its id.
        id: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl Message {
    /// A message.
    pub fn new(
        id: impl Into<String>,
        kind: impl Into<String>,
        trace_id: impl Into<String>,
        payload: Value,
    ) -> Self {
        Self { id: id.into(), kind: kind.into(), trace_id: trace_id.into(), payload }
    }

    /// The message in this JSON.
    ///
    /// # Errors
    /// [`MessageError`], with the id if there is one.
    pub fn read(value: &Value) -> Result<Self, MessageError> {
        let word = |key: &str| value.get(key).and_then(Value::as_str);
        let fits = |text: &str| (1..=MAX_WORD).contains(&text.len()) && !text.contains(char::is_control);
        let id = word("id").filter(|id| fits(id)).ok_or(MessageError::NoId)?;
        let wrong = |why| MessageError::Malformed { id: id.to_owned(), why };
        let kind = word("kind").filter(|kind| fits(kind)).ok_or_else(|| wrong("it has no usable `kind`"))?;
        let trace = match value.get("trace_id") {
            None | Some(Value::Null) => "",
            Some(trace) => trace
                .as_str()
                .filter(|trace| trace.is_empty() || fits(trace))
                .ok_or_else(|| wrong("its `trace_id` is no short text"))?,
        };
        let payload = value.get("payload").cloned().unwrap_or_default();
        Ok(Self { id: id.to_owned(), kind: kind.to_owned(), trace_id: trace.to_owned(), payload })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // spec: W-1, W-4
    #[test]
    fn what_is_no_message_says_why_and_keeps_its_id_for_the_answer() {
        for bad in
            [json!(null), json!("x"), json!({}), json!({"id": 7}), json!({"id": ""}), json!({"id": "a\nb"})]
        {
            assert_eq!(Message::read(&bad), Err(MessageError::NoId), "{bad}");
        }
        for bad in [
            json!({"id": "a"}),
            json!({"id": "a", "kind": 1}),
            json!({"id": "a", "kind": "b", "trace_id": 3}),
        ] {
            let error = Message::read(&bad).expect_err("no message");
            assert!(matches!(&error, MessageError::Malformed { id, .. } if id == "a"), "{error}");
        }
        let long = json!({"id": "x".repeat(129), "kind": "stop"});
        assert_eq!(Message::read(&long), Err(MessageError::NoId));
    }
}
