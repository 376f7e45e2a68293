//! What can go wrong in a worker's three methods, one error type each. Whether to try again is in the type.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type Source = Arc<dyn Error + Send + Sync>;

/// What kind of mistake stopped a derive; the label `error_type` of its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeriveErrorKind {
    /// The config says something impossible.
    Config,
    /// A variable is missing or undefined.
    Undefined,
    /// A template can't be parsed.
    Syntax,
    /// A value has the wrong type.
    Type,
    /// A template ran too long.
    Fuel,
    /// Anything else.
    Other,
}

/// `derive_desired_state`, or the making of one child spec, failed. It concerns the config or the templates, so it is
/// looked at again when an input changes, and with back-off until then (S-14).
#[derive(Debug, Clone)]
pub struct DeriveError {
    kind: DeriveErrorKind,
    field: Option<Arc<str>>,
    what: Arc<str>,
    source: Option<Source>,
}

impl DeriveError {
    /// An error that says what is wrong and what to do about it.
    pub fn new(kind: DeriveErrorKind, what: impl Into<Arc<str>>) -> Self {
        Self { kind, field: None, what: what.into(), source: None }
    }

    /// The config says something impossible.
    pub fn config(what: impl Into<Arc<str>>) -> Self {
        Self::new(DeriveErrorKind::Config, what)
    }

    /// Names the field that is wrong, as a path inside the config (`read.input`).
    #[must_use]
    pub fn at(mut self, field: impl Into<Arc<str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What kind of mistake it is.
    #[must_use]
    pub const fn kind(&self) -> DeriveErrorKind {
        self.kind
    }

    /// The field that is wrong, if one is known.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

impl fmt::Display for DeriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl Error for DeriveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn Error + 'static))
    }
}

/// Two errors are equal when they read the same.
impl PartialEq for DeriveError {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.field == other.field && self.what == other.what
    }
}

/// A collection failed: the last observation is kept and ages (S-31).
#[derive(Debug, Clone)]
pub struct CollectError {
    what: Arc<str>,
    source: Option<Source>,
}

impl CollectError {
    /// An error that says what could not be observed.
    pub fn new(what: impl Into<Arc<str>>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The whole chain in one line, for a reason.
    #[must_use]
    pub fn chain(&self) -> Arc<str> {
        chain(self)
    }
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for CollectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn Error + 'static))
    }
}

/// An action failed.
#[derive(Debug, Clone)]
pub struct ActionError {
    what: Arc<str>,
    permanent: bool,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

impl ActionError {
    /// A failure that may pass: the executor tries again.
    pub fn transient(what: impl Into<Arc<str>>) -> Self {
        Self { what: what.into(), permanent: false, retry_after: None, source: None }
    }

    /// A failure that will not pass by itself: not retried, the worker decides.
    pub fn permanent(what: impl Into<Arc<str>>) -> Self {
        Self { what: what.into(), permanent: true, retry_after: None, source: None }
    }

    /// The other side said when to come back; that wins over every back-off.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Whether trying again is pointless.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// How long the other side asked to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The whole chain in one line, for a reason.
    #[must_use]
    pub fn chain(&self) -> Arc<str> {
        chain(self)
    }
}

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for ActionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn Error + 'static))
    }
}

/// `a: b: c` along the causes of an error.
#[must_use]
pub fn chain(error: &dyn Error) -> Arc<str> {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text.into()
}
