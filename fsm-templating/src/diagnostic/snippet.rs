//! Draws a source line with a marker under the part that is meant.

use std::fmt::Write;

use crate::source::Place;

/// Widest piece of a line that is shown: fits a terminal, and a 1 MiB line stays harmless.
const MAX_WIDTH: usize = 120;
/// How much of a longer line is shown before the marker.
const LEAD: usize = 40;

pub(super) fn render(place: &Place, label: Option<&str>) -> String {
    let (number, col) = place.line_col();
    let (line, _) = place.source().line(number);
    let before = col as usize - 1;
    let marked = place.source().slice(place.span()).split(['\n', '\r']).next().unwrap_or_default();

    let skip =
        if line.chars().take(MAX_WIDTH + 1).count() > MAX_WIDTH { before.saturating_sub(LEAD) } else { 0 };
    let shown: String = line.chars().skip(skip).take(MAX_WIDTH).map(printable).collect();
    let shown = shown.trim_end();
    let lead = before - skip;
    // At least one: the end of a line is a place, too.
    let width = marked.trim_end().chars().take(MAX_WIDTH.saturating_sub(lead)).count().max(1);

    let digits = number.to_string();
    let gutter = " ".repeat(digits.len());
    let ellipsis = if skip > 0 { "…" } else { "" };
    let mut out = format!("{gutter} |\n{digits} | {ellipsis}{shown}\n{gutter} | ");
    let pad = lead + ellipsis.chars().count();
    let _ = write!(out, "{}{}", " ".repeat(pad), "^".repeat(width));
    if let Some(label) = label {
        let _ = write!(out, " {}", super::one_line(label));
    }
    out
}

/// A tab would move the marker, a control character the terminal.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}
