//! Makes one entry per row: names, variables and locations of children (T-9).

use std::collections::HashMap;

use fsm_core::{ChildName, Vars};
use indexmap::IndexMap;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::document::Node;
use crate::location::Location;
use crate::rows::Row;
use crate::source::Place;
use crate::template::{CompileOptions, RenderContext, Rendered, Template};

/// The rendered parts of a `for_each` entry, compiled once for all rows.
#[derive(Debug, Clone, PartialEq)]
pub struct ForEach {
    name: Template,
    variables: Option<Template>,
    location: Option<Template>,
    enabled: Option<Template>,
    place: Place,
}

/// One child of a `for_each`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Expanded {
    /// The rendered name.
    pub name: ChildName,
    /// The rendered variables, in declared order.
    pub variables: Vars,
    /// The rendered location.
    pub location: Location,
    /// Whether it is enabled: what the entry says, rendered; true by default.
    pub enabled: bool,
    /// The position of its row, from 0.
    pub index: usize,
    /// Where its row is written.
    pub row: Place,
}

impl ForEach {
    /// Compiles the entry: its `name`, and its `variables`, `location` and `enabled` where they are there.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn compile(entry: &Node) -> Result<Self, Diagnostics> {
        let mut found = Diagnostics::default();
        let options = CompileOptions::default().without_parameters().with_jq_keys([] as [&str; 0]);
        let mut part = |key: &str| {
            let compiled = entry.get(key).map(|node| Template::compile_with(node, &options));
            compiled.and_then(|result| result.map_err(|errors| found.extend(errors)).ok())
        };
        let (name, variables) = (part("name"), part("variables"));
        let (location, enabled) = (part("location"), part("enabled"));
        if entry.get("name").is_none() {
            found.push(
                Diagnostic::error(codes::BAD_FOR_EACH, "a for_each entry needs a `name`")
                    .at(entry.place().clone())
                    .help("write a name that is different in each row: name: \"press-{{ item.id }}\""),
            );
        }
        let place =
            entry.entry("name").map_or_else(|| entry.place().clone(), |entry| entry.value.place().clone());
        match (name, found.is_empty()) {
            (Some(name), true) => Ok(Self { name, variables, location, enabled, place }),
            _ => Err(found.sorted()),
        }
    }

    /// One child per row, in the order of the rows. `cx` is the scope of the entry: its location is merged with the
    /// child's by whoever uses it. Pure.
    ///
    /// # Errors
    /// Everything that is wrong in any row; names that collide name both rows.
    pub fn expand(&self, rows: &[Row], cx: &RenderContext<'_>) -> Result<Vec<Expanded>, Diagnostics> {
        let mut found = Diagnostics::default();
        let mut all: Vec<Expanded> = Vec::with_capacity(rows.len());
        let mut names: HashMap<ChildName, usize> = HashMap::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let subject = match cx.subject {
                Some(subject) => format!("{subject} (row {})", index + 1),
                None => format!("row {}", index + 1),
            };
            let cx = cx.with_item(&row.value, index).with_subject(&subject);
            match self.row(row, index, &cx) {
                Err(errors) => {
                    found.extend(errors.into_iter().map(|e| e.related("in this row", row.place.clone())))
                }
                Ok(child) => match names.get(&child.name) {
                    Some(first) => found.push(self.collision(&child, &all[*first])),
                    None => {
                        names.insert(child.name.clone(), all.len());
                        all.push(child);
                    }
                },
            }
        }
        found.into_result(all)
    }

    fn row(&self, row: &Row, index: usize, cx: &RenderContext<'_>) -> Result<Expanded, Diagnostics> {
        let mut found = Diagnostics::default();
        let mut render =
            |key: &str, template: Option<&Template>, cx: &RenderContext<'_>| -> Option<Rendered> {
                let below = |error: Diagnostic| {
                    let path =
                        error.path.as_ref().map_or_else(|| key.to_owned(), |path| format!("{key}.{path}"));
                    error.path(path)
                };
                template?.render(cx).map_err(|errors| found.extend(errors.into_iter().map(below))).ok()
            };
        let name = render("name", Some(&self.name), cx);
        // The others may use the name they belong to.
        let text = name.as_ref().map(|name| text_of(&name.value)).unwrap_or_default();
        let inner = RenderContext { name: &text, ..*cx };
        let variables = render("variables", self.variables.as_ref(), &inner);
        let location = render("location", self.location.as_ref(), &inner);
        let enabled = render("enabled", self.enabled.as_ref(), &inner);
        if !found.is_empty() {
            return Err(found);
        }

        let name =
            ChildName::try_new(&text).map_err(|error| found.push(self.bad_name(&error.to_string()))).ok();
        let variables = variables.map_or(Some(Vars::new()), |rendered| {
            let errors = match &rendered.value {
                Value::Object(map) => {
                    let vars: Vars = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                    crate::template::reserved_names(&vars, None)
                }
                Value::Null => Diagnostics::default(),
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    self.wrong("variables", "a mapping").into()
                }
            };
            found.extend(errors);
            Some(into_vars(rendered.value))
        });
        let location = match (location, &self.location) {
            (Some(rendered), Some(template)) => {
                let node = template.to_node(&rendered.value, &self.place);
                Location::from_node(&node).map_err(|errors| found.extend(errors)).ok()
            }
            _ => Some(Location::default()),
        };
        let enabled = match enabled.map(|rendered| rendered.value) {
            None | Some(Value::Null) => true,
            Some(Value::Bool(flag)) => flag,
            // CSV has texts only.
            Some(Value::String(text)) if text == "true" || text == "false" => text == "true",
            Some(Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
                found.push(self.wrong("enabled", "true or false"));
                true
            }
        };
        match (name, variables, location) {
            (Some(name), Some(variables), Some(location)) if found.is_empty() => {
                Ok(Expanded { name, variables, location, enabled, index, row: row.place.clone() })
            }
            _ => Err(found),
        }
    }

    fn wrong(&self, key: &str, expected: &str) -> Diagnostic {
        let message = format!("`{key}` of this for_each is not {expected}");
        Diagnostic::error(codes::BAD_FOR_EACH, message).at(self.place.clone())
    }

    fn bad_name(&self, why: &str) -> Diagnostic {
        Diagnostic::error(codes::BAD_NAME, why.to_owned())
            .at(self.place.clone())
            .help("the filter `slug` makes a name out of any text: {{ item.id | slug }}")
    }

    fn collision(&self, second: &Expanded, first: &Expanded) -> Diagnostic {
        let (a, b) = (first.index + 1, second.index + 1);
        let message = format!("the rows {a} and {b} both give the name `{}`", second.name);
        Diagnostic::error(codes::NAME_COLLISION, message)
            .at(self.place.clone())
            .related(format!("row {a}"), first.row.clone())
            .related(format!("row {b}"), second.row.clone())
            .help("use a column that is different in each row")
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

fn into_vars(value: Value) -> IndexMap<String, Value> {
    match value {
        Value::Object(map) => map.into_iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            IndexMap::new()
        }
    }
}
