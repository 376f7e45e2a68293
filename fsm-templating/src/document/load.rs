//! Chooses the reader for a text and bounds what it may build.

use std::sync::Arc;

use super::{Node, json, yaml};
use crate::diagnostic::{Diagnostic, codes};
use crate::source::{Source, Span};

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, core schema, one document.
    Yaml,
    /// JSON; unlike the YAML reader it takes tabs and surrogate pairs as JSON has them.
    Json,
}

impl Format {
    /// JSON for `*.json`, YAML otherwise.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let is_json = std::path::Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        if is_json { Self::Json } else { Self::Yaml }
    }
}

/// What a document may cost: a hostile one must not stop or fill the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest text in bytes. 64 MiB holds far more than 100 000 bridges.
    pub bytes: usize,
    /// Deepest nesting. Recursion over the tree must fit the smallest thread stack.
    pub depth: usize,
    /// Most nodes that aliases and merges may add by repetition.
    pub alias_nodes: usize,
    /// Most bytes of text that aliases and merges may add by repetition.
    pub alias_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, depth: 96, alias_nodes: 250_000, alias_bytes: 16 << 20 }
    }
}

/// Boxed: the error is rare and large.
pub(super) type Loaded<T> = Result<T, Box<Diagnostic>>;

pub(super) fn parse(source: &Arc<Source>, format: Format, limits: Limits) -> Loaded<Node> {
    let length = source.text().len();
    if length > limits.bytes {
        let message = format!("the document has {length} bytes, more than {}", limits.bytes);
        return Err(Box::new(Diagnostic::error(codes::TOO_LARGE, message).at(source.place(Span::new(0, 0)))));
    }
    match format {
        Format::Yaml => yaml::parse(source, limits),
        Format::Json => json::parse(source, limits),
    }
}

pub(super) fn duplicate(
    key: &str,
    again: crate::source::Place,
    first: crate::source::Place,
) -> Box<Diagnostic> {
    Box::new(
        Diagnostic::error(codes::DUPLICATE_KEY, format!("the key `{key}` stands twice in this mapping"))
            .at(again)
            .label("again here")
            .related("first here", first)
            .help("keep one of them"),
    )
}

pub(super) fn too_deep(place: crate::source::Place, limits: Limits) -> Box<Diagnostic> {
    let message = format!("the document is nested deeper than {} levels", limits.depth);
    Box::new(Diagnostic::error(codes::TOO_LARGE, message).at(place))
}
