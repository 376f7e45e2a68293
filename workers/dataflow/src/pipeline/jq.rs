//! jq programs on jaq: compiled once, with variables bound as values, and with no way out of the message.
//!
//! Left out of the language: `env` and `$ENV` (secrets of the process), `halt` (ends the process), `input` and `inputs`.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use indexmap::IndexMap;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, data};
use jaq_json::{Map, Num, Val, read, write as printer};
use serde_json::Value;

mod shared;

use super::Failure;
use crate::message::Message;
use crate::stats::ErrorKind;

type Data = data::JustLut<Val>;

/// The variables of each program, in the order they are bound.
const VARIABLES: [&str; 5] = ["$meta", "$vars", "$location_topic", "$location_path", "$name"];

/// Filters that reach outside of the message.
const FORBIDDEN: [&str; 5] = ["env", "halt", "halt_error", "input", "inputs"];

/// A jq program is refused: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {text}, in `{excerpt}`")]
#[non_exhaustive]
pub struct JqError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what to do.
    pub text: String,
    /// The line.
    pub excerpt: String,
}

/// What programs see of the flow's variables: converted once, shared by all programs of a pipeline.
#[derive(Debug, Clone)]
pub(super) struct Bindings {
    vars: Val,
    named: [Val; 3],
}

impl Bindings {
    pub(super) fn new(vars: &IndexMap<String, Value>) -> Self {
        let named = ["location_topic", "location_path", "name"];
        Self {
            vars: convert(&Value::Object(vars.iter().map(|(k, v)| (k.clone(), v.clone())).collect())),
            named: named.map(|name| vars.get(name).map_or(Val::Null, convert)),
        }
    }
}

fn convert(value: &Value) -> Val {
    // A JSON value written out is JSON again.
    read::parse_single(value.to_string().as_bytes()).unwrap_or_default()
}

/// A compiled program. Programs of one text share what was compiled: with the whole library that is 110 KB and 0.6 ms, and the
/// flows of a thousand bridges say the same.
pub(super) struct Program {
    filter: Arc<Filter<Data>>,
    bindings: Bindings,
    uses_meta: bool,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

impl Program {
    pub(super) fn compile(code: &str, bindings: &Bindings) -> Result<Self, JqError> {
        let filter = shared::filter(code, || Self::filter(code))?;
        Ok(Self { filter, bindings: bindings.clone(), uses_meta: code.contains("$meta") })
    }

    fn filter(code: &str) -> Result<Filter<Data>, JqError> {
        if let Some(at) = code.find("{{") {
            let hint =
                "a template mark has no place in a jq program: variables are bound, write `$vars.NAME`";
            return Err(error_at(code, at, hint.into()));
        }
        let arena = Arena::default();
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let loader = Loader::new(defs.filter(|def| !FORBIDDEN.contains(&def.name)));
        let modules = loader.load(&arena, File { code, path: () }).map_err(|errors| {
            errors.first().map_or_else(|| error_at(code, 0, "malformed".into()), |(_, e)| load_error(code, e))
        })?;
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let funs = funs.filter(|(name, ..)| !FORBIDDEN.contains(name));
        Compiler::default().with_funs(funs).with_global_vars(VARIABLES).compile(modules).map_err(|errors| {
            let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
            first.map_or_else(
                || error_at(code, 0, "malformed".into()),
                |(name, undefined)| error_at(code, offset(code, name), unknown(name, undefined.as_str())),
            )
        })
    }

    /// All results on `input`. A failing program gives an error and then nothing more.
    pub(super) fn run<'a>(
        &'a self,
        input: Val,
        message: &Message,
    ) -> impl Iterator<Item = Result<Val, Failure>> + 'a {
        let meta = if self.uses_meta { meta(message) } else { Val::Null };
        let values =
            [meta, self.bindings.vars.clone()].into_iter().chain(self.bindings.named.iter().cloned());
        let ctx = Ctx::<Data>::new(&self.filter.lut, Vars::new(values));
        self.filter.id.run((ctx, input)).map(|result| {
            result.map_err(|exception| match exception.get_err() {
                Ok(error) => (ErrorKind::Jq, shorten(&error.to_string())),
                Err(_) => (ErrorKind::Jq, "the program broke off".into()),
            })
        })
    }
}

fn unknown(name: &str, what: &str) -> String {
    if FORBIDDEN.contains(&name) || name == "$ENV" {
        return format!("`{name}` is not offered here: a program sees its message and its variables only");
    }
    if name.starts_with('$') {
        return format!(
            "unknown {what} `{name}`; known are {}; variables of the flow are `$vars.NAME`",
            VARIABLES.join(", ")
        );
    }
    format!("unknown {what} `{name}`")
}

fn load_error(code: &str, error: &load::Error<&str>) -> JqError {
    match error {
        load::Error::Io(errors) => {
            let at = errors.first().map_or(0, |(path, _)| offset(code, path));
            error_at(code, at, "modules can't be included here".into())
        }
        load::Error::Lex(errors) => errors.first().map_or_else(
            || error_at(code, 0, "malformed".into()),
            |(expected, found)| {
                error_at(code, offset(code, found), format!("expected {}", expected.as_str()))
            },
        ),
        load::Error::Parse(errors) => errors.first().map_or_else(
            || error_at(code, 0, "malformed".into()),
            |(expected, found)| {
                let at = if found.is_empty() { code.len() } else { offset(code, found) };
                error_at(code, at, format!("expected {}", expected.as_str()))
            },
        ),
    }
}

/// Where `part` begins in `code`, in bytes; the end if it is not a part of it.
fn offset(code: &str, part: &str) -> usize {
    let (code_at, part_at) = (code.as_ptr() as usize, part.as_ptr() as usize);
    part_at.checked_sub(code_at).filter(|at| *at <= code.len()).unwrap_or(code.len())
}

fn error_at(code: &str, at: usize, text: String) -> JqError {
    let before = code.get(..at).unwrap_or(code);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = code[line_start..].lines().next().unwrap_or_default();
    JqError {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        text,
        excerpt: line.chars().take(120).collect(),
    }
}

/// A message's payload may be in an error's text; it is not to fill a log.
fn shorten(text: &str) -> Arc<str> {
    // Two lines of a terminal.
    const LONGEST: usize = 160;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

fn meta(message: &Message) -> Val {
    let text = |text: &ByteString| Val::utf8_str(text.as_bytes().clone());
    let mut map = Map::default();
    for (name, value) in &message.metadata {
        map.insert(text(name), text(value));
    }
    map.insert(Val::utf8_str(Bytes::from_static(b"topic")), text(&message.topic));
    Val::obj(map)
}

/// Parses a payload as one JSON value.
pub(super) fn parse(payload: &Bytes) -> Result<Val, Arc<str>> {
    if payload.is_empty() {
        return Err("the payload is empty, not JSON".into());
    }
    read::parse_single(payload).map_err(|error| shorten(&format!("the payload is not JSON: {error}")))
}

/// jq values can be what JSON can't say.
pub(super) fn check_json(value: &Val) -> Result<(), &'static str> {
    match value {
        Val::Null | Val::Bool(_) | Val::TStr(_) => Ok(()),
        Val::Num(Num::Float(float)) if !float.is_finite() => {
            Err("the program gives NaN or an infinite number, which JSON can't say")
        }
        Val::Num(_) => Ok(()),
        Val::BStr(_) => Err("the program gives bytes that are not text, which JSON can't say"),
        Val::Arr(items) => items.iter().try_for_each(check_json),
        Val::Obj(fields) => fields.iter().try_for_each(|(name, value)| match name {
            Val::TStr(_) => check_json(value),
            Val::Null | Val::Bool(_) | Val::Num(_) | Val::BStr(_) | Val::Arr(_) | Val::Obj(_) => {
                Err("the program gives an object with a name that is not a string, which JSON can't say")
            }
        }),
    }
}

/// Writes a value as compact JSON.
pub(super) fn write(value: &Val) -> Bytes {
    let mut bytes = Vec::with_capacity(128);
    // Writing to a Vec can't fail.
    let pp =
        printer::Pp { indent: None, sort_keys: false, styles: printer::Styles::default(), sep_space: false };
    printer::write(&mut bytes, &pp, 0, value).unwrap_or_default();
    bytes.into()
}

pub(super) fn field(value: &Val, name: &str) -> Option<Val> {
    match value {
        Val::Obj(map) => map.get(&Val::utf8_str(Bytes::copy_from_slice(name.as_bytes()))).cloned(),
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::BStr(_) | Val::TStr(_) | Val::Arr(_) => None,
    }
}

pub(super) fn object<const N: usize>(fields: [(&'static str, Val); N]) -> Val {
    let entries =
        fields.into_iter().map(|(name, value)| (Val::utf8_str(Bytes::from_static(name.as_bytes())), value));
    Val::obj(entries.collect())
}

pub(super) const fn type_of(value: &Val) -> &'static str {
    match value {
        Val::Null => "null",
        Val::Bool(_) => "a boolean",
        Val::Num(_) => "a number",
        Val::BStr(_) | Val::TStr(_) => "a string",
        Val::Arr(_) => "an array",
        Val::Obj(_) => "an object",
    }
}
