//! Cuts a scalar into text, expressions and statements, exactly where minijinja would, and refuses what could
//! overflow its stack or grow without bound.

use std::ops::Range;

/// Most words and signs in one `{{ … }}` or `{% … %}`: the parser and its tree recurse over them. Measured: 512
/// nested operators fit a thread of 2 MiB in a debug build with room to spare.
const MAX_TOKENS: usize = 512;
/// Deepest nesting of brackets in one of them: the parser takes ten calls for each level.
const MAX_BRACKETS: i64 = 32;
/// Most statements in a scalar: chains of `elif` nest in the tree.
const MAX_TAGS: usize = 128;
/// Deepest nesting of `for`: each level may multiply the size of what it names.
const MAX_FOR_DEPTH: usize = 3;

/// A part of a scalar; ranges count in bytes of the scalar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Range<usize>),
    Expr(Expr),
    Tag,
    Comment,
}

/// `{{ inner }}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expr {
    /// Without the braces and the space next to them.
    pub(super) inner: Range<usize>,
    /// Whether it removes space around it (`{{-`, `-}}`).
    pub(super) trims: bool,
}

/// Why a scalar can't be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SplitError {
    /// `{{`, `{%` or `{#` without its end.
    Unclosed { range: Range<usize>, end: &'static str },
    /// A statement other than `if`, `for`, `raw`.
    Forbidden { range: Range<usize>, name: String },
    /// Too long, too many, too deep.
    TooMuch { range: Range<usize>, what: &'static str },
}

/// Whether there is anything to render; cheap for plain texts.
pub fn has_mark(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'{') {
        match rest.get(at + 1) {
            Some(b'{' | b'%' | b'#') => return true,
            Some(_) | None => rest = &rest[at + 1..],
        }
    }
    false
}

pub(super) fn split(text: &str) -> Result<Vec<Piece>, SplitError> {
    let mut pieces = Vec::new();
    let (mut at, mut tags, mut depth) = (0, 0, 0usize);
    while at < text.len() {
        let Some(start) = next_mark(text, at) else {
            pieces.push(Piece::Text(at..text.len()));
            break;
        };
        if start > at {
            pieces.push(Piece::Text(at..start));
        }
        match text.as_bytes()[start + 1] {
            b'#' => {
                let end = find(text, start + 2, "#}").ok_or_else(|| unclosed(text, start, "#}"))?;
                pieces.push(Piece::Comment);
                at = end + 2;
            }
            b'{' => {
                let (inner, end) = inside(text, start, "}}")?;
                let trims =
                    text[start + 2..].starts_with(['-', '+']) || text[..end - 2].ends_with(['-', '+']);
                pieces.push(Piece::Expr(Expr { inner, trims }));
                at = end;
            }
            _ => {
                let (inner, end) = inside(text, start, "%}")?;
                let body = &text[inner.clone()];
                let name = body.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                tags += 1;
                if tags > MAX_TAGS {
                    return Err(SplitError::TooMuch { range: start..end, what: "more than 128 statements" });
                }
                pieces.push(Piece::Tag);
                at = end;
                match name {
                    "raw" => {
                        at = end_of_raw(text, end).ok_or_else(|| unclosed(text, start, "{% endraw %}"))?
                    }
                    "for" => {
                        depth += 1;
                        if depth > MAX_FOR_DEPTH {
                            let what = "`for` nested deeper than 3 levels";
                            return Err(SplitError::TooMuch { range: start..end, what });
                        }
                    }
                    "endfor" => depth = depth.saturating_sub(1),
                    "if" | "elif" | "else" | "endif" => {}
                    _ => return Err(SplitError::Forbidden { range: start..end, name: name.to_owned() }),
                }
            }
        }
    }
    Ok(pieces)
}

fn next_mark(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    (from..bytes.len().saturating_sub(1))
        .find(|at| bytes[*at] == b'{' && matches!(bytes[at + 1], b'{' | b'%' | b'#'))
}

/// The inside of a mark that begins at `start`, and where it ends: the first `end` outside of texts and brackets.
fn inside(text: &str, start: usize, end: &'static str) -> Result<(Range<usize>, usize), SplitError> {
    let bytes = text.as_bytes();
    let (mut at, mut balance, mut tokens, mut in_word) = (start + 2, 0i64, 0, false);
    while at < bytes.len() {
        if balance == 0 && text.as_bytes()[at..].starts_with(end.as_bytes()) {
            let inner = trim(text, start + 2..at);
            return Ok((inner, at + 2));
        }
        let byte = bytes[at];
        let word = byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        let continues = word && in_word;
        if !continues && !byte.is_ascii_whitespace() {
            tokens += 1;
        }
        in_word = word;
        if tokens > MAX_TOKENS {
            return Err(SplitError::TooMuch {
                range: start..at,
                what: "an expression of more than 512 words and signs",
            });
        }
        if balance > MAX_BRACKETS {
            return Err(SplitError::TooMuch {
                range: start..at,
                what: "brackets nested deeper than 32 levels",
            });
        }
        match byte {
            b'\'' | b'"' => at = end_of_string(bytes, at).ok_or_else(|| unclosed(text, start, end))?,
            b'(' | b'[' | b'{' => balance += 1,
            b')' | b']' | b'}' => balance -= 1,
            _ => {}
        }
        at += 1;
    }
    Err(unclosed(text, start, end))
}

fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut escaped = false;
    for (offset, byte) in bytes[start + 1..].iter().enumerate() {
        match byte {
            b'\\' if !escaped => escaped = true,
            b if *b == bytes[start] && !escaped => return Some(start + 1 + offset),
            _ => escaped = false,
        }
    }
    None
}

/// Without the trim signs and the white space.
fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let mut inner = &text[range.clone()];
    let mut start = range.start;
    if let Some(rest) = inner.strip_prefix(['-', '+']) {
        start += 1;
        inner = rest;
    }
    inner = inner.strip_suffix(['-', '+']).unwrap_or(inner);
    start += inner.len() - inner.trim_start().len();
    start..start + inner.trim().len()
}

fn end_of_raw(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let start = find(text, at, "{%")?;
        let end = find(text, start, "%}")?;
        if text[start + 2..end].trim_matches(['-', '+']).trim() == "endraw" {
            return Some(end + 2);
        }
        at = start + 2;
    }
}

fn find(text: &str, from: usize, what: &str) -> Option<usize> {
    text.get(from..)?.find(what).map(|offset| from + offset)
}

fn unclosed(text: &str, start: usize, end: &'static str) -> SplitError {
    SplitError::Unclosed { range: start..(start + 2).min(text.len()), end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exprs(text: &str) -> Vec<&str> {
        let pieces = split(text).unwrap();
        let inner = |piece: &Piece| match piece {
            Piece::Expr(expr) => Some(text[expr.inner.clone()].to_owned().leak() as &str),
            Piece::Text(_) | Piece::Tag | Piece::Comment => None,
        };
        pieces.iter().filter_map(inner).collect()
    }

    #[test]
    fn marks_end_where_the_expression_ends() {
        assert_eq!(exprs("a {{ b }}c{{d}}"), ["b", "d"]);
        assert_eq!(exprs("{{ '}}' }}"), ["'}}'"]);
        assert_eq!(exprs(r#"{{ "\"}}" ~ x }}"#), [r#""\"}}" ~ x"#]);
        assert_eq!(exprs("{{ {'a': {'b': 1}} }}"), ["{'a': {'b': 1}}"]);
        assert_eq!(exprs("{{- a -}}"), ["a"]);
        assert_eq!(exprs("{# {{ a }} #}{{ b }}"), ["b"]);
        assert_eq!(exprs("{% raw %}{{ a }}{% endraw %}{{ b }}"), ["b"]);
        assert_eq!(exprs("{ {% if a %}{{ ü }}{% endif %}"), ["ü"]);
    }

    #[test]
    fn open_marks_and_statements_that_are_not_offered_are_errors() {
        for text in ["{{", "{{ a", "{{ 'a }}", "{% if", "{# a", "{% raw %}{{ a }}", "a {{ (b }}"] {
            assert!(matches!(split(text), Err(SplitError::Unclosed { .. })), "{text}");
        }
        for text in ["{% set a = 1 %}", "{% include 'x' %}", "{% macro a() %}", "{% %}"] {
            assert!(matches!(split(text), Err(SplitError::Forbidden { .. })), "{text}");
        }
        for text in ["{{ ".to_owned() + &"-".repeat(600) + "1 }}", "{% if a %}".repeat(200)] {
            assert!(matches!(split(&text), Err(SplitError::TooMuch { .. })), "{text}");
        }
    }
}
