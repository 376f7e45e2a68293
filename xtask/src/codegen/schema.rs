//! Renders a JSON schema as a reference page: one section per object, one row per key.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The whole page; sections stand in the order in which a reader meets their names.
pub(crate) fn markdown(schema: &Value) -> String {
    let mut page = Page { root: schema, out: String::new(), waiting: VecDeque::new(), met: BTreeSet::new() };
    let title = schema["title"].as_str().unwrap_or("Configuration");
    let _ = writeln!(page.out, "# {title}\n");
    page.body(schema, "");
    while let Some((name, section)) = page.waiting.pop_front() {
        let _ = writeln!(page.out, "\n## {name}\n");
        page.body(&section, &name);
    }
    format!("{}\n", page.out.trim_end())
}

struct Page<'a> {
    root: &'a Value,
    out: String,
    waiting: VecDeque<(String, Value)>,
    met: BTreeSet<String>,
}

impl Page<'_> {
    /// The description of a schema, then its keys, its variants or its type.
    fn body(&mut self, schema: &Value, name: &str) {
        if let Some(text) = schema["description"].as_str() {
            let _ = writeln!(self.out, "{}\n", text.trim());
        }
        let has_keys = schema["properties"].as_object().is_some_and(|keys| !keys.is_empty());
        if has_keys {
            self.keys(schema, name);
        }
        match variants(schema) {
            Some(variants) => self.variants(variants, name),
            None if !has_keys => {
                let text = self.type_text(schema, name);
                let _ = writeln!(self.out, "Type: {text}.");
            }
            None => {}
        }
    }

    fn keys(&mut self, schema: &Value, name: &str) {
        let empty = Map::new();
        let keys = schema["properties"].as_object().unwrap_or(&empty);
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let _ = writeln!(self.out, "| key | type | default | description |\n|---|---|---|---|");
        for (key, value) in keys {
            let path = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            let default = match value.get("default") {
                Some(default) => format!("`{default}`"),
                None if required.contains(&key.as_str()) => "required".to_owned(),
                None => String::new(),
            };
            let text = value["description"].as_str().or_else(|| self.resolved(value)["description"].as_str());
            let restart = value["x-restart"] == Value::Bool(true);
            let text = one_line(text.unwrap_or_default())
                + if restart { " *A change restarts the node.*" } else { "" };
            let kind = self.type_text(value, &path);
            let _ = writeln!(self.out, "| `{key}` | {} | {} | {text} |", escaped(&kind), escaped(&default));
        }
        let _ = writeln!(self.out);
    }

    /// A choice: of words, or of objects told apart by their keys.
    fn variants(&mut self, variants: &[Value], name: &str) {
        let _ = writeln!(self.out, "One of:\n");
        for variant in variants {
            let text = one_line(variant["description"].as_str().unwrap_or_default());
            let separator = if text.is_empty() { "" } else { ": " };
            let kind = match variant["properties"].as_object() {
                Some(keys) => {
                    let constant = keys
                        .iter()
                        .find_map(|(key, value)| Some(format!("`{key}: {}`", value.get("const")?)));
                    constant.unwrap_or_else(|| match keys.keys().next() {
                        Some(key) => format!("`{key}: …`"),
                        None => "an empty object".to_owned(),
                    })
                }
                None => self.type_text(variant, name),
            };
            let _ = writeln!(self.out, "- {kind}{separator}{text}");
        }
        let _ = writeln!(self.out);
        for variant in variants {
            let has_more = variant["properties"]
                .as_object()
                .is_some_and(|keys| keys.values().any(|key| key.get("const").is_none()));
            if has_more {
                let constant = variant["properties"].as_object().into_iter().flatten();
                let constant = constant
                    .filter_map(|(key, value)| Some(format!("{key}: {}", value.get("const")?)))
                    .next();
                if let Some(constant) = constant {
                    let _ = writeln!(self.out, "With `{constant}`:\n");
                }
                self.keys(variant, name);
            }
        }
    }

    /// What a value may be, in words; what it refers to is put on the waiting list.
    fn type_text(&mut self, schema: &Value, path: &str) -> String {
        if let Some(name) = reference(schema) {
            return self.link(name);
        }
        if let Some([only]) = schema["allOf"].as_array().map(Vec::as_slice) {
            return self.type_text(only, path);
        }
        if let Some(constant) = schema.get("const") {
            return format!("`{constant}`");
        }
        if let Some(words) = schema["enum"].as_array() {
            return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
        }
        if let Some(choices) = variants(schema) {
            let texts: Vec<String> = choices.iter().map(|choice| self.type_text(choice, path)).collect();
            return texts.join(" or ");
        }
        match &schema["type"] {
            Value::Array(types) => {
                let names: Vec<String> = types
                    .iter()
                    .map(|kind| {
                        let mut single = schema.clone();
                        single["type"] = kind.clone();
                        self.type_text(&single, path)
                    })
                    .collect();
                names.join(" or ")
            }
            Value::String(kind) => self.named_type(kind, schema, path),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => "any value".into(),
        }
    }

    fn named_type(&mut self, kind: &str, schema: &Value, path: &str) -> String {
        match kind {
            "null" => "none".into(),
            "string" => match schema["format"].as_str() {
                Some(format) => format!("string ({format})"),
                None => "string".into(),
            },
            "array" if schema.get("items").is_some() => {
                format!("list of {}", self.type_text(&schema["items"], path))
            }
            "array" => "list".into(),
            "object" if schema["properties"].as_object().is_some_and(|keys| !keys.is_empty()) => {
                self.section(format!("`{path}`"), schema);
                "object, see below".into()
            }
            "object" => match &schema["additionalProperties"] {
                values @ Value::Object(_) => format!("map of {}", self.type_text(values, path)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    "object".into()
                }
            },
            "integer" | "number" => match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
                (Some(min), Some(max)) => format!("{kind} {min}–{max}"),
                (Some(min), None) => format!("{kind} ≥ {min}"),
                (None, Some(max)) => format!("{kind} ≤ {max}"),
                (None, None) => kind.into(),
            },
            other => other.into(),
        }
    }

    fn link(&mut self, name: &str) -> String {
        let definition = self.root["$defs"][name].clone();
        self.section(name.to_owned(), &definition);
        format!("[{name}](#{})", name.to_lowercase())
    }

    fn section(&mut self, name: String, schema: &Value) {
        if self.met.insert(name.clone()) {
            self.waiting.push_back((name, schema.clone()));
        }
    }

    fn resolved<'v>(&'v self, schema: &'v Value) -> &'v Value {
        reference(schema).map_or(schema, |name| &self.root["$defs"][name])
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn variants(schema: &Value) -> Option<&[Value]> {
    ["oneOf", "anyOf"].iter().find_map(|key| schema[*key].as_array()).map(Vec::as_slice)
}

/// The first paragraph, as a cell or a list item needs it.
fn one_line(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    escaped(&paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: &Value, expected: &[&str]) {
        let page = markdown(schema);
        for line in expected {
            assert!(page.lines().any(|found| found == *line), "`{line}` is not in:\n{page}");
        }
        assert!(page.ends_with('\n') && !page.ends_with("\n\n"));
    }

    #[test]
    fn keys_are_rows_with_type_default_and_description() {
        check(
            &json!({
                "title": "Config", "type": "object", "required": ["name"],
                "properties": {
                    "name": {"type": "string", "description": "Its name.\n\nMore."},
                    "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 80},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "labels": {"type": "object", "additionalProperties": {"type": ["integer", "null"]}},
                    "mode": {"enum": ["a", "b"], "description": "a|b", "x-restart": true}
                }
            }),
            &[
                "# Config",
                "| `name` | string | required | Its name. |",
                "| `port` | integer 1–65535 | `80` |  |",
                "| `tags` | list of string |  |  |",
                "| `labels` | map of integer or none |  |  |",
                r#"| `mode` | `"a"` or `"b"` |  | a\|b *A change restarts the node.* |"#,
            ],
        );
    }

    #[test]
    fn objects_become_sections_once_even_if_they_hold_themselves() {
        let page = markdown(&json!({
            "properties": {
                "agent": {"$ref": "#/$defs/Agent"},
                "inner": {"type": "object", "properties": {"deep": {"type": "boolean"}}}
            },
            "$defs": {"Agent": {"description": "The daemon.", "properties": {
                "child": {"anyOf": [{"$ref": "#/$defs/Agent"}, {"type": "null"}]}
            }}}
        }));
        assert_eq!(page.matches("## Agent").count(), 1, "{page}");
        assert!(page.contains("| `agent` | [Agent](#agent) |  | The daemon. |"), "{page}");
        assert!(page.contains("| `child` | [Agent](#agent) or none |"), "{page}");
        assert!(page.contains("## `inner`\n\n| key |") && page.contains("| `deep` | boolean |"), "{page}");
    }

    #[test]
    fn choices_show_their_words_and_their_keys() {
        check(
            &json!({"oneOf": [
                {"const": "off", "description": "Nothing."},
                {"properties": {"kind": {"const": "tcp"}, "port": {"type": "integer"}}, "required": ["kind", "port"]}
            ]}),
            &[
                "- `\"off\"`: Nothing.",
                "- `kind: \"tcp\"`",
                "With `kind: \"tcp\"`:",
                "| `port` | integer | required |  |",
            ],
        );
    }
}
