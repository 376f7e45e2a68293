//! Configs without their type.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::Config;
use crate::erase::sealed::Sealed;

/// A typed config behind a pointer. Sealed: every [`Config`] is one.
pub trait ErasedConfig: fmt::Debug + Send + Sync + Sealed {
    /// The value itself.
    fn as_any(&self) -> &dyn Any;
    /// The shared value itself.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    /// Whether both are equal and of one type.
    fn same(&self, other: &dyn ErasedConfig) -> bool;
    /// Whether reading `raw` gives this value.
    fn is_read_from(&self, raw: &Value) -> bool;
    /// As JSON. A config that can't be serialised gives its error as a text.
    fn to_value(&self) -> Value;
}

impl<C: Config> Sealed for C {}

impl<C: Config> ErasedConfig for C {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
    fn same(&self, other: &dyn ErasedConfig) -> bool {
        other.as_any().downcast_ref::<C>().is_some_and(|other| self == other)
    }
    fn is_read_from(&self, raw: &Value) -> bool {
        read::<C>(raw).is_ok_and(|read| *self == read)
    }
    fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|error| Value::String(error.to_string()))
    }
}

/// A config as rendered doesn't fit its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the config of kind `{kind}` does not fit at `{field}`: {what}")]
pub struct ConfigError {
    /// The kind.
    pub kind: &'static str,
    /// The path to the field inside the config; `.` for the config as a whole.
    pub field: String,
    /// What doesn't fit.
    pub what: String,
}

/// Reads a config; `null` stands for an empty map.
pub(super) fn read<C: Config>(raw: &Value) -> Result<C, serde_path_to_error::Error<serde_json::Error>> {
    match raw {
        Value::Null => serde_path_to_error::deserialize(Value::Object(serde_json::Map::new()))
            .or_else(|error| C::deserialize(Value::Null).map_err(|_| error)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            serde_path_to_error::deserialize(raw)
        }
    }
}
