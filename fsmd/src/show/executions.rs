//! What was run: in one line each, and one with all that is known of it.

use std::time::{Duration, SystemTime};

use fsm_core::HumanDuration;
use serde::Deserialize;
use serde_json::Value;

use super::paint::Paint;

/// An execution in one line.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Execution {
    exec_id: String,
    kind: String,
    target: String,
    action: Option<String>,
    status: String,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    reason: Option<String>,
}

impl Execution {
    fn target(&self) -> String {
        match &self.action {
            Some(action) => format!("{} {action}", self.target),
            None => self.target.clone(),
        }
    }
}

/// A table, newest first.
pub(crate) fn executions(all: &[Execution], more: bool, now: SystemTime, paint: Paint) -> String {
    if all.is_empty() {
        return "nothing was run, as far as is known\n".to_owned();
    }
    let widest = |of: &dyn Fn(&Execution) -> usize| all.iter().map(of).max().unwrap_or(0);
    let (kind, target) = (widest(&|one| one.kind.len()), widest(&|one| one.target().len()));
    let status = widest(&|one| one.status.len());
    let mut out = String::new();
    for one in all {
        let said = format!("{:status$}", one.status);
        let said = if is_bad(&one.status) { paint.bad(&said) } else { said };
        let ago = time(&one.created_at).and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
        let mut line = format!(
            "{}  {:kind$}  {:target$}  {said}  {} ago",
            one.exec_id,
            one.kind,
            one.target(),
            round(ago)
        );
        if let Some(took) = took(one.started_at.as_deref(), one.finished_at.as_deref()) {
            line.push_str(&format!(", took {took}"));
        }
        if let Some(reason) = one.reason.as_deref().filter(|reason| *reason != one.status) {
            line.push_str(&format!("  {}", paint.bad(reason)));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    if more {
        out.push_str(&paint.dim("there are more: --limit shows up to 1000 of them\n"));
    }
    out
}

/// Everything about one.
pub(crate) fn execution(one: &Value, paint: Paint) -> String {
    let text = |key: &str| one[key].as_str().unwrap_or_default();
    let status = text("status");
    let status = if is_bad(status) { paint.bad(status) } else { paint.bold(status) };
    let mut out = format!("{status}  {} {}", text("kind"), text("target"));
    if let Some(action) = one["action"].as_str() {
        out.push_str(&format!(" {action}"));
    }
    out.push('\n');
    let mut line = |name: &str, value: &str| {
        let value = value.trim_end();
        match value.contains('\n') {
            // What has more lines stands below its name.
            true => out.push_str(&format!("{}\n  {}", paint.dim(name), value.replace('\n', "\n  "))),
            false => out.push_str(&format!("{} {value}", paint.dim(&format!("{name:9}")))),
        }
        out.push('\n');
    };
    line("id", text("exec_id"));
    let (started, finished) = (one["started_at"].as_str(), one["finished_at"].as_str());
    line("created", text("created_at"));
    if let Some(started) = started {
        line("started", started);
    }
    if let Some(finished) = finished {
        let took = took(started, Some(finished)).map(|took| format!(", took {took}")).unwrap_or_default();
        line("finished", &format!("{finished}{took}"));
    }
    match one["attempts"].as_u64() {
        Some(0 | 1) | None => {}
        Some(attempts) => line("attempts", &attempts.to_string()),
    }
    if let Some(error) = one["error"].as_object() {
        let name =
            error.get("name").and_then(Value::as_str).map(|name| format!("{name}: ")).unwrap_or_default();
        let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        line("error", &format!("{name}{} ({})", part("message"), part("reason")));
        if error.contains_key("stack") {
            line("stack", part("stack"));
        }
    }
    for key in ["input", "output", "metadata"] {
        if !one[key].is_null() {
            line(key, &output(&one[key]));
        }
    }
    if let Some(stderr) = one["stderr"].as_str() {
        line("stderr", stderr);
    }
    out
}

/// What a run gave: a text as it is, anything else as JSON.
pub(crate) fn output(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.is_empty() || text.ends_with('\n') => text.clone(),
        Value::String(text) => format!("{text}\n"),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
        }
    }
}

fn is_bad(status: &str) -> bool {
    matches!(status, "failure" | "timeout")
}

fn time(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339_weak(text).ok()
}

fn took(from: Option<&str>, to: Option<&str>) -> Option<HumanDuration> {
    let took = time(to?)?.duration_since(time(from?)?).ok()?;
    Some(HumanDuration::new(took))
}

/// Whole seconds, from a minute on whole minutes, and so on: nobody needs more of what was long ago.
fn round(ago: Duration) -> HumanDuration {
    let seconds = ago.as_secs();
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| seconds >= *unit).unwrap_or(1);
    HumanDuration::new(Duration::from_secs(seconds / unit * unit))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> SystemTime {
        time(text).unwrap()
    }

    // spec: U-11
    #[test]
    fn executions_are_told_in_a_line_each() {
        let all = json!([
            {"exec_id": "b", "kind": "agent", "target": "/edge/press-7", "action": "probe", "status": "running",
             "created_at": "2026-01-01T12:00:00.000Z", "started_at": "2026-01-01T12:00:00.000Z"},
            {"exec_id": "a", "kind": "task", "target": "label/print", "status": "failure", "reason": "tool_error",
             "created_at": "2026-01-01T10:00:00.000Z", "started_at": "2026-01-01T10:00:00.000Z",
             "finished_at": "2026-01-01T10:00:01.250Z"},
        ]);
        let all: Vec<Execution> = serde_json::from_value(all).unwrap();
        insta::assert_snapshot!(executions(&all, true, at("2026-01-01T12:00:05Z"), Paint::plain()), @r"
        b  agent  /edge/press-7 probe  running  5s ago
        a  task   label/print          failure  2h ago, took 1s250ms  tool_error
        there are more: --limit shows up to 1000 of them
        ");
        assert_eq!(
            executions(&[], false, at("2026-01-01T12:00:05Z"), Paint::plain()),
            "nothing was run, as far as is known\n"
        );
    }

    // spec: U-11
    #[test]
    fn one_execution_is_told_with_its_error_first_and_what_it_said_below() {
        let one = json!({
            "exec_id": "a", "kind": "task", "target": "label/print", "status": "failure", "attempts": 1,
            "created_at": "2026-01-01T10:00:00.000Z", "started_at": "2026-01-01T10:00:00.000Z",
            "finished_at": "2026-01-01T10:00:01.250Z", "input": {"line": 4}, "output": null,
            "error": {"reason": "tool_error", "name": "Printer", "message": "no paper", "stack": "l. 3\nl. 9"},
            "stderr": "tray 2\n",
        });
        insta::assert_snapshot!(execution(&one, Paint::plain()), @r#"
        failure  task label/print
        id        a
        created   2026-01-01T10:00:00.000Z
        started   2026-01-01T10:00:00.000Z
        finished  2026-01-01T10:00:01.250Z, took 1s250ms
        error     Printer: no paper (tool_error)
        stack
          l. 3
          l. 9
        input
          {
            "line": 4
          }
        stderr    tray 2
        "#);
    }

    #[test]
    fn a_text_is_printed_as_it_is_and_anything_else_as_json() {
        for (value, text) in
            [(json!("a\nb\n"), "a\nb\n"), (json!("a"), "a\n"), (json!(7), "7\n"), (json!(null), "")]
        {
            assert_eq!(output(&value), text);
        }
    }
}
