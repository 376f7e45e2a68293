//! Strict, structured rendering of config templates with variables and ISA-95 locations.
//!
//! A config is parsed first ([`Node`]: YAML or JSON that knows its places), then checked ([`check_schema`]), then
//! its templates are compiled once ([`Template`]) and rendered for each use ([`Template::render`]) from variables
//! ([`fsm_core::VariableBundle`]) and a [`Location`]. Errors are [`Diagnostics`]: all of them at once, each with
//! its place and what to do. Secrets stay references ([`Secret`]) until a worker resolves them.
//!
//! What is absent on purpose: templates reach no file, no environment, no network and no clock, and what they do
//! is bounded.

mod diagnostic;
mod document;
mod filters;
mod for_each;
mod location;
mod rows;
mod schema;
mod secret;
mod source;
mod suggest;
mod template;

pub use diagnostic::{
    BadCode, CATALOGUE, Code, Diagnostic, Diagnostics, Explanation, Related, Severity, codes, explain,
};
pub use document::{
    BadNumber, BadPath, Entry, Format, Kind, Limits, Node, Path, Scalar, Segment, Style, resolve_plain,
};
pub use filters::{slug, uns};
pub use for_each::{Expanded, ForEach};
pub use location::{GapPolicy, LEVEL_NAMES, Level, Location, LocationError, MAX_SEGMENT_BYTES};
pub use rows::{Row, parse_rows, read_rows, rows_of};
pub use schema::{check_schema, check_template_schema};
pub use secret::{
    ClearText, MASK, Reference, Secret, SecretError, check_secrets, rebase_secret_files, redacted,
};
pub use source::{Place, Source, Span};
pub use suggest::nearest;
pub use template::{
    CompileOptions, DEFAULT_FUEL, Input, Origins, Parameter, ParameterType, Parameters, RESERVED,
    RenderContext, RenderKey, Rendered, ScalarTrace, Template, UsedInput, has_mark, ignored_marks,
    reserved_names,
};
