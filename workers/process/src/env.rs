//! What a program sees of the environment: an allowlist and its own variables, never all of the daemon's.

use std::collections::BTreeMap;
use std::fmt;

/// Names that are passed on when nothing else is said: where programs, home, language, time zone and scratch space are.
pub const DEFAULT_ALLOWED: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// Names with which a variable would change what code the program itself loads.
const REFUSED_PREFIXES: [&str; 2] = ["LD_", "DYLD_"];
const REFUSED: [&str; 1] = ["NODE_OPTIONS"];

/// Why a variable can't be given to a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// The name has a form that shells and programs disagree about.
    #[error(
        "`{name}` can't be the name of an environment variable: use A-Z, 0-9 and _, not beginning with a digit"
    )]
    Name {
        /// The name that was given.
        name: String,
    },
    /// The name makes the program load other code.
    #[error(
        "the environment variable {name} is refused, it makes a program load code that is not its own; use a wrapper program that sets it"
    )]
    Refused {
        /// The name that was given.
        name: String,
    },
    /// The value would end early or make a second line somewhere.
    #[error(
        "the value of the environment variable {name} holds a {what}; remove it or pass the value in a file"
    )]
    Value {
        /// The variable.
        name: String,
        /// `NUL`, `carriage return` or `line feed`.
        what: &'static str,
    },
}

/// Checked variables: what is inherited by name and what is set.
///
/// ```
/// use fsm_worker_process::{EnvError, Environment};
///
/// let env = Environment::default().with("PRINTER", "10.0.0.9")?;
/// assert_eq!(env.own().collect::<Vec<_>>(), [("PRINTER", "10.0.0.9")]);
/// let refused = Environment::default().with("LD_PRELOAD", "/tmp/evil.so").unwrap_err();
/// assert!(matches!(refused, EnvError::Refused { .. }));
/// # Ok::<(), EnvError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Environment {
    allowed: Vec<String>,
    own: BTreeMap<String, String>,
}

impl Default for Environment {
    fn default() -> Self {
        Self { allowed: DEFAULT_ALLOWED.map(String::from).into(), own: BTreeMap::new() }
    }
}

/// Values may be secrets: only names are shown.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("allowed", &self.allowed)
            .field("own", &self.own.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl Environment {
    /// Passes these names on instead of [`DEFAULT_ALLOWED`].
    ///
    /// # Errors
    /// [`EnvError`] for a name that no program may get.
    pub fn allowing<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, EnvError> {
        let allowed = names.into_iter().map(|name| check_name(name).map(|()| name.to_owned()));
        Ok(Self { allowed: allowed.collect::<Result<_, _>>()?, own: BTreeMap::new() })
    }

    /// Sets one variable; it wins over an inherited one.
    ///
    /// # Errors
    /// [`EnvError`] for a name or a value that no program may get.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Result<Self, EnvError> {
        let value = value.into();
        check_name(name)?;
        check_value(name, &value)?;
        self.own.insert(name.to_owned(), value);
        Ok(self)
    }

    /// The variables that are set, in the order of their names.
    pub fn own(&self) -> impl Iterator<Item = (&str, &str)> {
        self.own.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names of the daemon's variables that it sees.
    pub(crate) fn allowed(&self) -> impl Iterator<Item = &str> {
        self.allowed.iter().map(String::as_str)
    }

    /// All variables of the program. An inherited value with a line feed or one that is not text is left out.
    pub(crate) fn resolve(&self, inherited: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for name in &self.allowed {
            if let Some(value) = inherited(name).filter(|value| check_value(name, value).is_ok()) {
                all.insert(name.clone(), value);
            }
        }
        all.extend(self.own.clone());
        all
    }
}

fn check_name(name: &str) -> Result<(), EnvError> {
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|first| first.is_ascii_uppercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if !good {
        return Err(EnvError::Name { name: name.into() });
    }
    if REFUSED.contains(&name) || REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(EnvError::Refused { name: name.into() });
    }
    Ok(())
}

pub(crate) fn check_value(name: &str, value: &str) -> Result<(), EnvError> {
    let what = value.bytes().find_map(|byte| match byte {
        0 => Some("NUL"),
        b'\r' => Some("carriage return"),
        b'\n' => Some("line feed"),
        _ => None,
    });
    match what {
        Some(what) => Err(EnvError::Value { name: name.into(), what }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: X-5
    #[test]
    fn names_and_values_that_could_do_harm_are_refused() {
        for name in ["", "path", "1A", "A-B", "A=B", "A B", "Ä"] {
            assert!(matches!(check_name(name), Err(EnvError::Name { .. })), "{name}");
        }
        for name in ["LD_PRELOAD", "LD_", "DYLD_INSERT_LIBRARIES", "NODE_OPTIONS"] {
            assert!(matches!(check_name(name), Err(EnvError::Refused { .. })), "{name}");
        }
        for value in ["a\0b", "a\rb", "a\nb"] {
            assert!(matches!(check_value("A", value), Err(EnvError::Value { .. })), "{value:?}");
        }
        for name in ["A", "_", "_A1", "OLD_PATH", "NODE_OPTIONS_"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    // spec: X-5
    #[test]
    fn only_allowed_names_and_own_ones_are_passed() {
        let env = Environment::default().with("TOKEN", "t").expect("a good name");
        let daemon = |name: &str| match name {
            "PATH" => Some("/bin".to_owned()),
            "LANG" => Some("two\nlines".to_owned()),
            "SECRET" => Some("s".to_owned()),
            _ => None,
        };
        let all: Vec<_> = env.resolve(daemon).into_iter().collect();
        assert_eq!(all, [("PATH".to_owned(), "/bin".to_owned()), ("TOKEN".to_owned(), "t".to_owned())]);
        assert!(!format!("{env:?}").contains("\"t\""), "a value may be a secret");
    }
}
