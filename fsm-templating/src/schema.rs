//! Checks a document against the JSON Schema of the Rust types, so that every mistake in a file is reported at
//! once, with its place (C-2); serde stops at the first and knows no places.

mod describe;
mod limits;
mod variants;

use std::cell::RefCell;
use std::collections::HashMap;

use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::document::{Entry, Kind, Node, Path, Segment};
use crate::suggest::did_you_mean;
use crate::template::has_mark;

/// How many `$ref`s may follow one another without going into the document: a schema may not lead back to itself.
const MAX_REFS: usize = 32;

/// Checks a document against a schema as schemars 1 emits it.
///
/// Understands `$ref`, `type`, `properties`, `required`, `additionalProperties`, `patternProperties`, `enum`,
/// `const`, `oneOf`, `anyOf`, `allOf`, `items`, `prefixItems` and the limits of numbers, texts and lists; anything
/// else is taken as fulfilled. For `oneOf` as Rust enums become it, only the variant that is meant is looked into.
///
/// ```
/// use fsm_templating::{Node, check_schema};
/// let schema = serde_json::json!({
///     "type": "object", "additionalProperties": false,
///     "properties": {"port": {"type": "integer", "minimum": 1, "maximum": 65535}}
/// });
/// let found = check_schema(&Node::parse("a.yaml", "prot: 502").unwrap(), &schema);
/// assert!(found.to_string().contains("unknown key `prot`"));
/// assert!(found.to_string().contains("did you mean `port`?"));
/// ```
#[must_use]
pub fn check_schema(node: &Node, schema: &Value) -> Diagnostics {
    run(node, schema, false)
}

/// Like [`check_schema`], for a document that is still to be rendered: a text with a template mark fits everywhere.
#[must_use]
pub fn check_template_schema(node: &Node, schema: &Value) -> Diagnostics {
    run(node, schema, true)
}

fn run(node: &Node, schema: &Value, templated: bool) -> Diagnostics {
    let checker = Checker { root: schema, templated, patterns: RefCell::default() };
    let mut found = Diagnostics::default();
    checker.check(node, schema, &mut Path::default(), &mut found);
    found.sorted()
}

struct Checker<'a> {
    root: &'a Value,
    templated: bool,
    patterns: RefCell<HashMap<String, Option<Regex>>>,
}

impl<'a> Checker<'a> {
    fn check(&self, node: &Node, schema: &'a Value, path: &mut Path, found: &mut Diagnostics) {
        if self.templated && node.as_str().is_some_and(has_mark) {
            return;
        }
        let Some(map) = self.resolve(schema) else {
            if schema == &Value::Bool(false) {
                self.report(
                    found,
                    path,
                    Diagnostic::error(codes::UNKNOWN_KEY, "nothing may stand here").at(node.place().clone()),
                );
            }
            return;
        };
        // A reference may have neighbours that say more.
        if let (Some(Value::String(_)), Value::Object(outer)) = (schema.get("$ref"), schema)
            && outer.keys().any(|key| matches!(key.as_str(), "properties" | "oneOf" | "anyOf" | "allOf"))
        {
            self.map(node, outer, path, found);
        }
        self.map(node, map, path, found);
    }

    fn map(&self, node: &Node, schema: &'a Map<String, Value>, path: &mut Path, found: &mut Diagnostics) {
        if let Some(types) = schema.get("type")
            && !describe::type_fits(types, node)
        {
            let message = format!("expected {}, found {}", self.expected(schema), describe::found(node));
            let mut error = Diagnostic::error(codes::WRONG_TYPE, message).at(node.place().clone());
            if let Some(help) = describe::type_help(types, node) {
                error = error.help(help);
            }
            self.report(found, path, error);
            return;
        }
        self.fixed(node, schema, path, found);
        if let Some(error) = self.limits(node, schema) {
            self.report(found, path, error.at(node.place().clone()));
        }
        for all in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.check(node, all, path, found);
        }
        let alternatives = ["oneOf", "anyOf"].into_iter().filter_map(|key| schema.get(key)?.as_array());
        // Beside properties, the alternatives describe a part of the mapping only (serde's flatten).
        let flattened = schema.contains_key("properties");
        for alternatives in alternatives.filter(|_| !flattened) {
            self.variants(node, alternatives, path, found);
        }
        match &node.kind {
            Kind::Mapping(entries) => self.mapping(node, entries, schema, path, found),
            Kind::Sequence(items) => self.sequence(items, schema, path, found),
            Kind::Scalar(_) => {}
        }
    }

    /// `const` and `enum`.
    fn fixed(&self, node: &Node, schema: &Map<String, Value>, path: &Path, found: &mut Diagnostics) {
        let allowed: Vec<&Value> = match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
            (Some(one), _) => vec![one],
            (None, Some(many)) => many.iter().collect(),
            (None, None) => return,
        };
        let value = node.to_value();
        if allowed.contains(&&value) {
            return;
        }
        let names: Vec<&str> = allowed.iter().filter_map(|value| value.as_str()).collect();
        let error = match value.as_str() {
            Some(text) => {
                let error = Diagnostic::error(codes::UNKNOWN_VARIANT, format!("unknown name `{text}`"));
                error.maybe_help(did_you_mean(text, names.iter().copied()))
            }
            None => {
                let shown: Vec<_> = allowed.iter().map(ToString::to_string).collect();
                let message =
                    format!("expected one of {}, found {}", shown.join(", "), describe::found(node));
                Diagnostic::error(codes::WRONG_TYPE, message)
            }
        };
        self.report(found, path, error.at(node.place().clone()));
    }

    fn mapping(
        &self,
        node: &Node,
        entries: &indexmap::IndexMap<String, Entry>,
        schema: &'a Map<String, Value>,
        path: &mut Path,
        found: &mut Diagnostics,
    ) {
        let mut shape = Shape::default();
        self.shape(node, schema, &mut shape, 0);
        let closed = self.is_closed(schema);
        let rest = schema.get("additionalProperties").filter(|rest| rest.is_object());
        for (key, entry) in entries {
            let known =
                shape.properties.get(key.as_str()).copied().or_else(|| self.by_pattern(schema, key)).or(rest);
            if let Some(schema) = known {
                path.push(Segment::Key(key.clone()));
                self.check(&entry.value, schema, path, found);
                path.pop();
            } else if closed && !(self.templated && has_mark(key)) {
                let error = Diagnostic::error(codes::UNKNOWN_KEY, format!("unknown key `{key}`"))
                    .at(entry.key_place.clone())
                    .maybe_help(did_you_mean(key, shape.properties.keys().copied()));
                self.report(found, path, error);
            }
        }
        for key in shape.required.iter().filter(|key| !entries.contains_key(**key)) {
            let about = shape.properties.get(key).and_then(|schema| self.about(schema));
            let mut error = Diagnostic::error(codes::MISSING_KEY, format!("the key `{key}` is missing"))
                .at(crate::source::Place::clone(&first_line(node)))
                .label(format!("`{key}` is required here"));
            if let Some(about) = about {
                error = error.help(format!("`{key}`: {about}"));
            }
            self.report(found, path, error);
        }
    }

    fn sequence(
        &self,
        items: &[Node],
        schema: &'a Map<String, Value>,
        path: &mut Path,
        found: &mut Diagnostics,
    ) {
        let prefix = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let each = schema.get("items");
        for (index, item) in items.iter().enumerate() {
            let Some(schema) = prefix.get(index).or(each) else { continue };
            path.push(Segment::Index(index));
            self.check(item, schema, path, found);
            path.pop();
        }
    }

    /// Collects the properties of a schema and of the parts that are flattened into it.
    fn shape(&self, node: &Node, schema: &'a Map<String, Value>, shape: &mut Shape<'a>, depth: usize) {
        if depth > MAX_REFS {
            return;
        }
        for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            shape.properties.entry(key).or_insert(property);
        }
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let key = key.as_str().unwrap_or_default();
            if !shape.required.contains(&key) {
                shape.required.push(key);
            }
        }
        if !schema.contains_key("properties") {
            return;
        }
        for alternatives in ["oneOf", "anyOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()) {
            if let Some(chosen) = self.flattened(node, alternatives) {
                self.shape(node, chosen, shape, depth + 1);
            } else {
                // None is chosen: at least their keys are known.
                for map in alternatives.iter().filter_map(|schema| self.resolve(schema)) {
                    for (key, property) in
                        map.get("properties").and_then(Value::as_object).into_iter().flatten()
                    {
                        shape.properties.entry(key).or_insert(property);
                    }
                }
            }
        }
    }

    fn is_closed(&self, schema: &Map<String, Value>) -> bool {
        ["additionalProperties", "unevaluatedProperties"]
            .into_iter()
            .any(|key| schema.get(key) == Some(&Value::Bool(false)))
    }

    fn by_pattern(&self, schema: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
        let patterns = schema.get("patternProperties")?.as_object()?;
        patterns.iter().find(|(pattern, _)| self.matches(pattern, key)).map(|(_, schema)| schema)
    }

    /// Whether a text matches; a pattern that can't be compiled matches everything.
    fn matches(&self, pattern: &str, text: &str) -> bool {
        let mut patterns = self.patterns.borrow_mut();
        let compiled = patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
        compiled.as_ref().is_none_or(|regex| regex.is_match(text))
    }

    /// Follows references to the schema that says something.
    fn resolve(&self, schema: &'a Value) -> Option<&'a Map<String, Value>> {
        let mut schema = schema;
        for _ in 0..MAX_REFS {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
                return schema.as_object();
            };
            schema = self.root.pointer(reference.strip_prefix('#')?)?;
        }
        None
    }

    fn about(&self, schema: &'a Value) -> Option<String> {
        let own = schema.get("description").and_then(Value::as_str);
        let text = own.or_else(|| self.resolve(schema)?.get("description")?.as_str())?;
        text.lines().next().map(str::to_owned)
    }

    fn report(&self, found: &mut Diagnostics, path: &Path, error: Diagnostic) {
        found.push(if path.is_root() { error } else { error.path(path.to_string()) });
    }
}

/// What a mapping may and must hold.
#[derive(Default)]
struct Shape<'a> {
    properties: indexmap::IndexMap<&'a str, &'a Value>,
    required: Vec<&'a str>,
}

/// A marker under a whole mapping would say nothing: its first line stands for it.
fn first_line(node: &Node) -> crate::source::Place {
    let place = node.place();
    let text = place.source().slice(place.span());
    let end = text.find('\n').unwrap_or(text.len());
    let start = place.span().start as usize;
    place.source().place(crate::source::Span::new(start, start + end))
}
