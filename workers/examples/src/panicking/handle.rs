//! What a `panicking` incarnation remembers: whether it is up, and how often it panicked.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The thing that is worked on, and the count.
#[derive(Debug, Default)]
pub struct PanickingHandle {
    up: AtomicBool,
    was_stopped: AtomicBool,
    panics: AtomicU32,
}

impl PanickingHandle {
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    /// It went down by a stop.
    pub(super) fn was_stopped(&self) -> bool {
        self.was_stopped.load(Ordering::SeqCst)
    }

    pub(super) fn start(&self) {
        self.up.store(true, Ordering::SeqCst);
        self.was_stopped.store(false, Ordering::SeqCst);
    }

    pub(super) fn stop(&self) {
        let was_up = self.up.swap(false, Ordering::SeqCst);
        self.was_stopped.fetch_or(was_up, Ordering::SeqCst);
    }

    /// Takes one of the panics that are left.
    pub(super) fn take_panic(&self, times: Option<u32>) -> bool {
        let Some(times) = times else { return true };
        let take = |panics: u32| (panics < times).then_some(panics + 1);
        self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }
}
