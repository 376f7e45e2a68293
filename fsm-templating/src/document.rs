//! YAML and JSON as a tree that still knows where each key and value was written.

mod json;
mod load;
mod path;
mod scalar;
mod yaml;

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::source::{Place, Source, Span};

pub use load::{Format, Limits};
pub use path::{BadPath, Path, Segment};
pub use scalar::{BadNumber, resolve_plain};

/// How a scalar was written; only plain ones are read as numbers, booleans or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single or double quotes, or a JSON string.
    Quoted,
    /// A block: `|` or `>`.
    Block,
}

/// A value that holds no others.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// Null, a boolean, a number or a text.
    pub value: Value,
    /// How it was written.
    pub style: Style,
}

/// A key of a mapping with the place it was written at.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where the key stands.
    pub key_place: Place,
    /// What it holds.
    pub value: Node,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A text, number, boolean or null.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in declared order.
    Mapping(IndexMap<String, Entry>),
}

/// A value of a document with the place it was written at.
///
/// Equality includes places and quoting; compare [`to_value`](Self::to_value) to compare contents only.
///
/// ```
/// use fsm_templating::Node;
/// let doc = Node::parse("a.yaml", "tcp:\n  host: 10.0.0.7\n  port: 502\n").unwrap();
/// assert_eq!(doc.to_value(), serde_json::json!({"tcp": {"host": "10.0.0.7", "port": 502}}));
/// let port = doc.at(&"tcp.port".parse().unwrap()).unwrap();
/// assert_eq!(port.place().to_string(), "a.yaml:3:9");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    place: Place,
}

impl Node {
    /// Parses a text as JSON if its name ends in `.json`, as YAML otherwise, within the default [`Limits`].
    ///
    /// # Errors
    /// The first thing that makes the text unreadable; see the codes E00xx.
    pub fn parse(name: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        load::parse(&Source::new(name, text), Format::of_name(name), Limits::default())
    }

    /// Parses a source within these limits.
    ///
    /// # Errors
    /// The first thing that makes the text unreadable; see the codes E00xx.
    pub fn parse_source(
        source: &Arc<Source>,
        format: Format,
        limits: Limits,
    ) -> Result<Self, Box<Diagnostic>> {
        load::parse(source, format, limits)
    }

    /// A node that stands at this place.
    #[must_use]
    pub fn new(kind: Kind, place: Place) -> Self {
        Self { kind, place }
    }

    /// A tree of a value that was never written anywhere: each node points at `place`.
    #[must_use]
    pub fn from_value(value: &Value, place: &Place) -> Self {
        let kind = match value {
            Value::Array(items) => Kind::Sequence(items.iter().map(|v| Self::from_value(v, place)).collect()),
            Value::Object(map) => Kind::Mapping(
                map.iter()
                    .map(|(key, v)| {
                        (key.clone(), Entry { key_place: place.clone(), value: Self::from_value(v, place) })
                    })
                    .collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Kind::Scalar(Scalar { value: value.clone(), style: Style::Quoted })
            }
        };
        Self { kind, place: place.clone() }
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The value under a key of this mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key of this mapping.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_mapping().and_then(|map| map.get(key))
    }

    /// The node a path leads to.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<&Node> {
        path.segments().iter().try_fold(self, |node, segment| node.step(segment))
    }

    /// The node a JSON pointer (`/bridges/3/name`) leads to.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Node> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |node, token| {
            let token = token.replace("~1", "/").replace("~0", "~");
            match &node.kind {
                Kind::Mapping(map) => map.get(&token).map(|entry| &entry.value),
                Kind::Sequence(items) => items.get(token.parse::<usize>().ok()?),
                Kind::Scalar(_) => None,
            }
        })
    }

    /// The place of the deepest node on a path that exists: where to point for an error about that path.
    #[must_use]
    pub fn nearest_place(&self, path: &Path) -> &Place {
        let mut node = self;
        for segment in path.segments() {
            match node.step(segment) {
                Some(next) => node = next,
                None => break,
            }
        }
        &node.place
    }

    fn step(&self, segment: &Segment) -> Option<&Node> {
        match (&self.kind, segment) {
            (Kind::Mapping(map), Segment::Key(key)) => map.get(key).map(|entry| &entry.value),
            (Kind::Sequence(items), Segment::Index(index)) => items.get(*index),
            (Kind::Scalar(_) | Kind::Mapping(_) | Kind::Sequence(_), _) => None,
        }
    }

    /// Keys and values, if it is a mapping.
    #[must_use]
    pub fn as_mapping(&self) -> Option<&IndexMap<String, Entry>> {
        match &self.kind {
            Kind::Mapping(map) => Some(map),
            Kind::Scalar(_) | Kind::Sequence(_) => None,
        }
    }

    /// The elements, if it is a list.
    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            Kind::Scalar(_) | Kind::Mapping(_) => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.value.as_str(),
            Kind::Sequence(_) | Kind::Mapping(_) => None,
        }
    }

    /// The content without places, keys in declared order.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.value.clone(),
            Kind::Sequence(items) => items.iter().map(Self::to_value).collect(),
            Kind::Mapping(map) => {
                Value::Object(map.iter().map(|(key, entry)| (key.clone(), entry.value.to_value())).collect())
            }
        }
    }

    /// Visits each scalar below (and this one) with its path, and may replace it; keys stay as they are.
    pub fn for_each_scalar_mut(&mut self, visit: &mut dyn FnMut(&Path, &mut Scalar, &Place)) {
        self.visit_mut(&mut Path::default(), visit);
    }

    fn visit_mut(&mut self, path: &mut Path, visit: &mut dyn FnMut(&Path, &mut Scalar, &Place)) {
        match &mut self.kind {
            Kind::Scalar(scalar) => visit(path, scalar, &self.place),
            Kind::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    path.push(Segment::Index(index));
                    item.visit_mut(path, visit);
                    path.pop();
                }
            }
            Kind::Mapping(map) => {
                for (key, entry) in map {
                    path.push(Segment::Key(key.clone()));
                    entry.value.visit_mut(path, visit);
                    path.pop();
                }
            }
        }
    }

    /// The place of a part of this text: `range` counts in bytes of the text's value, which quoting, escapes and
    /// block indentation may have moved away from where it was written.
    #[must_use]
    pub fn locate(&self, range: std::ops::Range<usize>) -> Place {
        match self.as_str() {
            Some(text) => locate(&self.place, text, range),
            None => self.place.clone(),
        }
    }
}

/// Finds `text[range]` in the source at `place`, which is known to have been read as `text`.
pub(crate) fn locate(place: &Place, text: &str, range: std::ops::Range<usize>) -> Place {
    let raw = place.source().slice(place.span());
    let at = |start: usize, len: usize| {
        let start = place.span().start as usize + start;
        place.source().place(Span::new(start, start + len))
    };
    let Some(wanted) = text.get(range.clone()).map(|w| w.split('\n').next().unwrap_or_default()) else {
        return place.clone();
    };
    if wanted.is_empty() {
        return place.clone();
    }
    // Written as it is read, up to opening quotes: the plain case.
    if let Some(offset) = raw.find(text) {
        return at(offset + range.start, wanted.len());
    }
    // Otherwise count: the n-th occurrence there is the n-th here.
    let nth = text[..range.start].matches(wanted).count();
    match raw.match_indices(wanted).nth(nth) {
        Some((offset, _)) => at(offset, wanted.len()),
        None => place.clone(),
    }
}
