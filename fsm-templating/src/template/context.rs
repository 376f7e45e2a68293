//! What a template can see, and the names under which it sees it (T-4).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use fsm_core::VariableBundle;
use indexmap::IndexMap;
use serde_json::Value;

use super::hash::ContentHash;
use super::parameters::Parameters;
use crate::diagnostic::Related;
use crate::location::{LEVEL_NAMES, Level, Location};
use crate::source::Place;

/// Names of the template scope that no user variable may have.
///
/// `item` and `index` are not among them: they exist inside `for_each` only.
pub const RESERVED: [&str; 6] = ["global", "internal", "location", "location_path", "location_topic", "name"];

/// The fields of `internal`.
pub(super) const INTERNAL: [&str; 6] = ["id", "name", "path", "parent_id", "bridged_by", "created_at"];

/// One thing that a render used: the only things whose change makes it render again (T-1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Input {
    /// A flat user variable.
    User(Arc<str>),
    /// One of the global variables.
    Global(Arc<str>),
    /// The set of global variables as a whole.
    Globals,
    /// A field of `internal`.
    Internal(Arc<str>),
    /// A level of the location.
    Location(Level),
    /// The location as a whole: `location`, `location_path` or `location_topic`.
    WholeLocation,
    /// The name of what is rendered.
    Name,
    /// The row of a `for_each`.
    Item,
    /// The position of the row.
    Index,
}

/// As it is written in a template.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => f.write_str(name),
            Self::Global(name) => write!(f, "global.{name}"),
            Self::Globals => f.write_str("global"),
            Self::Internal(name) => write!(f, "internal.{name}"),
            Self::Location(level) => write!(f, "location.{level}"),
            Self::WholeLocation => f.write_str("location"),
            Self::Name => f.write_str("name"),
            Self::Item => f.write_str("item"),
            Self::Index => f.write_str("index"),
        }
    }
}

/// Where variables were set, for provenance and errors (T-7): by the name as a template writes it.
pub type Origins = IndexMap<String, Place>;

/// Everything a render may see. Cheap to make; borrows all of it.
#[derive(Debug, Clone, Copy)]
pub struct RenderContext<'a> {
    pub(crate) variables: &'a VariableBundle,
    pub(crate) location: &'a Location,
    pub(crate) name: &'a str,
    pub(crate) item: Option<(&'a Value, usize)>,
    pub(crate) subject: Option<&'a str>,
    pub(crate) chain: &'a [Related],
    pub(crate) origins: Option<&'a Origins>,
}

impl<'a> RenderContext<'a> {
    /// The scope of something called `name`.
    #[must_use]
    pub fn new(variables: &'a VariableBundle, location: &'a Location, name: &'a str) -> Self {
        Self { variables, location, name, item: None, subject: None, chain: &[], origins: None }
    }

    /// Adds `item` and `index`, as inside a `for_each`.
    #[must_use]
    pub fn with_item(mut self, item: &'a Value, index: usize) -> Self {
        self.item = Some((item, index));
        self
    }

    /// Says what is rendered, for errors: `bridges[3] press-7`.
    #[must_use]
    pub fn with_subject(mut self, subject: &'a str) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Adds what led to this render to each error: the entry that uses the template, the file that includes it.
    #[must_use]
    pub fn with_chain(mut self, chain: &'a [Related]) -> Self {
        self.chain = chain;
        self
    }

    /// Says where variables were set.
    #[must_use]
    pub fn with_origins(mut self, origins: &'a Origins) -> Self {
        self.origins = Some(origins);
        self
    }

    /// The value of an input; `None` where it is not set.
    pub(super) fn get(&self, input: &Input, parameters: &'a Parameters) -> Option<Cow<'a, Value>> {
        let text = |text: &str| Some(Cow::Owned(Value::String(text.to_owned())));
        match input {
            Input::User(name) => {
                let own = self.variables.user.get(name.as_ref());
                own.or_else(|| parameters.default_of(name)).map(Cow::Borrowed)
            }
            Input::Global(name) => self.variables.global.get(name.as_ref()).map(Cow::Borrowed),
            Input::Globals => {
                let map = self.variables.global.iter().map(|(key, value)| (key.clone(), value.clone()));
                Some(Cow::Owned(Value::Object(map.collect())))
            }
            Input::Internal(name) => internal(self.variables, name).map(Cow::Owned),
            Input::Location(level) => self.location.get(*level).and_then(text),
            Input::WholeLocation => {
                let map =
                    self.location.iter().map(|(level, segment)| (level.to_string(), Value::from(segment)));
                Some(Cow::Owned(Value::Object(map.collect())))
            }
            Input::Name => text(self.name),
            Input::Item => self.item.map(|(item, _)| Cow::Borrowed(item)),
            Input::Index => self.item.map(|(_, index)| Cow::Owned(Value::from(index))),
        }
    }

    /// Adds the current value of an input to a hash; allocates nothing.
    pub(super) fn hash(&self, input: &Input, parameters: &Parameters, hash: &mut ContentHash) {
        let value = |value: Option<&Value>, hash: &mut ContentHash| match value {
            Some(value) => hash.value(value),
            None => hash.tag(0),
        };
        match input {
            Input::User(name) => {
                let own = self.variables.user.get(name.as_ref());
                value(own.or_else(|| parameters.default_of(name)), hash);
            }
            Input::Global(name) => value(self.variables.global.get(name.as_ref()), hash),
            Input::Globals => {
                for (key, each) in self.variables.global.iter() {
                    hash.text(key);
                    hash.value(each);
                }
            }
            Input::Internal(name) => match internal_text(self.variables, name) {
                Some(text) => hash.text(text),
                None => hash.tag(self.variables.internal.created_at),
            },
            Input::Location(level) => match self.location.get(*level) {
                Some(text) => hash.text(text),
                None => hash.tag(0),
            },
            Input::WholeLocation => {
                for (level, segment) in self.location.iter() {
                    hash.tag(level.into());
                    hash.text(segment);
                }
            }
            Input::Name => hash.text(self.name),
            Input::Item => value(self.item.map(|(item, _)| item), hash),
            Input::Index => hash.tag(self.item.map_or(u64::MAX, |(_, index)| index as u64)),
        }
    }

    /// The flat names in scope, for suggestions.
    pub(super) fn names(&self, parameters: &'a Parameters) -> Vec<&'a str> {
        let mut names: Vec<&str> = self.variables.user.keys().map(String::as_str).collect();
        names.extend(parameters.names().filter(|name| !self.variables.user.contains_key(*name)));
        names.extend(RESERVED);
        if self.item.is_some() {
            names.extend(["item", "index"]);
        }
        names
    }

    /// The names below `global`, `internal`, `location` or `item`, for suggestions.
    pub(super) fn names_below(&self, root: &str) -> Vec<&'a str> {
        match root {
            "global" => self.variables.global.keys().map(String::as_str).collect(),
            "internal" => INTERNAL.to_vec(),
            "location" => LEVEL_NAMES.to_vec(),
            "item" => {
                let map = self.item.and_then(|(item, _)| item.as_object());
                map.map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }
}

fn internal_text<'a>(variables: &'a VariableBundle, field: &str) -> Option<&'a str> {
    let internal = &variables.internal;
    match field {
        "id" => Some(&internal.id),
        "name" => Some(&internal.name),
        "path" => Some(&internal.path),
        "parent_id" => Some(&internal.parent_id),
        "bridged_by" => Some(&internal.bridged_by),
        _ => None,
    }
}

pub(super) fn internal(variables: &VariableBundle, field: &str) -> Option<Value> {
    match field {
        "created_at" => Some(Value::from(variables.internal.created_at)),
        _ => internal_text(variables, field).map(Value::from),
    }
}
