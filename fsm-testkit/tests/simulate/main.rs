//! A plant under simulation: whatever goes wrong, the rules hold, and it comes back.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod plant;
#[cfg(feature = "planted-bugs")]
mod planted;
mod rules;
