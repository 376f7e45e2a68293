//! Puts schemas and values into the words of the messages.

use serde_json::{Map, Value};

use super::Checker;
use crate::document::{Kind, Node, Style, resolve_plain};
use crate::template::type_name;

impl<'a> Checker<'a> {
    /// What a schema expects: `an integer`, `a text or a mapping`, ``one of `mqtt`, `http` ``.
    pub(super) fn expected(&self, schema: &'a Map<String, Value>) -> String {
        if let Some(names) = schema.get("enum").and_then(Value::as_array) {
            let names: Vec<_> = names.iter().map(|name| format!("`{}`", plain(name))).collect();
            return format!("one of {}", names.join(", "));
        }
        if let Some(name) = schema.get("const") {
            return format!("`{}`", plain(name));
        }
        let types = schema.get("type").into_iter().flat_map(names);
        let words: Vec<_> = types.filter(|name| *name != "null").map(word).collect();
        match words.as_slice() {
            [] => "something else".into(),
            words => words.join(" or "),
        }
    }
}

fn word(name: &str) -> &'static str {
    match name {
        "string" => "a text",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "null",
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What stands there; never the value itself.
pub(super) fn found(node: &Node) -> &'static str {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.value.is_null() => "nothing",
        Kind::Scalar(scalar) => type_name(&scalar.value),
        Kind::Sequence(_) => "a list",
        Kind::Mapping(_) => "a mapping",
    }
}

pub(super) fn type_fits(types: &Value, node: &Node) -> bool {
    names(types).any(|name| fits(name, node))
}

/// `type` is a name or a list of names.
fn names(types: &Value) -> impl Iterator<Item = &str> {
    types.as_str().into_iter().chain(types.as_array().into_iter().flatten().filter_map(Value::as_str))
}

fn fits(name: &str, node: &Node) -> bool {
    match &node.kind {
        Kind::Sequence(_) => name == "array",
        Kind::Mapping(_) => name == "object",
        Kind::Scalar(scalar) => match (&scalar.value, name) {
            // An integer with a fraction of zero is none: serde refuses it, too.
            (Value::Number(number), "integer") => !number.is_f64(),
            (Value::Number(_), "number")
            | (Value::String(_), "string")
            | (Value::Bool(_), "boolean")
            | (Value::Null, "null") => true,
            (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _)
            | (Value::Array(_) | Value::Object(_), _) => false,
        },
    }
}

/// The frequent mistakes: quotes around a number, none around a text.
pub(super) fn type_help(types: &Value, node: &Node) -> Option<String> {
    let Kind::Scalar(scalar) = &node.kind else { return None };
    match &scalar.value {
        Value::String(text) if scalar.style == Style::Quoted => {
            let unquoted = Node::new(
                Kind::Scalar(crate::document::Scalar {
                    value: resolve_plain(text).ok()?,
                    style: Style::Plain,
                }),
                node.place().clone(),
            );
            type_fits(types, &unquoted).then(|| "remove the quotes".to_owned())
        }
        Value::String(text) if matches!(text.as_str(), "yes" | "no" | "on" | "off") => {
            Some("YAML 1.2 knows only `true` and `false`".to_owned())
        }
        Value::Number(_) | Value::Bool(_) if names(types).any(|name| name == "string") => {
            Some("put it into quotes".to_owned())
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => None,
    }
}
