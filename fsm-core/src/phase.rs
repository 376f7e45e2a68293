//! The small closed vocabularies: phases, goals, sorts, signals, outcomes. Matching them exhaustively is the safety net.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word, as it stands in config, API and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// The coarse health of a state.
    Phase {
        /// At rest, holding nothing.
        Stopped = "stopped",
        /// On the way to running.
        Starting = "starting",
        /// Doing its work.
        Running = "running",
        /// Alive, but not as it should be.
        Degraded = "degraded",
        /// On the way to stopped.
        Stopping = "stopping",
        /// Done for good, with success.
        Completed = "completed",
    }
}

impl Phase {
    /// Whether a node in this phase holds nothing any more and may be removed (S-20).
    #[must_use]
    pub const fn is_at_rest(self) -> bool {
        matches!(self, Self::Stopped | Self::Completed)
    }
}

words! {
    /// What the engine wants of a node.
    Goal {
        /// Run: `next` is asked.
        Run = "run",
        /// Stop and stay resident: `stop` is asked.
        Stop = "stop",
        /// Stop, then leave the tree: `stop` is asked.
        Remove = "remove",
    }
}

words! {
    /// The declared sort of a state: how it acts.
    Sort {
        /// Acts each time it is asked until the observation shows success, or waits with a deadline and a reason.
        Trying = "trying",
        /// A steady job that acts again and again.
        Working = "working",
        /// Never acts; asked only when an input changed.
        Passive = "passive",
    }
}

words! {
    /// What a worker reports to the engine beside its state.
    Signal {
        /// Nothing.
        None = "none",
        /// Its work is done: take it out of the tree.
        NeedsRemoval = "needs_removal",
        /// It can't go on: start it again from its initial state.
        NeedsRestart = "needs_restart",
    }
}

words! {
    /// How an action ended. Five different things everywhere.
    Outcome {
        /// It returned `Ok`.
        Success = "success",
        /// It returned an error, after all its retries.
        Failure = "failure",
        /// It took longer than its timeout and was dropped.
        Timeout = "timeout",
        /// It panicked.
        Panic = "panic",
        /// It was cancelled: by stop, removal, restart or a change of the desired state.
        Cancelled = "cancelled",
    }
}

words! {
    /// What a worker should be, as it derived it itself.
    Target {
        /// Running.
        Running = "running",
        /// Stopped, but resident.
        Stopped = "stopped",
    }
}

words! {
    /// What a dependency waits for (S-15).
    Condition {
        /// The sibling has left Stopped in this incarnation.
        Started = "started",
        /// The sibling's effective phase is Running.
        Healthy = "healthy",
        /// The sibling is Completed.
        Completed = "completed",
    }
}
