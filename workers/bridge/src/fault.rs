//! What is wrong with a template, as a derive says it: one line, everything in it, so that two faults are equal only when
//! they are the same.

use std::fmt::Write;

use fsm_core::{DeriveError, DeriveErrorKind};
use fsm_templating::{Diagnostic, Diagnostics, codes};

/// The kind of the first error: it labels a metric.
pub(crate) fn kind_of(found: &Diagnostics) -> DeriveErrorKind {
    let first = found.iter().find(|diagnostic| diagnostic.is_error()).map(|diagnostic| diagnostic.code);
    match first {
        Some(codes::UNKNOWN_VARIABLE | codes::MISSING_PARAMETER) => DeriveErrorKind::Undefined,
        Some(codes::SYNTAX | codes::TEMPLATE_SYNTAX | codes::GO_STYLE | codes::TEMPLATE_IN_JQ) => {
            DeriveErrorKind::Syntax
        }
        Some(codes::WRONG_TYPE | codes::BAD_PARAMETER | codes::BAD_RENDERED_KEY) => DeriveErrorKind::Type,
        Some(codes::TEMPLATE_LIMIT) => DeriveErrorKind::Fuel,
        Some(codes::BAD_LEVEL | codes::LOCATION_OVERRIDE | codes::BAD_NAME) => DeriveErrorKind::Config,
        Some(_) | None => DeriveErrorKind::Other,
    }
}

/// All of it in one error.
pub(crate) fn error_of(found: &Diagnostics) -> DeriveError {
    let mut what = String::new();
    for diagnostic in found {
        if !what.is_empty() {
            what.push_str("; ");
        }
        line(&mut what, diagnostic);
    }
    DeriveError::new(kind_of(found), what)
}

fn line(out: &mut String, diagnostic: &Diagnostic) {
    // Writing to a text can't fail.
    let _ = write!(out, "{} [{}]", diagnostic.message, diagnostic.code);
    if let Some(path) = &diagnostic.path {
        let _ = write!(out, " in {path}");
    }
    if let Some(place) = &diagnostic.place {
        let _ = write!(out, " at {place}");
    }
    for related in &diagnostic.related {
        let _ = write!(out, ", {}", related.message);
        if let Some(place) = &related.place {
            let _ = write!(out, " at {place}");
        }
    }
    if let Some(help) = &diagnostic.help {
        let _ = write!(out, " ({help})");
    }
}
