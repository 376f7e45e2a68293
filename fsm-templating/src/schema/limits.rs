//! Limits of numbers, texts and lists.

use serde_json::{Map, Value};

use super::Checker;
use crate::diagnostic::{Diagnostic, codes};
use crate::document::{Kind, Node};

impl Checker<'_> {
    pub(super) fn limits(&self, node: &Node, schema: &Map<String, Value>) -> Option<Diagnostic> {
        let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
        let broken = match &node.kind {
            Kind::Sequence(items) => length(items.len(), "entries", limit("minItems"), limit("maxItems")),
            Kind::Mapping(map) => length(map.len(), "keys", limit("minProperties"), limit("maxProperties")),
            Kind::Scalar(scalar) => match &scalar.value {
                Value::Number(number) => {
                    let number = number.as_f64()?;
                    let least = limit("minimum").filter(|min| number < *min);
                    let above = limit("exclusiveMinimum").filter(|min| number <= *min);
                    let most = limit("maximum").filter(|max| number > *max);
                    let below = limit("exclusiveMaximum").filter(|max| number >= *max);
                    least
                        .map(|min| format!("this number must be at least {min}"))
                        .or_else(|| above.map(|min| format!("this number must be greater than {min}")))
                        .or_else(|| most.map(|max| format!("this number must be at most {max}")))
                        .or_else(|| below.map(|max| format!("this number must be less than {max}")))
                }
                Value::String(text) => {
                    let count = text.chars().count();
                    let pattern = schema.get("pattern").and_then(Value::as_str);
                    length(count, "characters", limit("minLength"), limit("maxLength")).or_else(|| {
                        let pattern = pattern.filter(|pattern| !self.matches(pattern, text))?;
                        Some(format!("this text must match the pattern `{pattern}`"))
                    })
                }
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            },
        };
        broken.map(|message| Diagnostic::error(codes::OUT_OF_RANGE, message))
    }
}

fn length(count: usize, of: &str, min: Option<f64>, max: Option<f64>) -> Option<String> {
    let count = count as f64;
    let least = min.filter(|min| count < *min);
    let most = max.filter(|max| count > *max);
    least
        .map(|min| format!("at least {min} {of} are needed here"))
        .or_else(|| most.map(|max| format!("at most {max} {of} are allowed here")))
}
