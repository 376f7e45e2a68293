//! DOT: for Graphviz and everything that reads it.

use super::{Graph, Target, colours};

impl Graph {
    /// A DOT digraph; what `stop` does is dashed.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut out = format!("digraph {} {{\n", quoted(self.kind));
        let mut line = |text: String| {
            out.push_str("    ");
            out.push_str(&text);
            out.push('\n');
        };
        line("rankdir=TB; node [shape=box, style=\"rounded,filled\"];".into());
        for state in &self.states {
            let (fill, stroke) = colours(state.phase);
            let mut label = format!("{}\n{}, {}", state.name, state.phase, state.sort);
            for action in &state.actions {
                label.push_str(&format!("\nacts: {action}"));
            }
            let (name, label) = (quoted(state.name), quoted(&label));
            line(format!("{name} [label={label}, fillcolor=\"{fill}\", color=\"{stroke}\"];"));
        }
        if !self.initial.is_empty() {
            line("\"(start)\" [shape=point];".into());
        }
        for initial in &self.initial {
            line(format!("\"(start)\" -> {};", quoted(self.states[*initial].name)));
        }
        for edge in &self.edges {
            let (from, to) = (quoted(self.states[edge.from].name), quoted(self.target_name(edge.to)));
            let label = quoted(&edge.labels.join("\n"));
            let style = if edge.stop { ", style=dashed" } else { "" };
            line(format!("{from} -> {to} [label={label}{style}];"));
        }
        for (target, shape) in [(Target::Removed, "doublecircle"), (Target::Restarted, "circle")] {
            if self.edges.iter().any(|edge| edge.to == target) {
                line(format!("{} [shape={shape}, style=\"\"];", quoted(self.target_name(target))));
            }
        }
        out.push_str("}\n");
        out
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
