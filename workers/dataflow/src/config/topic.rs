//! Topic names and filters by the rules of MQTT, checked where they enter, so that no broker hangs up on us for one.

use std::borrow::Cow;
use std::fmt;

use bytestring::ByteString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The protocol counts a topic's bytes in 16 bits.
const MAX_BYTES: usize = 65_535;

/// Why a text is not a topic or a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// Empty.
    #[error("a topic can't be empty")]
    Empty,
    /// Longer than the protocol can say.
    #[error("a topic has at most 65535 bytes; this one has {0}")]
    TooLong(usize),
    /// Holds a character that no topic may hold.
    #[error("topic `{topic}` holds the control character {character:?}")]
    Control {
        /// The refused topic.
        topic: String,
        /// The character.
        character: char,
    },
    /// A wildcard in a topic name.
    #[error("topic `{topic}` holds the wildcard `{wildcard}`: a message is published to one topic only")]
    Wildcard {
        /// The refused topic.
        topic: String,
        /// `+` or `#`.
        wildcard: char,
    },
    /// A wildcard that is not alone in its level, or a `#` that is not last.
    #[error("filter `{0}` is malformed: `+` stands alone between slashes, `#` stands alone at the end")]
    Malformed(String),
    /// `$share` without a group or filter.
    #[error("shared subscription `{0}` is malformed: write `$share/GROUP/FILTER`")]
    Share(String),
}

/// Checks that `topic` can be published to.
///
/// # Errors
/// [`TopicError`] says what is wrong.
pub(crate) fn check_name(topic: &str) -> Result<(), TopicError> {
    check_text(topic)?;
    match topic.chars().find(|c| matches!(c, '+' | '#')) {
        Some(wildcard) => Err(TopicError::Wildcard { topic: topic.into(), wildcard }),
        None => Ok(()),
    }
}

fn check_text(topic: &str) -> Result<(), TopicError> {
    if topic.is_empty() {
        return Err(TopicError::Empty);
    }
    if topic.len() > MAX_BYTES {
        return Err(TopicError::TooLong(topic.len()));
    }
    match topic.chars().find(|c| c.is_control()) {
        Some(character) => Err(TopicError::Control { topic: topic.into(), character }),
        None => Ok(()),
    }
}

/// A topic that can be published to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(ByteString);

impl TopicName {
    /// Takes a text.
    ///
    /// # Errors
    /// [`TopicError`] says what is wrong.
    pub fn try_new(topic: impl Into<ByteString>) -> Result<Self, TopicError> {
        let topic = topic.into();
        check_name(&topic)?;
        Ok(Self(topic))
    }
    /// The text, shared.
    #[must_use]
    pub fn get(&self) -> &ByteString {
        &self.0
    }
}

/// A filter to subscribe with, such as `plant/+/temperature`, `plant/#` or `$share/group/plant/#`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter(ByteString);

impl TopicFilter {
    /// Takes a text.
    ///
    /// # Errors
    /// [`TopicError`] says what is wrong.
    pub fn try_new(filter: impl Into<ByteString>) -> Result<Self, TopicError> {
        let filter = filter.into();
        check_text(&filter)?;
        let plain = match filter.strip_prefix("$share/") {
            Some(rest) => match rest.split_once('/') {
                Some((group, plain))
                    if !group.is_empty() && !plain.is_empty() && !group.contains(['+', '#']) =>
                {
                    plain
                }
                _ => return Err(TopicError::Share(filter.to_string())),
            },
            None => &filter,
        };
        let levels = plain.split('/').count();
        let good = plain.split('/').enumerate().all(|(i, level)| match level {
            "+" => true,
            "#" => i + 1 == levels,
            level => !level.contains(['+', '#']),
        });
        if !good {
            return Err(TopicError::Malformed(filter.to_string()));
        }
        Ok(Self(filter))
    }

    /// The text, shared.
    #[must_use]
    pub fn get(&self) -> &ByteString {
        &self.0
    }

    /// Whether a message on this topic belongs to the filter. `+` and `#` at the start don't match `$SYS` and its like.
    ///
    /// ```
    /// use fsm_worker_dataflow::config::TopicFilter;
    /// let filter = TopicFilter::try_new("$share/group/plant/+/#").unwrap();
    /// assert!(filter.matches("plant/press"));
    /// assert!(!filter.matches("plant"));
    /// ```
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        let plain = match self.0.strip_prefix("$share/") {
            Some(rest) => rest.split_once('/').map_or(rest, |(_, plain)| plain),
            None => &*self.0,
        };
        if topic.starts_with('$') && plain.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = topic.split('/');
        for wanted in plain.split('/') {
            if wanted == "#" {
                return true;
            }
            match levels.next() {
                Some(level) if wanted == "+" || wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

/// One filter, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFilters(Vec<TopicFilter>);

impl JsonSchema for TopicFilters {
    fn schema_name() -> Cow<'static, str> {
        "TopicFilters".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<TopicFilter>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
    }
}

impl TopicFilters {
    /// The filters, at least one.
    pub fn iter(&self) -> impl Iterator<Item = &TopicFilter> {
        self.0.iter()
    }
}

impl From<TopicFilter> for TopicFilters {
    fn from(filter: TopicFilter) -> Self {
        Self(vec![filter])
    }
}

impl Serialize for TopicFilters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TopicFilters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand, because an untagged enum would hide why a filter was refused.
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = TopicFilters;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a topic filter or a list of topic filters")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TopicFilters, E> {
                TopicFilter::try_new(text).map(TopicFilters::from).map_err(E::custom)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<TopicFilters, A::Error> {
                let mut filters = Vec::new();
                while let Some(filter) = seq.next_element::<TopicFilter>()? {
                    filters.push(filter);
                }
                if filters.is_empty() {
                    return Err(de::Error::custom("the list of topics is empty: name at least one"));
                }
                Ok(TopicFilters(filters))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

macro_rules! text {
    ($name:ident, $title:literal, $about:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::try_new(String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "minLength": 1, "description": $about})
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(TopicName, "TopicName", "A topic without wildcards.");
text!(TopicFilter, "TopicFilter", "A topic filter: `+` is one level, a final `#` is all below.");
