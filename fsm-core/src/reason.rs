//! Why a decision was made: a text with typed arguments, made without allocating.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{HumanDuration, Moment};

/// One argument of a [`Reason`].
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Arg {
    /// No argument.
    #[default]
    None,
    /// A count.
    Count(u64),
    /// A signed number.
    Integer(i64),
    /// A measured number.
    Number(f64),
    /// A length of time.
    Duration(Duration),
    /// A point in time; shown by the edge as wall-clock time.
    Moment(Moment),
    /// A fixed word, such as the name of a state.
    Word(&'static str),
    /// A text that exists already, such as an error or a child's name.
    Text(Arc<str>),
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Count(n) => n.fmt(f),
            Self::Integer(n) => n.fmt(f),
            Self::Number(n) => write!(f, "{n:.3}"),
            Self::Duration(d) => HumanDuration::new(round(*d)).fmt(f),
            Self::Moment(m) => write!(f, "+{}", HumanDuration::new(round(m.since(Moment::ZERO)))),
            Self::Word(w) => f.write_str(w),
            Self::Text(t) => f.write_str(t),
        }
    }
}

/// Three significant units are noise to a reader: whole milliseconds below a minute, whole seconds above.
fn round(d: Duration) -> Duration {
    if d < Duration::from_millis(10) {
        d
    } else if d < Duration::from_secs(60) {
        Duration::from_millis(d.as_millis() as u64)
    } else {
        Duration::from_secs(d.as_secs())
    }
}

macro_rules! arg_from {
    ($($from:ty => |$value:ident| $to:expr),+ $(,)?) => {
        $(impl From<$from> for Arg { fn from($value: $from) -> Self { $to } })+
    };
}

arg_from! {
    u64 => |n| Self::Count(n),
    u32 => |n| Self::Count(u64::from(n)),
    usize => |n| Self::Count(n as u64),
    i64 => |n| Self::Integer(n),
    i32 => |n| Self::Integer(i64::from(n)),
    f64 => |n| Self::Number(n),
    Duration => |d| Self::Duration(d),
    Moment => |m| Self::Moment(m),
    &'static str => |w| Self::Word(w),
    Arc<str> => |t| Self::Text(t),
    &Arc<str> => |t| Self::Text(Arc::clone(t)),
}

/// Why: a text whose `{}` stand for up to two arguments. Never empty.
///
/// ```
/// use fsm_core::Reason;
/// let reason = Reason::from(("{} of {} children are healthy", 3_u64, 5_u64));
/// assert_eq!(reason.to_string(), "3 of 5 children are healthy");
/// ```
#[derive(Debug, Clone)]
pub struct Reason {
    text: &'static str,
    args: [Arg; 2],
}

impl Reason {
    /// A reason without arguments.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self { text, args: [Arg::None, Arg::None] }
    }

    /// The text with its placeholders: equal texts are the same reason, whatever the arguments.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        self.text
    }

    /// The arguments, in the order of the placeholders.
    #[must_use]
    pub const fn args(&self) -> &[Arg; 2] {
        &self.args
    }

    /// Whether both say the same thing; arguments apart.
    #[must_use]
    pub fn same_text(&self, other: &Self) -> bool {
        std::ptr::eq(self.text, other.text) || self.text == other.text
    }
}

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        self.same_text(other) && self.args == other.args
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut args = self.args.iter();
        let mut rest = self.text;
        while let Some(at) = rest.find("{}") {
            f.write_str(&rest[..at])?;
            if let Some(arg) = args.next() {
                arg.fmt(f)?;
            }
            rest = &rest[at + 2..];
        }
        f.write_str(rest)
    }
}

impl From<&'static str> for Reason {
    fn from(text: &'static str) -> Self {
        Self::new(text)
    }
}

impl<A: Into<Arg>> From<(&'static str, A)> for Reason {
    fn from((text, first): (&'static str, A)) -> Self {
        Self { text, args: [first.into(), Arg::None] }
    }
}

impl<A: Into<Arg>, B: Into<Arg>> From<(&'static str, A, B)> for Reason {
    fn from((text, first, second): (&'static str, A, B)) -> Self {
        Self { text, args: [first.into(), second.into()] }
    }
}

impl From<(&'static str, [Arg; 2])> for Reason {
    fn from((text, args): (&'static str, [Arg; 2])) -> Self {
        Self { text, args }
    }
}

impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
