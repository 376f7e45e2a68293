//! What a scripted worker does wrong.

use std::time::Duration;

/// Where a trick is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Where {
    /// While it looks at the world.
    Collect,
    /// While it starts.
    Start,
    /// While it stops.
    Stop,
    /// While it decides what to do next.
    Next,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// It takes this long. Nothing of it in `Next`, which never waits.
    Slow(Duration),
    /// It fails; in `Next` nothing can.
    Fail,
    /// It panics.
    Panic,
    /// It never ends, unless it is dropped. Nothing of it in `Next`.
    Hang,
}

/// What one node does wrong, and how often.
///
/// ```
/// use fsm_testkit::workers::{Script, Trick, Where};
/// let script = Script::well().trick(Where::Start, Trick::Fail, 3).flapping();
/// assert_ne!(script, Script::well());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    pub(super) tricks: Vec<(Where, Trick, Option<u32>)>,
    pub(super) flaps: bool,
}

impl Script {
    /// Nothing goes wrong.
    #[must_use]
    pub fn well() -> Self {
        Self::default()
    }

    /// Starting takes this long.
    #[must_use]
    pub fn slow(time: Duration) -> Self {
        Self::well().always(Where::Start, Trick::Slow(time))
    }

    /// The first `times` starts fail.
    #[must_use]
    pub fn failing(times: u32) -> Self {
        Self::well().trick(Where::Start, Trick::Fail, times)
    }

    /// It panics there, each time.
    #[must_use]
    pub fn panicking(place: Where) -> Self {
        Self::well().always(place, Trick::Panic)
    }

    /// It hangs there, each time.
    #[must_use]
    pub fn hanging(place: Where) -> Self {
        Self::well().always(place, Trick::Hang)
    }

    /// With health that changes at each look while it is up.
    #[must_use]
    pub fn flapping(mut self) -> Self {
        self.flaps = true;
        self
    }

    /// With this trick the next so many times.
    #[must_use]
    pub fn trick(mut self, place: Where, trick: Trick, times: u32) -> Self {
        self.tricks.push((place, trick, Some(times)));
        self
    }

    /// With this trick each time.
    #[must_use]
    pub fn always(mut self, place: Where, trick: Trick) -> Self {
        self.tricks.push((place, trick, None));
        self
    }

    /// Takes the next trick of this place.
    pub(super) fn take(&mut self, place: Where) -> Option<Trick> {
        let at = self.tricks.iter().position(|(of, _, left)| *of == place && *left != Some(0))?;
        let (_, trick, left) = &mut self.tricks[at];
        if let Some(left) = left {
            *left -= 1;
        }
        Some(*trick)
    }
}
