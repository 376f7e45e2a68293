//! A node for a person who asks "what is it doing?": the answer first, then what it is made from.

use std::time::SystemTime;

use fsm_core::Goal;

use super::node::{Action, Children, Details};
use super::paint::{Paint, symbol};
use super::statistics::statistics;
use super::tree::one_line;

/// So many decisions are shown, newest first.
const SHOWN: usize = 10;

/// Everything about a node.
pub(crate) fn describe(node: &Details, now: SystemTime, paint: Paint) -> String {
    let entry = &node.entry;
    let mut out = String::new();
    out.push_str(&format!("{}  ({})\n", paint.bold(&entry.path), entry.kind));
    let mut line = |key: &str, text: &str| {
        out.push_str(&format!("{}  {}\n", paint.dim(&format!("{key:>9}")), text));
    };
    let state = format!("{} {}", symbol(entry.phase), entry.state());
    let state = if entry.invalid { paint.bad(&state) } else { paint.phase(entry.phase, &state) };
    let mut is = vec![format!("{}", entry.phase)];
    is.extend(entry.marks());
    line("state", &format!("{state}  ({})", is.join(", ")));
    line("since", &format!("{}  ({})", ago(&entry.since, now), entry.since));
    line("why", &one_line(&entry.reason));
    if let Some(error) = &node.error {
        line("error", &paint.bad(&one_line(error)));
    }
    if let Some(waits) = waits_for(node) {
        line("waits for", &waits);
    }
    let next =
        node.next_look.as_deref().map_or_else(|| "when something changes".to_owned(), |at| ago(at, now));
    line("next look", &next);
    line("goal", &format!("{}", entry.goal));
    line(
        "lives",
        &format!("started {}, lately restarted {}", times(node.starts as usize), times(node.restarts)),
    );
    if let Some(action) = &node.action {
        line("action", &action_line(action, now));
    }
    for (key, text) in statistics(&node.statistics) {
        line(key, &text);
    }
    if let Some(children) = children_line(node.children) {
        line("children", &children);
    }
    let observed = node.observed_at.as_deref().map(|at| ago(at, now));
    section(&mut out, "desired", &format!("generation {}", node.desired), Some(&node.config), paint);
    match (&node.observed, observed) {
        (Some(value), at) => {
            let under =
                node.observed_under.map(|under| format!(", under generation {under}")).unwrap_or_default();
            section(&mut out, "observed", &format!("{}{under}", at.unwrap_or_default()), Some(value), paint);
        }
        (None, _) => section(&mut out, "observed", "nothing", None, paint),
    }
    history(&mut out, node, now, paint);
    out
}

fn waits_for(node: &Details) -> Option<String> {
    let entry = &node.entry;
    if let Some(action) = node.action.as_ref().filter(|action| action.outcome.is_none()) {
        return Some(format!("its action `{}` to end", action.name));
    }
    if entry.goal != Goal::Run {
        // The reason says what keeps it from running, or what its end waits for.
        return None;
    }
    match (node.sort.as_deref(), entry.healthy) {
        (_, true) => None,
        // Why names it, and the next look is the next probe of it.
        (_, false) if entry.cut_off => Some("what it needs to answer a probe again".to_owned()),
        (Some("trying"), false) => Some("an observation that shows success".to_owned()),
        (_, false) if entry.invalid => Some("a config that can be used".to_owned()),
        (_, false) if entry.stale => Some("a fresh observation".to_owned()),
        (_, false) => Some("a change of what it observes".to_owned()),
    }
}

fn action_line(action: &Action, now: SystemTime) -> String {
    let attempts =
        if action.attempts > 1 { format!(" after {} attempts", action.attempts) } else { String::new() };
    let error = action.error.as_deref().map(|error| format!(": {}", one_line(error))).unwrap_or_default();
    match action.outcome {
        None => format!("{} runs, since {}", action.name, ago(&action.since, now)),
        Some(outcome) => format!("{}, {}: {outcome}{attempts}{error}", action.name, ago(&action.since, now)),
    }
}

fn children_line(children: Children) -> Option<String> {
    let Children { healthy, stopped, completed, degraded } = children;
    let parts =
        [(healthy, "healthy"), (completed, "completed"), (stopped, "stopped"), (degraded, "not well")];
    let parts: Vec<String> =
        parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn section(out: &mut String, title: &str, about: &str, value: Option<&serde_json::Value>, paint: Paint) {
    out.push_str(&format!("\n{}  {}\n", paint.bold(title), paint.dim(about)));
    let Some(value) = value else { return };
    // What can't be written as YAML is written as JSON; both are for reading here.
    let text = serde_saphyr::to_string(value).unwrap_or_else(|_| value.to_string());
    for line in text.lines().filter(|line| !line.is_empty()) {
        out.push_str(&format!("  {}\n", one_line(line)));
    }
}

fn history(out: &mut String, node: &Details, now: SystemTime, paint: Paint) {
    let about = match node.history.len() {
        0 => "nothing was decided yet".to_owned(),
        1 => "its only decision".to_owned(),
        n => format!("the last {} decisions, newest first", n.min(SHOWN)),
    };
    out.push_str(&format!("\n{}  {}\n", paint.bold("history"), paint.dim(&about)));
    for past in node.history.iter().rev().take(SHOWN) {
        let action = past.action.as_deref().map(|action| format!(" → {action}")).unwrap_or_default();
        let at = format!("{:>12}", ago(&past.at, now));
        out.push_str(&format!("  {}  {}{action}  {}\n", paint.dim(&at), past.state, one_line(&past.reason)));
    }
}

fn times(n: usize) -> String {
    match n {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        n => format!("{n} times"),
    }
}

/// A time as a distance: `3s ago`, `in 500ms`.
fn ago(at: &str, now: SystemTime) -> String {
    let Ok(at) = humantime::parse_rfc3339(at) else { return at.to_owned() };
    match now.duration_since(at) {
        Ok(past) => format!("{} ago", short(past)),
        Err(future) => format!("in {}", short(future.duration())),
    }
}

/// Two units at most: nobody reads nanoseconds.
fn short(duration: std::time::Duration) -> String {
    let coarse = match duration.as_secs() {
        0 => std::time::Duration::from_millis(duration.as_millis() as u64),
        1..3_600 => std::time::Duration::from_secs(duration.as_secs()),
        3_600..86_400 => std::time::Duration::from_secs(duration.as_secs() / 60 * 60),
        _ => std::time::Duration::from_secs(duration.as_secs() / 3_600 * 3_600),
    };
    humantime::format_duration(coarse).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details() -> Details {
        serde_json::from_value(serde_json::json!({
            "path": "/a/b", "kind": "connection", "depth": 1, "state": "Down", "phase": "degraded",
            "reason": "no answer", "since": "2026-01-01T00:00:00.000Z", "goal": "run", "healthy": false, "invalid": false,
            "stale": false, "circuit_open": false, "cut_off": false, "dynamic": false, "stopped_by": null, "acting": null,
            "sort": "passive", "starts": 1, "desired": 2, "observed_under": 2,
            "observed_at": "2026-01-01T00:00:59.000Z", "restarts": 0, "next_look": "2026-01-01T00:01:01.000Z",
            "config": {"tcp": {"host": "10.0.0.7", "port": 502}}, "observed": {"ok": false},
            "action": {"name": "restart", "since": "2026-01-01T00:00:00.000Z", "outcome": "failure",
                       "attempts": 3, "error": "refused"},
            "children": {"healthy": 0, "stopped": 0, "completed": 0, "degraded": 1},
            "error": null,
            "history": [{"at": "2026-01-01T00:00:00.000Z", "cause": 1, "state": "Down", "action": null, "reason": "no answer"}],
            "statistics": fsm_metrics::NodeMetrics::default(),
        }))
        .unwrap()
    }

    // spec: S-41, U-7
    #[test]
    fn who_is_cut_off_waits_for_what_it_needs_and_not_for_itself() {
        let mut node = details();
        node.entry.cut_off = true;
        for sort in ["trying", "passive"] {
            node.sort = Some(sort.to_owned());
            let shown = describe(&node, SystemTime::UNIX_EPOCH, Paint::plain());
            assert!(shown.contains("✗ Down  (degraded, cut off)"), "{shown}");
            assert!(shown.contains("waits for  what it needs to answer a probe again\n"), "{shown}");
        }
    }

    // spec: U-7
    #[test]
    fn a_description_begins_with_the_answer() {
        let now = humantime::parse_rfc3339("2026-01-01T00:01:00.000Z").unwrap();
        insta::assert_snapshot!(describe(&details(), now, Paint::plain()), @r#"
        /a/b  (connection)
            state  ✗ Down  (degraded)
            since  1m ago  (2026-01-01T00:00:00.000Z)
              why  no answer
        waits for  a change of what it observes
        next look  in 1s
             goal  run
            lives  started once, lately restarted never
           action  restart, 1m ago: failure after 3 attempts: refused
         children  1 not well

        desired  generation 2
          tcp:
            host: "10.0.0.7"
            port: 502

        observed  1s ago, under generation 2
          ok: false

        history  its only decision
                1m ago  Down  no answer
        "#);
    }
}
