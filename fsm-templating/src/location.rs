//! Where a machine stands: ISA-95 levels that become paths and topics (spec config §2).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::document::{Kind, Node};
use crate::suggest::did_you_mean;

/// The names of the levels 0 to 4; deeper levels have numbers only.
pub const LEVEL_NAMES: [&str; 5] = ["enterprise", "site", "area", "line", "cell"];

/// Longest level in bytes: twenty of them still fit the 65 535 bytes of a topic.
pub const MAX_SEGMENT_BYTES: usize = 255;

/// A level of a location: 0 is the enterprise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// Reads `site`, or a number such as `1` or `7`; both forms of one level are the same.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let named = LEVEL_NAMES.iter().position(|name| *name == text).and_then(|at| u8::try_from(at).ok());
        let canonical = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        named.or_else(|| text.parse().ok().filter(|_| canonical)).map(Self)
    }

    /// The level with this number.
    #[must_use]
    pub fn number(number: u8) -> Self {
        Self(number)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match LEVEL_NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl From<Level> for u64 {
    fn from(level: Level) -> Self {
        Self::from(level.0)
    }
}

/// What stands for a level that lies between two others and is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GapPolicy {
    /// Nothing: the path is shorter.
    #[default]
    Skip,
    /// The word `unknown`: each level keeps its position.
    Unknown,
}

/// Levels and their names, ordered from the enterprise down.
///
/// ```
/// use fsm_templating::{GapPolicy, Location};
/// let agent = Location::from_pairs([("enterprise", "ACME"), ("site", "Factory-1")]).unwrap();
/// let bridge = Location::from_pairs([("line", "Line-A"), ("4", "Cell-5")]).unwrap();
/// let location = Location::merge(&agent, &bridge).unwrap();
/// assert_eq!(location.path(), "ACME.Factory-1.Line-A.Cell-5");
/// assert_eq!(location.fill_gaps(GapPolicy::Unknown).topic(), "ACME/Factory-1/unknown/Line-A/Cell-5");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Location(BTreeMap<Level, Arc<str>>);

/// A location can't be made of this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// Not the name or number of a level.
    #[error("`{level}` is not a location level: use {}, or a number", LEVEL_NAMES.join(", "))]
    UnknownLevel {
        /// The refused name.
        level: String,
    },
    /// A level is given twice, by name and by number.
    #[error("the location level `{level}` is given twice, by name and by number")]
    Twice {
        /// Which level.
        level: Level,
    },
    /// A level's text can't be a segment of a topic.
    #[error("the location level `{level}` {reason}, so it can't be part of a topic")]
    BadSegment {
        /// Which level.
        level: Level,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// The child sets a level that its parent has set otherwise.
    #[error("the location level `{level}` is `{parent}` above and can't be overridden by `{child}`")]
    Override {
        /// Which level.
        level: Level,
        /// What the parent says.
        parent: Arc<str>,
        /// What the child says.
        child: Arc<str>,
    },
}

impl Location {
    /// A location of these levels.
    ///
    /// # Errors
    /// [`LocationError`] for an unknown level or a text that can't be part of a topic.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, LocationError> {
        let mut levels = BTreeMap::new();
        for (name, segment) in pairs {
            let level =
                Level::parse(name).ok_or_else(|| LocationError::UnknownLevel { level: name.into() })?;
            check_segment(segment).map_err(|reason| LocationError::BadSegment { level, reason })?;
            if levels.insert(level, Arc::from(segment)).is_some() {
                return Err(LocationError::Twice { level });
            }
        }
        Ok(Self(levels))
    }

    /// Reads a location from a config, reporting everything that is wrong with it.
    ///
    /// # Errors
    /// All unknown levels and bad segments, each with its place.
    pub fn from_node(node: &Node) -> Result<Self, Diagnostics> {
        let mut found = Diagnostics::default();
        let mut location = Self::default();
        let Some(map) = node.as_mapping() else {
            let error = Diagnostic::error(codes::WRONG_TYPE, "a location is a mapping of levels")
                .at(node.place().clone())
                .help("write it as {enterprise: acme, site: cologne}");
            return Err(error.into());
        };
        for (name, entry) in map {
            let Some(level) = Level::parse(name) else {
                let error = Diagnostic::error(codes::BAD_LEVEL, format!("`{name}` is not a location level"));
                let help = did_you_mean(name, LEVEL_NAMES).map(|help| format!("{help}, or a number"));
                found.push(error.at(entry.key_place.clone()).maybe_help(help));
                continue;
            };
            let place = entry.value.place().clone();
            let Some(segment) = segment_text(&entry.value) else {
                let message = format!("the location level `{level}` is not a text");
                found.push(Diagnostic::error(codes::WRONG_TYPE, message).at(place));
                continue;
            };
            if let Err(reason) = check_segment(&segment) {
                let message = format!("the location level `{level}` {reason}");
                let help = "a level becomes a segment of a topic; the filter `uns` makes one out of any text";
                found.push(Diagnostic::error(codes::BAD_SEGMENT, message).at(place).help(help));
            } else if location.0.insert(level, segment.into()).is_some() {
                let message = format!("the location level `{level}` is given twice, by name and by number");
                found.push(Diagnostic::error(codes::DUPLICATE_KEY, message).at(entry.key_place.clone()));
            }
        }
        found.into_result(location)
    }

    /// The child's levels added to its parent's: it may fill empty levels, not replace one.
    ///
    /// # Errors
    /// [`LocationError::Override`] for the first level that both set to different texts.
    pub fn merge(parent: &Self, child: &Self) -> Result<Self, LocationError> {
        match Self::overrides(parent, child).next() {
            Some(error) => Err(error),
            None => Ok(Self::merge_lenient(parent, child)),
        }
    }

    /// Like [`merge`](Self::merge), but a level that the parent has keeps the parent's text.
    #[must_use]
    pub fn merge_lenient(parent: &Self, child: &Self) -> Self {
        let mut levels = child.0.clone();
        levels.extend(parent.0.iter().map(|(level, segment)| (*level, Arc::clone(segment))));
        Self(levels)
    }

    /// Each level that the child would override.
    pub fn overrides<'a>(parent: &'a Self, child: &'a Self) -> impl Iterator<Item = LocationError> + 'a {
        child.0.iter().filter_map(|(level, theirs)| {
            let ours = parent.0.get(level).filter(|ours| *ours != theirs)?;
            Some(LocationError::Override {
                level: *level,
                parent: Arc::clone(ours),
                child: Arc::clone(theirs),
            })
        })
    }

    /// Merges two locations of a config, with errors that name both places.
    ///
    /// # Errors
    /// One diagnostic for each level that the child overrides.
    pub fn merge_nodes(
        parent: &Self,
        parent_node: Option<&Node>,
        child: &Self,
        child_node: &Node,
    ) -> Result<Self, Diagnostics> {
        let mut found = Diagnostics::default();
        for error in Self::overrides(parent, child) {
            let LocationError::Override { level, .. } = &error else { continue };
            let place = |node: &Node| {
                let map = node.as_mapping()?;
                map.iter()
                    .find(|(name, _)| Level::parse(name) == Some(*level))
                    .map(|(_, e)| e.key_place.clone())
            };
            let diagnostic = Diagnostic::error(codes::LOCATION_OVERRIDE, error.to_string())
                .at(place(child_node).unwrap_or_else(|| child_node.place().clone()))
                .label("set again here")
                .help("remove the level here: the levels above are authoritative");
            found.push(match parent_node.and_then(place) {
                Some(above) => diagnostic.related("first set here", above),
                None => diagnostic,
            });
        }
        found.into_result(()).map(|()| Self::merge_lenient(parent, child))
    }

    /// The same with its gaps filled: empty levels above the deepest one.
    #[must_use]
    pub fn fill_gaps(&self, policy: GapPolicy) -> Self {
        let mut levels = self.0.clone();
        if let (GapPolicy::Unknown, Some((deepest, _))) = (policy, self.0.last_key_value()) {
            for number in 0..deepest.0 {
                levels.entry(Level(number)).or_insert_with(|| Arc::from("unknown"));
            }
        }
        Self(levels)
    }

    /// The text of a level.
    #[must_use]
    pub fn get(&self, level: Level) -> Option<&str> {
        self.0.get(&level).map(AsRef::as_ref)
    }

    /// Levels and texts, from the enterprise down.
    pub fn iter(&self) -> impl Iterator<Item = (Level, &str)> {
        self.0.iter().map(|(level, segment)| (*level, segment.as_ref()))
    }

    /// Whether no level is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All levels joined by `.`: `location_path` in templates.
    #[must_use]
    pub fn path(&self) -> String {
        self.join('.')
    }

    /// All levels joined by `/`: `location_topic` in templates.
    #[must_use]
    pub fn topic(&self) -> String {
        self.join('/')
    }

    fn join(&self, separator: char) -> String {
        let mut text = String::with_capacity(self.0.values().map(|segment| segment.len() + 1).sum());
        for segment in self.0.values() {
            if !text.is_empty() {
                text.push(separator);
            }
            text.push_str(segment);
        }
        text
    }
}

/// Which rule of a topic segment this text breaks, if any.
fn check_segment(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.len() > MAX_SEGMENT_BYTES {
        return Err("has more than 255 bytes");
    }
    match text.chars().find(|c| matches!(c, '/' | '+' | '#') || c.is_control()) {
        Some('/') => return Err("holds a `/`"),
        Some('+') => return Err("holds a `+`"),
        Some('#') => return Err("holds a `#`"),
        Some(_) => return Err("holds a control character"),
        None => {}
    }
    if text.trim() != text { Err("begins or ends with a space") } else { Ok(()) }
}

/// `line: 4` means the text `4`.
fn segment_text(node: &Node) -> Option<String> {
    let Kind::Scalar(scalar) = &node.kind else { return None };
    match &scalar.value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(level, segment)| (level.to_string(), segment)))
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Segment {
            Text(String),
            Number(serde_json::Number),
        }
        let map = BTreeMap::<String, Segment>::deserialize(deserializer)?;
        let texts: Vec<(String, String)> = map
            .into_iter()
            .map(|(level, segment)| match segment {
                Segment::Text(text) => (level, text),
                Segment::Number(number) => (level, number.to_string()),
            })
            .collect();
        Self::from_pairs(texts.iter().map(|(level, text)| (level.as_str(), text.as_str())))
            .map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Location {
    fn schema_name() -> Cow<'static, str> {
        "Location".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let segment = serde_json::json!({"type": ["string", "number"]});
        let named: serde_json::Map<_, _> =
            LEVEL_NAMES.iter().map(|name| ((*name).to_owned(), segment.clone())).collect();
        schemars::json_schema!({
            "description": "ISA-95 levels: enterprise, site, area, line, cell (0 to 4), deeper ones by number",
            "type": "object",
            "properties": named,
            "patternProperties": {"^[0-9]+$": segment},
            "additionalProperties": false
        })
    }
}
