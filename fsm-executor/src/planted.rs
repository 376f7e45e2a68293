//! A bug to be found: compiled in with the feature `planted-bugs` only, and even then only after a test asks for it (K-5).

#[cfg(feature = "planted-bugs")]
mod on {
    use std::cell::Cell;

    thread_local! {
        static LEAKS: Cell<bool> = const { Cell::new(false) };
    }

    /// From now on a runner that this thread polls keeps the place of an action that panics, or no more.
    pub fn plant_leak_on_panic(leaks: bool) {
        LEAKS.set(leaks);
    }

    pub(crate) fn leaks_on_panic() -> bool {
        LEAKS.get()
    }
}

#[cfg(feature = "planted-bugs")]
pub(crate) use on::leaks_on_panic;
#[cfg(feature = "planted-bugs")]
pub use on::plant_leak_on_panic;

/// Whether the bug was planted: never.
#[cfg(not(feature = "planted-bugs"))]
#[inline]
pub(crate) const fn leaks_on_panic() -> bool {
    false
}
