//! Strict, structured rendering of config templates with variables and ISA-95 locations.

mod diagnostic;
mod document;
mod filters;
mod location;
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
pub use location::{GapPolicy, LEVEL_NAMES, Level, Location, LocationError, MAX_SEGMENT_BYTES};
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
