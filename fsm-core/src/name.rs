//! Names and paths: how a node is called, checked once at the door.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

/// The longest name in bytes: the length of a DNS label, so that names can become host names and topic segments.
pub const MAX_NAME_BYTES: usize = 63;

/// A child's name, unique among its siblings: `[a-z0-9]([-a-z0-9_]*[a-z0-9])?`, at most 63 bytes (S-10).
///
/// ```
/// use fsm_core::ChildName;
/// assert!(ChildName::try_new("press-7").is_ok());
/// assert!(ChildName::try_new("Press 7").is_err());
/// ```
#[derive(Clone, Eq, PartialOrd, Ord, Serialize)]
pub struct ChildName(Arc<str>);

/// A shared name is equal to itself without reading it: big trees compare millions.
impl PartialEq for ChildName {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl std::hash::Hash for ChildName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// A name breaks the rule of [`ChildName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("a name may not be empty")]
    Empty,
    /// The name has more than [`MAX_NAME_BYTES`] bytes.
    #[error("the name `{name}` has {len} bytes, more than {MAX_NAME_BYTES}: shorten it")]
    TooLong {
        /// The refused name.
        name: String,
        /// Its length in bytes.
        len: usize,
    },
    /// The name holds a character that is not allowed where it stands.
    #[error(
        "the name `{name}` has `{found}` at byte {at}: use a-z, 0-9, `-` and `_`, and begin and end with a letter or digit"
    )]
    BadCharacter {
        /// The refused name.
        name: String,
        /// The offending character.
        found: char,
        /// Its position in bytes.
        at: usize,
    },
}

impl ChildName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule it breaks.
    pub fn try_new(name: impl AsRef<str>) -> Result<Self, NameError> {
        let name = name.as_ref();
        check(name)?;
        Ok(Self(Arc::from(name)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared text itself.
    #[must_use]
    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }
}

fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong { name: name.into(), len: name.len() });
    }
    let last = name.char_indices().next_back().map_or(0, |(at, _)| at);
    for (at, found) in name.char_indices() {
        let inner = found == '-' || found == '_';
        let fits = found.is_ascii_lowercase() || found.is_ascii_digit() || (inner && at > 0 && at < last);
        if !fits {
            return Err(NameError::BadCharacter { name: name.into(), found, at });
        }
    }
    Ok(())
}

impl fmt::Display for ChildName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChildName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Borrow<str> for ChildName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ChildName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_new(text)
    }
}

impl<'de> Deserialize<'de> for ChildName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::try_new(text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for ChildName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ChildName".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "pattern": "^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$", "minLength": 1, "maxLength": MAX_NAME_BYTES
        })
    }
}

/// A node's identity: `/edge-01/press-7/read`, unique in the tree.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct NodePath(Arc<str>);

/// A text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("the path `{path}` must begin with `/`, as in `/edge-01/press-7`")]
    NotAbsolute {
        /// The refused path.
        path: String,
    },
    /// One of its segments is not a name.
    #[error("the path `{path}` has a bad segment")]
    BadSegment {
        /// The refused path.
        path: String,
        /// Which rule the segment breaks.
        source: NameError,
    },
}

impl NodePath {
    /// Checks and takes a path.
    ///
    /// # Errors
    /// [`PathError`] says what is wrong with it.
    pub fn try_new(path: impl AsRef<str>) -> Result<Self, PathError> {
        let path = path.as_ref();
        let Some(rest) = path.strip_prefix('/') else {
            return Err(PathError::NotAbsolute { path: path.into() });
        };
        for segment in rest.split('/') {
            check(segment).map_err(|source| PathError::BadSegment { path: path.into(), source })?;
        }
        Ok(Self(Arc::from(path)))
    }

    /// The path of a root with this name.
    #[must_use]
    pub fn root(name: &ChildName) -> Self {
        Self::from_names([name])
    }

    /// The path made of these names, root first. An empty sequence gives an empty path, which no node has.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a ChildName>) -> Self {
        let mut text = String::new();
        for name in names {
            text.push('/');
            text.push_str(name.as_str());
        }
        Self(text.into())
    }

    /// The path of the child with this name.
    #[must_use]
    pub fn join(&self, name: &ChildName) -> Self {
        Self(format!("{}/{}", self.0, name).into())
    }

    /// The parent's path; none for a root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        match self.0.rfind('/') {
            None | Some(0) => None,
            Some(at) => Some(Self(Arc::from(&self.0[..at]))),
        }
    }

    /// The last segment.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The segments, root first.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(1)
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared text itself.
    #[must_use]
    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// A stable hash of the path: the node's `id` (S-17), 16 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> Arc<str> {
        format!("{:016x}", fnv1a(self.0.as_bytes())).into()
    }
}

/// FNV-1a: fixed by its definition, so ids never change with a library.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Borrow<str> for NodePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for NodePath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::try_new(text)
    }
}

impl<'de> Deserialize<'de> for NodePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::try_new(text).map_err(serde::de::Error::custom)
    }
}
