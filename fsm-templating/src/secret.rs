//! Secrets: references that travel through configs, templates and stores, and become clear text only where a
//! worker uses them (T-8).

mod reference;

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

pub use reference::{Reference, check_secrets, rebase_secret_files, redacted};
pub(crate) use reference::{is_secret, parts_of};

/// What is written instead of a secret.
pub const MASK: &str = "[secret]";

/// Largest secret file in bytes: keys and tokens are small, and a wrong path may lead to a device.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A piece of a secret: the text around a reference, or the reference.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Text(String),
    Reference(Reference),
}

/// A value that must not be seen: a reference to the environment or a file, text around it, or a plain text.
///
/// `Debug`, `Display` and `Serialize` give `[secret]`; two secrets are equal when their references are.
/// In a config it is written `{secret: {env: NAME}}`, `{secret: {file: PATH}}`, or as a plain text.
///
/// ```
/// use fsm_templating::{Reference, Secret};
/// let secret: Secret = serde_json::from_str(r#"{"secret": {"env": "BROKER_PASSWORD"}}"#).unwrap();
/// assert_eq!(format!("{secret} {secret:?}"), "[secret] [secret]");
/// let clear = secret.resolve_with(|reference| match reference {
///     Reference::Env(name) if name == "BROKER_PASSWORD" => Ok("hunter2".into()),
///     _ => unreachable!(),
/// });
/// assert_eq!(clear.unwrap().expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret {
    parts: Vec<Part>,
}

/// The clear text of a secret; printing it gives `[secret]`.
#[derive(Clone, PartialEq, Eq)]
pub struct ClearText(String);

/// A secret can't be resolved. The value is never part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment variable is not set, or not valid UTF-8.
    #[error(
        "the secret's environment variable `{name}` is not set: set it for the daemon and start it again"
    )]
    NotSet {
        /// The variable.
        name: String,
    },
    /// The file can't be read.
    #[error("the secret's file `{path}` can't be read: {reason}", reason = source.kind())]
    Unreadable {
        /// The path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than a secret can be.
    #[error("the secret's file `{path}` is larger than 1 MiB: is the path right?")]
    TooLarge {
        /// The path.
        path: String,
    },
}

impl Secret {
    /// A secret with this plain text.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(text.into())] }
    }

    /// A secret that is this reference.
    #[must_use]
    pub fn reference(reference: Reference) -> Self {
        Self { parts: vec![Part::Reference(reference)] }
    }

    pub(crate) fn from_parts(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// The references in it, in order.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Text(_) => None,
        })
    }

    /// Fetches the clear text, now: the environment and files are read at each call, so a rotated secret is seen.
    ///
    /// Reads files with blocking calls; they are small.
    ///
    /// # Errors
    /// [`SecretError`] names the variable or file.
    pub fn resolve(&self) -> Result<ClearText, SecretError> {
        self.resolve_with(Reference::read)
    }

    /// Like [`resolve`](Self::resolve), with another source of clear texts.
    ///
    /// # Errors
    /// The first error of `read`.
    pub fn resolve_with(
        &self,
        mut read: impl FnMut(&Reference) -> Result<String, SecretError>,
    ) -> Result<ClearText, SecretError> {
        let mut clear = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => clear.push_str(text),
                Part::Reference(reference) => clear.push_str(&read(reference)?),
            }
        }
        Ok(ClearText(clear))
    }

    /// The form that templates and stores keep: references, never what they lead to.
    /// A secret that was given as plain text has no reference, so it is the mask.
    #[must_use]
    pub fn to_reference(&self) -> Value {
        match self.references().next() {
            Some(_) => self.to_value(),
            None => Value::String(MASK.into()),
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match self.parts.as_slice() {
            [] => Value::String(String::new()),
            [Part::Text(text)] => Value::String(text.clone()),
            [Part::Reference(reference)] => json!({ "secret": reference.to_value() }),
            parts => {
                let parts = parts.iter().map(|part| match part {
                    Part::Text(text) => Value::String(text.clone()),
                    Part::Reference(reference) => reference.to_value(),
                });
                json!({"secret": {"concat": parts.collect::<Vec<_>>()}})
            }
        }
    }

    /// Runs `f` on this thread with secrets that serialise as references: for the store, so that a desired state
    /// can be read back. Everything else sees `[secret]`.
    pub fn with_references<T>(f: impl FnOnce() -> T) -> T {
        struct Reset(bool);
        impl Drop for Reset {
            fn drop(&mut self) {
                SHOW_REFERENCES.set(self.0);
            }
        }
        let _reset = Reset(SHOW_REFERENCES.replace(true));
        f()
    }
}

thread_local! {
    /// Set only inside [`Secret::with_references`].
    static SHOW_REFERENCES: Cell<bool> = const { Cell::new(false) };
}

impl ClearText {
    /// The text itself: pass it on, never print it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text itself, owned.
    #[must_use]
    pub fn into_exposed(self) -> String {
        self.0
    }
}

impl fmt::Debug for ClearText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for ClearText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match SHOW_REFERENCES.get() {
            true => self.to_reference().serialize(serializer),
            false => serializer.serialize_str(MASK),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match &value {
            Value::String(text) if text == MASK => Err(D::Error::custom(
                "`[secret]` is what is shown instead of a secret, not a value: write {secret: {env: NAME}}",
            )),
            Value::String(text) => Ok(Self::plain(text.clone())),
            Value::Number(number) => Ok(Self::plain(number.to_string())),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => match parts_of(&value) {
                Some(parts) => Ok(Self { parts }),
                None => Err(D::Error::custom(
                    "not a secret: expected a text, {secret: {env: NAME}} or {secret: {file: PATH}}",
                )),
            },
        }
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let of = |key: &str| {
            json!({
                "type": "object", "required": [key], "additionalProperties": false,
                "properties": {key: {"type": "string"}}
            })
        };
        schemars::json_schema!({
            "description": "A value that is never shown: a text, or better a reference to it",
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object", "required": ["secret"], "additionalProperties": false,
                    "properties": {"secret": {"oneOf": [of("env"), of("file")]}}
                }
            ]
        })
    }
}
