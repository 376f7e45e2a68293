//! Yes-or-no facts of a node, in one word.

/// A set of facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal),+ $(,)?) => {
        $($(#[$doc])* pub(crate) const $name: Self = Self(1 << $bit);)+
    };
}

impl Flags {
    flags! {
        /// It is in the due lists.
        DUE = 0,
        /// An input of its derive changed.
        DERIVE = 1,
        /// Its children don't match the last good specs, or one of them is gone.
        MEMBERS = 2,
        /// Its children's goals are to be worked out again.
        GOALS = 3,
        /// It has a good desired state.
        DERIVED = 4,
        /// Its spec, config or templates can't be used at present.
        INVALID = 5,
        /// Its observation is too old to be believed.
        STALE = 6,
        /// There is an observation of this run.
        OBSERVED = 7,
        /// Only an observation started after `activity.after` makes it due.
        AWAIT = 8,
        /// An action is in flight.
        ACTING = 9,
        /// A collection is in flight; `collect_at` is the moment it started.
        COLLECTING = 10,
        /// A freshness timer is armed.
        FRESH_ARMED = 11,
        /// Its state is a trying or a working one.
        ACTIVE = 12,
        /// Its panic circuit is open.
        PANIC_OPEN = 13,
        /// It has to leave: removed from the specs, replaced, or by its own wish.
        LEAVING = 14,
        /// It leaves in order to come back as a new incarnation.
        RESTARTING = 15,
        /// It did not stop by itself.
        FORCED = 16,
        /// It was added at run time.
        DYNAMIC = 17,
        /// What it needs of the outside world can't be reached.
        CUT_OFF = 18,
        /// The reason is the engine's own, not the state's.
        HELD = 19,
        /// It was started in this incarnation: it has left Stopped once.
        STARTED = 20,
        /// It left by its own wish.
        SELF_REMOVED = 21,
        /// Something other than its own state is new.
        NEWS = 22,
        /// It counts as at rest with its parent.
        RESTS = 23,
        /// Its last collection failed.
        TROUBLED = 24,
        /// Its observation was taken under a former desired state.
        OUTDATED = 25,
        /// Its restart budget is spent, and it is held back.
        SPENT = 26,
        /// Its spec says `enabled: false`.
        DISABLED = 27,
        /// Its goal depends on siblings or on the state of its parent.
        GATED = 28,
        /// It overrides parts of its kind's policy.
        OWN_POLICY = 29,
        /// It observes something.
        OBSERVES = 30,
        /// The bounds of freshness changed: `trouble.fresh_at` says which timer counts.
        FRESH_MOVED = 31,
    }

    /// What follows from the spec, and so outlives an incarnation.
    pub(crate) const OF_THE_SPEC: [Self; 4] = [Self::DISABLED, Self::GATED, Self::OWN_POLICY, Self::OBSERVES];

    pub(crate) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
    pub(crate) const fn any(self, flags: &[Self]) -> bool {
        let mut at = 0;
        while at < flags.len() {
            if self.has(flags[at]) {
                return true;
            }
            at += 1;
        }
        false
    }
    pub(crate) const fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }
    pub(crate) const fn clear(&mut self, flag: Self) {
        self.0 &= !flag.0;
    }
    /// Clears a flag and says whether it was set.
    pub(crate) const fn take(&mut self, flag: Self) -> bool {
        let was = self.has(flag);
        self.clear(flag);
        was
    }
    pub(crate) const fn put(&mut self, flag: Self, on: bool) {
        if on {
            self.set(flag);
        } else {
            self.clear(flag);
        }
    }
}
