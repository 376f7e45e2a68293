//! What the run of a tool is in the words of executions: pure.

use fsm_metrics::{ToolErrorKind, ToolOutcome};
use fsm_worker_process::{Ending, Exit, MemoryLimit, Run};
use serde_json::json;

use crate::exec::record::{End, Fault, Status};

/// Bytes of stderr that are kept in a record, half of them from the beginning and half from the end: what a person reads. All
/// that the tool's own limit lets through would make thousands of records too large.
const STDERR: usize = 16 << 10;

pub(super) fn of(run: Run) -> End {
    let status = match run.ending.error().map(ToolErrorKind::outcome) {
        None | Some(ToolOutcome::Success) => Status::Success,
        Some(ToolOutcome::Error) => Status::Failure,
        Some(ToolOutcome::Timeout) => Status::Timeout,
        Some(ToolOutcome::Cancelled) => Status::Cancelled,
    };
    let stderr = Some(shortened(&run.stderr.text())).filter(|text| !text.is_empty());
    let error = (status != Status::Success).then(|| fault(&run));
    End { status, output: run.output, metadata: run.metadata, error, stderr, attempts: 1 }
}

fn fault(run: &Run) -> Fault {
    let mut fault = Fault::new(run.ending.name(), run.ending.to_string());
    if let Ending::ToolError(error) = &run.ending {
        fault.message.clone_from(&error.message);
        fault.name = Some(error.name.clone()).filter(|name| !name.is_empty());
        fault.stack.clone_from(&error.stack);
    }
    match run.exit {
        Some(Exit::Code(code)) => drop(fault.more.insert("exit_code".into(), json!(code))),
        Some(Exit::Signal(signal)) => drop(fault.more.insert("signal".into(), json!(signal))),
        None => {}
    }
    if run.memory_limit == MemoryLimit::NotHeld {
        fault.more.insert("memory_limit".into(), json!("not held: there is no cgroup for it"));
    }
    fault
}

/// A text that a record can keep.
pub(in crate::exec) fn shortened(text: &str) -> String {
    if text.len() <= STDERR {
        return text.to_owned();
    }
    let (mut head, mut tail) = (STDERR / 2, text.len() - STDERR / 2);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{}\n… {} bytes left out …\n{}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end_whole() {
        let text = format!("a{}z", "ä".repeat(STDERR));
        let short = shortened(&text);
        assert!(
            short.len() < STDERR + 64 && short.starts_with("aä") && short.ends_with("äz"),
            "{}",
            short.len()
        );
        assert!(short.contains(" bytes left out "));
        assert_eq!(shortened("short"), "short");
    }
}
