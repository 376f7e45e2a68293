//! The written form of secrets: finding, checking, masking and rebasing references in values and documents.

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use super::{MASK, MAX_FILE_BYTES, Part, SecretError};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::document::{Kind, Node};
use crate::suggest::did_you_mean;

/// Where a secret's clear text is to be found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// An environment variable of the daemon.
    Env(String),
    /// A file; one line break at its end is not part of the secret.
    File(String),
}

impl Reference {
    pub(super) fn read(&self) -> Result<String, SecretError> {
        match self {
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::NotSet { name: name.clone() }),
            Self::File(path) => {
                let unreadable = |source| SecretError::Unreadable { path: path.clone(), source };
                let mut text = String::new();
                let file = std::fs::File::open(path).map_err(unreadable)?;
                file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
                if text.len() as u64 > MAX_FILE_BYTES {
                    return Err(SecretError::TooLarge { path: path.clone() });
                }
                let kept =
                    text.strip_suffix('\n').map_or(text.len(), |t| t.strip_suffix('\r').unwrap_or(t).len());
                text.truncate(kept);
                Ok(text)
            }
        }
    }

    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Env(name) => json!({ "env": name }),
            Self::File(path) => json!({ "file": path }),
        }
    }

    fn parse(value: &Value) -> Option<Self> {
        let map = value.as_object().filter(|map| map.len() == 1)?;
        let (key, text) = map.iter().next()?;
        let text = text.as_str().filter(|text| !text.is_empty())?.to_owned();
        match key.as_str() {
            "env" => Some(Self::Env(text)),
            "file" => Some(Self::File(text)),
            _ => None,
        }
    }
}

/// The parts of a value that is written as a secret.
pub(crate) fn parts_of(value: &Value) -> Option<Vec<Part>> {
    let inner = inner(value)?;
    if let Some(reference) = Reference::parse(inner) {
        return Some(vec![Part::Reference(reference)]);
    }
    let map = inner.as_object().filter(|map| map.len() == 1)?;
    let parts = map.get("concat")?.as_array()?;
    parts
        .iter()
        .map(|part| match part {
            Value::String(text) => Some(Part::Text(text.clone())),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Reference::parse(part).map(Part::Reference)
            }
        })
        .collect()
}

/// Whether the value is a well-formed secret; cheap for everything else.
pub(crate) fn is_secret(value: &Value) -> bool {
    inner(value).is_some() && parts_of(value).is_some()
}

fn inner(value: &Value) -> Option<&Value> {
    value.as_object().filter(|map| map.len() == 1)?.get("secret")
}

/// A copy in which each secret is `[secret]`: for logs, events, diffs and API answers.
#[must_use]
pub fn redacted(value: &Value) -> Value {
    match value {
        // Malformed ones, too: what was meant as a secret is not shown.
        Value::Object(_) if inner(value).is_some_and(Value::is_object) => Value::String(MASK.into()),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), redacted(value))).collect())
        }
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Everything that looks like a secret but is not well formed.
#[must_use]
pub fn check_secrets(node: &Node) -> Diagnostics {
    let mut found = Diagnostics::default();
    check(node, &mut found);
    found.sorted()
}

fn check(node: &Node, found: &mut Diagnostics) {
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::Sequence(items) => items.iter().for_each(|item| check(item, found)),
        Kind::Mapping(map) => {
            let secret =
                map.get("secret").filter(|entry| map.len() == 1 && entry.value.as_mapping().is_some());
            let Some(secret) = secret else {
                map.values().for_each(|entry| check(&entry.value, found));
                return;
            };
            if is_secret(&node.to_value()) {
                return;
            }
            let known = ["env", "file"];
            let keys = secret.value.as_mapping().into_iter().flatten();
            let wrong =
                keys.map(|(key, entry)| (key, &entry.key_place)).find(|(k, _)| !known.contains(&k.as_str()));
            let help = wrong.and_then(|(key, _)| did_you_mean(key, known));
            let place = wrong.map_or_else(|| secret.value.place().clone(), |(_, place)| place.clone());
            found.push(
                Diagnostic::error(codes::BAD_SECRET, "this secret is not well formed")
                    .at(place)
                    .without_source()
                    .help("write {secret: {env: NAME}} or {secret: {file: PATH}}")
                    .maybe_help(help),
            );
        }
    }
}

/// Makes relative secret files absolute: they are relative to the config that names them.
pub fn rebase_secret_files(node: &mut Node, base: &Path) {
    match &mut node.kind {
        Kind::Scalar(_) => {}
        Kind::Sequence(items) => items.iter_mut().for_each(|item| rebase_secret_files(item, base)),
        Kind::Mapping(map) => {
            let only = map.len() == 1;
            for (key, entry) in map {
                let file = match (&mut entry.value.kind, only && key == "secret") {
                    (Kind::Mapping(secret), true) if secret.len() == 1 => secret.get_mut("file"),
                    _ => None,
                };
                match file {
                    Some(file) => rebase(&mut file.value, base),
                    None => rebase_secret_files(&mut entry.value, base),
                }
            }
        }
    }
}

fn rebase(node: &mut Node, base: &Path) {
    let Kind::Scalar(scalar) = &mut node.kind else { return };
    if let Some(path) =
        scalar.value.as_str().filter(|path| Path::new(path).is_relative() && !path.contains("{{"))
    {
        scalar.value = Value::String(base.join(path).to_string_lossy().into_owned());
    }
}
