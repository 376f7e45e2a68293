//! The tree as a table: each node with its health, and above it how many below it are not well.

use std::collections::BTreeMap;

use fsm_core::Phase;

use super::node::Entry;
use super::paint::{Paint, symbol};

/// The lines of a table before they are aligned.
struct Line<'a> {
    branch: String,
    entry: &'a Entry,
    /// Nodes below it that are not well.
    below: usize,
}

/// All nodes, parents before children; with `unhealthy` only those that are not well, by their paths.
pub(crate) fn tree(entries: &[Entry], unhealthy: bool, paint: Paint) -> String {
    if unhealthy {
        let mut lines: Vec<Line<'_>> = Vec::new();
        for entry in entries {
            lines.push(Line { branch: entry.path.clone(), entry, below: 0 });
        }
        return match lines.is_empty() {
            true => "all nodes are as they should be\n".to_owned(),
            false => table(&lines, paint),
        };
    }
    if entries.is_empty() {
        return "the tree is empty\n".to_owned();
    }
    table(&lines(entries), paint) + "\n" + &summary(entries) + "\n"
}

/// One node as a line.
pub(crate) fn one(entry: &Entry, paint: Paint) -> String {
    table(&[Line { branch: entry.path.clone(), entry, below: 0 }], paint)
}

fn lines(entries: &[Entry]) -> Vec<Line<'_>> {
    let root = entries.first().map_or(0, |entry| entry.depth);
    // Whether a further sibling follows at each depth, seen from the last line up.
    let mut follows: Vec<bool> = Vec::new();
    let mut unwell: Vec<usize> = Vec::new();
    let mut lines: Vec<Line<'_>> = Vec::with_capacity(entries.len());
    for entry in entries.iter().rev() {
        let depth = entry.depth.saturating_sub(root);
        let below: usize = unwell.iter().skip(depth + 1).sum();
        unwell.truncate(depth + 1);
        unwell.resize(depth + 1, 0);
        unwell[depth] += below + usize::from(!entry.healthy);
        follows.resize(depth + 1, false);
        let mut branch = String::new();
        for follows in follows.iter().take(depth).skip(1) {
            branch.push_str(if *follows { "│  " } else { "   " });
        }
        if depth > 0 {
            branch.push_str(if follows[depth] { "├─ " } else { "└─ " });
        }
        branch.push_str(symbol(entry.phase));
        branch.push(' ');
        branch.push_str(entry.name());
        follows[depth] = true;
        lines.push(Line { branch, entry, below });
    }
    lines.reverse();
    lines
}

fn table(lines: &[Line<'_>], paint: Paint) -> String {
    let width = |of: &dyn Fn(&Line<'_>) -> usize| lines.iter().map(of).max().unwrap_or(0);
    let first = width(&|line| line.branch.chars().count());
    let second = width(&|line| line.entry.kind.chars().count());
    let third = width(&|line| line.entry.state().chars().count());
    let mut out = String::new();
    for Line { branch, entry, below } in lines {
        let kind = format!("{:second$}", entry.kind);
        let state = format!("{:third$}", entry.state());
        let state = if entry.invalid { paint.bad(&state) } else { paint.phase(entry.phase, &state) };
        let mut notes = entry.marks();
        match below {
            0 => {}
            1 => notes.push("1 below is not well".to_owned()),
            n => notes.push(format!("{n} below are not well")),
        }
        let notes = if notes.is_empty() { String::new() } else { format!("[{}] ", notes.join(", ")) };
        let line = format!(
            "{branch:first$}  {}  {state}  {}{}",
            paint.dim(&kind),
            paint.bad(&notes),
            one_line(&entry.reason)
        );
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn summary(entries: &[Entry]) -> String {
    let mut phases: BTreeMap<Phase, usize> = BTreeMap::new();
    for entry in entries {
        *phases.entry(entry.phase).or_default() += 1;
    }
    let parts: Vec<String> = phases.iter().map(|(phase, count)| format!("{count} {phase}")).collect();
    let unwell = entries.iter().filter(|entry| !entry.healthy).count();
    let end = if unwell == 0 { String::new() } else { format!("; {unwell} not well") };
    format!("{}: {}{end}", super::count(entries.len(), "node"), parts.join(", "))
}

/// A reason may quote a device: no line break or escape sequence of it reaches the terminal.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, state: &str, phase: &str, reason: &str) -> Entry {
        let depth = path.matches('/').count() - 1;
        let healthy = phase == "running";
        serde_json::from_value(serde_json::json!({
            "path": path, "kind": "demo", "depth": depth, "state": state, "phase": phase, "reason": reason,
            "since": "2026-01-01T00:00:00.000Z", "goal": "run", "healthy": healthy, "invalid": false,
            "stale": false, "circuit_open": false, "cut_off": false, "dynamic": false, "stopped_by": null, "acting": null,
        }))
        .unwrap()
    }

    // spec: U-6
    #[test]
    fn a_parent_tells_how_many_below_it_are_not_well() {
        let entries = [
            entry("/a", "Running", "running", "fine"),
            entry("/a/b", "Running", "running", "fine"),
            entry("/a/b/c", "Down", "degraded", "no\nanswer"),
            entry("/a/b/d", "Running", "running", "fine"),
            entry("/a/e", "Starting", "starting", "soon"),
        ];
        let shown = tree(&entries, false, Paint::plain());
        insta::assert_snapshot!(shown, @r"
        ● a        demo  Running   [2 below are not well] fine
        ├─ ● b     demo  Running   [1 below is not well] fine
        │  ├─ ✗ c  demo  Down      no answer
        │  └─ ● d  demo  Running   fine
        └─ ◐ e     demo  Starting  soon

        5 nodes: 1 starting, 3 running, 1 degraded; 2 not well
        ");
    }

    #[test]
    fn unhealthy_nodes_are_listed_by_path() {
        let shown = tree(&[entry("/a/b/c", "Down", "degraded", "no answer")], true, Paint::plain());
        assert_eq!(shown, "/a/b/c  demo  Down  no answer\n");
        assert_eq!(tree(&[], true, Paint::plain()), "all nodes are as they should be\n");
    }
}
