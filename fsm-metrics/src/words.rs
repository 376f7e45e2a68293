//! The closed sets of label values: a label can't grow, because what may stand in it is an enum (M-1).

use std::any::Any;

use fsm_core::{DeriveErrorKind, Outcome, Phase};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All label values, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
            /// The label value.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                Self::WORDS[self as usize]
            }
        }
    };
}

mod exec;

pub use exec::{
    ExecErrorCode, ExecKind, ExecOutcome, ExecStatus, PollOutcome, ProcessExit, ToolErrorKind, ToolOutcome,
};
pub(crate) use exec::{PROCESS_CODES, PROCESS_SIGNALS, PROCESS_STATUSES};

words! {
    /// A circuit of a node.
    Circuit {
        /// Opened by panics of the node itself (S-40).
        Panic = "panic",
        /// Opened by something outside that the node needs (S-41).
        Infrastructure = "infrastructure",
    }
}

words! {
    /// What a parent sees of a child after a change.
    ChildHealth {
        /// Effective phase Running or Completed.
        Healthy = "healthy",
        /// Effective phase Starting, Stopping or Degraded.
        Degraded = "degraded",
        /// Effective phase Stopped.
        Stopped = "stopped",
        /// Its observation is too old.
        Stale = "stale",
        /// It is invalid or its panic circuit is open.
        Error = "error",
    }
}

words! {
    /// How a reconcile ended.
    ReconcileResult {
        /// Nothing to do.
        Unchanged = "unchanged",
        /// Everything was applied.
        Applied = "applied",
        /// Some children could not be applied, the others were.
        Partial = "partial",
        /// Nothing could be applied.
        Error = "error",
    }
}

words! {
    /// What a reconcile did to a child.
    ChildChange {
        /// It is new.
        Created = "created",
        /// It got another config or other variables in place.
        Updated = "updated",
        /// It was told to leave.
        Removed = "removed",
        /// It was told to leave and come back, because its kind or a restart field changed.
        Restarted = "restarted",
    }
}

words! {
    /// Whether a render gave a value.
    RenderStatus {
        /// It did.
        Success = "success",
        /// It did not.
        Error = "error",
    }
}

words! {
    /// Why a render gave none.
    TemplateErrorType {
        /// A variable is missing or undefined.
        Undefined = "undefined",
        /// The template can't be parsed.
        Syntax = "syntax",
        /// A value has the wrong type.
        Type = "type",
        /// The template ran too long.
        Fuel = "fuel",
        /// Anything else, a contradictory config included.
        Other = "other",
    }
}

impl From<DeriveErrorKind> for TemplateErrorType {
    fn from(kind: DeriveErrorKind) -> Self {
        match kind {
            DeriveErrorKind::Undefined => Self::Undefined,
            DeriveErrorKind::Syntax => Self::Syntax,
            DeriveErrorKind::Type => Self::Type,
            DeriveErrorKind::Fuel => Self::Fuel,
            // DeriveErrorKind is non-exhaustive: what is added to it later counts as other until it has a word here.
            DeriveErrorKind::Config | DeriveErrorKind::Other | _ => Self::Other,
        }
    }
}

words! {
    /// How a collection ended.
    ObservationResult {
        /// It differs from the last one.
        Changed = "changed",
        /// It equals the last one.
        Unchanged = "unchanged",
        /// The collector returned an error or panicked.
        Error = "error",
        /// The collector took longer than its timeout.
        Timeout = "timeout",
    }
}

words! {
    /// Where a panic was caught.
    PanicPlace {
        /// In `derive_desired_state`.
        Derive = "derive",
        /// In `next`.
        Next = "next",
        /// In `stop`.
        Stop = "stop",
        /// In `collect_observed_state`.
        Collect = "collect",
        /// In `execute`.
        Action = "action",
    }
}

words! {
    /// What a panic was, as far as its message tells (S-42).
    PanicType {
        /// `unwrap` or `expect` on nothing or an error.
        Unwrap = "unwrap",
        /// An index, slice or key out of bounds.
        Index = "index",
        /// Overflow or division by zero.
        Arithmetic = "arithmetic",
        /// A failed assertion or unreachable code.
        Assertion = "assertion",
        /// Any other message.
        Message = "message",
        /// A payload that is no text.
        Opaque = "opaque",
    }
}

impl PanicType {
    /// Classifies what [`catch_unwind`](std::panic::catch_unwind) caught. Allocates nothing.
    ///
    /// ```
    /// use fsm_metrics::PanicType;
    /// let caught = std::panic::catch_unwind(|| Vec::<u8>::new()[7]).unwrap_err();
    /// assert_eq!(PanicType::of(&*caught), PanicType::Index);
    /// ```
    #[must_use]
    pub fn of(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        match text.or_else(|| payload.downcast_ref::<&'static str>().copied()) {
            Some(text) => Self::of_message(text),
            None => Self::Opaque,
        }
    }

    /// Classifies a panic message. The texts are those of the standard library.
    #[must_use]
    pub fn of_message(text: &str) -> Self {
        let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        if has(&["on a `None` value", "on an `Err` value", "on an `Ok` value", "on a `Some` value"]) {
            Self::Unwrap
        } else if has(&["out of range", "out of bounds", "not a char boundary"]) {
            Self::Index
        } else if has(&["with overflow", "divide by zero", "divisor of zero"]) {
            Self::Arithmetic
        } else if has(&["assertion ", "unreachable code", "not implemented", "not yet implemented"]) {
            Self::Assertion
        } else {
            Self::Message
        }
    }
}

words! {
    /// Why a node was restarted (S-21, S-22, S-23).
    RestartCause {
        /// The worker asked for it.
        Signal = "signal",
        /// Its collector was restarted too often.
        Collector = "collector",
        /// Its panic circuit opened.
        Circuit = "circuit",
        /// A sibling failed and the parent's strategy includes it.
        Strategy = "strategy",
        /// Its kind or a restart field changed.
        Config = "config",
        /// Somebody commanded it.
        Command = "command",
    }
}

words! {
    /// Which part of a node's triple a write to the store concerns.
    StoreRole {
        /// Who the node is.
        Identity = "identity",
        /// What it should be.
        Desired = "desired",
        /// What was seen.
        Observed = "observed",
        /// Overrides, config generations, execution records.
        Document = "document",
    }
}

words! {
    /// How a reload of the config ended.
    ReloadResult {
        /// The new config is in force.
        Applied = "applied",
        /// The new config says the same as the old.
        Unchanged = "unchanged",
        /// The new config is wrong; the old one stays in force.
        Refused = "refused",
        /// The new config could not be read or stored; the old one stays in force.
        Failed = "failed",
    }
}

words! {
    /// Why a flow took a message and did not pass it on.
    DropReason {
        /// A filter said no.
        Filter = "filter",
        /// It differs too little from the last one.
        Deadband = "deadband",
        /// It came too soon after the last one.
        Downsample = "downsample",
        /// It is over the rate limit.
        RateLimit = "rate_limit",
        /// It was seen before.
        Duplicate = "duplicate",
        /// A stage failed on it and the flow is told to drop such messages.
        Error = "error",
        /// The buffer is full.
        Overflow = "overflow",
        /// It was buffered for too long.
        Expired = "expired",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// The part of a flow in which something happened.
    FlowStage {
        /// Reading from the source.
        Input = "input",
        /// Between source and sink.
        Pipeline = "pipeline",
        /// The buffer on disk.
        Buffer = "buffer",
        /// Writing to the sink.
        Output = "output",
    }
}

words! {
    /// What went wrong in a flow.
    FlowErrorKind {
        /// The peer can't be reached or went away.
        Connection = "connection",
        /// The peer refuses the credentials.
        Auth = "auth",
        /// The peer answered too late.
        Timeout = "timeout",
        /// The peer refuses the message.
        Rejected = "rejected",
        /// The message can't be decoded.
        Decode = "decode",
        /// The message can't be encoded.
        Encode = "encode",
        /// An expression or a schema failed on the message.
        Expression = "expression",
        /// A local file or disk failed.
        Io = "io",
        /// Anything else.
        Other = "other",
    }
}

/// The words of fsm-core's phases, in their order.
pub(crate) const PHASES: &[&str] = &{
    let mut words = [""; Phase::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = Phase::ALL[at].as_str();
        at += 1;
    }
    words
};

/// The words of fsm-core's outcomes, in their order: the statuses of an action.
pub(crate) const OUTCOMES: &[&str] = &{
    let mut words = [""; Outcome::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = Outcome::ALL[at].as_str();
        at += 1;
    }
    words
};

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: PanicType, panics: impl FnOnce() + std::panic::UnwindSafe) {
        let caught = std::panic::catch_unwind(panics).expect_err("it panics");
        assert_eq!(PanicType::of(&*caught), expected);
    }

    // spec: S-42
    #[test]
    fn a_panic_is_classified_by_what_the_standard_library_says() {
        let none = || std::hint::black_box(None::<u8>);
        check(PanicType::Unwrap, move || {
            let _ = none().unwrap();
        });
        check(PanicType::Index, || {
            let _ = std::hint::black_box(Vec::<u8>::new())[3];
        });
        check(PanicType::Index, || {
            let _ = std::hint::black_box("é")[1..].len();
        });
        check(PanicType::Arithmetic, || {
            let _ = 1 / std::hint::black_box(0);
        });
        check(PanicType::Assertion, || assert_eq!(std::hint::black_box(1), 2));
        check(PanicType::Assertion, || unreachable!());
        check(PanicType::Message, || panic!("the valve is stuck"));
        check(PanicType::Opaque, || std::panic::panic_any(7_u8));
    }

    #[test]
    fn words_stand_at_their_variants_position() {
        assert_eq!(PHASES[Phase::Completed as usize], "completed");
        assert_eq!(OUTCOMES[Outcome::Timeout as usize], "timeout");
        assert_eq!(RestartCause::Command.as_str(), "command");
    }
}
