//! Reads the rows of a `for_each` from a list in the config or from a CSV, YAML or JSON file (T-9).

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::document::{Format, Kind, Limits, Node, Style};
use crate::source::{Place, Source, Span};

/// One row: what `item` is, and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The value of `item`.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// Reads a file of rows: `*.csv` with a header line, otherwise YAML or JSON that is a list.
///
/// All fields of a CSV file are texts: `007` stays `007`.
///
/// # Errors
/// [`codes::BAD_ROWS`] with file and line, or what makes the YAML or JSON unreadable.
pub fn read_rows(path: &Path) -> Result<Vec<Row>, Diagnostics> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("the rows of `{name}` can't be read: {error}");
        Diagnostic::error(codes::BAD_ROWS, message)
            .help("a relative path is relative to the config that names it")
    })?;
    parse_rows(&name, &text)
}

/// Reads rows from the text of a file; the name decides how.
///
/// # Errors
/// As [`read_rows`].
pub fn parse_rows(name: &str, text: &str) -> Result<Vec<Row>, Diagnostics> {
    let source = Source::new(name, text);
    let is_csv = Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    if is_csv {
        return csv_rows(&source);
    }
    let node =
        Node::parse_source(&source, Format::of_name(name), Limits::default()).map_err(|error| *error)?;
    rows_of(&node)
}

/// The rows of a list in a config.
///
/// # Errors
/// [`codes::BAD_ROWS`] where it is not a list.
pub fn rows_of(node: &Node) -> Result<Vec<Row>, Diagnostics> {
    match &node.kind {
        Kind::Sequence(items) => {
            Ok(items.iter().map(|item| Row { value: item.to_value(), place: item.place().clone() }).collect())
        }
        // An empty file has no rows.
        Kind::Scalar(scalar) if scalar.value.is_null() && scalar.style == Style::Plain => Ok(Vec::new()),
        Kind::Scalar(_) | Kind::Mapping(_) => {
            let error = Diagnostic::error(codes::BAD_ROWS, "the rows of a for_each must be a list");
            Err(error.at(node.place().clone()).help("write one `- …` per row").into())
        }
    }
}

fn csv_rows(source: &Arc<Source>) -> Result<Vec<Row>, Diagnostics> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(source.text().strip_prefix('\u{feff}').unwrap_or(source.text()).as_bytes());
    let shift = source.text().len() - source.text().strip_prefix('\u{feff}').unwrap_or(source.text()).len();
    let header = reader.headers().map_err(|error| bad(source, 0, &error.to_string()))?.clone();
    let mut found = Diagnostics::default();
    let mut names = HashSet::with_capacity(header.len());
    if let Some(index) = header.iter().position(str::is_empty) {
        found.push(bad(source, 0, &format!("column {} has no name in the header line", index + 1)));
    } else if let Some(twice) = header.iter().find(|name| !names.insert(*name)) {
        found.push(bad(source, 0, &format!("the column `{twice}` stands twice in the header line")));
    }
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let start =
            line_start(source, shift + usize::try_from(reader.position().byte()).unwrap_or(usize::MAX));
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Err(error) => {
                found.push(bad(source, start, &error.to_string()));
                break;
            }
            Ok(true) => {}
        }
        if record.len() != header.len() {
            let message =
                format!("this row has {} fields, the header line has {}", record.len(), header.len());
            found
                .push(bad(source, start, &message).help("put a field that holds a comma into double quotes"));
            continue;
        }
        let fields = header.iter().zip(&record).map(|(name, field)| (name.to_owned(), Value::from(field)));
        rows.push(Row { value: Value::Object(fields.collect::<Map<_, _>>()), place: line_at(source, start) });
    }
    found.into_result(rows)
}

/// Empty lines before a record belong to it for the reader, not for a person.
fn line_start(source: &Source, from: usize) -> usize {
    let rest = source.text().get(from..).unwrap_or_default();
    from + (rest.len() - rest.trim_start_matches(['\n', '\r']).len())
}

fn line_at(source: &Arc<Source>, start: usize) -> Place {
    let rest = source.text().get(start..).unwrap_or_default();
    let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
    source.place(Span::new(start, start + end))
}

fn bad(source: &Arc<Source>, start: usize, message: &str) -> Diagnostic {
    Diagnostic::error(codes::BAD_ROWS, message).at(line_at(source, start))
}
