//! The words of tool runs, processes and executions.

words! {
    /// How a call of a tool ended.
    ToolOutcome {
        /// It answered with a result.
        Success = "success",
        /// It did not, or was refused.
        Error = "error",
        /// It was still running at its deadline.
        Timeout = "timeout",
        /// The caller, a dropped future or a shutdown ended it.
        Cancelled = "cancelled",
    }
}

words! {
    /// What sort of error a call of a tool ended with.
    ToolErrorKind {
        /// It was refused before its start, or could not be started.
        Start = "start",
        /// The request could not be written.
        Stdin = "stdin",
        /// Its stdout could not be read.
        Stdout = "stdout",
        /// Its stderr could not be read.
        Stderr = "stderr",
        /// It left with another code than 0, or by a signal.
        Wait = "wait",
        /// Its answer can't be read.
        Parse = "parse",
        /// It was still running at its deadline.
        Timeout = "timeout",
        /// It answered with an error of its own.
        Tool = "tool",
        /// The caller, a dropped future or a shutdown ended it.
        Cancelled = "cancelled",
        /// It wrote more than it may.
        OutputLimit = "output_limit",
    }
}

impl ToolErrorKind {
    /// The outcome of a call that ended with this error.
    #[must_use]
    pub const fn outcome(self) -> ToolOutcome {
        match self {
            Self::Timeout => ToolOutcome::Timeout,
            Self::Cancelled => ToolOutcome::Cancelled,
            Self::Start
            | Self::Stdin
            | Self::Stdout
            | Self::Stderr
            | Self::Wait
            | Self::Parse
            | Self::Tool
            | Self::OutputLimit => ToolOutcome::Error,
        }
    }
}

words! {
    /// What is executed.
    ExecKind {
        /// A tool, once.
        Task = "task",
        /// An action on a live worker.
        Agent = "agent",
        /// A tree of jobs.
        Workflow = "workflow",
    }
}

words! {
    /// How a synchronous request for an execution ended.
    ExecOutcome {
        /// The execution succeeded.
        Success = "success",
        /// It failed, or was refused.
        Error = "error",
        /// It, or the wait for it, timed out.
        Timeout = "timeout",
        /// It was cancelled, or the client went away.
        Cancelled = "cancelled",
    }
}

words! {
    /// How an execution ended.
    ExecStatus {
        /// It succeeded.
        Success = "success",
        /// It failed.
        Failure = "failure",
        /// It was still running at its deadline.
        Timeout = "timeout",
        /// Somebody cancelled it.
        Cancelled = "cancelled",
    }
}

words! {
    /// How the wait for a workflow ended.
    PollOutcome {
        /// The workflow succeeded.
        Completed = "completed",
        /// The workflow ended without success.
        Failed = "failed",
        /// The wait ran out.
        Timeout = "timeout",
        /// The client went away, or the workflow was cancelled.
        Cancelled = "cancelled",
        /// The record could not be read.
        Error = "error",
    }
}

words! {
    /// The status with which a request for an execution was refused or failed.
    ExecErrorCode {
        /// The request is wrong.
        BadRequest = "400",
        /// Nothing has this name.
        NotFound = "404",
        /// It can't be done in this way.
        MethodNotAllowed = "405",
        /// The wait ran out.
        Timeout = "408",
        /// The worker is busy.
        Conflict = "409",
        /// The request is too long.
        TooLarge = "413",
        /// The request is not JSON.
        MediaType = "415",
        /// The execution itself failed.
        Unprocessable = "422",
        /// The queue is full.
        TooMany = "429",
        /// The program failed.
        Internal = "500",
        /// The program is stopping, or its store can't be used.
        Unavailable = "503",
        /// Any other.
        Other = "other",
    }
}

impl ExecErrorCode {
    /// The word for an HTTP status; none for one below 400, which is no error.
    #[must_use]
    pub const fn of(status: u16) -> Option<Self> {
        Some(match status {
            0..400 => return None,
            400 => Self::BadRequest,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::Timeout,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            415 => Self::MediaType,
            422 => Self::Unprocessable,
            429 => Self::TooMany,
            500 => Self::Internal,
            503 => Self::Unavailable,
            _ => Self::Other,
        })
    }
}

/// How a process left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcessExit {
    /// By itself, with this code.
    Code(i32),
    /// A signal of this number ended it.
    Signal(i32),
}

/// The labels `status`.
pub(crate) const PROCESS_STATUSES: &[&str] = &["exit", "signal"];

/// The labels `code`: what shells and programs agree on, and the rest. Empty for a signal.
pub(crate) const PROCESS_CODES: &[&str] = &["0", "1", "2", "126", "127", "128+", "other", ""];

/// The signals that end a process, by their numbers on Linux. Empty for an exit.
pub(crate) const PROCESS_SIGNALS: &[&str] = &[
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
    "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGXCPU", "SIGXFSZ", "SIGSYS", "other", "",
];

/// The numbers of [`PROCESS_SIGNALS`]. The standard library names none of them, and a crate for eighteen numbers is too much.
const SIGNAL_NUMBERS: [i32; 18] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 31];

const CODES: usize = PROCESS_CODES.len() - 1;
const SIGNALS: usize = PROCESS_SIGNALS.len() - 1;

/// Each label set as an array, which [`ProcessExit::ROWS`] borrows.
const SETS: &[[&str; 3]; CODES + SIGNALS] = &{
    let mut sets = [[""; 3]; CODES + SIGNALS];
    let mut at = 0;
    while at < CODES {
        sets[at] = [PROCESS_STATUSES[0], PROCESS_CODES[at], ""];
        at += 1;
    }
    while at < CODES + SIGNALS {
        sets[at] = [PROCESS_STATUSES[1], "", PROCESS_SIGNALS[at - CODES]];
        at += 1;
    }
    sets
};

impl ProcessExit {
    /// The label sets there are: a code or a signal, never both.
    pub(crate) const ROWS: &'static [&'static [&'static str]] = &{
        let mut rows: [&[&str]; CODES + SIGNALS] = [&[]; CODES + SIGNALS];
        let mut at = 0;
        while at < rows.len() {
            rows[at] = &SETS[at];
            at += 1;
        }
        rows
    };

    /// The position of its label set in [`ROWS`](Self::ROWS).
    pub(crate) fn row(self) -> usize {
        match self {
            Self::Code(code) => match code {
                0..=2 => code as usize,
                126 => 3,
                127 => 4,
                128.. => 5,
                _ => 6,
            },
            Self::Signal(number) => {
                CODES + SIGNAL_NUMBERS.iter().position(|known| *known == number).unwrap_or(SIGNALS - 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(exit: ProcessExit, expected: [&str; 3]) {
        assert_eq!(ProcessExit::ROWS[exit.row()], expected, "{exit:?}");
    }

    // spec: X-7
    #[test]
    fn an_exit_has_a_code_or_a_signal_and_never_both() {
        for (code, word) in
            [(0, "0"), (1, "1"), (2, "2"), (3, "other"), (125, "other"), (126, "126"), (127, "127")]
        {
            check(ProcessExit::Code(code), ["exit", word, ""]);
        }
        check(ProcessExit::Code(128), ["exit", "128+", ""]);
        check(ProcessExit::Code(255), ["exit", "128+", ""]);
        check(ProcessExit::Code(-1), ["exit", "other", ""]);
        for (number, word) in
            [(1, "SIGHUP"), (9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM"), (31, "SIGSYS")]
        {
            check(ProcessExit::Signal(number), ["signal", "", word]);
        }
        check(ProcessExit::Signal(64), ["signal", "", "other"]);
        assert_eq!(SIGNAL_NUMBERS.len() + 1, SIGNALS);
    }

    // spec: X-20
    #[test]
    fn an_error_code_is_a_status_or_other() {
        assert_eq!(ExecErrorCode::of(202), None);
        assert_eq!(ExecErrorCode::of(399), None);
        for word in &ExecErrorCode::WORDS[..ExecErrorCode::WORDS.len() - 1] {
            let status = word.parse().expect("a number");
            assert_eq!(ExecErrorCode::of(status).map(ExecErrorCode::as_str), Some(*word));
        }
        assert_eq!(ExecErrorCode::of(418), Some(ExecErrorCode::Other));
    }
}
