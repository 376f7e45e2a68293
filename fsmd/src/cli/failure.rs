//! Why a verb ends with something other than 0, and what it says then.

use std::fmt;
use std::path::Path;

use fsm_templating::Diagnostics;

use crate::http::Problem;
use crate::show::count;

/// Something went wrong.
pub(super) const ERROR: u8 = 1;
/// The command line is wrong (`EX_USAGE` of sysexits).
pub(super) const USAGE: u8 = 64;

/// What was waited for did not come in time.
const TIMED_OUT: u8 = 4;

/// A verb that can't do what it should.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
    help: Option<String>,
    /// What is to be printed all the same.
    output: String,
}

impl Failure {
    /// An error in words: what failed, where and why.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { code: ERROR, text: text.into(), help: None, output: String::new() }
    }

    /// An error with all its causes.
    pub(crate) fn of(error: &dyn std::error::Error) -> Self {
        Self::new(fsm_core::chain(error).to_string())
    }

    /// A config that can't be used.
    pub(crate) fn of_config(path: &Path, found: &Diagnostics) -> Self {
        let errors = found.iter().filter(|diagnostic| diagnostic.is_error()).count();
        let warnings = found.len() - errors;
        let mut summary = count(errors, "error");
        if warnings > 0 {
            summary += &format!(" and {}", count(warnings, "warning"));
        }
        Self::new(format!("{found}\n\n{}: {summary}; nothing is started", path.display()))
    }

    /// An answer that is printed on the standard output, although it is none that one hopes for.
    pub(super) fn answered(output: String) -> Self {
        Self { code: ERROR, text: String::new(), help: None, output }
    }

    /// What a daemon answered.
    pub(crate) fn of_problem(problem: &Problem) -> Self {
        let failure = Self::new(format!("{}: {}", problem.title, problem.detail));
        match &problem.help {
            Some(help) => failure.help(help.as_str()),
            None => failure,
        }
    }

    /// It did not come in time.
    pub(super) fn timed_out(mut self) -> Self {
        self.code = TIMED_OUT;
        self
    }

    /// With what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// It is the command line that is wrong.
    pub(crate) fn usage(mut self) -> Self {
        self.code = USAGE;
        self
    }

    pub(super) const fn code(&self) -> u8 {
        self.code
    }

    pub(super) fn take_output(&mut self) -> String {
        std::mem::take(&mut self.output)
    }

    pub(super) fn is_silent(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A diagnostic says itself that it is an error.
        if !self.text.starts_with("error[") && !self.text.starts_with("warning[") {
            f.write_str("error: ")?;
        }
        f.write_str(&self.text)?;
        match &self.help {
            Some(help) => write!(f, "\n  = help: {help}"),
            None => Ok(()),
        }
    }
}
