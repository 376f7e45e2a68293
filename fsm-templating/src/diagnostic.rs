//! What is wrong with a text, where, why, and what to do: one shape for every error a person can fix (C-2, T-5).

mod catalogue;
mod snippet;

use std::cmp::Ordering;
use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::source::Place;

pub use catalogue::{CATALOGUE, Explanation, codes, explain};

/// A stable number for a sort of error, written `E0103`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:04}", self.0)
    }
}

impl std::str::FromStr for Code {
    type Err = BadCode;
    fn from_str(text: &str) -> Result<Self, BadCode> {
        let digits = text.strip_prefix(['E', 'e']).unwrap_or(text);
        match digits.parse() {
            Ok(number) if digits.len() <= 4 => Ok(Self(number)),
            Ok(_) | Err(_) => Err(BadCode { text: text.into() }),
        }
    }
}

/// A text is not a [`Code`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an error code: write it as E0103")]
pub struct BadCode {
    /// The refused text.
    pub text: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing may start with it.
    Error,
    /// Works, but is likely not meant; `--strict` makes it an error.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Another place that belongs to a diagnostic: the first definition, an including file, a row of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// What is there.
    pub message: String,
    /// Where, when it is known.
    pub place: Option<Place>,
}

/// One thing wrong with a text.
///
/// `Display` renders it with a snippet, in the manner of rustc; values of variables are never part of it.
///
/// ```
/// use fsm_templating::{Diagnostic, Source, Span, codes};
/// let source = Source::new("bridges.yaml", "address: \"{{ ipp }}\"\n");
/// let error = Diagnostic::error(codes::UNKNOWN_VARIABLE, "unknown variable `ipp`")
///     .at(source.place(Span::new(13, 16)))
///     .help("did you mean `ip`?");
/// let text = error.to_string();
/// assert!(text.starts_with("error[E0103]: unknown variable `ipp`\n --> bridges.yaml:1:14\n"), "{text}");
/// assert!(text.contains("^^^"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which sort of error.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// What is wrong, in one line, lower case, without a full stop.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// What to write beside the marker.
    pub label: Option<String>,
    /// The path in the document or the rendered result (`bridges[3] press-7 → read.input`).
    pub path: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// Other places that belong to it, outermost last: the chain of includes.
    pub related: Vec<Related>,
    /// Whether the source line may be shown; not where a value stands in it that must stay private.
    pub show_source: bool,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning.
    #[must_use]
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    fn new(severity: Severity, code: Code, message: String) -> Self {
        let (place, label, path, help) = (None, None, None, None);
        Self { code, severity, message, place, label, path, help, related: Vec::new(), show_source: true }
    }

    /// Sets where.
    #[must_use]
    pub fn at(mut self, place: impl Into<Option<Place>>) -> Self {
        self.place = place.into();
        self
    }

    /// Sets the text beside the marker.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets the path in the document or the rendered result.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Sets what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets what to do, where something is known.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Adds another place that belongs to it.
    #[must_use]
    pub fn related(mut self, message: impl Into<String>, place: impl Into<Option<Place>>) -> Self {
        self.related.push(Related { message: message.into(), place: place.into() });
        self
    }

    /// Leaves the source line out of the output: a private value may stand in it.
    #[must_use]
    pub fn without_source(mut self) -> Self {
        self.show_source = false;
        self
    }

    /// Whether nothing may start with it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The marked source line as the output shows it, without colours.
    #[must_use]
    pub fn snippet(&self) -> Option<String> {
        let place = self.place.as_ref().filter(|_| self.show_source)?;
        Some(snippet::render(place, self.label.as_deref()))
    }

    fn order(&self, other: &Self) -> Ordering {
        let key = |d: &'_ Self| d.place.as_ref().map(|p| (p.file().to_owned(), p.span()));
        key(self)
            .cmp(&key(other))
            .then_with(|| self.path.cmp(&other.path))
            .then_with(|| self.code.cmp(&other.code))
            .then_with(|| self.message.cmp(&other.message))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: {}", self.severity, self.code, one_line(&self.message))?;
        if let Some(place) = &self.place {
            write!(f, "\n --> {place}")?;
        }
        if let Some(snippet) = self.snippet() {
            write!(f, "\n{snippet}")?;
        }
        if let Some(path) = &self.path {
            write!(f, "\n  = in: {}", one_line(path))?;
        }
        for related in &self.related {
            write!(f, "\n  = note: {}", one_line(&related.message))?;
            if let Some(place) = &related.place {
                write!(f, " ({place})")?;
            }
        }
        if let Some(help) = &self.help {
            write!(f, "\n  = help: {}", one_line(help))?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// The fields an API or an editor needs: `file`, `line`, `col`, `snippet` beside what the struct holds.
impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (line, col) = self.place.as_ref().map(Place::line_col).unzip();
        let related: Vec<_> = self
            .related
            .iter()
            .map(|r| serde_json::json!({"message": r.message, "at": r.place.as_ref().map(Place::to_string)}))
            .collect();
        let mut out = serializer.serialize_struct("Diagnostic", 10)?;
        out.serialize_field("code", &self.code.to_string())?;
        out.serialize_field("severity", &self.severity)?;
        out.serialize_field("message", &self.message)?;
        out.serialize_field("file", &self.place.as_ref().map(Place::file))?;
        out.serialize_field("line", &line)?;
        out.serialize_field("col", &col)?;
        out.serialize_field("path", &self.path)?;
        out.serialize_field("snippet", &self.snippet())?;
        out.serialize_field("help", &self.help)?;
        out.serialize_field("related", &related)?;
        out.end()
    }
}

/// All that is wrong with a text, collected: nobody has to fix errors one by one.
///
/// The order is that of the text, whatever order they were found in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Whether at least one is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(Diagnostic::is_error)
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each, in the order of the text after [`sorted`](Self::sorted), of finding before.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// The same, in the order of the text, without repetitions.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_by(Diagnostic::order);
        self.0.dedup();
        self
    }

    /// Makes warnings errors (`--strict`).
    pub fn deny_warnings(&mut self) {
        for diagnostic in &mut self.0 {
            diagnostic.severity = Severity::Error;
        }
    }

    /// `value` where nothing is an error, otherwise all of them, sorted.
    ///
    /// # Errors
    /// When at least one is an error.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.has_errors() { Err(self.sorted()) } else { Ok(value) }
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, iter: I) {
        self.0.extend(iter);
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// Most diagnostics that are printed together: nobody reads more, and a broken column of a table makes thousands.
const MAX_SHOWN: usize = 100;

/// Each rendered whole, an empty line between two; after 100 only how many more there are.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().take(MAX_SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        match self.0.len().checked_sub(MAX_SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\n\n… and {more} more"),
        }
    }
}

impl std::error::Error for Diagnostics {}

/// Messages hold names that users chose: a line break or an escape sequence in one may not forge output.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
