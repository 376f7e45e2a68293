//! Keeps clear texts of secrets out of what is kept of a run: a tool may repeat what it was told (T-8, U-85).

use fsm_templating::MASK;
use serde_json::{Map, Value};

use super::record::{End, Fault};

/// Clear texts that may not be seen.
#[derive(Clone, Default)]
pub(super) struct Hidden(Vec<String>);

impl Hidden {
    pub(super) fn new(mut secrets: Vec<String>) -> Self {
        secrets.retain(|secret| !secret.is_empty());
        // The longer first: one may be part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The end of a run without them.
    pub(super) fn keep_out(&self, end: End) -> End {
        if self.0.is_empty() {
            return end;
        }
        let End { status, output, metadata, error, stderr, attempts } = end;
        End {
            status,
            output: output.map(|value| self.value(value)),
            metadata: metadata.map(|value| self.value(value)),
            error: error.map(|Fault { reason, message, name, stack, more }| Fault {
                reason,
                message: self.text(message),
                name: name.map(|name| self.text(name)),
                stack: stack.map(|stack| self.text(stack)),
                more,
            }),
            stderr: stderr.map(|text| self.text(text)),
            attempts,
        }
    }

    fn text(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), MASK) } else { text }
        })
    }

    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => Value::Object(
                map.into_iter().map(|(k, v)| (self.text(k), self.value(v))).collect::<Map<_, _>>(),
            ),
            Value::Number(number) if self.0.iter().any(|secret| *secret == number.to_string()) => MASK.into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::record::Status;
    use super::*;

    // spec: T-8, U-85
    #[test]
    fn a_tool_that_repeats_a_secret_does_not_show_it() {
        let hidden = Hidden::new(vec!["hunter".into(), String::new(), "hunter2".into(), "4711".into()]);
        let mut fault = Fault::new("tool_error", "login of hunter2 failed");
        fault.stack = Some("at hunter".into());
        let end = End {
            output: Some(json!({"env": {"hunter2": ["x hunter2 y", 4711, 47112, true]}})),
            stderr: Some("hunter2hunter".into()),
            ..End::failure(Status::Failure, fault)
        };
        let shown = hidden.keep_out(end);
        assert_eq!(shown.output, Some(json!({"env": {MASK: ["x [secret] y", MASK, 47112, true]}})));
        assert_eq!(shown.stderr.as_deref(), Some("[secret][secret]"));
        let error = shown.error.unwrap();
        assert_eq!(
            (error.message.as_str(), error.stack.as_deref()),
            ("login of [secret] failed", Some("at [secret]"))
        );
    }
}
