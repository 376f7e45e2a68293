//! What a change changed, readable in both directions: forwards to follow, backwards to travel in time (H-10).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a change did to the value of its role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delta {
    /// Parts of the value changed.
    Edits(Vec<Edit>),
    /// The bytes of a document were set or deleted; sizes before and after.
    Bytes {
        /// Size before; none for a new document.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<usize>,
        /// Size after; none for a deleted document.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<usize>,
    },
    /// The node left the tree.
    Removed,
}

/// One part of a value that changed. Maps are compared entry by entry; everything else, lists included, is replaced as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// Where, as a JSON pointer; empty for the whole value.
    pub at: String,
    /// What was there; none for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub old: Option<Value>,
    /// What is there now; none for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub new: Option<Value>,
}

/// A `null` that stands there is a value; only a missing entry is nothing.
fn there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What leads from one value to another; no edits when they are equal.
///
/// ```
/// use fsm_store::{diff, replay, revert};
/// use serde_json::json;
/// let (old, new) = (json!({"ip": "10.0.0.1", "port": 502}), json!({"ip": "10.0.0.7", "port": 502}));
/// let edits = diff(Some(&old), Some(&new));
/// assert_eq!(edits[0].at, "/ip");
/// assert_eq!(replay(Some(old.clone()), &edits), Some(new.clone()));
/// assert_eq!(revert(Some(new), &edits), Some(old));
/// ```
#[must_use]
pub fn diff(old: Option<&Value>, new: Option<&Value>) -> Vec<Edit> {
    let mut edits = Vec::new();
    compare(&mut String::new(), old, new, &mut edits);
    edits
}

fn compare(at: &mut String, old: Option<&Value>, new: Option<&Value>, edits: &mut Vec<Edit>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => compare_maps(at, old, new, edits),
        (old, new) => edits.push(Edit { at: at.clone(), old: old.cloned(), new: new.cloned() }),
    }
}

fn compare_maps(at: &mut String, old: &Map<String, Value>, new: &Map<String, Value>, edits: &mut Vec<Edit>) {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    let length = at.len();
    for key in old.keys().chain(added) {
        at.push('/');
        at.push_str(&key.replace('~', "~0").replace('/', "~1"));
        compare(at, old.get(key), new.get(key), edits);
        at.truncate(length);
    }
}

/// The value after these edits.
#[must_use]
pub fn replay(value: Option<Value>, edits: &[Edit]) -> Option<Value> {
    edits.iter().fold(value, |value, edit| put(value, &edit.at, edit.new.clone()))
}

/// The value before these edits.
#[must_use]
pub fn revert(value: Option<Value>, edits: &[Edit]) -> Option<Value> {
    edits.iter().rev().fold(value, |value, edit| put(value, &edit.at, edit.old.clone()))
}

/// Sets or removes what is at a place. A place whose parent isn't there changes nothing: such an edit is of another value.
fn put(value: Option<Value>, at: &str, what: Option<Value>) -> Option<Value> {
    let Some((parent, key)) = at.rsplit_once('/') else { return what };
    let key = key.replace("~1", "/").replace("~0", "~");
    let mut value = value?;
    if let Some(Value::Object(map)) = value.pointer_mut(parent) {
        match what {
            Some(what) => {
                map.insert(key, what);
            }
            None => {
                map.shift_remove(&key);
            }
        }
    }
    Some(value)
}
