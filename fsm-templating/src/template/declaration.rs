//! Reads `parameters: {ip: {type: string, …}}` with an error for everything that can't be meant.

use std::sync::Arc;

use indexmap::IndexMap;
use regex_lite::Regex;
use serde_json::Value;

use super::context::RESERVED;
use super::parameters::{Parameter, ParameterType};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::document::{Entry, Node};
use crate::suggest::did_you_mean;

const KEYS: [&str; 8] = ["type", "default", "required", "enum", "pattern", "min", "max", "description"];

pub(super) fn parse(node: &Node, found: &mut Diagnostics) -> IndexMap<Arc<str>, Parameter> {
    let Some(map) = node.as_mapping() else {
        found.push(bad(node, "`parameters` must be a mapping of names to declarations"));
        return IndexMap::new();
    };
    let mut all = IndexMap::with_capacity(map.len());
    for (name, entry) in map {
        if let Some(error) = reserved(name) {
            found.push(error.at(entry.key_place.clone()));
        }
        all.insert(Arc::from(name.as_str()), parameter(name, entry, found));
    }
    all
}

/// The error for a variable or parameter with a reserved name.
pub(super) fn reserved(name: &str) -> Option<Diagnostic> {
    RESERVED.contains(&name).then(|| {
        Diagnostic::error(codes::RESERVED_NAME, format!("the variable name `{name}` is reserved"))
            .help("choose another name: this one belongs to the scope of each template")
    })
}

fn parameter(name: &str, entry: &Entry, found: &mut Diagnostics) -> Parameter {
    let mut out = Parameter {
        kind: ParameterType::Any,
        default: None,
        required: true,
        description: None,
        allowed: None,
        pattern: None,
        min: None,
        max: None,
        place: Some(entry.key_place.clone()),
    };
    let node = &entry.value;
    // `ip:` alone declares a parameter of any type.
    if node.to_value().is_null() {
        return out;
    }
    let Some(map) = node.as_mapping() else {
        found.push(bad(node, &format!("the parameter `{name}` must be declared by a mapping")));
        return out;
    };
    let mut required = None;
    for (key, Entry { key_place, value }) in map {
        let raw = value.to_value();
        match key.as_str() {
            "type" => match ParameterType::NAMES.iter().find(|(known, _)| raw.as_str() == Some(known)) {
                Some((_, kind)) => out.kind = *kind,
                None => {
                    let known = ParameterType::NAMES.map(|(known, _)| known);
                    let help = did_you_mean(raw.as_str().unwrap_or_default(), known);
                    found.push(bad(value, "this is not a type").maybe_help(help));
                }
            },
            "default" => {
                if has_mark(&raw) {
                    found.push(bad(value, "a default is a constant: it may not hold a template mark"));
                }
                out.default = Some(raw);
            }
            "required" => match raw.as_bool() {
                Some(flag) => required = Some(flag),
                None => found.push(bad(value, "`required` must be true or false")),
            },
            "enum" => match raw {
                Value::Array(items) if !items.is_empty() => out.allowed = Some(items),
                Value::Array(_)
                | Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Object(_) => found.push(bad(value, "`enum` must be a list of the allowed values")),
            },
            "pattern" => match raw.as_str().map(Regex::new) {
                Some(Ok(pattern)) => out.pattern = Some(pattern),
                Some(Err(error)) => {
                    found.push(bad(value, &format!("this is not a regular expression: {error}")));
                }
                None => found.push(bad(value, "`pattern` must be a regular expression")),
            },
            "min" | "max" => match raw.as_f64() {
                Some(limit) if key == "min" => out.min = Some(limit),
                Some(limit) => out.max = Some(limit),
                None => found.push(bad(value, &format!("`{key}` must be a number"))),
            },
            "description" => match raw {
                Value::String(text) => out.description = Some(text),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    found.push(bad(value, "`description` must be a text"));
                }
            },
            _ => {
                let message = format!("a parameter has no `{key}`");
                let error = Diagnostic::error(codes::BAD_DECLARATION, message).at(key_place.clone());
                found.push(error.maybe_help(did_you_mean(key, KEYS)));
            }
        }
    }
    settle(name, node, required, &mut out, found);
    out
}

/// What the keys say together.
fn settle(name: &str, node: &Node, required: Option<bool>, out: &mut Parameter, found: &mut Diagnostics) {
    out.required = out.default.is_none() && required.unwrap_or(true);
    if required == Some(true) && out.default.is_some() {
        found.push(bad(node, "a required parameter can't have a default: remove one of the two"));
    }
    let textual = matches!(out.kind, ParameterType::String | ParameterType::Any);
    if out.pattern.is_some() && !textual {
        found.push(bad(node, "`pattern` needs `type: string`"));
    }
    if let (Some(min), Some(max)) = (out.min, out.max)
        && min > max
    {
        found.push(bad(node, &format!("min {min} is greater than max {max}")));
    }
    let Some(default) = &out.default else { return };
    // Null says: may be absent.
    if let Some(why) = out.misfit(default).filter(|_| !default.is_null()) {
        let value = node.get("default").unwrap_or(node);
        found.push(bad(value, &format!("the default of `{name}` {why}")));
    }
}

fn has_mark(value: &Value) -> bool {
    match value {
        Value::String(text) => super::split::has_mark(text),
        Value::Array(items) => items.iter().any(has_mark),
        Value::Object(map) => map.iter().any(|(key, value)| super::split::has_mark(key) || has_mark(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn bad(node: &Node, message: &str) -> Diagnostic {
    Diagnostic::error(codes::BAD_DECLARATION, message).at(node.place().clone())
}
