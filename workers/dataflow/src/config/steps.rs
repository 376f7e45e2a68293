//! The steps of a pipeline as they are written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::TopicName;

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Replaces the payload by what the program gives: nothing drops the message, several results are several messages.
    Map(Expr),
    /// Sets the topic.
    Topic(TextOrExpr<TopicName>),
    /// Keeps the message if the program gives something other than `false` and `null`.
    Filter(Expr),
    /// Puts the message into the unified namespace.
    Tag(TagStep),
}

/// Topic `umh/v1/{location}/{contract}/{tag}`, payload `{"timestamp_ms", "value"}`, metadata `bridged_by`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TagStep {
    /// The name of the tag.
    pub tag: TextOrExpr<String>,
    /// The data contract; by default `_raw`.
    #[serde(default = "contract")]
    pub contract: String,
    /// The location, its levels joined by slashes; by default the flow's `$location_topic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The value; by default `.value` of an object that has it, else the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Expr>,
    /// Milliseconds since 1970; by default `.timestamp_ms` of an object that has it, else the time of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_ms: Option<Expr>,
}

fn contract() -> String {
    "_raw".into()
}

/// A jq program. It runs per message; the payload is its input.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Expr(String);

impl Expr {
    /// Takes a program; it is compiled when the flow is derived.
    #[must_use]
    pub fn new(code: impl Into<String>) -> Self {
        Self(code.into())
    }
    /// The program's text.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0
    }
}

/// A constant, or `{expr: PROGRAM}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextOrExpr<T> {
    /// The same for each message.
    Text(T),
    /// The string that the jq program gives.
    Expr(Expr),
}

impl<T: Serialize> Serialize for TextOrExpr<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Expr(expr) => serializer.collect_map([("expr", expr)]),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOrExpr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand, because an untagged enum would hide why a text was refused.
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = TextOrExpr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or `{expr: PROGRAM}`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let deserializer = de::value::StringDeserializer::<E>::new(text.to_owned());
                T::deserialize(deserializer).map(TextOrExpr::Text)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Form {
                    expr: Expr,
                }
                let form = Form::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(TextOrExpr::Expr(form.expr))
            }
        }
        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for TextOrExpr<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrExpr", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<T>();
        let expr = generator.subschema_for::<Expr>();
        json_schema!({
            "anyOf": [
                text,
                {"type": "object", "properties": {"expr": expr}, "required": ["expr"], "additionalProperties": false}
            ]
        })
    }
}
