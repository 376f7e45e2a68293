//! What the configs of kinds have in common: a command and an environment, checked at the door.

use std::collections::BTreeMap;

use fsm_core::{ActionError, DeriveError};
use fsm_templating::Secret;

use crate::env::{DEFAULT_ALLOWED, EnvError, Environment};

/// The names that are passed on when a config says nothing.
pub(crate) fn allowed() -> Vec<String> {
    DEFAULT_ALLOWED.map(String::from).into()
}

/// Can this be run?
pub(crate) fn check_command(command: &[String]) -> Result<(), DeriveError> {
    if command.first().is_none_or(String::is_empty) {
        let what = "it is empty; write the program and its arguments, such as [mosquitto, -v]";
        return Err(DeriveError::config(what).at("command"));
    }
    if command.iter().any(|word| word.contains('\0')) {
        return Err(DeriveError::config("an argument holds a NUL byte").at("command"));
    }
    Ok(())
}

/// Are these names that a program may get? Values are known when it is started.
pub(crate) fn check_env(allow: &[String], env: &BTreeMap<String, Secret>) -> Result<(), DeriveError> {
    if let Err(error) = Environment::allowing(allow.iter().map(String::as_str)) {
        return Err(DeriveError::config(error.to_string()).at("allow_env"));
    }
    for name in env.keys() {
        if let Err(error) = Environment::default().with(name, "") {
            return Err(DeriveError::config(error.to_string()).at("env"));
        }
    }
    Ok(())
}

/// The environment with its secrets resolved.
pub(crate) fn environment(
    allow: &[String],
    env: &BTreeMap<String, Secret>,
) -> Result<Environment, ActionError> {
    let wrong = |error: EnvError| ActionError::permanent(error.to_string());
    let mut all = Environment::allowing(allow.iter().map(String::as_str)).map_err(wrong)?;
    for (name, value) in env {
        let value = value.resolve().map_err(|error| {
            ActionError::transient(format!("the value of {name} is not known")).with_source(error)
        })?;
        all = all.with(name, value.into_exposed()).map_err(wrong)?;
    }
    Ok(all)
}

/// The same mistake, seen from what holds the config.
pub(crate) fn below(error: DeriveError, parent: &str) -> DeriveError {
    let field = error.field().map_or_else(|| parent.to_owned(), |field| format!("{parent}.{field}"));
    error.at(field)
}
