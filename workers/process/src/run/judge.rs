//! Which one ending a run has, out of all that is known when nobody of it lives: pure.

use serde_json::Value;

use super::Lived;
use crate::ending::{Ending, Exit};
use crate::tool::Tool;

/// Why the runner ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Timeout,
    Cancelled,
    OutputLimit,
}

/// Which pipe failed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broke {
    Stdin(String),
    Stdout(String),
    Stderr(String),
}

/// The ending, with what there was to keep.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) ending: Ending,
    pub(super) output: Option<Value>,
    pub(super) metadata: Option<Value>,
}

/// What its runner did comes first, then how it left, then what it said.
pub(super) fn judge(tool: &Tool, lived: Lived, over: bool, stdout: &[u8]) -> Verdict {
    let without = |ending| Verdict { ending, output: None, metadata: None };
    let limits = &tool.limits;
    match lived.stop {
        Some(Stop::Timeout) => return without(Ending::Timeout { after: limits.timeout }),
        Some(Stop::Cancelled) => return without(Ending::Cancelled),
        Some(Stop::OutputLimit) => return without(Ending::OutputLimit { limit: limits.stdout }),
        None if over => return without(Ending::OutputLimit { limit: limits.stdout }),
        None => {}
    }
    /// SIGKILL, which the kernel sends when memory has run out.
    const KILL: i32 = 9;
    let left = match lived.exit {
        None => Some(Ending::KeeperLost),
        Some(Exit::Signal(KILL)) if lived.oom => Some(Ending::Oom),
        Some(Exit::Signal(signal)) => Some(Ending::Signaled(signal)),
        Some(Exit::Code(0)) => None,
        Some(Exit::Code(code)) => Some(Ending::ExitNonzero(code)),
    };
    let broke = lived.broke.map(|broke| match broke {
        Broke::Stdin(why) => Ending::Stdin(why),
        Broke::Stdout(why) => Ending::Stdout(why),
        Broke::Stderr(why) => Ending::Stderr(why),
    });
    let answer = tool.protocol.answer(stdout);
    match (left.or(broke), answer) {
        (Some(ending), Ok(answer)) => {
            // An empty stdout means success only where there was one.
            let output = answer.outcome.ok().filter(|_| !stdout.is_empty());
            Verdict { ending, output, metadata: answer.metadata }
        }
        (Some(ending), Err(_)) => without(ending),
        (None, Err(why)) => without(Ending::Parse(why)),
        (None, Ok(answer)) => match answer.outcome {
            Ok(output) => {
                Verdict { ending: Ending::Success, output: Some(output), metadata: answer.metadata }
            }
            Err(error) => {
                Verdict { ending: Ending::ToolError(error), output: None, metadata: answer.metadata }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tool::ToolId;

    #[track_caller]
    fn check(lived: Lived, over: bool, stdout: &str, ending: &str, output: Option<Value>) {
        let tool = Tool::try_new(ToolId::try_new("t").expect("good"), ["t"]).expect("good");
        let verdict = judge(&tool, lived, over, stdout.as_bytes());
        assert_eq!((verdict.ending.name(), verdict.output), (ending, output));
    }

    fn left(exit: Exit) -> Lived {
        Lived { exit: Some(exit), ..Lived::default() }
    }

    // spec: X-7
    #[test]
    fn each_run_has_the_one_right_ending() {
        let good = r#"{"result": 1}"#;
        let bad = r#"{"error": {"message": "m", "name": "n"}}"#;
        check(left(Exit::Code(0)), false, good, "success", Some(json!(1)));
        check(left(Exit::Code(0)), false, "", "success", Some(json!({})));
        check(left(Exit::Code(0)), false, bad, "tool_error", None);
        check(left(Exit::Code(0)), false, "garbage", "parse", None);
        check(left(Exit::Code(0)), true, good, "output_limit", None);
        check(left(Exit::Code(3)), false, good, "exit_nonzero", Some(json!(1)));
        check(left(Exit::Code(3)), false, "", "exit_nonzero", None);
        check(left(Exit::Code(3)), false, bad, "exit_nonzero", None);
        check(left(Exit::Signal(11)), false, "garbage", "signaled", None);
        check(left(Exit::Signal(9)), false, "", "signaled", None);
        check(Lived { oom: true, ..left(Exit::Signal(9)) }, false, "", "oom", None);
        // Another process of the run was killed for memory, and the program coped.
        check(Lived { oom: true, ..left(Exit::Code(0)) }, false, good, "success", Some(json!(1)));
        check(Lived::default(), false, good, "keeper_lost", Some(json!(1)));
        let broke = |broke| Lived { broke: Some(broke), ..left(Exit::Code(0)) };
        check(broke(Broke::Stdin("e".into())), false, good, "stdin", Some(json!(1)));
        check(broke(Broke::Stdout("e".into())), false, "", "stdout", None);
        check(broke(Broke::Stderr("e".into())), false, "", "stderr", None);
    }

    // spec: X-7
    #[test]
    fn what_the_runner_did_comes_before_how_the_program_left() {
        for (stop, ending) in
            [(Stop::Timeout, "timeout"), (Stop::Cancelled, "cancelled"), (Stop::OutputLimit, "output_limit")]
        {
            for exit in [Exit::Code(0), Exit::Code(1), Exit::Signal(15)] {
                check(Lived { stop: Some(stop), ..left(exit) }, true, "{}", ending, None);
            }
        }
    }
}
