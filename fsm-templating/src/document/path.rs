//! Names a place in a document the way a person would: `bridges[3].read.input`.

use std::fmt;
use std::str::FromStr;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A key of a mapping.
    Key(String),
    /// An index of a list, from 0.
    Index(usize),
}

/// A way from the root of a document to a node.
///
/// ```
/// use fsm_templating::Path;
/// let path: Path = "bridges[3].read.'a.b'".parse().unwrap();
/// assert_eq!(path.to_string(), "bridges[3].read.'a.b'");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path(Vec<Segment>);

/// A text is not a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a path: write it as in `bridges[3].read.input`")]
pub struct BadPath {
    /// The refused text.
    pub text: String,
}

impl Path {
    /// The steps, from the root.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Goes one step further.
    pub fn push(&mut self, segment: Segment) {
        self.0.push(segment);
    }

    /// Goes one step back.
    pub fn pop(&mut self) {
        self.0.pop();
    }

    /// This path and one key more.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        let mut path = self.clone();
        path.push(Segment::Key(key.into()));
        path
    }

    /// This path and one index more.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.push(Segment::Index(index));
        path
    }

    /// Whether it is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(at) => write!(f, "[{at}]")?,
                Segment::Key(key) => {
                    if index > 0 {
                        f.write_str(".")?;
                    }
                    let plain = !key.is_empty() && !key.contains(['.', '[', ']', '\'', '\n', ' ']);
                    match plain {
                        true => f.write_str(key)?,
                        false => write!(f, "'{}'", key.replace('\'', "''"))?,
                    }
                }
            }
        }
        Ok(())
    }
}

impl FromStr for Path {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let bad = || BadPath { text: text.into() };
        let mut path = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix('[') {
                let (index, tail) = tail.split_once(']').ok_or_else(bad)?;
                path.push(Segment::Index(index.parse().map_err(|_| bad())?));
                rest = tail;
                continue;
            }
            if !path.is_root() {
                rest = rest.strip_prefix('.').ok_or_else(bad)?;
            }
            let (key, tail) = take_key(rest).ok_or_else(bad)?;
            path.push(Segment::Key(key));
            rest = tail;
        }
        Ok(path)
    }
}

fn take_key(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let end = text.find(['.', '[']).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut key = String::new();
    loop {
        let (part, tail) = rest.split_once('\'')?;
        key.push_str(part);
        match tail.strip_prefix('\'') {
            Some(more) => {
                key.push('\'');
                rest = more;
            }
            None => return Some((key, tail)),
        }
    }
}
