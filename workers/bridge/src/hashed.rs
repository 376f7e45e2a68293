//! Values that carry a hash of their content, made once when they are read: comparing a hundred thousand of them is then
//! a walk over numbers.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::quality::FixedState;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A shared value and the hash of its content. Two are equal when their hashes are: at 128 bits a mistake is less likely
/// than one of the memory.
#[derive(Debug)]
pub struct Hashed<T> {
    hash: u128,
    value: Arc<T>,
}

impl<T: Serialize> Hashed<T> {
    /// Hashes a value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { hash: hash_of(&value), value: Arc::new(value) }
    }
}

impl<T> Hashed<T> {
    /// The hash of the content; the same in each process.
    #[must_use]
    pub const fn hash(&self) -> u128 {
        self.hash
    }

    /// The value.
    #[must_use]
    pub const fn get(&self) -> &Arc<T> {
        &self.value
    }
}

impl<T> Clone for Hashed<T> {
    fn clone(&self) -> Self {
        Self { hash: self.hash, value: Arc::clone(&self.value) }
    }
}

impl<T> PartialEq for Hashed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl<T> std::ops::Deref for Hashed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize> Serialize for Hashed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T: Serialize + Deserialize<'de>> Deserialize<'de> for Hashed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

impl<T: JsonSchema> JsonSchema for Hashed<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

// Two seeds, any that differ: fixed, so that a hash is the same in each process.
const FIRST: FixedState = FixedState::with_seed(0x6669_7273_7420_6f66);
const SECOND: FixedState = FixedState::with_seed(0x7477_6f20_7365_6564);

/// The hash of what a value serialises as.
pub(crate) fn hash_of(value: &impl Serialize) -> u128 {
    // Data of our own types: nothing in it can fail to be JSON. Were it so, equal errors would be equal values.
    let bytes = serde_json::to_vec(value).unwrap_or_else(|error| error.to_string().into_bytes());
    u128::from(one(FIRST, &bytes)) << 64 | u128::from(one(SECOND, &bytes))
}

fn one(state: FixedState, bytes: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// A fingerprint: what a child spec was made from, as one number. Order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// A spec that must be made anew each time, as [`fsm_core::ChildSpec::fingerprint`] says it.
    pub(crate) const UNKNOWN: u64 = 0;

    /// The beginning, different for each sort of child.
    pub(crate) fn of(sort: &'static str) -> Self {
        Self(one(FIRST, sort.as_bytes()))
    }

    pub(crate) fn with(self, part: u128) -> Self {
        let mut hasher = FIRST.build_hasher();
        hasher.write_u64(self.0);
        hasher.write_u128(part);
        Self(hasher.finish())
    }

    pub(crate) fn with_value(self, value: &Value) -> Self {
        self.with(hash_of(value))
    }

    pub(crate) const fn get(self) -> u64 {
        // Zero is taken.
        if self.0 == Self::UNKNOWN { 1 } else { self.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_hash_is_of_the_content_in_order() {
        let hash = |value: Value| Hashed::new(value).hash();
        assert_eq!(hash(json!({"a": 1, "b": [2]})), hash(json!({"a": 1, "b": [2]})));
        assert_ne!(hash(json!({"a": 1, "b": 2})), hash(json!({"b": 2, "a": 1})), "declared order is content");
        assert_ne!(hash(json!("1")), hash(json!(1)));
        let (start, one, two) = (Fingerprint::of("x"), 1, 2);
        assert_ne!(start.with(one).with(two), start.with(two).with(one));
        assert_ne!(Fingerprint::of("x").get(), Fingerprint::of("y").get());
    }
}
