//! Where text came from: a file with its lines, and byte ranges in it, so that every later error can point at its cause.

use std::fmt;
use std::sync::Arc;

/// A byte range in one [`Source`], half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end` in bytes; an end before the start is taken as an empty range.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let end = u32::try_from(end).unwrap_or(u32::MAX);
        Self { start, end: end.max(start) }
    }
}

/// One text with a name: a config file, a request body, a test.
pub struct Source {
    name: Arc<str>,
    text: String,
    /// Byte offset at which each line begins.
    lines: Vec<u32>,
}

impl Source {
    /// Takes a text under the name that errors will show.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines =
            std::iter::once(0).chain(starts).map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect();
        Arc::new(Self { name: name.into(), text, lines })
    }

    /// The name, as given: mostly a path.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text in this range; empty where the range does not fit the text.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Line and column of a byte offset, both counted from 1, the column in characters.
    #[must_use]
    pub fn line_col(&self, offset: u32) -> (u32, u32) {
        let index = self.lines.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.lines[index] as usize;
        let end = self.floor(offset as usize);
        let col = self.text.get(start..end).map_or(0, |text| text.chars().count());
        (to_u32(index + 1), to_u32(col + 1))
    }

    /// The line with this number (from 1) without its line break, and the offset at which it begins.
    #[must_use]
    pub fn line(&self, number: u32) -> (&str, u32) {
        let index = (number as usize).saturating_sub(1).min(self.lines.len() - 1);
        let start = self.lines[index];
        let end = self.lines.get(index + 1).map_or(self.text.len(), |next| *next as usize);
        (self.slice(Span::new(start as usize, end)).trim_end_matches(['\n', '\r']), start)
    }

    /// The place of this range.
    #[must_use]
    pub fn place(self: &Arc<Self>, span: Span) -> Place {
        Place { source: Arc::clone(self), span }
    }

    fn floor(&self, offset: usize) -> usize {
        let mut at = offset.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// Prints the name only: the text may be large.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

/// A range in a source that keeps the source alive.
#[derive(Debug, Clone)]
pub struct Place {
    source: Arc<Source>,
    span: Span,
}

impl Place {
    /// The source it points into.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The byte range.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The name of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// Line and column of the beginning, from 1.
    #[must_use]
    pub fn line_col(&self) -> (u32, u32) {
        self.source.line_col(self.span.start)
    }

    /// What errors are sorted by: file, then position.
    pub(crate) fn order(&self) -> (&str, Span) {
        (&self.source.name, self.span)
    }
}

/// Two places are equal when they name the same range of a file of the same name.
impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Place {}

/// `file:line:col`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, col) = self.line_col();
        write!(f, "{}:{line}:{col}", self.file())
    }
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let source = Source::new("a.yaml", "ä: 1\nbö: x\r\n");
        assert_eq!(source.line_col(0), (1, 1));
        assert_eq!(source.line_col(2), (1, 2));
        assert_eq!(source.line_col(6), (2, 1));
        assert_eq!(source.line_col(9), (2, 3));
        assert_eq!(source.line_col(9999), (3, 1));
        assert_eq!(source.line(2).0, "bö: x");
    }
}
