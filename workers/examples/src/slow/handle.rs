//! What a `slow` incarnation remembers: whether it is up, and how many looks it has seen.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The thing that is slow.
#[derive(Debug, Default)]
pub struct SlowHandle {
    up: AtomicBool,
    looks: AtomicU32,
}

impl SlowHandle {
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    pub(super) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::SeqCst);
    }

    /// Counts a look; whether it is one of the first `slow`.
    pub(super) fn is_slow_look(&self, slow: Option<u32>) -> bool {
        let before = self.looks.fetch_add(1, Ordering::SeqCst);
        slow.is_none_or(|slow| before < slow)
    }
}
