//! Symbols and colours: a phase is a symbol, too, so that nothing is said by colour alone.

use std::io::IsTerminal;

use fsm_core::Phase;

/// Whether the environment lets us use colours (<https://no-color.org>).
pub(crate) fn colours_wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Paints, or does not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    colours: bool,
}

impl Paint {
    /// For the standard output: colours on a terminal only.
    pub(crate) fn for_stdout() -> Self {
        Self { colours: std::io::stdout().is_terminal() && colours_wanted() }
    }

    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { colours: false }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn phase(self, phase: Phase, text: &str) -> String {
        match phase {
            Phase::Running | Phase::Completed => self.paint("32", text),
            Phase::Starting | Phase::Stopping => self.paint("33", text),
            Phase::Degraded => self.paint("31", text),
            Phase::Stopped => self.dim(text),
        }
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// The symbol of a phase.
pub(super) const fn symbol(phase: Phase) -> &'static str {
    match phase {
        Phase::Stopped => "○",
        Phase::Starting => "◐",
        Phase::Running => "●",
        Phase::Degraded => "✗",
        Phase::Stopping => "◑",
        Phase::Completed => "✓",
    }
}
