//! Content hashes: of templates (T-1), and of what a render used.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::{FixedState, FoldHasher};
use serde_json::Value;

/// 64 bits are enough to see that what one result used has changed; fixed seeds, so equal content has an equal hash
/// in every process.
pub(super) struct ContentHash(FoldHasher<'static>);

impl ContentHash {
    pub(super) fn new() -> Self {
        static STATE: FixedState = FixedState::with_seed(0x7465_6d70_6c61_7465);
        Self(STATE.build_hasher())
    }

    /// Independent of [`new`](Self::new): together 128 bits, to tell all templates of a process apart.
    pub(super) fn second() -> Self {
        static STATE: FixedState = FixedState::with_seed(0x5f66_696e_6765_7270);
        Self(STATE.build_hasher())
    }

    pub(super) fn tag(&mut self, tag: u64) {
        self.0.write_u64(tag);
    }

    pub(super) fn text(&mut self, text: &str) {
        // The length first, so that neighbouring texts can't be cut elsewhere with the same hash.
        self.tag(text.len() as u64);
        self.0.write(text.as_bytes());
    }

    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.tag(1),
            Value::Bool(flag) => self.tag(2 + u64::from(*flag)),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(n), _, _) => self.pair(4, n),
                (None, Some(n), _) => self.pair(5, n.cast_unsigned()),
                (None, None, float) => self.pair(6, float.unwrap_or_default().to_bits()),
            },
            Value::String(text) => {
                self.tag(7);
                self.text(text);
            }
            Value::Array(items) => {
                self.pair(8, items.len() as u64);
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(map) => {
                self.pair(9, map.len() as u64);
                for (key, value) in map {
                    self.text(key);
                    self.value(value);
                }
            }
        }
    }

    pub(super) fn pair(&mut self, tag: u64, value: u64) {
        self.tag(tag);
        self.tag(value);
    }

    pub(super) fn finish(&self) -> u64 {
        self.0.finish()
    }
}
