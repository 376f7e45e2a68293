//! What the verbs print: tables for people, JSON and YAML for programs.

mod describe;
mod executions;
mod node;
mod paint;
mod render;
mod shutdown;
mod statistics;
mod tree;

use serde::Serialize;

use crate::cli::{Failure, Format};

pub(crate) use describe::describe;
pub(crate) use executions::{Execution, execution, executions, output};
pub(crate) use node::{Details, Entry};
pub(crate) use paint::{Paint, colours_wanted};
pub(crate) use render::rendered;
pub(crate) use shutdown::{LongestStop, shutdown};
pub(crate) use tree::{one, tree};

/// A value for programs; none when a table is asked for.
///
/// # Errors
/// That the value can't be written in this format; none for what the daemon sends.
pub(crate) fn document(format: Format, value: &impl Serialize) -> Result<Option<String>, Failure> {
    match format {
        Format::Table => Ok(None),
        Format::Json => {
            let text = serde_json::to_string_pretty(value).map_err(|error| Failure::of(&error))?;
            Ok(Some(text + "\n"))
        }
        Format::Yaml => serde_saphyr::to_string(value).map(Some).map_err(|error| Failure::of(&error)),
    }
}

/// So many of a thing, in words: `1 node`, `2 nodes`.
pub(crate) fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}
