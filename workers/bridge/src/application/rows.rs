//! The rows of a `for_each`: one bridge each, rendered only when the row or what it may use changed (T-9).

use std::cell::OnceCell;

use fsm_core::{ChildName, DeriveContext, DeriveError, VariableBundle, Vars};
use fsm_templating::{CompileOptions, Diagnostics, Location, Node, RenderContext, Source, Span, Template};
use serde_json::{Map, Value};

use crate::entry::{BridgeEntry, ForEach};
use crate::fault;
use crate::hashed::{Fingerprint, hash_of};

/// What the application's own scope holds, hashed when first asked for.
pub(super) struct Scope<'a> {
    pub(super) variables: &'a VariableBundle,
    cx: &'a DeriveContext<'a>,
    user: OnceCell<u128>,
    all: OnceCell<u128>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(cx: &'a DeriveContext<'a>) -> Self {
        Self { variables: cx.variables(), cx, user: OnceCell::new(), all: OnceCell::new() }
    }

    fn render(&self, template: &Template, cx: &RenderContext<'_>) -> Result<Value, DeriveError> {
        let rendered = self.cx.render(|| template.render(cx), fault::kind_of);
        rendered.map(|rendered| rendered.value).map_err(error_of)
    }

    pub(super) fn user_hash(&self) -> u128 {
        *self.user.get_or_init(|| hash_of(&self.variables.user))
    }

    fn hash(&self) -> u128 {
        *self.all.get_or_init(|| hash_of(self.variables))
    }
}

/// The rows of one entry.
#[derive(Debug)]
pub(super) struct Rows {
    templates: Result<Templates, Diagnostics>,
    /// What each row's child is made from, the scope apart.
    bases: Vec<Fingerprint>,
    values: Vec<Value>,
    uses_scope: bool,
}

#[derive(Debug)]
struct Templates {
    name: Template,
    /// `variables`, `location` and `enabled`, which may use the name.
    rest: Template,
}

/// One row, rendered.
pub(super) struct Expanded {
    pub(super) name: ChildName,
    pub(super) variables: Vars,
    pub(super) location: Location,
    pub(super) enabled: bool,
}

/// A row that can't be.
pub(super) struct Refused {
    /// Its name, if that at least can be.
    pub(super) name: Option<ChildName>,
    pub(super) error: DeriveError,
}

impl Rows {
    pub(super) fn new(head: &BridgeEntry, for_each: &ForEach, base: Fingerprint) -> Self {
        let templates = Templates::compile(head);
        // More than what a render really uses, but known without rendering: a hundred thousand rows are not looked at
        // when a global variable changes that none of them mentions.
        let text = format!("{} {:?} {:?} {:?}", head.name, head.variables, head.location, head.enabled);
        let mentions = |word: &str| text.contains(word);
        let uses_scope = mentions("global")
            || mentions("internal")
            || templates.as_ref().is_ok_and(Templates::uses_variables);
        let uses_index = mentions("index");
        let bases = for_each.rows.iter().zip(0_u32..).map(|(row, at)| {
            let base = base.with_value(row);
            if uses_index { base.with(u128::from(at)) } else { base }
        });
        Self { templates, bases: bases.collect(), values: for_each.rows.clone(), uses_scope }
    }

    pub(super) fn len(&self) -> usize {
        self.bases.len()
    }

    /// What the child of this row is made from.
    pub(super) fn made_from(&self, row: usize, scope: &Scope<'_>) -> u64 {
        let base = self.bases[row];
        if self.uses_scope { base.with(scope.hash()).get() } else { base.get() }
    }

    pub(super) fn expand(
        &self,
        row: usize,
        agent: &Location,
        scope: &Scope<'_>,
    ) -> Result<Expanded, Refused> {
        let nameless = |error| Refused { name: None, error };
        let templates = self.templates.as_ref().map_err(|found| nameless(error_of(found.clone())))?;
        let item = (&self.values[row], row);
        let cx = RenderContext::new(scope.variables, agent, "").with_item(item.0, item.1);
        let name = scope.render(&templates.name, &cx).map_err(nameless)?;
        let text = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        let name = ChildName::try_new(text).map_err(|error| {
            let what =
                format!("{error}; the filter `slug` makes a name out of any text: {{{{ item.id | slug }}}}");
            nameless(DeriveError::config(what).at("name"))
        })?;
        templates.rest(&name, agent, item, scope).map_err(|error| Refused { name: Some(name), error })
    }
}

impl Templates {
    fn compile(head: &BridgeEntry) -> Result<Self, Diagnostics> {
        let variables = head.variables.iter().map(|(name, value)| (name.clone(), value.clone()));
        let parts = [
            ("variables", Some(Value::Object(variables.collect()))),
            ("location", head.location.clone()),
            ("enabled", head.enabled.clone()),
        ];
        let rest: Map<String, Value> =
            parts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        Ok(Self { name: compile(&Value::String(head.name.clone()))?, rest: compile(&Value::Object(rest))? })
    }

    fn uses_variables(&self) -> bool {
        self.name.variables().chain(self.rest.variables()).next().is_some()
    }

    fn rest(
        &self,
        name: &ChildName,
        agent: &Location,
        (item, index): (&Value, usize),
        scope: &Scope<'_>,
    ) -> Result<Expanded, DeriveError> {
        let cx = RenderContext::new(scope.variables, agent, name.as_str()).with_item(item, index);
        let mut rest = scope.render(&self.rest, &cx)?;
        let variables = match rest["variables"].take() {
            Value::Object(map) => map.into_iter().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Vars::new()
            }
        };
        let location: Option<Location> = serde_json::from_value(rest["location"].take())
            .map_err(|error| DeriveError::config(error.to_string()).at("location"))?;
        let enabled = match rest["enabled"].take() {
            Value::Null => true,
            Value::Bool(enabled) => enabled,
            // The fields of a CSV file are texts.
            Value::String(text) if text == "true" => true,
            Value::String(text) if text == "false" => false,
            Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                return Err(DeriveError::config("it is rendered neither to true nor to false").at("enabled"));
            }
        };
        Ok(Expanded { name: name.clone(), variables, location: location.unwrap_or_default(), enabled })
    }
}

/// Names of variables may be anything here: `parameters` and `map` mean nothing else.
fn compile(value: &Value) -> Result<Template, Diagnostics> {
    let source = Source::new("for_each", "");
    let options = CompileOptions::default().without_parameters().with_jq_keys([] as [&str; 0]);
    Template::compile_with(&Node::from_value(value, &source.place(Span::default())), &options)
}

/// Without the places, which point into no file.
fn error_of(found: Diagnostics) -> DeriveError {
    fault::error_of(&found.into_iter().map(|diagnostic| diagnostic.at(None)).collect())
}
