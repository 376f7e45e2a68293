//! What a template declares to need, and whether it gets it (T-6).

use std::sync::Arc;

use indexmap::IndexMap;
use regex_lite::Regex;
use serde_json::Value;

use super::declaration;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::document::Entry;
use crate::secret::is_secret;
use crate::source::Place;
use crate::suggest::did_you_mean;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ParameterType {
    /// A text.
    String,
    /// A number without a fraction.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    List,
    /// A mapping.
    Map,
    /// Whatever it is.
    #[default]
    Any,
}

impl ParameterType {
    pub(super) const NAMES: [(&'static str, Self); 7] = [
        ("string", Self::String),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("list", Self::List),
        ("map", Self::Map),
        ("any", Self::Any),
    ];

    /// The name as a declaration writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, each)| *each == self).map_or("any", |(name, _)| name)
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            // A secret becomes a text where it is used.
            Self::String => value.is_string() || is_secret(value),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Map => value.is_object(),
        }
    }
}

/// One declared parameter.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parameter {
    /// Its type.
    pub kind: ParameterType,
    /// The value when none is given; without one the parameter is required.
    pub default: Option<Value>,
    /// Whether it must be given.
    pub required: bool,
    /// What it is for.
    pub description: Option<String>,
    pub(super) allowed: Option<Vec<Value>>,
    pub(super) pattern: Option<Regex>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    /// Where it is declared.
    pub(super) place: Option<Place>,
}

/// The declared parameters of a template, in order.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    /// Without a declaration any variable goes.
    declared: Option<IndexMap<Arc<str>, Parameter>>,
}

impl Parameters {
    pub(super) fn parse(entry: Option<&Entry>, found: &mut Diagnostics) -> Self {
        Self { declared: entry.map(|entry| declaration::parse(&entry.value, found)) }
    }

    /// Whether the template declares its parameters at all.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.declared.is_some()
    }

    /// Each, in declared order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Parameter)> {
        self.declared.iter().flatten()
    }

    /// The names, in declared order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.declared.iter().flat_map(|map| map.keys()).map(AsRef::as_ref)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Parameter> {
        self.declared.as_ref()?.get(name)
    }

    pub(super) fn default_of(&self, name: &str) -> Option<&Value> {
        self.get(name)?.default.as_ref()
    }

    /// An error for a variable that is given but not declared.
    pub(super) fn unknown(&self, name: &str) -> Option<Diagnostic> {
        if !self.is_declared() || self.get(name).is_some() {
            return None;
        }
        let error =
            Diagnostic::error(codes::UNKNOWN_PARAMETER, format!("the template has no parameter `{name}`"));
        Some(error.maybe_help(did_you_mean(name, self.names())))
    }
}

impl Parameter {
    /// Why this value does not fit, in words that don't hold it.
    pub(super) fn misfit(&self, value: &Value) -> Option<String> {
        if !self.kind.fits(value) {
            return Some(format!("must be {}, not {}", article(self.kind), type_name(value)));
        }
        if is_secret(value) {
            // Nobody knows the text yet.
            return None;
        }
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(value)) {
            let allowed: Vec<_> = self.allowed.iter().flatten().map(ToString::to_string).collect();
            return Some(format!("must be one of {}", allowed.join(", ")));
        }
        if let (Some(pattern), Some(text)) = (&self.pattern, value.as_str())
            && !pattern.is_match(text)
        {
            return Some(format!("must match the pattern `{pattern}`"));
        }
        let (measure, of) = match value {
            Value::Number(number) => (number.as_f64()?, ""),
            Value::String(text) => (text.chars().count() as f64, "have a length of "),
            Value::Array(items) => (items.len() as f64, "have a length of "),
            Value::Null | Value::Bool(_) | Value::Object(_) => return None,
        };
        if let Some(min) = self.min.filter(|min| measure < *min) {
            return Some(match of {
                "" => format!("must be at least {min}"),
                of => format!("must {of}at least {min}"),
            });
        }
        let max = self.max.filter(|max| measure > *max)?;
        Some(match of {
            "" => format!("must be at most {max}"),
            of => format!("must {of}at most {max}"),
        })
    }

    /// The error for a missing value.
    pub(super) fn missing(&self, name: &str) -> Diagnostic {
        let kind =
            if self.kind == ParameterType::Any { String::new() } else { format!(" ({})", self.kind.name()) };
        let what = self.description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        Diagnostic::error(codes::MISSING_PARAMETER, format!("the parameter `{name}` is not set"))
            .help(format!("set `{name}`{kind} under `variables`{what}"))
    }
}

fn article(kind: ParameterType) -> &'static str {
    match kind {
        ParameterType::String => "a text",
        ParameterType::Integer => "an integer",
        ParameterType::Number => "a number",
        ParameterType::Boolean => "true or false",
        ParameterType::List => "a list",
        ParameterType::Map => "a mapping",
        ParameterType::Any => "anything",
    }
}

/// What a value is, in the words of the messages.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) if is_secret(value) => "a secret",
        Value::Object(_) => "a mapping",
    }
}
